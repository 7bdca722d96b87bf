/* Counters, gauges, histograms. */
#include "support.h"
#include <math.h>

static const tg_counter *counter_of(const tg_runtime *rt, const tg_instrument *desc) {
  const tg_counter *counter = NULL;
  REQUIRE(tg_counter_resolve(rt, desc, &counter, NULL) == TG_OK);
  return counter;
}

static uint64_t value_of(const tg_counter *counter) {
  uint64_t value = 0;
  CHECK_STATUS(tg_counter_value(counter, &value), TG_OK);
  return value;
}

TEST(a_counter_counts) {
  tg_runtime *rt = open_virtual();
  tg_instrument desc = described("requests_total");
  const tg_counter *counter = counter_of(rt, &desc);
  CHECK_STATUS(tg_counter_add(counter, 1), TG_OK);
  CHECK_STATUS(tg_counter_add(counter, 41), TG_OK);
  CHECK_STATUS(tg_counter_add(counter, 0), TG_OK);
  CHECK_EQ(value_of(counter), 42);
  tg_runtime_close(rt);
}

TEST(labels_make_series_in_any_order) {
  tg_runtime *rt = open_virtual();
  const tg_label one[] = { { TG_STR("a"), TG_STR("1") }, { TG_STR("b"), TG_STR("x\"y\\z\n") } };
  const tg_label two[] = { one[1], one[0] };
  const tg_label other[] = { one[0], { TG_STR("b"), TG_STR("") } };
  tg_instrument desc = described("requests_total");
  desc.labels = one, desc.label_count = 2;
  const tg_counter *first = counter_of(rt, &desc);
  desc.labels = two;
  CHECK(counter_of(rt, &desc) == first);
  desc.labels = other;
  CHECK(counter_of(rt, &desc) != first);
  tg_runtime_close(rt);
}

TEST(a_gauge_goes_up_and_down) {
  tg_runtime *rt = open_virtual();
  tg_instrument desc = described("depth");
  const tg_gauge *gauge = NULL;
  double value = -1;
  CHECK_STATUS(tg_gauge_resolve(rt, &desc, &gauge, NULL), TG_OK);
  CHECK_STATUS(tg_gauge_value(gauge, &value), TG_OK);
  CHECK(value == 0);
  CHECK_STATUS(tg_gauge_set(gauge, 2.5), TG_OK);
  CHECK_STATUS(tg_gauge_add(gauge, -4), TG_OK);
  CHECK_STATUS(tg_gauge_value(gauge, &value), TG_OK);
  CHECK(value == -1.5);
  CHECK_STATUS(tg_gauge_set(gauge, INFINITY), TG_OK);
  CHECK_STATUS(tg_gauge_value(gauge, &value), TG_OK);
  CHECK(isinf(value));
  CHECK_STATUS(tg_gauge_retire(gauge), TG_OK);
  CHECK_STATUS(tg_gauge_set(gauge, 1), TG_CLOSED);
  CHECK_STATUS(tg_gauge_add(gauge, 1), TG_CLOSED);
  CHECK_STATUS(tg_gauge_value(gauge, &value), TG_CLOSED);
  CHECK_STATUS(tg_gauge_retire(gauge), TG_CLOSED);
  tg_runtime_close(rt);
}

static const tg_histogram *histogram_of(const tg_runtime *rt, const char *name) {
  const tg_histogram *histogram = NULL;
  tg_instrument desc = described(name);
  REQUIRE(tg_histogram_resolve(rt, &desc, &histogram, NULL) == TG_OK);
  return histogram;
}

TEST(a_histogram_knows_its_quantiles) {
  tg_runtime *rt = open_virtual();
  const tg_histogram *histogram = histogram_of(rt, "latency_seconds");
  for (int i = 1; i <= 1000; i++) CHECK_STATUS(tg_histogram_record(histogram, i / 1000.0), TG_OK);
  const double quantiles[] = { 0.01, 0.1, 0.5, 0.9, 0.99, 1 };
  for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
    double value = 0;
    CHECK_STATUS(tg_histogram_quantile(histogram, quantiles[i], &value), TG_OK);
    CHECK_NEAR(value, quantiles[i], 0.03);
  }
  tg_runtime_close(rt);
}

TEST(what_cannot_be_recorded_is_refused) {
  tg_runtime *rt = open_virtual();
  const tg_histogram *histogram = histogram_of(rt, "h");
  const double bad[] = { -1, -1e-300, NAN, -NAN, INFINITY, -INFINITY };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_STATUS(tg_histogram_record(histogram, bad[i]), TG_INVALID);
  const double odd[] = { 0, -0.0, 5e-324, 1e300, 1.7976931348623157e308 };
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) CHECK_STATUS(tg_histogram_record(histogram, odd[i]), TG_OK);
  double value = 0;
  const double outside[] = { -0.1, 1.1, NAN };
  for (size_t i = 0; i < 3; i++) CHECK_STATUS(tg_histogram_quantile(histogram, outside[i], &value), TG_INVALID);
  CHECK_STATUS(tg_histogram_quantile(histogram, 0, &value), TG_OK);
  CHECK(value == 0);
  tg_runtime_close(rt);
}

