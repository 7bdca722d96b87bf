// hedge. The clock stands still unless a test moves it, so a hedge is due when the test says, or at once ("delay": "0s").
#include "support.hpp"

#include <tidegate/hedge.hpp>

#include <stdexcept>
#include <system_error>

namespace {

using tidegate::call;
using tidegate::cancel_token;
using tidegate::hedge;
using number = tidegate::result<int>;

const char *const after_1ms = R"({"hedge": {"delay": "1ms"}})";
const char *const after_1h = R"({"hedge": {"delay": "1h"}})";
const char *const at_once = R"({"hedge": {"delay": "0s"}})";

// Threads that are joined when the test ends.
struct crew {
  std::vector<std::thread> threads;
  ~crew() { join(); }
  template <class Run>
  void operator()(Run run) {
    threads.emplace_back(std::move(run));
  }
  void join() {
    for (std::thread &thread : threads)
      if (thread.joinable()) thread.join();
  }
};

void until_cancelled(const cancel_token &token) {
  until([&] { return token.cancelled(); });
}

}  // namespace

TEST(without_hedges_it_is_a_call_like_any_other) {
  auto rt = opened();
  crew unused;
  const auto here = [me = std::this_thread::get_id()](cancel_token token) {
    CHECK(!token.cancelled());
    return std::this_thread::get_id() == me;
  };
  const auto none = *rt.guard("none"), nobodys = tidegate::guard();
  const auto guard = guarded(rt, after_1ms);
  CHECK(*hedge(none, call(), here, unused));
  CHECK(*hedge(nobodys, call(), here, unused));
  CHECK(*hedge(guard, call().once(), here, unused));
  CHECK(*hedge(guard, call().timeout(1ms), here, unused));
  CHECK_EQ(unused.threads.size(), 0u);
  CHECK_EQ(calls(none, outcome::success), 1u);
  CHECK_EQ(calls(guard, outcome::success), 2u);
  CHECK_EQ(inflight(guard), 0u);
}

TEST(a_refusal_needs_no_thread) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"concurrency": {"max": 1}, "hedge": {"delay": "0s"}})");
  crew unused;
  const auto held = guard.enter();
  CHECK_STATUS(hedge(guard, call(), [] {}, unused).status(), status::refused_concurrency);
  CHECK_EQ(unused.threads.size(), 0u);
}

TEST(an_answer_in_time_needs_no_hedge) {
  auto rt = opened();
  const auto guard = guarded(rt, after_1h);
  crew threads;
  CHECK_EQ(*hedge(guard, call(), [] { return 1; }, threads), 1);
  CHECK_STATUS(hedge(guard, call(), []() -> number { return tidegate::failure("no"); }, threads).status(), status::failed);
  CHECK_EQ(threads.threads.size(), 2u);
  CHECK_EQ(stats_of(guard).hedges(), 0u);
  CHECK_EQ(calls(guard, outcome::success), 1u);
  CHECK_EQ(calls(guard, outcome::failure), 1u);
}

TEST(another_attempt_is_sent_when_one_takes_long) {
  auto rt = opened();
  const auto guard = guarded(rt, after_1ms);
  std::atomic<int> sent{0}, told{0};
  crew threads;
  const auto got = hedge(guard, call(), [&](cancel_token token) {
    if (++sent == 2) return 2;
    const tidegate::cancel_callback tell(token, [&] { ++told; });
    CHECK(rt.advance_clock(1ms).ok());
    until_cancelled(token);
    return 1;
  }, threads);
  CHECK_EQ(*got, 2);
  CHECK_EQ(told.load(), 1);
  threads.join();
  CHECK_EQ(sent.load(), 2);
  CHECK_EQ(stats_of(guard).hedges(), 1u);
  CHECK_EQ(calls(guard, outcome::success), 1u);
  CHECK_EQ(calls(guard, outcome::cancelled), 1u);
  CHECK_EQ(inflight(guard), 0u);
}

// 40 calls took 10 ms; were that not known, it would be an hour until the hedge.
TEST(the_delay_follows_what_calls_take) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"hedge": {"quantile": 0.95, "min": "1ms", "max_delay": "1h"}})");
  for (int i = 0; i < 40; i++) CHECK(guard.run([&] { CHECK(rt.advance_clock(10ms).ok()); }).ok());
  std::atomic<int> sent{0};
  crew threads;
  const auto got = hedge(guard, call(), [&](cancel_token token) {
    if (++sent == 2) return 2;
    CHECK(rt.advance_clock(11ms).ok());
    until_cancelled(token);
    return 1;
  }, threads);
  CHECK_EQ(*got, 2);
}

