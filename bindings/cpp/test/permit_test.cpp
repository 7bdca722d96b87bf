// Permits: given back when their scope ends, however it does.
#include "support.hpp"

#include <stdexcept>

TEST(a_permit_is_exited_when_its_scope_ends) {
  auto rt = opened();
  const auto guard = *rt.guard("g");
  { auto held = guard.enter().value(); CHECK_EQ(inflight(guard), 1u); }
  { auto held = guard.enter().value(); held.settle(outcome::timeout); held.settle(outcome::failure); }
  { auto held = guard.enter().value(); CHECK_STATUS(held.exit(outcome::overloaded), status::ok); }
  CHECK_EQ(calls(guard, outcome::success), 1u);
  CHECK_EQ(calls(guard, outcome::failure), 1u);
  CHECK_EQ(calls(guard, outcome::overloaded), 1u);
  CHECK_EQ(inflight(guard), 0u);
  CHECK_EQ(stats_of(guard).misused_exits(), 0u);
}

TEST(a_moved_permit_is_exited_once) {
  auto rt = opened();
  const auto guard = *rt.guard("g");
  {
    auto first = guard.enter().value();
    first.settle(outcome::ignored);
    tidegate::permit second = std::move(first);
    CHECK(!first && second);
    CHECK(!first.guarded() && !first.deadline() && first.wait() == 0ns && !first.settled());
    CHECK_STATUS(first.exit(outcome::success), status::not_held);
    tidegate::permit &same = second;
    second = std::move(same);
    CHECK(second.guarded());
    tidegate::permit third = guard.enter().value();
    CHECK_EQ(inflight(guard), 2u);
    third = std::move(second);
    CHECK_EQ(inflight(guard), 1u);
  }
  CHECK_EQ(inflight(guard), 0u);
  CHECK_EQ(calls(guard, outcome::success), 1u);
  CHECK_EQ(calls(guard, outcome::ignored), 1u);
  CHECK_EQ(stats_of(guard).misused_exits(), 0u);
}

TEST(a_permit_moves_to_another_thread) {
  auto rt = opened();
  const auto guard = *rt.guard("g");
  auto held = guard.enter().value();
  std::thread([mine = std::move(held)]() mutable { mine.settle(outcome::timeout); }).join();
  CHECK_EQ(calls(guard, outcome::timeout), 1u);
  CHECK_EQ(inflight(guard), 0u);
}

TEST(an_outcome_that_is_none_keeps_no_place) {
  auto rt = opened();
  const auto guard = *rt.guard("g");
  {
    auto held = guard.enter().value();
    CHECK_STATUS(held.exit(static_cast<outcome>(77)), status::invalid);
    CHECK(held.guarded());
    held.settle(static_cast<outcome>(-1));
  }
  CHECK_EQ(calls(guard, outcome::failure), 1u);
  CHECK_EQ(inflight(guard), 0u);
}

TEST(a_permit_outlives_its_runtime) {
  auto rt = opened();
  auto held = rt.guard("g")->enter().value();
  auto late = rt.guard("g")->enter().value();
  rt.close();
  CHECK_STATUS(held.exit(outcome::success), status::closed);
}

TEST(max_hold_takes_back) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"concurrency": {"max": 1}, "max_hold": "1s"})");
  auto lost = guard.enter().value();
  CHECK_STATUS(guard.enter().status(), status::refused_concurrency);
  CHECK(rt.advance_clock(2s).ok());
  CHECK(guard.enter().ok());
  CHECK_STATUS(lost.exit(outcome::success), status::expired);
}

#if TIDEGATE_EXCEPTIONS
namespace {

// Enters while an exception unwinds, and leaves well.
struct cleans_up {
  const tidegate::guard &guard;
  ~cleans_up() { (void)guard.run([] {}); }
};

}  // namespace

TEST(an_exception_exits_as_failure_and_goes_on) {
  auto rt = opened();
  const auto guard = *rt.guard("g");
  try {
    auto held = guard.enter().value();
    held.settle(outcome::success);
    throw std::runtime_error("lost");
  } catch (const std::runtime_error &) {
  }
  CHECK_EQ(calls(guard, outcome::failure), 1u);
  bool caught = false;
  try {
    (void)guard.run([]() -> int { throw std::runtime_error("lost"); });
  } catch (const std::runtime_error &thrown) {
    caught = std::string(thrown.what()) == "lost";
  }
  CHECK(caught);
  CHECK_EQ(calls(guard, outcome::failure), 2u);
  CHECK_EQ(inflight(guard), 0u);
}

TEST(what_was_settled_stands_against_an_exception) {
  auto rt = opened();
  const auto guard = *rt.guard("g");
  try {
    (void)guard.run([](tidegate::permit &held) { held.settle(outcome::cancelled); throw 1; });
  } catch (int) {
  }
  try {
    (void)guard.run([] { throw std::system_error(std::make_error_code(std::errc::timed_out)); });
  } catch (const std::system_error &) {
  }
  CHECK_EQ(calls(guard, outcome::cancelled), 1u);
  CHECK_EQ(calls(guard, outcome::timeout), 1u);
}

TEST(a_permit_that_is_moved_while_it_unwinds_fails) {
  auto rt = opened();
  const auto guard = *rt.guard("g");
  struct mover {
    tidegate::permit held;
    ~mover() { const tidegate::permit moved = std::move(held); }
  };
  try {
    const mover holds{guard.enter().value()};
    throw 1;
  } catch (int) {
  }
  CHECK_EQ(calls(guard, outcome::failure), 1u);
}

TEST(work_during_unwinding_is_judged_by_itself) {
  auto rt = opened();
  const auto guard = *rt.guard("g");
  try {
    const cleans_up later{guard};
    throw 1;
  } catch (int) {
  }
  CHECK_EQ(calls(guard, outcome::success), 1u);
  CHECK_EQ(calls(guard, outcome::failure), 0u);
}
#endif
