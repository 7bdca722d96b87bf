// fallback, stale_cache, collapser.
#include "support.hpp"

#include <tidegate/cache.hpp>
#include <tidegate/collapse.hpp>
#include <tidegate/fallback.hpp>

#include <stdexcept>

namespace {

using tidegate::fallback;
using number = tidegate::result<int>;
using cache = tidegate::stale_cache<std::string, int>;
using flights = tidegate::collapser<std::string, int>;

number fails() { return tidegate::failure("no"); }

tidegate::cache_limits limits(std::size_t most) { return {most, 10s, 60s}; }

}  // namespace

TEST(a_fallback_answers_errors_only) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"rate": [{"limit": 1, "per": "1h", "burst": 1}]})");
  const auto work = [&] { return guard.run([] { return 1; }); };
  CHECK_EQ(*fallback(work, 2), 1);
  CHECK_EQ(*fallback(work, 2), 2);
  CHECK_EQ(*fallback(work, [] { return 3; }), 3);
  const auto told = fallback(work, [](const tidegate::error &why) { return why.refused() ? 4 : 5; });
  CHECK_EQ(*told, 4);
  CHECK_EQ(fallback(work, fails).error().message, "no");
  CHECK_STATUS(fallback(work, [](const tidegate::error &why) -> number { return why; }).status(), status::refused_rate);
}

TEST(a_fallback_answers_the_errors_that_are_wanted) {
  CHECK_STATUS(fallback(fails, 2, tidegate::refusals_only()).status(), status::failed);
  CHECK_EQ(*fallback(fails, 2, tidegate::any_error()), 2);
}

#if TIDEGATE_EXCEPTIONS
TEST(a_fallback_answers_exceptions) {
  const auto throws = []() -> number { throw std::runtime_error("lost"); };
  CHECK_EQ(*fallback(throws, 2), 2);
  std::string said;
  CHECK_EQ(*fallback(throws, [&](const tidegate::error &why) { return said = why.message, 3; }), 3);
  CHECK_EQ(said, "lost");
  bool went_on = false;
  try {
    (void)fallback(throws, 2, tidegate::refusals_only());
  } catch (const std::runtime_error &) {
    went_on = true;
  }
  CHECK(went_on);
}
#endif

TEST(a_fresh_value_spares_the_call) {
  cache kept(limits(8));
  int asked = 0;
  const auto work = [&]() -> number { return ++asked; };
  CHECK_EQ(*kept.run("a", 1h, work), 1);
  CHECK_EQ(*kept.run("a", 1h + 10s - 1ns, work), 1);
  CHECK_EQ(*kept.run("a", 1h + 10s, work), 2);
  CHECK_EQ(*kept.run("b", 1h, work), 3);
  CHECK_EQ(asked, 3);
  kept.erase("a");
  CHECK(!kept.find("a", 1h));
}

TEST(a_stale_value_stands_in_for_an_error) {
  cache kept(limits(8));
  kept.put("a", 7, 1h);
  CHECK_EQ(*kept.run("a", 1h + 10s, fails), 7);
  CHECK(kept.find("a", 1h + 30s)->stale);
  CHECK_EQ(kept.find("a", 1h + 30s)->age.count(), nanoseconds(30s).count());
  CHECK_EQ(*kept.run("a", 1h + 70s - 1ns, fails), 7);
  CHECK_EQ(kept.run("a", 1h + 70s, fails).error().message, "no");
  CHECK_EQ(kept.size(), 0u);
  CHECK_STATUS(kept.run("b", 1h, fails).status(), status::failed);
}

TEST(a_cache_is_bounded_and_drops_what_was_not_used) {
  cache kept(limits(2));
  kept.put("a", 1, 1h);
  kept.put("b", 2, 1h);
  CHECK(kept.find("a", 1h).has_value());
  kept.put("c", 3, 1h);
  CHECK(!kept.find("b", 1h) && kept.find("a", 1h) && kept.find("c", 1h));
  kept.put("a", 4, 1h);
  CHECK_EQ(kept.find("a", 1h)->value, 4);
  CHECK_EQ(kept.size(), 2u);
  cache none(limits(0));
  none.put("a", 1, 1h);
  CHECK_EQ(none.size(), 0u);
}