TEST(hedges_are_paid_from_the_budget) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"hedge": {"delay": "0s"},
    "retry": {"budget": {"quota": {"tokens": 5, "cost": 5, "timeout_cost": 5, "earned": 0}}}})");
  crew threads;
  for (std::size_t i = 1; i <= 2; i++) {
    CHECK(hedge(guard, call(), [] {}, threads).ok());
    CHECK_EQ(threads.threads.size(), 2 * i);  // a success gives back what its hedge took
  }
  const auto fails = []() -> number { return tidegate::failure("no"); };
  CHECK_STATUS(hedge(guard, call(), fails, threads).status(), status::failed);
  CHECK_EQ(threads.threads.size(), 6u);
  CHECK_STATUS(hedge(guard, call(), fails, threads).status(), status::failed);
  CHECK_EQ(threads.threads.size(), 6u);
  CHECK_EQ(stats_of(guard).hedges(), 3u);
}

TEST(a_failure_counts_when_no_other_attempt_is_out) {
  auto rt = opened();
  const auto guard = guarded(rt, at_once);
  std::atomic<int> sent{0};
  crew threads;
  const auto first_fails = hedge(guard, call(), [&]() -> number {
    if (++sent == 1) return tidegate::failure("first");
    until([&] { return calls(guard, outcome::failure) == 1; });
    return 2;
  }, threads);
  CHECK_EQ(*first_fails, 2);
  const auto both_fail = hedge(guard, call(), [&]() -> number {
    if (++sent == 3) return tidegate::failure("first");
    until([&] { return calls(guard, outcome::failure) == 2; });
    return tidegate::failure("last", outcome::timeout);
  }, threads);
  CHECK_STATUS(both_fail.status(), status::failed);
  CHECK_EQ(calls(guard, outcome::failure), 2u);
  CHECK_EQ(calls(guard, outcome::timeout), 1u);
  CHECK_EQ(calls(guard, outcome::success), 1u);
  CHECK_EQ(inflight(guard), 0u);
}

TEST(what_is_ignored_is_an_answer) {
  auto rt = opened();
  const auto guard = guarded(rt, at_once);
  std::atomic<int> sent{0};
  crew threads;
  const auto got = hedge(guard, call(), [&](cancel_token token) -> number {
    if (++sent == 1) return tidegate::failure("not found", outcome::ignored);
    until_cancelled(token);
    return 2;
  }, threads);
  CHECK_EQ(got.error().message, "not found");
  CHECK_EQ(calls(guard, outcome::ignored), 1u);
}

TEST(a_judge_says_which_answer_is_good) {
  struct positive : tidegate::classify {
    using tidegate::classify::result;
    outcome result(int answer) const { return answer > 0 ? outcome::success : outcome::overloaded; }
  };
  auto rt = opened();
  const auto guard = guarded(rt, at_once);
  std::atomic<int> sent{0};
  crew threads;
  const auto got = hedge(guard, call(), [&] {
    if (++sent == 1) return -1;
    until([&] { return calls(guard, outcome::overloaded) == 1; });
    return 2;
  }, threads, positive());
  CHECK_EQ(*got, 2);
}

TEST(a_hedge_that_is_refused_costs_nobody_the_answer) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"concurrency": {"max": 1}, "hedge": {"delay": "0s"}})");
  crew threads;
  const auto got = hedge(guard, call(), [&] {
    until([&] { return stats_of(guard).rejected(stage::concurrency) == 1; });
    return 1;
  }, threads);
  CHECK_EQ(*got, 1);
  CHECK_EQ(threads.threads.size(), 1u);
}

TEST(a_callers_time_holds_for_all_attempts) {
  auto rt = opened();
  const auto guard = guarded(rt, after_1ms);
  std::atomic<int> sent{0};
  crew threads;
  const auto ends = [&](cancel_token token, tidegate::permit &held) {
    if (++sent == 1) {
      CHECK(rt.advance_clock(1ms).ok());
      until_cancelled(token);
    }
    return held.deadline()->count();
  };
  CHECK_EQ(*hedge(guard, call().timeout(1h), ends, threads), nanoseconds(2h).count());
}

TEST(hedged_work_returns_what_guarded_work_does) {
  auto rt = opened();
  const auto guard = guarded(rt, at_once);
  crew threads;
  int kept = 5;
  CHECK(&*hedge(guard, call(), [&kept]() -> int & { return kept; }, threads) == &kept);
  CHECK(hedge(guard, call(), [](tidegate::permit &held) { held.settle(outcome::ignored); }, threads).ok());
  CHECK_EQ(calls(guard, outcome::ignored), 1u);
  const auto text = hedge(guard, call(), [] { return std::make_unique<std::string>("moved"); }, threads);
  CHECK_EQ(**text, "moved");
}

TEST(an_attempt_that_is_dropped_has_ended) {
  auto rt = opened();
  const auto guard = guarded(rt, after_1h);
  const auto dropped = hedge(guard, call(), [] {}, [](const std::function<void()> &) {});
  CHECK_STATUS(dropped.status(), status::cancelled);
  CHECK(dropped.error().outcome == outcome::cancelled);
  CHECK_EQ(calls(guard, outcome::cancelled), 1u);
  CHECK_EQ(inflight(guard), 0u);
}

