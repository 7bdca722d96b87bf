// Guards: run, refusals, faults, waits, what a call says.
#include "support.hpp"

#include <memory>

TEST(run_returns_what_work_returns) {
  auto rt = opened();
  const auto guard = *rt.guard("g");
  CHECK_EQ(guard.run([] { return std::string("paid"); }).value(), "paid");
  CHECK_EQ(*guard.run([] { return std::make_unique<int>(3); }).value(), 3);
  int place = 0;
  *guard.run([&]() -> int & { return place; }) = 4;
  CHECK_EQ(place, 4);
  CHECK(guard.run([&] { place = 5; }).ok());
  CHECK_EQ(place, 5);
  const int fixed = 6;
  CHECK_EQ(&*guard.run([&]() -> const int & { return fixed; }), &fixed);
  CHECK_EQ(calls(guard, outcome::success), 5u);
  CHECK_EQ(inflight(guard), 0u);
}

TEST(a_result_of_work_is_judged_and_handed_on) {
  auto rt = opened();
  const auto guard = *rt.guard("g");
  const tidegate::result<int> bad = guard.run([]() -> tidegate::result<int> { return tidegate::failure("no"); });
  CHECK_EQ(bad.error().message, "no");
  const tidegate::result<int> good = guard.run([]() -> tidegate::result<int> { return 8; });
  CHECK_EQ(*good, 8);
  CHECK(guard.run([] { return std::make_error_code(std::errc::timed_out); }).ok());
  CHECK(guard.run([] { return outcome::overloaded; }).ok());
  CHECK_EQ(calls(guard, outcome::failure), 1u);
  CHECK_EQ(calls(guard, outcome::success), 1u);
  CHECK_EQ(calls(guard, outcome::timeout), 1u);
  CHECK_EQ(calls(guard, outcome::overloaded), 1u);
}

TEST(work_may_settle_its_permit) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"timeout": "2s"})");
  CHECK(guard.run([](tidegate::permit &held) {
    CHECK(held.guarded());
    CHECK_EQ(held.route(), 0u);
    CHECK_EQ(held.deadline()->count(), nanoseconds(1h + 2s).count());
    CHECK_EQ(held.time_left()->count(), nanoseconds(2s).count());
    held.settle(outcome::ignored);
  }).ok());
  CHECK_EQ(calls(guard, outcome::ignored), 1u);
}

namespace {

struct http_judge : tidegate::classify {
  using tidegate::classify::result;
  outcome result(int code) const { return code == 503 ? outcome::overloaded : outcome::success; }
};

}  // namespace

TEST(the_judge_can_be_replaced) {
  auto rt = opened();
  const auto guard = *rt.guard("g");
  CHECK_EQ(*guard.run(tidegate::call(), [] { return 503; }, http_judge()), 503);
  CHECK_EQ(*guard.run(tidegate::call(), [] { return 404; }, http_judge()), 404);
  CHECK_EQ(calls(guard, outcome::overloaded), 1u);
  CHECK_EQ(calls(guard, outcome::success), 1u);
}

TEST(a_refusal_says_who_and_when_to_come_back) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"rate": [{"limit": 100, "per": "1s"}, {"limit": 1, "per": "10s", "burst": 1}]})");
  CHECK(guard.run([] {}).ok());
  bool ran = false;
  const auto refused = guard.run([&] { ran = true; });
  CHECK(!ran && refused.refused());
  CHECK_STATUS(refused.status(), status::refused_rate);
  CHECK(refused.error().stage == stage::rate);
  CHECK_EQ(refused.error().reason, 1u);
  CHECK_EQ(refused.error().retry_after.count(), nanoseconds(10s).count());
  CHECK(guard.run(tidegate::call().cost(2), [] {}).error().retry_after == tidegate::never);
  CHECK_EQ(stats_of(guard).rejected(stage::rate), 2u);
}

