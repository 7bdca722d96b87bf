// The order and patience of those who wait: a pure state, of which time is a parameter.
#ifndef TIDEGATE_WAITING_LINE_HPP
#define TIDEGATE_WAITING_LINE_HPP

#include <tidegate/config.hpp>

#include <cstddef>
#include <map>

TIDEGATE_BEGIN

// How many wait, and how long.
struct queue_limits {
  // At most so many at once; 0: nobody waits.
  std::size_t most = 1000;
  // The longest wait of one who comes while the line is healthy; also how long a line may last before it counts as
  // overloaded (CoDel's interval).
  nanoseconds longest = std::chrono::milliseconds(100);
  // The longest wait of one who comes while it is overloaded (CoDel's target).
  nanoseconds longest_overloaded = std::chrono::milliseconds(5);
};

// A waiting line with a controlled delay and adaptive LIFO. A good line drains now and then; one that was not empty for a
// whole interval is no burst but overload, however short each wait is (K. Nichols, V. Jacobson, "Controlling Queue Delay",
// ACM Queue 10(5), 2012). Then who comes may wait only for the target instead of the interval, and who came last is
// served first, since the callers of those who came first have mostly given up (B. Maurer, "Fail at Scale", ACM Queue 13(8),
// 2015, whose variant this is: the delay is bounded on arrival, instead of by drops on departure).
//
//   healthy --(not empty for longer than `longest`)--> overloaded --(empty)--> healthy
//
// No threads, no clock: `now` is any time that does not go back (one that does is taken as standing still). Not
// thread-safe. arrive and leave take O(log n), next O(1 + those whose patience is over and who did not leave).
class waiting_line {
 public:
  // Who waits: a number that rises with arrival; 0 is nobody.
  using ticket = std::uint64_t;

  explicit waiting_line(queue_limits limits = {}) : limits_(limits) {}

  // Somebody comes to wait; 0 where the line is full.
  ticket arrive(nanoseconds now) {
    if (waiting_.size() >= limits_.most) return 0;
    if (waiting_.empty()) last_empty_ = now;
    const nanoseconds patience = overloaded(now) ? limits_.longest_overloaded : limits_.longest;
    waiting_.emplace_hint(waiting_.end(), ++last_, detail::later(now, patience));
    return last_;
  }

  // Somebody leaves: served, or because the time is over. Whether they were there.
  bool leave(ticket who, nanoseconds now) {
    if (waiting_.erase(who) == 0) return false;
    if (waiting_.empty()) last_empty_ = now;
    return true;
  }

  // Whether the line was not empty for a whole interval.
  bool overloaded(nanoseconds now) const noexcept {
    return !waiting_.empty() && now > detail::later(last_empty_, limits_.longest);
  }

  // Whose turn it is: the first who came, under overload the last; 0 where nobody waits whose time is not over.
  ticket next(nanoseconds now) const noexcept {
    return overloaded(now) ? patient(waiting_.rbegin(), waiting_.rend(), now)
                           : patient(waiting_.begin(), waiting_.end(), now);
  }

  // The moment at which somebody's patience ends; the clock's zero for who does not wait.
  nanoseconds until(ticket who) const {
    const auto place = waiting_.find(who);
    return place == waiting_.end() ? nanoseconds(0) : place->second;
  }

  // Whether somebody's patience is over, or they do not wait.
  bool expired(ticket who, nanoseconds now) const {
    const auto place = waiting_.find(who);
    return place == waiting_.end() || place->second <= now;
  }

  std::size_t size() const noexcept { return waiting_.size(); }

 private:
  template <class Iterator>
  static ticket patient(Iterator at, Iterator end, nanoseconds now) noexcept {
    for (; at != end; ++at)
      if (at->second > now) return at->first;
    return 0;
  }

  const queue_limits limits_;
  std::map<ticket, nanoseconds> waiting_;  // in the order of arrival, and until when
  nanoseconds last_empty_{0};
  ticket last_ = 0;
};

TIDEGATE_END

#endif
