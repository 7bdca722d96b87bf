// Callers wait for a concurrency place, for a controlled time.
#ifndef TIDEGATE_QUEUE_HPP
#define TIDEGATE_QUEUE_HPP

#include <tidegate/guard.hpp>
#include <tidegate/waiting_line.hpp>

#include <condition_variable>
#include <mutex>

TIDEGATE_BEGIN

class waiting_room;

// A permit that was entered through a waiting room. When it has been exited, by whatever way, the room hears of it.
class queued_permit {
 public:
  queued_permit(queued_permit &&) noexcept = default;
  queued_permit &operator=(queued_permit &&) = delete;

  permit &operator*() noexcept { return held_; }
  permit *operator->() noexcept { return &held_; }
  const permit *operator->() const noexcept { return &held_; }

  // Exits now, as permit::exit.
  status exit(outcome how) noexcept {
    const status code = held_.exit(how);
    if (!held_) room_.reset();
    return code;
  }

 private:
  friend class waiting_room;
  struct tell {
    void operator()(waiting_room *room) const noexcept;
  };
  queued_permit(permit held, waiting_room *room) noexcept : room_(room), held_(std::move(held)) {}

  // Destroyed after the permit, so that the place is free when the room is told.
  std::unique_ptr<waiting_room, tell> room_;
  permit held_;
};

// In front of a guard with a concurrency limit: who finds no place waits in line (waiting_line says in which order and how
// long), and is refused when the time is over. Every other refusal is final at once.
//
//   tidegate::waiting_room room(*rt->guard("search"), {200, 100ms, 5ms});
//   auto hits = room.run([&] { return search(query); });
//
// While nobody waits, enter takes no lock: one atomic load more than the guard itself. A caller who finds others waiting
// gets in line. Places that are given back through the room are handed on at once; of those given back elsewhere (other
// processes, permits of the guard itself) the room hears by looking every `look`, where the guard's figures show a free
// place. What the guard itself refused is in its metrics, also where the caller found a place later; those whom the room refused
// are counted by turned_away.
//
// All functions may be called by many threads at once. The room outlives its permits. Time is std::chrono::steady_clock,
// also where the runtime's clock is virtual.
class waiting_room {
 public:
  explicit waiting_room(guard around, queue_limits limits = {}, nanoseconds look = std::chrono::milliseconds(5))
      : guard_(std::move(around)), look_(look), line_(limits) {}
  waiting_room(const waiting_room &) = delete;
  waiting_room &operator=(const waiting_room &) = delete;

  // guard::enter, with waiting. A call's timeout and deadline hold for the wait too.
  result<queued_permit> enter(const call &about = {}) {
    if (waiting_.load(std::memory_order_relaxed) == 0) {
      result<permit> first = guard_.enter(about);
      if (first.ok() || first.status() != status::refused_concurrency) return mine(std::move(first));
    }
    return wait_in_line(detail::with_deadline(about, guard_.now()));
  }

  // The same for a caller who does not wait: refused at once, also where others wait, whose turn its exit makes it. So what
  // matters less makes way for what may wait.
  result<queued_permit> try_enter(const call &about = {}) {
    if (waiting_.load(std::memory_order_relaxed) != 0) return no_place();
    return mine(guard_.enter(about));
  }

  // guard::run, with waiting.
  template <class Fn>
  run_result<Fn> run(Fn &&fn) {
    return run(call(), std::forward<Fn>(fn));
  }
  template <class Fn, class Judge = classify>
  run_result<Fn> run(const call &about, Fn &&fn, const Judge &judge = {}) {
    result<queued_permit> held = enter(about);
    if (!held) return std::move(held).error();
    if (guard_.wait_for(**held) != status::ok) return detail::left();
    return detail::conduct(**held, std::forward<Fn>(fn), judge);
  }