TEST(an_attempt_that_comes_too_late_is_not_made) {
  auto rt = opened();
  const auto guard = guarded(rt, at_once);
  std::function<void()> later;
  std::atomic<int> made{0};
  {
    crew threads;
    const auto got = hedge(guard, call(), [&] { return ++made; }, [&](std::function<void()> run) {
      later ? threads(std::move(run)) : void(later = std::move(run));
    });
    CHECK_EQ(*got, 1);
  }
  later();
  later();
  CHECK_EQ(made.load(), 1);
  CHECK_EQ(calls(guard, outcome::cancelled), 1u);
  CHECK_EQ(inflight(guard), 0u);
}

// The runtime, the guard and the caller's frame are gone while the loser still runs, on a thread that nobody joins.
TEST(a_loser_owns_what_it_touches) {
  struct shared {
    std::atomic<int> sent{0};
    std::atomic<bool> go{false};
  };
  const auto state = std::make_shared<shared>();
  {
    auto rt = opened();
    const auto got = hedge(guarded(rt, at_once), [state, text = std::string(100, 'x')](cancel_token token) {
      if (++state->sent == 1) {
        until([&] { return state->go.load(); });
        CHECK(token.cancelled());
      }
      return text;
    });
    CHECK_EQ(got->size(), 100u);
  }
  state->go = true;
  until([&] { return state.use_count() == 1; });
}

TEST(of_each_storm_of_attempts_one_counts) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"hedge": {"delay": "0s", "max": 2},
    "retry": {"budget": {"quota": {"tokens": 1000000, "cost": 1}}}})");
  std::atomic<int> right{0};
  {
    crew callers;
    for (int t = 0; t < 4; t++)
      callers([&] {
        crew threads;
        for (int i = 0; i < 50; i++)
          right += hedge(guard, call(), [i](cancel_token token) { return std::make_pair(i, token); }, threads)->first == i;
      });
  }
  CHECK_EQ(right.load(), 200);
  CHECK_EQ(calls(guard, outcome::success), 200u);
  CHECK_EQ(calls(guard, outcome::cancelled), 400u);
  CHECK_EQ(stats_of(guard).hedges(), 400u);
  CHECK_EQ(inflight(guard), 0u);
}

#ifdef __cpp_lib_jthread
TEST(a_stop_token_does_too) {
  auto rt = opened();
  const auto guard = guarded(rt, at_once);
  std::atomic<int> sent{0};
  crew threads;
  const auto got = hedge(guard, call(), [&](std::stop_token token) {
    if (++sent == 2) return 2;
    until([&] { return token.stop_requested(); });
    return 1;
  }, threads);
  CHECK_EQ(*got, 2);
  CHECK(!*hedge(*rt.guard("none"), [](std::stop_token token) { return token.stop_requested(); }));
}
#endif

#if TIDEGATE_EXCEPTIONS
namespace {

template <class Call>
std::string thrown_by(const Call &made) {
  try {
    (void)made();
  } catch (const std::runtime_error &thrown) {
    return thrown.what();
  }
  return "nothing";
}

}  // namespace

TEST(an_exception_reaches_the_caller_where_no_attempt_succeeds) {
  auto rt = opened();
  const auto guard = guarded(rt, at_once), none = *rt.guard("none");
  crew threads;
  const auto throws = [](cancel_token) -> int { throw std::runtime_error("lost"); };
  CHECK_EQ(thrown_by([&] { return hedge(guard, call(), throws, threads); }), "lost");
  CHECK_EQ(thrown_by([&] { return hedge(none, call(), throws, threads); }), "lost");
  CHECK_EQ(calls(guard, outcome::failure), 2u);
  CHECK_EQ(calls(none, outcome::failure), 1u);
  std::atomic<int> sent{0};
  const auto got = hedge(guard, call(), [&] {
    if (++sent == 1) throw std::runtime_error("lost");
    until([&] { return calls(guard, outcome::failure) == 3; });
    return 2;
  }, threads);
  CHECK_EQ(*got, 2);
  CHECK_EQ(inflight(guard), 0u);
}

TEST(a_thread_that_cannot_be_had_costs_the_hedge_only) {
  auto rt = opened();
  const auto guard = guarded(rt, at_once);
  std::atomic<int> asked{0};
  crew threads;
  const auto starts = [&](std::function<void()> run) {
    if (++asked > 1) throw std::runtime_error("no thread");
    threads(std::move(run));
  };
  const auto work = [&] { return until([&] { return asked == 2; }), 1; };
  CHECK_EQ(*hedge(guard, call(), work, starts), 1);
  CHECK_EQ(thrown_by([&] { return hedge(guard, call(), work, starts); }), "no thread");
  CHECK_EQ(calls(guard, outcome::success), 1u);
  CHECK_EQ(calls(guard, outcome::cancelled), 2u);
  CHECK_EQ(inflight(guard), 0u);
}
#endif
