// Guards: a named resource with its pipeline in front of it.
#ifndef TIDEGATE_GUARD_HPP
#define TIDEGATE_GUARD_HPP

#include <tidegate/breaker.hpp>
#include <tidegate/call.hpp>
#include <tidegate/environment.hpp>
#include <tidegate/stats.hpp>
#include <tidegate/work.hpp>

TIDEGATE_BEGIN

class runtime;

// A named protected resource. What its pipeline does, the rules say; without rules it counts and lets pass. A handle of
// two pointers: copy it freely, use it from any thread, keep it beyond the runtime (calls go ahead then, or answer
// status::closed, as options::fail_closed says).
class guard {
 public:
  // No guard: calls go ahead.
  guard() noexcept = default;

  // Asks to pass, waits as long as the permit says, runs fn, tells how it ended, and returns what fn returned. Where the
  // guard refuses, fn is not run and the error says which stage and when to come back. fn may take a permit &.
  template <class Fn>
  run_result<Fn> run(Fn &&fn) const {
    return pass(nullptr, std::forward<Fn>(fn), classify{});
  }
  template <class Fn>
  run_result<Fn> run(const call &about, Fn &&fn) const {
    return pass(&about.raw(), std::forward<Fn>(fn), classify{});
  }
  // The same with a judge of one's own: see classify. Exceptions are judged, and go on.
  template <class Fn, class Judge>
  run_result<Fn> run(const call &about, Fn &&fn, const Judge &judge) const {
    return pass(&about.raw(), std::forward<Fn>(fn), judge);
  }

  // Runs fn as often as the guard's rules allow (rule "retry"), each time as run does, and waits in between by the
  // runtime's waiter; returns what the last attempt gave. Of `about` the time limit holds for all attempts together, and
  // call::once lets only those be repeated that the guard refused. An exception ends it. fn is called several times.
  template <class Fn>
  run_result<Fn &> retry(Fn &&fn) const {
    return retry(call(), std::forward<Fn>(fn));
  }
  template <class Fn>
  run_result<Fn &> retry(const call &about, Fn &&fn) const {
    return retry(about, std::forward<Fn>(fn), classify{});
  }
  template <class Fn, class Judge>
  run_result<Fn &> retry(const call &about, Fn &&fn, const Judge &judge) const {
    tg_retry state;
    const bool begun = tg_retry_begin(handle_, &about.raw(), &state) == TG_OK;
    for (;;) {
      tg_outcome how = TG_OUTCOME_FAILURE;
      auto ended = attempt(about, fn, judge, how);
      std::uint64_t wait = 0;
      if (!begun || how == TG_OUTCOME_CANCELLED || tg_retry_next(&state, how, comes_back(ended), &wait) != TG_OK)
        return ended;
      if (around_ && wait > 0 && !around_->wait(detail::saturated(wait))) {
        tg_retry_abandon(&state);
        return ended;
      }
    }
  }

  // Asks to pass. The caller waits permit::wait (or lets wait_for do it), works, and settles or exits the permit. An
  // error is a refusal or, where the options fail closed, a fault of the library's.
  result<permit> enter() const { return admitted(nullptr); }
  result<permit> enter(const call &about) const { return admitted(&about.raw()); }

  // Waits as the permit says, by the runtime's waiter. When that says that the caller has left, the permit is given back
  // as cancelled and the answer is status::cancelled.
  status wait_for(permit &held) const {
    const nanoseconds time = held.wait();
    if (time <= nanoseconds::zero() || (around_ && around_->wait(time))) return status::ok;
    held.exit(outcome::cancelled);
    return status::cancelled;
  }

  // What it did and how it stands. Cold.
  result<guard_stats> stats() const {
    tg_guard_stats raw = detail::sized<tg_guard_stats>();
    const tg_status code = tg_guard_stats_read(handle_, &raw);
    if (code != TG_OK) return detail::plain(code);
    return guard_stats(raw);
  }

  // Sets the breaker by hand, for every process on the segment: forced_open, forced_closed or disabled until it is set
  // again; closed resets it, with an empty window. Cold.
  result<void> set_breaker(breaker_state state) const {
    return detail::checked(tg_guard_set_breaker(handle_, static_cast<std::uint32_t>(state)));
  }