  // How many wait at this moment; how many were refused since the line was full or their time was over.
  std::size_t waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }
  std::uint64_t turned_away() const noexcept { return turned_away_.load(std::memory_order_relaxed); }

 private:
  friend class queued_permit;

  // One who waits: on their own stack, woken by name.
  struct waiting_caller {
    std::condition_variable turn;
    bool woken = false;
  };

  // A place in line, while it lasts.
  struct place_in_line {
    waiting_room &room;
    const waiting_line::ticket ticket;
    place_in_line(waiting_room &in, nanoseconds now) : room(in), ticket(in.line_.arrive(now)) {}
    place_in_line(const place_in_line &) = delete;
    place_in_line &operator=(const place_in_line &) = delete;
    ~place_in_line() {
      if (!room.line_.leave(ticket, clock())) return;
      room.callers_.erase(ticket);
      room.publish();
      room.wake_next();
    }
  };

  static nanoseconds clock() { return std::chrono::steady_clock::now().time_since_epoch(); }

  // The caller's moment on the room's clock.
  nanoseconds patience(const call &about, nanoseconds now) const noexcept {
    if (about.raw().deadline_ns == 0) return never;
    return detail::later(now, std::max(detail::saturated(about.raw().deadline_ns) - guard_.now(), nanoseconds(0)));
  }

  result<queued_permit> wait_in_line(const call &about) {
    waiting_caller me;
    std::unique_lock<std::mutex> lock(mutex_);
    const nanoseconds now = clock();
    const place_in_line place(*this, now);
    if (place.ticket == 0) return no_place();
    callers_.emplace(place.ticket, &me);
    publish();
    return attend(lock, place.ticket, me, std::min(line_.until(place.ticket), patience(about, now)), about);
  }

  // Looks whether it is one's turn and tries, until that succeeds or the time is over.
  result<queued_permit> attend(std::unique_lock<std::mutex> &lock, waiting_line::ticket ticket, waiting_caller &me,
                               nanoseconds until, const call &about) {
    bool was_next = false;
    while (true) {
      const nanoseconds now = clock();
      const bool is_next = line_.next(now) == ticket;
      if (is_next && place_free()) {
        result<permit> tried = guard_.enter(about);
        if (tried.ok() || tried.status() != status::refused_concurrency) return mine(std::move(tried));
      }
      if (now >= until) return no_place();
      // Under overload another has become the next: to look is theirs now.
      if (!is_next && (was_next || me.woken)) wake_next();
      was_next = is_next;
      me.woken = false;
      sleep(lock, me, is_next ? std::min(until, detail::later(now, look_)) : until);
    }
  }

  static void sleep(std::unique_lock<std::mutex> &lock, waiting_caller &me, nanoseconds until) {
    const auto woken = [&me] { return me.woken; };
    if (until == never) return me.turn.wait(lock, woken);
    const auto end = std::chrono::time_point<std::chrono::steady_clock, nanoseconds>(until);
    me.turn.wait_until(lock, std::chrono::time_point_cast<std::chrono::steady_clock::duration>(end), woken);
  }

  // Whether the guard's figures show a place: a hint, that spares refused attempts.
  bool place_free() const {
    const result<guard_stats> stats = guard_.stats();
    return !stats.ok() || stats->limit() == 0 || stats->inflight() < stats->limit();
  }

  // Whoever gives a place back sees that somebody waits, or whoever waits sees the place: each side changes its own, then
  // looks at the other's, with a fence between.
  void publish() noexcept {
    waiting_.store(line_.size(), std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }

  void wake_next() noexcept {
    const auto place = callers_.find(line_.next(clock()));
    if (place == callers_.end()) return;
    place->second->woken = true;
    place->second->turn.notify_one();
  }

  // A place was given back.
  void freed() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (waiting_.load(std::memory_order_relaxed) == 0) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    wake_next();
  }

  result<queued_permit> mine(result<permit> entered) {
    if (!entered) return std::move(entered).error();
    return queued_permit(std::move(*entered), this);
  }

  error no_place() noexcept {
    turned_away_.fetch_add(1, std::memory_order_relaxed);
    error why = detail::plain(status::refused_concurrency);
    why.stage = stage::concurrency;
    return why;
  }

  guard guard_;
  const nanoseconds look_;
  std::mutex mutex_;
  waiting_line line_;
  std::map<waiting_line::ticket, waiting_caller *> callers_;
  std::atomic<std::size_t> waiting_{0};
  std::atomic<std::uint64_t> turned_away_{0};
};

inline void queued_permit::tell::operator()(waiting_room *room) const noexcept { room->freed(); }

TIDEGATE_END

#endif