TEST(a_retired_series_is_gone_and_starts_again_from_zero) {
  tg_runtime *rt = open_virtual();
  tg_instrument desc = described("c");
  for (int round = 0; round < 100; round++) {
    const tg_counter *counter = counter_of(rt, &desc);
    CHECK_EQ(value_of(counter), 0);
    CHECK_STATUS(tg_counter_add(counter, 7), TG_OK);
    CHECK_EQ(value_of(counter), 7);
    CHECK_STATUS(tg_counter_retire(counter), TG_OK);
    CHECK_STATUS(tg_counter_retire(counter), TG_CLOSED);
    CHECK_STATUS(tg_counter_add(counter, 7), TG_CLOSED);
  }
  const tg_histogram *histogram = histogram_of(rt, "h");
  double value = 0;
  CHECK_STATUS(tg_histogram_record(histogram, 1), TG_OK);
  CHECK_STATUS(tg_histogram_retire(histogram), TG_OK);
  CHECK_STATUS(tg_histogram_record(histogram, 1), TG_CLOSED);
  CHECK_STATUS(tg_histogram_quantile(histogram, 0.5, &value), TG_CLOSED);
  CHECK_STATUS(tg_histogram_retire(histogram), TG_CLOSED);
  tg_runtime_close(rt);
}

TEST(one_name_is_of_one_kind) {
  tg_runtime *rt = open_virtual();
  tg_instrument desc = described("thing");
  counter_of(rt, &desc);
  const tg_gauge *gauge = NULL;
  tg_error error = TG_ERROR_INIT;
  CHECK_STATUS(tg_gauge_resolve(rt, &desc, &gauge, &error), TG_INVALID);
  CHECK(gauge == NULL && strstr(error.message, "counter") != NULL);
  tg_runtime_close(rt);
}

/* A handle of another kind is a mistake that is noticed. */
TEST(handles_of_another_kind_are_noticed) {
  tg_runtime *rt = open_virtual();
  tg_instrument desc = described("c");
  const tg_counter *counter = counter_of(rt, &desc);
  const tg_guard *guard = guard_of(rt, "g");
  tg_permit permit;
  double value;
  CHECK(tg_gauge_set((const tg_gauge *)counter, 1) != TG_OK);
  CHECK(tg_gauge_value((const tg_gauge *)counter, &value) != TG_OK);
  CHECK(tg_histogram_record((const tg_histogram *)counter, 1) != TG_OK);
  CHECK(tg_guard_enter((const tg_guard *)counter, NULL, &permit) != TG_OK);
  CHECK(tg_counter_add((const tg_counter *)guard, 1) != TG_OK);
  CHECK_EQ(value_of(counter), 0);
  tg_runtime_close(rt);
}

TEST(label_sets_beyond_the_limit_share_one_series) {
  tg_runtime *rt = open_virtual();
  tg_instrument desc = described("flood_total");
  char value[16];
  tg_label label = { TG_STR("url"), { value, 0 } };
  desc.labels = &label, desc.label_count = 1;
  for (int i = 0; i < 2100; i++) {
    label.value.len = (size_t)snprintf(value, sizeof value, "/%d", i);
    CHECK_STATUS(tg_counter_add(counter_of(rt, &desc), 1), TG_OK);
  }
  tg_label overflow = { TG_STR("otel_metric_overflow"), TG_STR("true") };
  desc.labels = &overflow;
  CHECK_EQ(value_of(counter_of(rt, &desc)), 100);
  tg_runtime_close(rt);
}

TEST(a_handle_of_another_kind_is_refused_and_changes_nothing) {
  tg_runtime *rt = open_plain();
  tg_instrument c = described("c"), g = described("g"), h = described("h");
  const tg_counter *counter;
  const tg_gauge *gauge;
  const tg_histogram *histogram;
  CHECK_STATUS(tg_counter_resolve(rt, &c, &counter, NULL), TG_OK);
  CHECK_STATUS(tg_gauge_resolve(rt, &g, &gauge, NULL), TG_OK);
  CHECK_STATUS(tg_histogram_resolve(rt, &h, &histogram, NULL), TG_OK);
  /* Once each, so that this thread knows them. */
  CHECK_STATUS(tg_counter_add(counter, 1), TG_OK);
  CHECK_STATUS(tg_gauge_set(gauge, 1), TG_OK);
  CHECK_STATUS(tg_histogram_record(histogram, 1), TG_OK);
  uint64_t count;
  double value;
  CHECK_STATUS(tg_counter_add((const void *)histogram, 1000), TG_INVALID);
  CHECK_STATUS(tg_counter_value((const void *)gauge, &count), TG_INVALID);
  CHECK_STATUS(tg_counter_value((const void *)histogram, &count), TG_INVALID);
  CHECK_STATUS(tg_counter_retire((const void *)gauge), TG_INVALID);
  CHECK_STATUS(tg_gauge_set((const void *)counter, 5), TG_INVALID);
  CHECK_STATUS(tg_gauge_retire((const void *)histogram), TG_INVALID);
  CHECK_STATUS(tg_histogram_record((const void *)counter, 1), TG_INVALID);
  CHECK_STATUS(tg_histogram_quantile((const void *)gauge, 0.5, &value), TG_INVALID);
  CHECK_STATUS(tg_histogram_retire((const void *)counter), TG_INVALID);
  tg_text *page = NULL;
  CHECK_STATUS(tg_metrics_render(rt, TG_STR(""), &page, NULL), TG_OK);
  CHECK(holds(page, "\nc_total 1\n") && holds(page, "\ng 1\n") && holds(page, "\nh_count 1\n"));
  tg_text_free(page);
  tg_runtime_close(rt);
}

TEST_MAIN
