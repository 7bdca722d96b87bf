// Policies, and the waits that they ask for.
#include "support.hpp"

#include <fstream>
#include <iterator>

namespace {

// The bytes of a guest of the C tests; see tests/c/policies.
std::string guest(const char *name) {
  std::ifstream file(std::string(GUESTS) + "/" + name + ".wasm", std::ios::binary);
  REQUIRE(file.good());
  return std::string(std::istreambuf_iterator<char>(file), {});
}

tidegate::guard bound(tidegate::runtime &rt) { return guarded(rt, R"({"policy": {"name": "p", "on_fail": "deny"}})"); }

}  // namespace

TEST(without_wasm_everything_about_policies_says_so) {
  if (tidegate::has_wasm()) return;
  auto rt = opened();
  CHECK_STATUS(rt.load_policy("p", "").status(), status::unsupported);
}

TEST(a_policy_is_loaded_swapped_and_taken_away) {
  if (!tidegate::has_wasm()) return;
  auto rt = opened();
  const auto guard = bound(rt);
  CHECK_STATUS(guard.run([] {}).status(), status::refused_policy);
  const std::string by_cost = guest("by_cost"), deny = guest("deny");
  CHECK(rt.check_policy(by_cost).ok());
  CHECK(rt.load_policy("p", by_cost).ok());
  CHECK_EQ(*rt.policy_generation("p"), 1u);
  CHECK(guard.run([] {}).ok());
  CHECK(rt.load_policy("p", deny, {"{}", 2ms, 1 << 20}).ok());
  const auto denied = guard.run([] {});
  CHECK_STATUS(denied.status(), status::refused_policy);
  CHECK_EQ(denied.error().reason, 8u);
  CHECK(rt.rollback_policy("p").ok());
  CHECK(guard.run([] {}).ok());
  CHECK(rt.unload_policy("p").ok());
  CHECK_STATUS(rt.policy_generation("p").status(), status::not_found);
  const auto rejected = rt.load_policy("p", "no module");
  CHECK_STATUS(rejected.status(), status::policy_rejected);
  CHECK(!rejected.error().message.empty());
}

TEST(run_waits_as_the_permit_says) {
  if (!tidegate::has_wasm()) return;
  nanoseconds waited{0};
  bool stays = true;
  tidegate::options with;
  with.wait = [&](nanoseconds time) { return waited = time, stays; };
  auto rt = opened(with);
  const auto guard = bound(rt);
  REQUIRE(rt.load_policy("p", guest("by_cost")));
  CHECK_EQ(*guard.run(tidegate::call().cost(3), [] { return 1; }), 1);
  CHECK_EQ(waited.count(), nanoseconds(2ms).count());

  stays = false;
  bool ran = false;
  const auto left = guard.run(tidegate::call().cost(3), [&] { ran = true; });
  CHECK(!ran);
  CHECK_STATUS(left.status(), status::cancelled);
  CHECK(left.error().outcome == outcome::cancelled);
  CHECK_EQ(calls(guard, outcome::cancelled), 1u);
  CHECK_EQ(inflight(guard), 0u);

  auto held = guard.enter(tidegate::call().cost(3)).value();
  CHECK_EQ(held.wait().count(), nanoseconds(2ms).count());
  CHECK_EQ(guard.enter(tidegate::call().cost(4))->route(), 9u);
}

TEST(the_usual_waiter_sleeps) {
  if (!tidegate::has_wasm()) return;
  auto rt = opened();
  const auto guard = bound(rt);
  REQUIRE(rt.load_policy("p", guest("by_cost")));
  const auto before = std::chrono::steady_clock::now();
  CHECK(guard.run(tidegate::call().cost(3), [&] {
    CHECK(std::chrono::steady_clock::now() - before >= 2ms);  // never less, however slow the machine
  }).ok());
}

TEST(attributes_are_carried) {
  if (!tidegate::has_wasm()) return;
  auto rt = opened();
  const auto guard = bound(rt);
  REQUIRE(rt.load_policy("p", guest("by_cost")));
  const auto tenant = rt.attribute("tenant");
  REQUIRE(tenant);
  CHECK_EQ(rt.attribute("tenant")->id(), tenant->id());
  const tg_attribute tags[] = {(*tenant)("gold"), (*tenant)("")};
  CHECK(guard.run(tidegate::call().attributes(tags), [] {}).ok());
  const std::vector<tg_attribute> many(17, (*tenant)("gold"));
  CHECK_EQ(rt.faults(), 0u);
  CHECK(guard.run(tidegate::call().attributes(many.data(), many.size()), [] {}).ok());
  CHECK_EQ(rt.faults(), 1u);
}