TEST(a_cache_survives_a_clock_that_jumps) {
  cache kept({2, tidegate::never, tidegate::never});
  kept.put("a", 1, 1h);
  CHECK_EQ(kept.find("a", 0h)->age.count(), 0);
  CHECK(!kept.find("a", tidegate::never - 1ns)->stale);
}

#if TIDEGATE_EXCEPTIONS
TEST(a_stale_value_stands_in_for_an_exception) {
  cache kept(limits(8));
  const auto throws = []() -> number { throw 5; };
  kept.put("a", 7, 1h);
  CHECK_EQ(*kept.run("a", 1h + 20s, throws), 7);
  bool went_on = false;
  try {
    (void)kept.run("b", 1h, throws);
  } catch (int) {
    went_on = true;
  }
  CHECK(went_on);
}
#endif

TEST(a_cache_is_used_by_many_threads) {
  tidegate::stale_cache<int, int> kept({16, 10s, 60s});
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; t++)
    threads.emplace_back([&kept, &wrong, t] {
      for (int i = 0; i < 2000; i++) {
        const int key = (i * 7 + t) % 32;
        wrong += kept.run(key, nanoseconds(i), [key]() -> number { return key * 2; }).value_or(-1) != key * 2;
      }
    });
  for (std::thread &thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
  CHECK(kept.size() <= 16);
}

// Three follow while the leader works; all get what it answers.
TEST(callers_that_ask_for_the_same_share_one_call) {
  flights air;
  std::atomic<int> ran{0}, sum{0};
  std::vector<std::thread> threads;
  const auto follower = [&] { sum += *air.run("a", [&]() -> number { return ++ran, 100; }); };
  const number led = air.run("a", [&]() -> number {
    for (int i = 0; i < 3; i++) threads.emplace_back(follower);
    until([&] { return air.followers("a") == 3; });
    CHECK_STATUS(air.run("b", fails).status(), status::failed);
    return ++ran, 5;
  });
  for (std::thread &thread : threads) thread.join();
  CHECK_EQ(*led, 5);
  CHECK_EQ(ran.load(), 1);
  CHECK_EQ(sum.load(), 15);
  CHECK_EQ(*air.run("a", []() -> number { return 6; }), 6);
}

TEST(a_follower_does_not_wait_for_ever) {
  flights air;
  const number led = air.run("a", [&]() -> number {
    std::thread([&] {
      const number late = air.run("a", fails, 0ns);
      CHECK_STATUS(late.status(), status::timed_out);
      CHECK(late.error().outcome == outcome::timeout);
    }).join();
    return 1;
  });
  CHECK_EQ(*led, 1);
}

TEST(work_that_asks_for_itself_does_not_wait_for_itself) {
  flights air;
  CHECK_EQ(*air.run("a", [&]() -> number { return *air.run("a", []() -> number { return 2; }) + 1; }), 3);
}

TEST(after_forget_the_next_caller_leads) {
  flights air;
  const number led = air.run("a", [&]() -> number {
    air.forget("a");
    std::thread([&] { CHECK_EQ(*air.run("a", []() -> number { return 2; }), 2); }).join();
    return 1;
  });
  CHECK_EQ(*led, 1);
}

#if TIDEGATE_EXCEPTIONS
TEST(what_the_leader_throws_all_throw) {
  flights air;
  std::atomic<int> caught{0};
  std::thread other;
  const auto catches = [&](const auto &work) {
    try {
      (void)air.run("a", work);
    } catch (const std::runtime_error &) {
      ++caught;
    }
  };
  catches([&]() -> number {
    other = std::thread([&] { catches(fails); });
    until([&] { return air.followers("a") == 1; });
    throw std::runtime_error("lost");
  });
  other.join();
  CHECK_EQ(caught.load(), 2);
}
#endif
