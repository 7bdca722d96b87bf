// Another attempt at a call that takes long; the first good answer counts.
#ifndef TIDEGATE_HEDGE_HPP
#define TIDEGATE_HEDGE_HPP

#include <tidegate/guard.hpp>
#include <tidegate/race.hpp>

#if __cplusplus >= 202002L && __has_include(<stop_token>)
#include <stop_token>
#endif

TIDEGATE_BEGIN

// Runs each attempt on a thread of its own, which nobody waits for.
struct new_thread {
  template <class Run>
  void operator()(Run run) const {
    std::thread(std::move(run)).detach();
  }
};

namespace detail {

// Hedged work may take a token, and the permit after it; or what guard::run's work takes.
template <class Fn>
decltype(auto) start_hedged(Fn &fn, const cancel_token &token, permit &held) {
  if constexpr (std::is_invocable_v<Fn &, cancel_token, permit &>) {
    return std::invoke(fn, cancel_token(token), held);
  } else if constexpr (std::is_invocable_v<Fn &, cancel_token>) {
    return std::invoke(fn, cancel_token(token));
#ifdef __cpp_lib_jthread
  } else if constexpr (std::is_invocable_v<Fn &, std::stop_token>) {
    std::stop_source stop;
    const cancel_callback linked(token, [&stop] { stop.request_stop(); });
    return std::invoke(fn, stop.get_token());
#endif
  } else {
    return start(fn, held);
  }
}

template <class Fn>
using hedged_result = typename wrapped<decltype(start_hedged(
    std::declval<Fn &>(), std::declval<const cancel_token &>(), std::declval<permit &>()))>::type;

// Waits as the permit says, works, and settles the permit; does not begin what is cancelled.
template <class Fn, class Judge>
hedged_result<Fn> answer(const guard &around, permit &held, Fn &fn, const cancel_token &token, const Judge &judge) {
  if (token.cancelled() || around.wait_for(held) != status::ok || token.cancelled()) {
    held.settle(outcome::cancelled);
    return left();
  }
  return conduct(held, [&](permit &mine) -> decltype(auto) { return start_hedged(fn, token, mine); }, judge);
}

// One attempt. It owns all that it touches, since it may go on after the call has returned. One that is dropped before it ran
// has ended all the same.
template <class Fn, class Judge>
class attempt {
 public:
  using R = hedged_result<Fn>;

  attempt(std::shared_ptr<race<R>> in, guard around, permit held, const Fn &fn, const Judge &judge)
      : race_(std::move(in)), around_(std::move(around)), held_(std::move(held)), fn_(fn), judge_(judge) {
    race_->begin();
  }
  attempt(const attempt &) = delete;
  attempt &operator=(const attempt &) = delete;
  ~attempt() {
    if (!ended_) end({});
  }

  void run() { end(made()); }

 private:
  attempt_end<R> made() {
    attempt_end<R> ended;
#if TIDEGATE_EXCEPTIONS
    try {
      ended.value.emplace(answer(around_, held_, fn_, race_->token(), judge_));
    } catch (...) {
      settle(held_, outcome::failure);
      ended.thrown = std::current_exception();
      // A thread's cancellation goes on.
      if (!ended.thrown) throw;
    }
#else
    ended.value.emplace(answer(around_, held_, fn_, race_->token(), judge_));
#endif
    ended.how = held_.settlement();
    return ended;
  }

  // The permit is given back before the caller hears of it; by whoever lost, as cancelled, whatever came of it.
  void end(attempt_end<R> ended) {
    ended_ = true;
    const bool counts = race_->claim(ended.good());
    held_.settle(counts ? ended.how : outcome::cancelled);
    held_ = permit();
    race_->end(std::move(ended), counts);
  }

  const std::shared_ptr<race<R>> race_;
  const guard around_;
  permit held_;
  Fn fn_;
  const Judge judge_;
  bool ended_ = false;
};

// What the library says of one call's hedges: when they are due, and whether they are paid for.
class hedges {
 public:
  hedges(const guard &around, const call &about) noexcept { tg_hedge_begin(around.handle(), &about.raw(), &state_); }
  hedges(const hedges &) = delete;
  hedges &operator=(const hedges &) = delete;
  ~hedges() { tg_hedge_end(&state_, static_cast<tg_outcome>(how_)); }

  // How long until it is to be asked again; 0: a hedge is paid for, and to be sent now; none: there is no further one.
  std::optional<nanoseconds> next() noexcept {
    std::uint64_t wait = 0;
    if (tg_hedge_next(&state_, &wait) != TG_OK) return std::nullopt;
    return saturated(wait);
  }

  // How the answer that counts ended.
  void ended(outcome how) noexcept { how_ = how; }

