// guard::retry.
#include "support.hpp"

namespace {

const char *const twice = R"({"retry":{"max_attempts":3,"backoff":{"growth":"constant","base":"10ms","jitter":"none"}}})";

// A runtime whose waiter notes how long it was asked to wait, and says whether the caller is still there.
struct waiting {
  std::vector<nanoseconds> waits;
  bool stays = true;
  tidegate::runtime rt = opened(with());

  tidegate::options with() {
    tidegate::options made;
    made.wait = [this](nanoseconds time) {
      waits.push_back(time);
      return stays;
    };
    return made;
  }
};

}  // namespace

TEST(retry_tries_again_until_it_succeeds) {
  waiting w;
  const auto guard = guarded(w.rt, twice);
  int attempts = 0;
  const auto paid = guard.retry([&]() -> tidegate::result<int> {
    if (++attempts < 3) return tidegate::failure("no");
    return 7;
  });
  CHECK_EQ(*paid, 7);
  CHECK_EQ(attempts, 3);
  CHECK_EQ(w.waits.size(), 2u);
  CHECK_EQ(w.waits[0].count(), nanoseconds(10ms).count());
  CHECK_EQ(stats_of(guard).retries(), 2u);
  CHECK_EQ(inflight(guard), 0u);
}

TEST(retry_gives_what_the_last_attempt_gave) {
  waiting w;
  const auto guard = guarded(w.rt, twice);
  int attempts = 0;
  const auto fails = [&]() -> tidegate::result<int> { return tidegate::failure(std::to_string(++attempts)); };
  CHECK_EQ(guard.retry(fails).error().message, "3");
  CHECK_EQ(guard.retry(tidegate::call().once(), fails).error().message, "4");
  w.stays = false;
  CHECK_EQ(guard.retry(fails).error().message, "5");
  CHECK_EQ(stats_of(guard).retries(), 2u);
}

TEST(retry_comes_back_when_its_own_guard_says) {
  waiting w;
  const auto guard = guarded(w.rt, R"({"rate":[{"limit":10,"burst":1}],"retry":{"max_attempts":2,
    "backoff":{"growth":"constant","base":"10ms","jitter":"none"}}})");
  CHECK(guard.run([] {}).ok());
  CHECK(guard.retry(tidegate::call().once(), [] {}).error().refused());
  CHECK_EQ(w.waits.size(), 1u);
  CHECK_EQ(w.waits[0].count(), nanoseconds(100ms).count());
}
