// Opening and closing, rules, clock, metrics, instruments.
#include "support.hpp"

#include <cmath>

TEST(a_runtime_opens_moves_and_closes) {
  auto rt = opened();
  CHECK_EQ(rt.now().count(), nanoseconds(1h).count());
  tidegate::runtime moved = std::move(rt);
  CHECK(rt.handle() == nullptr);
  CHECK(moved.guard("g").ok());
  CHECK_STATUS(rt.guard("g").status(), status::invalid);
  CHECK_STATUS(rt.close(), status::closed);
  moved = opened();
  CHECK(moved.guard("g").ok());
  CHECK_STATUS(moved.close(), status::ok);
  CHECK_STATUS(moved.close(), status::closed);
  CHECK_EQ(moved.now().count(), 0);
}

TEST(a_bad_option_says_what_is_wrong) {
  tidegate::options with;
  with.name = "no spaces here";
  const auto rt = tidegate::runtime::open(with);
  CHECK_STATUS(rt.status(), status::invalid);
  CHECK(!rt.error().message.empty());
}

TEST(one_name_is_one_segment) {
  tidegate::options with;
  with.name = "cpp-shared";
  const auto first = opened(with), second = opened(with);
  REQUIRE(first.counter({"jobs"})->add(2) == status::ok);
  CHECK_EQ(second.counter({"jobs"})->value().value(), 2u);
}

TEST(rules_are_applied_whole_or_refused_with_every_error) {
  auto rt = opened();
  CHECK_EQ(*rt.rules_version(), 0u);
  CHECK(rt.apply_rules(R"({"version": 7, "guards": {}})").ok());
  CHECK_EQ(*rt.rules_version(), 7u);
  CHECK_STATUS(rt.apply_rules(R"({"version": 6})").status(), status::conflict);

  std::string many = R"({"version": 8, "guards": {)";
  for (int i = 0; i < 20; i++) many += (i ? ", \"g" : "\"g") + std::to_string(i) + R"(": {"concurrency": {"max": 0}})";
  const auto refused = rt.apply_rules(many + "}}");
  CHECK_STATUS(refused.status(), status::invalid);
  CHECK_EQ(refused.error().count, 20u);
  for (int i = 0; i < 20; i++)
    CHECK(refused.error().text().find("g" + std::to_string(i) + ".concurrency.max") != std::string::npos);
  CHECK_EQ(*rt.rules_version(), 7u);

  CHECK(tidegate::check_rules(R"({"version": 1})").ok());
  const auto checked = tidegate::check_rules("{");
  CHECK_STATUS(checked.status(), status::invalid);
  CHECK(checked.error().report.find("\"ok\":false") != std::string::npos);
}

TEST(a_virtual_clock_moves_when_told) {
  auto rt = opened();
  CHECK(rt.advance_clock(5s).ok());
  CHECK_EQ(rt.now().count(), nanoseconds(1h + 5s).count());
  CHECK(rt.set_clock(3s).ok());
  CHECK_EQ(rt.now().count(), nanoseconds(3s).count());
  auto real = tidegate::runtime::open();
  REQUIRE(real);
  CHECK_STATUS(real->advance_clock(1s).status(), status::unsupported);
  CHECK_STATUS(real->prepare_thread(), status::ok);
}

TEST(instruments_count) {
  auto rt = opened();
  const auto jobs = rt.counter({"jobs", "Jobs done.", "", {{"queue", "mail"}}});
  REQUIRE(jobs);
  CHECK_STATUS(jobs->add(), status::ok);
  CHECK_STATUS(jobs->add(4), status::ok);
  CHECK_EQ(*jobs->value(), 5u);

  const auto depth = rt.gauge({"depth"});
  REQUIRE(depth);
  CHECK_STATUS(depth->set(2.5), status::ok);
  CHECK_STATUS(depth->add(-1), status::ok);
  CHECK_EQ(*depth->value(), 1.5);

  const auto took = rt.histogram({"took", "", "seconds"});
  REQUIRE(took);
  CHECK(std::isnan(*took->quantile(0.5)));
  CHECK_STATUS(took->record(250ms), status::ok);
  CHECK_STATUS(took->record(-1.0), status::invalid);
  CHECK(std::abs(*took->quantile(0.5) - 0.25) < 0.25 * 0.022);
  CHECK_STATUS(rt.histogram({"tidegate_mine"}).status(), status::invalid);
  CHECK(!rt.histogram({"tidegate_mine"}).error().message.empty());

  CHECK(jobs->retire().ok());
  CHECK_STATUS(jobs->add(), status::closed);
  CHECK_STATUS(jobs->value().status(), status::closed);
}

TEST(metrics_come_as_a_page) {
  auto rt = opened();
  REQUIRE(rt.counter({"jobs", "Jobs done.", "", {{"queue", "mail"}}})->add(3) == status::ok);
  const auto text = rt.metrics();
  REQUIRE(text);
  CHECK(text->body.find("jobs_total{queue=\"mail\"} 3\n") != std::string::npos);
  CHECK_EQ(text->content_type, "text/plain; version=0.0.4; charset=utf-8");
  const auto open_metrics = rt.metrics("application/openmetrics-text; version=1.0.0");
  REQUIRE(open_metrics);
  CHECK(open_metrics->body.rfind("# EOF\n") == open_metrics->body.size() - 6);
  rt.close();
  CHECK(!rt.metrics());
}

TEST(handles_outlive_the_runtime) {
  auto rt = opened();
  const auto guard = *rt.guard("g");
  const auto jobs = *rt.counter({"jobs"});
  rt.close();
  CHECK_STATUS(jobs.add(), status::closed);
  CHECK_STATUS(guard.stats().status(), status::closed);
  CHECK_STATUS(guard.retire().status(), status::closed);
  CHECK_EQ(guard.run([] { return 1; }).value(), 1);
}
