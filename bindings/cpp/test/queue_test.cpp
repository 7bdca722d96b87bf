// waiting_room: threads that wait for a place. Limits are hours where somebody has to be woken: a lost wake-up would hang.
#include "support.hpp"

#include <tidegate/queue.hpp>

#include <stdexcept>

namespace {

constexpr tidegate::queue_limits patient{100, 1h, 1h};
const char *const one_place = R"({"concurrency": {"max": 1}})";

}  // namespace

TEST(a_place_that_is_free_is_taken_at_once) {
  auto rt = opened();
  const auto guard = guarded(rt, one_place);
  tidegate::waiting_room room(guard, patient, 1h);
  CHECK_EQ(*room.run([] { return 3; }), 3);
  { auto held = room.enter(); CHECK(held.ok() && (*held)->guarded()); }
  CHECK_EQ(inflight(guard), 0u);
  CHECK_EQ(calls(guard, outcome::success), 2u);
  CHECK_EQ(stats_of(guard).rejected(stage::concurrency), 0u);
}

TEST(who_waits_is_woken_by_whoever_leaves) {
  auto rt = opened();
  const auto guard = guarded(rt, one_place);
  tidegate::waiting_room room(guard, patient, 1h);
  auto held = room.enter();
  REQUIRE(held);
  std::vector<int> order;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 3; i++) {
    threads.emplace_back([&room, &order, i] { (void)room.run([&] { order.push_back(static_cast<int>(i)); }); });
    until([&] { return room.waiting() == i + 1; });
  }
  CHECK_STATUS(held->exit(outcome::success), status::ok);
  for (std::thread &thread : threads) thread.join();
  CHECK(order == std::vector<int>({0, 1, 2}));
  CHECK_EQ(room.waiting(), 0u);
  CHECK_EQ(inflight(guard), 0u);
  // One who comes to an empty line asks the guard first; who finds others there does not.
  CHECK_EQ(stats_of(guard).rejected(stage::concurrency), 1u);
}

TEST(who_does_not_wait_makes_way_for_those_who_do) {
  auto rt = opened();
  const auto guard = guarded(rt, one_place);
  tidegate::waiting_room room(guard, patient, 1h);
  auto held = room.try_enter();
  REQUIRE(held);
  CHECK_STATUS(room.try_enter().status(), status::refused_concurrency);
  bool ran = false;
  std::thread waits([&] { CHECK(room.run([&ran] { ran = true; }).ok()); });
  until([&] { return room.waiting() == 1; });
  CHECK_STATUS(room.try_enter().status(), status::refused_concurrency);
  CHECK_EQ(stats_of(guard).rejected(stage::concurrency), 2u);  // the room itself refused the last one
  CHECK_STATUS(held->exit(outcome::success), status::ok);
  waits.join();
  CHECK(ran && inflight(guard) == 0u);
}

TEST(a_line_has_an_end) {
  auto rt = opened();
  const auto guard = guarded(rt, one_place);
  tidegate::waiting_room room(guard, {1, 1h, 1h}, 1h), impatient(guard, {10, 0ns, 0ns}), closed(guard, {0, 1h, 1h});
  auto held = room.enter();
  REQUIRE(held);
  std::thread waits([&] { CHECK(room.run([] {}).ok()); });
  until([&] { return room.waiting() == 1; });
  for (auto *full : {&room, &impatient, &closed}) {
    const auto refused = full->run([] {});
    CHECK_STATUS(refused.status(), status::refused_concurrency);
    CHECK(refused.refused() && refused.error().stage == stage::concurrency);
    CHECK_EQ(full->turned_away(), 1u);
  }
  CHECK_STATUS(held->exit(outcome::success), status::ok);
  waits.join();
}

TEST(other_refusals_are_final) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"concurrency": {"max": 1}, "rate": [{"limit": 1, "per": "1h", "burst": 1}]})");
  tidegate::waiting_room room(guard, patient, 1h);
  CHECK(room.run([] {}).ok());
  CHECK_STATUS(room.run([] {}).status(), status::refused_rate);
}

