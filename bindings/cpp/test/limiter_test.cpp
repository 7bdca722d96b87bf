// Limiters that stand alone.
#include "support.hpp"

TEST(a_limiter_takes_and_says_when_to_come_back) {
  const auto rt = opened();
  tidegate::limiter_options with;
  with.limit = 10;
  with.burst = 2;
  const auto mails = rt.limiter("mails", with).value();
  CHECK_EQ(mails.take()->count(), 0);
  CHECK(rt.limiter("mails")->allow());
  CHECK(!mails.allow());
  const auto refused = mails.take();
  CHECK(refused.refused());
  CHECK_EQ(refused.error().retry_after.count(), nanoseconds(100ms).count());
  CHECK(mails.take(3).error().retry_after == tidegate::never);
}

TEST(a_reservation_waits_and_comes_back_once) {
  const auto rt = opened();
  tidegate::limiter_options with;
  with.limit = 10;
  with.burst = 1;
  const auto own = rt.limiter("", with).value(), other = rt.limiter("", with).value();
  CHECK(own.allow());
  auto made = own.reserve();
  REQUIRE(made.ok());
  CHECK_EQ(made->wait().count(), nanoseconds(100ms).count());
  CHECK_EQ(*own.tokens(), -1.0);
  CHECK_STATUS(other.cancel(*made), status::invalid);
  CHECK_STATUS(own.cancel(*made), status::ok);
  CHECK_STATUS(own.cancel(*made), status::not_held);
  CHECK(own.reserve(1, 99ms).refused());
  CHECK(other.allow());
}

TEST(a_limiter_is_set_and_retired) {
  const auto rt = opened();
  CHECK_STATUS(rt.limiter("l").status(), status::not_found);
  tidegate::limiter_options with;
  with.burst = 0;
  const auto none = rt.limiter("l", with).value();
  CHECK(!none.allow());
  with.algorithm = tidegate::limiter_algorithm::fixed_window;
  CHECK_STATUS(none.set(with).status(), status::invalid);
  with.burst.reset();
  with.limit = 3;
  CHECK(none.set(with).ok());
  CHECK_EQ(*none.tokens(), 3.0);
  CHECK(none.retire().ok());
  CHECK_STATUS(none.take().status(), status::closed);
  CHECK(none.allow());
}