 private:
  tg_hedge state_{};
  outcome how_ = outcome::failure;
};

// The caller's side of a hedged call. When it goes, the attempts that are out are told.
template <class Fn, class Judge, class Start>
class hedged {
 public:
  using R = hedged_result<Fn>;

  hedged(const guard &around, const call &about, Fn &fn, Start &start, const Judge &judge)
      : around_(around), about_(with_deadline(about, around.now())), fn_(fn), start_(start), judge_(judge),
        hedges_(around, about_) {}
  hedged(const hedged &) = delete;
  hedged &operator=(const hedged &) = delete;
  ~hedged() {
    if (race_) race_->leave();
  }

  R run() {
    result<permit> first = around_.enter(about_);
    if (!first) return std::move(first).error();
    const std::optional<nanoseconds> due = hedges_.next();
    if (!due) return alone(*first);
    race_ = std::make_shared<race<R>>();
    send(std::move(*first));
    wait(due);
    return answered();
  }

 private:
  // There is no hedge: a guarded call like any other.
  R alone(permit &held) {
    R only = answer(around_, held, fn_, cancel_token(), judge_);
    hedges_.ended(held.settlement());
    return only;
  }

  void send(permit held) {
    const auto made = std::make_shared<attempt<Fn, Judge>>(race_, around_, std::move(held), fn_, judge_);
    start_([made] { made->run(); });
  }

  // A hedge that is refused, or for which no thread can be had, is none: the attempts that are out may still answer.
  void send_hedge() {
    result<permit> another = around_.enter(about_);
    if (!another) return;
#if TIDEGATE_EXCEPTIONS
    try {
      send(std::move(*another));
    } catch (const std::exception &) {
    }
#else
    send(std::move(*another));
#endif
  }

  // Sends hedges as they are due, until an answer counts or no attempt is out.
  void wait(std::optional<nanoseconds> due) {
    for (; due; due = hedges_.next()) {
      if (*due == nanoseconds(0)) {
        send_hedge();
      } else if (race_->wait(*due)) {
        return;
      }
    }
    race_->wait(never);
  }

  R answered() {
    attempt_end<R> last = race_->take();
    hedges_.ended(last.how);
#if TIDEGATE_EXCEPTIONS
    if (last.thrown) std::rethrow_exception(std::move(last.thrown));
#endif
    if (!last.value) return left();
    return std::move(*last.value);
  }

  const guard &around_;
  const call about_;
  Fn &fn_;
  Start &start_;
  const Judge &judge_;
  hedges hedges_;
  std::shared_ptr<race<R>> race_;
};

}  // namespace detail

// guard::run that makes another attempt when one takes long, as the guard's rules say (rule "hedge"), and returns the first
// good answer: one that is judged as success or ignored. Where none is good, what the last attempt gave, an exception too.
//
//   auto hits = tidegate::hedge(search, [text](tidegate::cancel_token token) { return query(text, token); });
//
// fn may take a cancel_token (in C++20 a std::stop_token instead) and after it a permit &, or what guard::run's fn takes.
// The caller waits on its own thread; every attempt, the first too, is handed to start(run), which has `run`, a copyable
// function of nothing, called once on another thread: a pool's submit, say. Where no hedge can come (there is no rule, the call
// is once, its time is too short) it is guard::run, on the caller's thread, and start is not asked.
//
// When it returns, the other attempts were told by their tokens. They are not waited for, and exit as cancelled when fn
// returns, whatever it returns. So each attempt has a copy of fn of its own, which is destroyed on its thread, and that copy has to
// own what it uses: capture by value or by std::shared_ptr, not by reference. Who cannot gives a `start` whose threads are
// joined before what is referred to goes.
//
// Of `about` the time limit holds for all attempts together; views are used by the caller's thread alone. An attempt enters the guard
// when it is sent, so that the time until `run` is called counts as its own. One that start drops gives back its permit;
// if start throws for the first attempt, the caller gets the exception. Waits are on std::chrono::steady_clock, after each of which
// the runtime's clock is asked, also where that is virtual. Allocates for each attempt that is handed to start.
template <class Fn, class Start = new_thread, class Judge = classify>
detail::hedged_result<std::decay_t<Fn>> hedge(const guard &around, const call &about, Fn &&fn, Start &&start = Start(),
                                              const Judge &judge = Judge()) {
  using Work = std::decay_t<Fn>;
  static_assert(std::is_copy_constructible_v<Work>, "each attempt runs a copy of fn");
  Work work(std::forward<Fn>(fn));
  return detail::hedged<Work, Judge, std::remove_reference_t<Start>>(around, about, work, start, judge).run();
}
template <class Fn>
detail::hedged_result<std::decay_t<Fn>> hedge(const guard &around, Fn &&fn) {
  return hedge(around, call(), std::forward<Fn>(fn));
}

TIDEGATE_END

#endif