// Deadlines are the runtime's, whose clock stands still: the caller's time is over before they come, or never.
TEST(a_callers_time_holds_for_the_wait) {
  auto rt = opened();
  const auto guard = guarded(rt, one_place);
  tidegate::waiting_room room(guard, patient, 1h);
  auto held = room.enter();
  REQUIRE(held);
  CHECK_STATUS(room.enter(tidegate::call().deadline(rt.now() - 1ns)).status(), status::refused_deadline);
  CHECK_STATUS(room.enter(tidegate::call().timeout(1ns)).status(), status::refused_concurrency);
  CHECK_EQ(room.turned_away(), 1u);
  std::thread waits([&] {
    const auto entered = room.enter(tidegate::call().timeout(2h));
    REQUIRE(entered);
    CHECK_EQ((*entered)->deadline()->count(), nanoseconds(3h).count());
  });
  until([&] { return room.waiting() == 1; });
  CHECK_STATUS(held->exit(outcome::success), status::ok);
  waits.join();
}

// A permit of the guard's own does not tell the room, which looks by itself.
TEST(a_place_that_is_freed_elsewhere_is_found) {
  auto rt = opened();
  const auto guard = guarded(rt, one_place);
  tidegate::waiting_room room(guard, patient, 1us);
  auto held = guard.enter().value();
  std::thread waits([&] { CHECK(room.run([] {}).ok()); });
  until([&] { return room.waiting() == 1; });
  CHECK_STATUS(held.exit(outcome::success), status::ok);
  waits.join();
  CHECK_EQ(stats_of(guard).rejected(stage::concurrency), 1u);
}

TEST(a_storm_loses_nobody_and_lets_no_more_in) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"concurrency": {"max": 2}})");
  tidegate::waiting_room room(guard, patient, 1h);
  std::atomic<int> inside{0}, most{0}, done{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; t++)
    threads.emplace_back([&] {
      for (int i = 0; i < 500; i++)
        done += room.run([&] {
          const int now = ++inside;
          for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
          }
          std::this_thread::yield();
          --inside;
        }).ok();
    });
  for (std::thread &thread : threads) thread.join();
  CHECK_EQ(done.load(), 3000);
  CHECK(most.load() <= 2);
  CHECK_EQ(inflight(guard), 0u);
  CHECK_EQ(room.waiting(), 0u);
}

// Everybody is the last who came: places are handed on in the other order, and still to all.
TEST(a_storm_on_an_overloaded_line_loses_nobody) {
  auto rt = opened();
  const auto guard = guarded(rt, one_place);
  tidegate::waiting_room room(guard, {100, 50us, 1h}, 1h);
  std::atomic<int> done{0}, refused{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; t++)
    threads.emplace_back([&] {
      for (int i = 0; i < 300; i++) {
        const auto ended = room.run([] { std::this_thread::yield(); });
        done += ended.ok();
        refused += ended.refused();
      }
    });
  for (std::thread &thread : threads) thread.join();
  CHECK_EQ(done + refused, 1800);
  CHECK_EQ(static_cast<std::uint64_t>(refused), room.turned_away());
  CHECK_EQ(calls(guard, outcome::success), static_cast<std::uint64_t>(done));
  CHECK_EQ(inflight(guard), 0u);
}

#if TIDEGATE_EXCEPTIONS
TEST(an_exception_gives_the_place_on) {
  auto rt = opened();
  const auto guard = guarded(rt, one_place);
  tidegate::waiting_room room(guard, patient, 1h);
  std::thread waits;
  try {
    (void)room.run([&]() {
      waits = std::thread([&] { CHECK(room.run([] {}).ok()); });
      until([&] { return room.waiting() == 1; });
      throw std::runtime_error("lost");
    });
  } catch (const std::runtime_error &) {
  }
  waits.join();
  CHECK_EQ(calls(guard, outcome::failure), 1u);
  CHECK_EQ(calls(guard, outcome::success), 1u);
}
#endif
