// result, error, and the judging of what work returned.
#include "support.hpp"

#include <memory>
#include <optional>

namespace {

tidegate::error gone() { return tidegate::failure("gone", outcome::timeout); }

}  // namespace

TEST(a_result_holds_a_value_or_an_error) {
  const tidegate::result<int> good = 7;
  CHECK(good.ok() && good && good.has_value() && !good.refused());
  CHECK_STATUS(good.status(), status::ok);
  CHECK_EQ(*good, 7);
  CHECK_EQ(good.value(), 7);
  CHECK_EQ(good.value_or(1), 7);

  const tidegate::result<int> bad = gone();
  CHECK(!bad.ok() && !bad);
  CHECK_STATUS(bad.status(), status::failed);
  CHECK_EQ(bad.error().message, "gone");
  CHECK_EQ(bad.value_or(1), 1);
}

TEST(a_result_may_hold_what_only_moves_a_reference_or_nothing) {
  tidegate::result<std::unique_ptr<int>> owned = std::make_unique<int>(3);
  const std::unique_ptr<int> taken = std::move(owned).value();
  CHECK_EQ(*taken, 3);

  int elsewhere = 4;
  const tidegate::result<int &> referred = elsewhere;
  *referred = 5;
  CHECK_EQ(elsewhere, 5);
  CHECK_EQ(&referred.value(), &elsewhere);

  const tidegate::result<void> done;
  CHECK(done.ok());
  done.value();
  const tidegate::result<void> not_done = gone();
  CHECK_EQ(not_done.error().text(), "failed: gone");
}

TEST(an_error_says_all_that_is_known) {
  tidegate::error why = tidegate::failure("2 things");
  why.code = status::invalid;
  why.report = "{}";
  CHECK_EQ(why.text(), "TG_INVALID: 2 things\n{}");
  CHECK_EQ(std::string(tidegate::name(status::timed_out)), "timed_out");
  CHECK(tidegate::is_refusal(status::refused_rate) && !tidegate::is_refusal(status::ok));
  CHECK(!tidegate::is_refusal(status::invalid) && !tidegate::is_refusal(status::cancelled));
}

namespace {

// As C++23's std::expected looks.
struct like_expected {
  bool good;
  bool has_value() const { return good; }
  int error() const { return 1; }
};

}  // namespace

TEST(what_work_returns_is_judged) {
  const tidegate::classify judge;
  CHECK(judge.result() == outcome::success);
  CHECK(judge.result(outcome::overloaded) == outcome::overloaded);
  CHECK(judge.result(false) == outcome::success);
  CHECK(judge.result(std::optional<int>()) == outcome::success);
  CHECK(judge.result(std::error_code()) == outcome::success);
  CHECK(judge.result(std::make_error_code(std::errc::timed_out)) == outcome::timeout);
  CHECK(judge.result(std::make_error_code(std::errc::operation_canceled)) == outcome::cancelled);
  CHECK(judge.result(std::make_error_code(std::errc::broken_pipe)) == outcome::failure);
  CHECK(judge.result(like_expected{true}) == outcome::success);
  CHECK(judge.result(like_expected{false}) == outcome::failure);
  CHECK(judge.result(tidegate::result<int>(1)) == outcome::success);
  CHECK(judge.result(tidegate::result<int>(gone())) == outcome::timeout);
}

#if TIDEGATE_EXCEPTIONS
TEST(value_throws_where_there_is_none) {
  tidegate::result<int> bad = gone();
  try {
    (void)bad.value();
    CHECK(false);
  } catch (const tidegate::bad_result &thrown) {
    CHECK_EQ(std::string(thrown.what()), "failed: gone");
    CHECK_STATUS(thrown.error().code, status::failed);
  }
}

TEST(what_work_throws_is_judged) {
  const tidegate::classify judge;
  const auto of = [&](auto thrown) { return judge.exception(std::make_exception_ptr(thrown)); };
  CHECK(of(tidegate::bad_result(gone())) == outcome::timeout);
  CHECK(of(std::system_error(std::make_error_code(std::errc::timed_out))) == outcome::timeout);
  CHECK(of(std::system_error(std::make_error_code(std::errc::io_error))) == outcome::failure);
  CHECK(of(3) == outcome::failure);
  CHECK(judge.exception(nullptr) == outcome::failure);
}
#endif
