// cancel_source, cancel_token, cancel_callback.
#include "support.hpp"

#include <tidegate/cancel.hpp>

TEST(a_token_hears_of_its_source_only) {
  const tidegate::cancel_token nobodys;
  tidegate::cancel_source source, other;
  const auto token = source.token();
  other.cancel();
  CHECK(!nobodys.cancelled() && !token.cancelled());
  source.cancel();
  CHECK(token.cancelled() && source.token().cancelled());
}

TEST(callbacks_run_once_in_their_order) {
  tidegate::cancel_source source;
  std::string ran;
  const tidegate::cancel_callback first(source.token(), [&] { ran += "1"; });
  { const tidegate::cancel_callback gone(source.token(), [&] { ran += "gone"; }); }
  const tidegate::cancel_callback second(source.token(), [&] { ran += "2"; });
  const tidegate::cancel_callback never(tidegate::cancel_token(), [&] { ran += "never"; });
  CHECK_EQ(ran, "");
  source.cancel();
  source.cancel();
  CHECK_EQ(ran, "12");
}

TEST(a_callback_that_comes_too_late_runs_at_once) {
  tidegate::cancel_source source;
  source.cancel();
  bool ran = false;
  const tidegate::cancel_callback late(source.token(), [&] { ran = true; });
  CHECK(ran);
}

TEST(a_callback_may_take_itself_out) {
  tidegate::cancel_source source;
  int ran = 0;
  std::optional<tidegate::cancel_callback> once;
  once.emplace(source.token(), [&] { ++ran, once.reset(); });
  source.cancel();
  CHECK(ran == 1 && !once);
}

TEST(who_takes_a_callback_out_waits_while_it_runs) {
  tidegate::cancel_source source;
  std::atomic<bool> inside{false}, leaving{false};
  bool over = false;
  std::optional<tidegate::cancel_callback> slow;
  slow.emplace(source.token(), [&] {
    inside = true;
    until([&] { return leaving.load(); });
    over = true;
  });
  std::thread cancels([&] { source.cancel(); });
  until([&] { return inside.load(); });
  leaving = true;
  slow.reset();
  CHECK(over);
  cancels.join();
}