  // Calls hear(const tg_breaker_change &) at every change that a call of this process makes to the breaker, on the thread of
  // that call, until the watch is destroyed. hear may use the library; what it throws ends the program. Cold.
  template <class Hear>
  result<breaker_watch> watch_breaker(Hear hear) const {
    return breaker_watch::begin(handle_, std::move(hear));
  }

  // The keys that call most at a rate limit by key, by its index in the rules, the loudest first; status::not_found where it has
  // no key. Cold.
  result<std::vector<hot_key>> hottest(std::uint32_t rate) const {
    tg_hot_key raw[64];
    std::uint32_t count = 64;
    const tg_status code = tg_guard_hottest(handle_, rate, raw, &count);
    if (code != TG_OK) return detail::plain(code);
    std::vector<hot_key> keys;
    for (std::uint32_t i = 0; i < count; i++)
      keys.push_back({std::string(raw[i].name, static_cast<std::size_t>(raw[i].len)), raw[i].count, raw[i].error});
    return keys;
  }

  // Takes the guard out of its runtime. Its handles answer status::closed from now on. Cold.
  result<void> retire() const { return detail::checked(tg_guard_retire(handle_)); }

  // The runtime's clock; 0 where there is none.
  nanoseconds now() const noexcept {
    std::uint64_t ns = 0;
    return around_ && tg_clock_now(around_->handle, &ns) == TG_OK ? detail::saturated(ns) : nanoseconds(0);
  }

  const tg_guard *handle() const noexcept { return handle_; }

 private:
  friend class runtime;
  guard(const tg_guard *handle, std::shared_ptr<detail::environment> around) noexcept
      : handle_(handle), around_(std::move(around)) {}

  template <class Fn, class Judge>
  run_result<Fn> pass(const tg_call *about, Fn &&fn, const Judge &judge) const {
    permit held;
    const tg_status code = admit(about, held);
    if (!held) return refusal(code, held);
    if (wait_for(held) != status::ok) return detail::left();
    return detail::conduct(held, std::forward<Fn>(fn), judge);
  }

  // As pass, and how it ended.
  template <class Fn, class Judge>
  run_result<Fn &> attempt(const call &about, Fn &fn, const Judge &judge, tg_outcome &how) const {
    permit held;
    const tg_status code = admit(&about.raw(), held);
    how = tg_is_refusal(code) ? TG_OUTCOME_REFUSED : TG_OUTCOME_CANCELLED;
    if (!held) return refusal(code, held);
    if (wait_for(held) != status::ok) return detail::left();
    auto ended = detail::conduct(held, fn, judge);
    how = static_cast<tg_outcome>(held.settlement());
    return ended;
  }

  template <class R>
  static std::uint64_t comes_back(const R &ended) noexcept {
    if (ended) return 0;
    const nanoseconds after = ended.error().retry_after;
    return after == never ? UINT64_MAX : detail::unsigned_ns(after);
  }

  result<permit> admitted(const tg_call *about) const {
    permit held;
    const tg_status code = admit(about, held);
    if (!held) return refusal(code, held);
    return held;
  }

  // Enters; a fault of the library's is counted, and lets pass unless the options fail closed.
  tg_status admit(const tg_call *about, permit &held) const noexcept {
    const tg_status code = tg_guard_enter(handle_, about, &held.raw_);
    held.runtime_ = around_ ? around_->handle : nullptr;
    if (code == TG_OK) {
      held.state_ = permit::state::held;
    } else if (!tg_is_refusal(code) && faults_pass()) {
      held.state_ = permit::state::passed;
    }
    return code;
  }

  bool faults_pass() const noexcept {
    if (!around_) return true;
    around_->faults.fetch_add(1, std::memory_order_relaxed);
    return !around_->fail_closed;
  }

  static error refusal(tg_status code, const permit &asked) {
    error why = detail::plain(code);
    why.stage = static_cast<tidegate::stage>(tg_permit_stage(&asked.raw_));
    why.reason = tg_permit_reason(&asked.raw_);
    why.retry_after = detail::saturated(tg_permit_retry_after(&asked.raw_));
    return why;
  }

  const tg_guard *handle_ = nullptr;
  std::shared_ptr<detail::environment> around_;
};

TIDEGATE_END

#endif