TEST(a_breaker_opens_probes_and_closes) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"breaker": {"consecutive_failures": 2, "open_for": "5s"}})");
  for (int i = 0; i < 2; i++) CHECK(guard.run([] { return outcome::failure; }).ok());
  CHECK(stats_of(guard).breaker() == tidegate::breaker_state::open);
  const auto refused = guard.run([] {});
  CHECK_STATUS(refused.status(), status::refused_breaker);
  CHECK(rt.advance_clock(refused.error().retry_after).ok());
  CHECK(guard.run([] {}).ok());
  CHECK(stats_of(guard).breaker() == tidegate::breaker_state::closed);
  CHECK_EQ(stats_of(guard).transitions(tidegate::breaker_state::open), 1u);
}

TEST(a_call_says_what_it_is) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"rate": [{"limit": 10, "per": "1h", "burst": 10}]})");
  auto held = guard.enter(tidegate::call().key("tenant-1").cost(7).timeout(3s).criticality(tidegate::criticality::critical));
  REQUIRE(held);
  CHECK_EQ(held->deadline()->count(), nanoseconds(1h + 3s).count());
  CHECK_STATUS(guard.enter(tidegate::call().cost(4)).status(), status::refused_rate);
  CHECK(guard.enter(tidegate::call().cost(3).deadline(rt.now() + 1s)).ok());
  CHECK_STATUS(guard.enter(tidegate::call().deadline(rt.now() - 1s)).status(), status::refused_deadline);
  CHECK(!guard.enter(tidegate::call().deadline(-1s)).ok());
}

TEST(each_key_has_its_own_limit_and_the_hottest_can_be_read) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"rate": [{"limit": 1, "per": "1h", "key": "tenant"}, {"limit": 1000}]})");
  for (int i = 0; i < 5; i++) CHECK_EQ(guard.enter(tidegate::call().key("loud")).ok(), i == 0);
  const tg_attribute tags[] = {(*rt.attribute("tenant"))("quiet")};
  CHECK(guard.enter(tidegate::call().key("loud").attributes(tags)).ok());
  CHECK_STATUS(guard.enter(tidegate::call().key("quiet")).status(), status::refused_rate);
  const auto keys = guard.hottest(0);
  REQUIRE(keys);
  REQUIRE(!keys->empty());
  CHECK_EQ((*keys)[0].name, "loud");
  CHECK((*keys)[0].count >= 4);
  CHECK_STATUS(guard.hottest(1).status(), status::not_found);
}

TEST(a_fault_of_the_library_passes_and_is_counted) {
  auto rt = opened();
  const auto guard = *rt.guard("g");
  CHECK(guard.retire().ok());
  CHECK_EQ(*guard.run([] { return 2; }), 2);
  auto passed = guard.enter();
  REQUIRE(passed);
  CHECK(*passed && !passed->guarded() && !passed->deadline() && passed->wait() == 0ns);
  CHECK_STATUS(passed->exit(outcome::success), status::ok);
  CHECK_STATUS(passed->exit(outcome::success), status::not_held);
  CHECK_EQ(rt.faults(), 2u);
  CHECK_EQ(tidegate::guard().run([] { return 3; }).value(), 3);
}

TEST(a_fault_is_an_error_where_the_options_say_so) {
  tidegate::options with;
  with.fail_closed = true;
  auto rt = opened(with);
  const auto guard = *rt.guard("g");
  CHECK(guard.retire().ok());
  bool ran = false;
  const auto closed = guard.run([&] { ran = true; });
  CHECK(!ran && !closed.refused());
  CHECK_STATUS(closed.status(), status::closed);
  CHECK_EQ(rt.faults(), 1u);
}

TEST(threads_share_a_guard) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"rate": [{"limit": 1, "per": "1h", "burst": 1000}]})");
  std::atomic<int> passed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++)
    threads.emplace_back([&passed, guard] {
      for (int i = 0; i < 500; i++) passed += guard.run([] {}).ok();
    });
  for (std::thread &thread : threads) thread.join();
  CHECK_EQ(passed.load(), 1000);
  CHECK_EQ(inflight(guard), 0u);
}
