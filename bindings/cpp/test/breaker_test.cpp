// What an operator does to a breaker, and who hears of its changes.
#include "support.hpp"

#include <memory>

using tidegate::breaker_state;

namespace {
const char *const one_failure = R"({"breaker": {"consecutive_failures": 1, "open_for": "1s"}})";

status ends(const tidegate::guard &guard, outcome how) {
  auto permit = guard.enter();
  return permit ? permit->exit(how) : permit.status();
}
}  // namespace

TEST(a_watch_hears_until_it_is_destroyed) {
  auto rt = opened();
  const auto guard = guarded(rt, one_failure);
  const auto heard = std::make_shared<std::vector<int>>();
  {
    auto watch = guard.watch_breaker([heard](const tg_breaker_change &change) { heard->push_back(static_cast<int>(change.to)); });
    REQUIRE(watch);
    CHECK_EQ(heard.use_count(), 2);
    CHECK_STATUS(ends(guard, outcome::failure), status::ok);
    tidegate::breaker_watch moved = std::move(*watch);
    CHECK(guard.set_breaker(breaker_state::forced_closed).ok());
  }
  CHECK_EQ(heard.use_count(), 1);
  CHECK(guard.set_breaker(breaker_state::closed).ok());
  REQUIRE(heard->size() == 2);
  CHECK_EQ((*heard)[0], TG_BREAKER_OPEN);
  CHECK_EQ((*heard)[1], TG_BREAKER_FORCED_CLOSED);
}

TEST(a_watch_is_destroyed_from_within_and_by_its_end) {
  auto rt = opened();
  const auto guard = guarded(rt, one_failure);
  tidegate::breaker_watch watch;
  int heard = 0;
  watch = std::move(guard.watch_breaker([&](const tg_breaker_change &) { ++heard, watch.end(); }).value());
  CHECK_STATUS(ends(guard, outcome::failure), status::ok);
  CHECK(guard.set_breaker(breaker_state::closed).ok());
  CHECK_EQ(heard, 1);
  watch.end();
}

TEST(a_watch_that_does_not_begin_frees_what_it_was_given) {
  auto rt = opened();
  const auto guard = guarded(rt, one_failure);
  CHECK(guard.retire().ok());
  const auto kept = std::make_shared<int>(1);
  const auto watch = guard.watch_breaker([kept](const tg_breaker_change &) {});
  CHECK_STATUS(watch.status(), status::closed);
  CHECK_EQ(kept.use_count(), 1);
}

TEST(a_breaker_is_set_by_hand) {
  auto rt = opened();
  const auto guard = guarded(rt, "{}");
  CHECK(guard.set_breaker(breaker_state::forced_open).ok());
  CHECK_STATUS(ends(guard, outcome::success), status::refused_breaker);
  CHECK(stats_of(guard).breaker() == breaker_state::forced_open);
  CHECK(guard.set_breaker(breaker_state::disabled).ok());
  CHECK_STATUS(ends(guard, outcome::success), status::ok);
  CHECK_STATUS(guard.set_breaker(breaker_state::half_open).status(), status::invalid);
}
