// waiting_line, on a time of its own.
#include "support.hpp"

#include <tidegate/waiting_line.hpp>

#include <map>

namespace {

using line = tidegate::waiting_line;

constexpr tidegate::queue_limits usual{1000, 100ms, 5ms};

}  // namespace

TEST(a_healthy_line_serves_in_order) {
  line waits(usual);
  CHECK_EQ(waits.next(1s), 0u);
  const auto first = waits.arrive(1s), second = waits.arrive(1s + 1ms);
  CHECK_EQ(waits.next(1s + 50ms), first);
  CHECK(waits.leave(first, 1s + 50ms));
  CHECK(!waits.leave(first, 1s + 50ms));
  CHECK_EQ(waits.next(1s + 50ms), second);
  CHECK_EQ(waits.until(second).count(), nanoseconds(1s + 101ms).count());
  CHECK_EQ(waits.size(), 1u);
}

TEST(a_line_that_did_not_drain_serves_the_last_first) {
  line waits(usual);
  const auto first = waits.arrive(1s), second = waits.arrive(1s + 99ms);
  CHECK(!waits.overloaded(1s + 100ms));
  CHECK(waits.leave(first, 1s + 99ms));
  const auto third = waits.arrive(1s + 100ms);
  CHECK_EQ(waits.next(1s + 100ms), second);
  CHECK(waits.overloaded(1s + 100ms + 1ns));
  CHECK_EQ(waits.next(1s + 100ms + 1ns), third);
  // Who comes now waits for the target only; who came before keeps their time.
  const auto fourth = waits.arrive(1s + 101ms);
  CHECK_EQ(waits.until(fourth).count(), nanoseconds(1s + 106ms).count());
  CHECK_EQ(waits.until(third).count(), nanoseconds(1s + 200ms).count());
  CHECK_EQ(waits.next(1s + 105ms), fourth);
  CHECK_EQ(waits.next(1s + 106ms), third);
  for (const auto who : {second, third, fourth}) CHECK(waits.leave(who, 1s + 107ms));
  // It has drained: healthy again.
  CHECK(!waits.overloaded(2s));
  const auto fifth = waits.arrive(2s);
  CHECK_EQ(waits.until(fifth).count(), nanoseconds(2s + 100ms).count());
}

TEST(patience_ends) {
  line waits(usual);
  const auto first = waits.arrive(1s);
  CHECK(!waits.expired(first, 1s + 100ms - 1ns) && waits.expired(first, 1s + 100ms));
  CHECK_EQ(waits.next(1s + 100ms), 0u);
  CHECK(waits.expired(99, 1s));
  CHECK_EQ(waits.until(99).count(), 0);
}

TEST(a_line_is_bounded) {
  line waits({2, 100ms, 5ms}), closed({0, 100ms, 5ms});
  CHECK(waits.arrive(1s) != 0 && waits.arrive(1s) != 0);
  CHECK_EQ(waits.arrive(1s), 0u);
  CHECK_EQ(closed.arrive(1s), 0u);
}

TEST(time_that_goes_back_is_taken_as_standing_still) {
  line waits(usual);
  const auto first = waits.arrive(10s);
  CHECK(!waits.overloaded(1s) && !waits.expired(first, 1s));
  CHECK_EQ(waits.next(1s), first);
}

TEST(patience_without_end_does_not_overflow) {
  line waits({2, tidegate::never, tidegate::never});
  const auto first = waits.arrive(tidegate::never - 1ns);
  CHECK(waits.until(first) == tidegate::never);
  CHECK(!waits.overloaded(tidegate::never));
}

namespace {

// A server that takes 10 ms a call, asked `times` as often as that for ten seconds; callers give up after 150 ms. The
// share of its capacity that was answered in time.
double goodput(line waits, int times) {
  constexpr nanoseconds service = 10ms, lasts = 10s, useful = 150ms;
  const nanoseconds gap = service / times;
  std::map<line::ticket, nanoseconds> came;
  nanoseconds arrival{0};
  int good = 0;
  for (nanoseconds now{0}; now < lasts; now += service) {
    for (; arrival <= now; arrival += gap)
      if (const auto who = waits.arrive(arrival)) came[who] = arrival;
    // Who came first gives up first.
    for (auto at = came.begin(); at != came.end() && waits.expired(at->first, now); at = came.erase(at))
      waits.leave(at->first, now);
    const auto who = waits.next(now);
    if (who == 0) continue;
    good += now + service - came[who] <= useful;
    waits.leave(who, now);
    came.erase(who);
  }
  return good / (static_cast<double>(lasts / service));
}

}  // namespace

// With an endless patience, which is plain first in, first out, nearly all answers come too late.
TEST(under_overload_the_line_keeps_the_goodput) {
  for (const int times : {2, 10}) {
    CHECK(goodput(line(usual), times) >= 0.95);
    CHECK(goodput(line({100000, tidegate::never, tidegate::never}), times) < 0.1);
  }
  CHECK(goodput(line(usual), 1) >= 0.99);
}
