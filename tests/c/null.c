/* NULL for every pointer of every function: a status, and nothing happens. */
#include "support.h"

static tg_runtime *rt;
static const tg_guard *guard;
static const uint8_t wasm[] = { 0, 'a', 's', 'm' };
static const tg_str lost = { NULL, 5 }; /* says that it has bytes, and has none */

TEST(open) {
  CHECK_STATUS(tg_runtime_open(NULL, NULL, NULL), TG_INVALID);
  tg_error error = TG_ERROR_INIT;
  CHECK_STATUS(tg_runtime_open(NULL, NULL, &error), TG_INVALID);
  CHECK_EQ(error.status, TG_INVALID);
  tg_options options = TG_OPTIONS_INIT;
  options.name = lost;
  CHECK_STATUS(tg_runtime_open(&options, &rt, NULL), TG_INVALID);
  CHECK(rt == NULL);
  rt = open_virtual();
  guard = guard_of(rt, "g");
}

TEST(runtime) {
  CHECK_STATUS(tg_runtime_close(NULL), TG_OK);
  CHECK_STATUS(tg_thread_prepare(NULL), TG_INVALID);
}

TEST(clock) {
  uint64_t ns;
  CHECK_STATUS(tg_clock_now(NULL, &ns), TG_INVALID);
  CHECK_STATUS(tg_clock_now(rt, NULL), TG_INVALID);
  CHECK_STATUS(tg_clock_set(NULL, 1), TG_INVALID);
  CHECK_STATUS(tg_clock_advance(NULL, 1), TG_INVALID);
}

TEST(protection) {
  uint32_t wanted;
  CHECK_STATUS(tg_system_sample(NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_system_set(NULL, 0, 0), TG_INVALID);
  CHECK_STATUS(tg_system_wanted(NULL, &wanted), TG_INVALID);
  CHECK_STATUS(tg_system_wanted(rt, NULL), TG_INVALID);
}

TEST(rules) {
  uint64_t version;
  tg_text *report = (tg_text *)(uintptr_t)64;
  CHECK_STATUS(tg_rules_check(NULL, 5, NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_rules_check(NULL, 0, NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_rules_check(NULL, 5, &report, NULL), TG_INVALID);
  CHECK(report == NULL || holds(report, "\"ok\":false"));
  tg_text_free(report);
  CHECK_STATUS(tg_rules_apply(NULL, "{}", 2, NULL), TG_INVALID);
  CHECK_STATUS(tg_rules_apply(rt, NULL, 5, NULL), TG_INVALID);
  CHECK_STATUS(tg_rules_version(NULL, &version), TG_INVALID);
  CHECK_STATUS(tg_rules_version(rt, NULL), TG_INVALID);
}

TEST(resolve) {
  const tg_guard *out = guard;
  uint32_t id;
  CHECK_STATUS(tg_guard_resolve(NULL, TG_STR("g"), &out, NULL), TG_INVALID);
  CHECK(out == NULL);
  CHECK_STATUS(tg_guard_resolve(rt, TG_STR("g"), NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_guard_resolve(rt, lost, &out, NULL), TG_INVALID);
  CHECK_STATUS(tg_attribute_resolve(NULL, TG_STR("a"), &id), TG_INVALID);
  CHECK(tg_attribute_resolve(rt, TG_STR("a"), NULL) >= TG_INVALID);
  CHECK(tg_attribute_resolve(rt, lost, &id) >= TG_INVALID);
}

TEST(enter_and_exit) {
  tg_permit permit;
  tg_call call = TG_CALL_INIT;
  CHECK_STATUS(tg_guard_enter(NULL, NULL, &permit), TG_INVALID);
  CHECK_STATUS(tg_guard_enter(guard, NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_guard_enter(NULL, NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_guard_enter(NULL, &call, &permit), TG_INVALID);
  call.key = lost;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_INVALID);
  call.key.len = 0;
  tg_attribute attribute = { 1, 0, lost };
  call.attributes = &attribute, call.attribute_count = 1;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_INVALID);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_NOT_HELD);
  CHECK_STATUS(tg_guard_exit(NULL, TG_OUTCOME_SUCCESS), TG_INVALID);
  CHECK_EQ(stats_of(guard).inflight, 0);
}

TEST(permit) {
  CHECK_EQ(tg_permit_retry_after(NULL), 0);
  CHECK_EQ(tg_permit_wait(NULL), 0);
  CHECK_EQ(tg_permit_deadline(NULL), 0);
  CHECK_EQ(tg_permit_stage(NULL), TG_STAGE_NONE);
  CHECK_EQ(tg_permit_reason(NULL), 0);
  CHECK_EQ(tg_permit_route(NULL), 0);
}

TEST(stats_and_retire) {
  tg_guard_stats stats = TG_GUARD_STATS_INIT;
  CHECK_STATUS(tg_guard_stats_read(NULL, &stats), TG_INVALID);
  CHECK_STATUS(tg_guard_stats_read(guard, NULL), TG_INVALID);
  CHECK_STATUS(tg_guard_retire(NULL), TG_INVALID);
}

/* One function of three kinds with the same pointers. */
#define RESOLVE(kind) \
  TEST(kind##_resolve) { \
    const tg_##kind *out = NULL; \
    tg_instrument desc = described("x"), bad = described("x"); \
    CHECK_STATUS(tg_##kind##_resolve(NULL, &desc, &out, NULL), TG_INVALID); \
    CHECK_STATUS(tg_##kind##_resolve(rt, NULL, &out, NULL), TG_INVALID); \
    CHECK_STATUS(tg_##kind##_resolve(rt, &desc, NULL, NULL), TG_INVALID); \
    bad.label_count = 1; \
    CHECK_STATUS(tg_##kind##_resolve(rt, &bad, &out, NULL), TG_INVALID); \
    bad = desc, bad.help = lost; \
    CHECK_STATUS(tg_##kind##_resolve(rt, &bad, &out, NULL), TG_INVALID); \
    bad = desc, bad.unit = lost; \
    CHECK_STATUS(tg_##kind##_resolve(rt, &bad, &out, NULL), TG_INVALID); \
    bad = desc, bad.name = lost; \
    CHECK_STATUS(tg_##kind##_resolve(rt, &bad, &out, NULL), TG_INVALID); \
    tg_label label = { TG_STR("a"), lost }; \
    bad = desc, bad.labels = &label, bad.label_count = 1; \
    CHECK_STATUS(tg_##kind##_resolve(rt, &bad, &out, NULL), TG_INVALID); \
    CHECK(out == NULL); \
  }

RESOLVE(counter)
RESOLVE(gauge)
RESOLVE(histogram)

TEST(instruments) {
  uint64_t number;
  double value;
  tg_instrument desc = described("c"), gauge_desc = described("gauge"), histogram_desc = described("h");
  const tg_counter *counter = NULL;
  const tg_gauge *gauge = NULL;
  const tg_histogram *histogram = NULL;
  CHECK_STATUS(tg_counter_resolve(rt, &desc, &counter, NULL), TG_OK);
  CHECK_STATUS(tg_gauge_resolve(rt, &gauge_desc, &gauge, NULL), TG_OK);
  CHECK_STATUS(tg_histogram_resolve(rt, &histogram_desc, &histogram, NULL), TG_OK);
  CHECK_STATUS(tg_counter_add(NULL, 1), TG_INVALID);
  CHECK_STATUS(tg_counter_value(NULL, &number), TG_INVALID);
  CHECK_STATUS(tg_counter_value(counter, NULL), TG_INVALID);
  CHECK_STATUS(tg_counter_retire(NULL), TG_INVALID);
  CHECK_STATUS(tg_gauge_set(NULL, 1), TG_INVALID);
  CHECK_STATUS(tg_gauge_add(NULL, 1), TG_INVALID);
  CHECK_STATUS(tg_gauge_value(NULL, &value), TG_INVALID);
  CHECK_STATUS(tg_gauge_value(gauge, NULL), TG_INVALID);
  CHECK_STATUS(tg_gauge_retire(NULL), TG_INVALID);
  CHECK_STATUS(tg_histogram_record(NULL, 1), TG_INVALID);
  CHECK_STATUS(tg_histogram_quantile(NULL, 0.5, &value), TG_INVALID);
  CHECK_STATUS(tg_histogram_quantile(histogram, 0.5, NULL), TG_INVALID);
  CHECK_STATUS(tg_histogram_retire(NULL), TG_INVALID);
}

TEST(hottest_keys) {
  const tg_guard *guard = guarded(rt, "{\"rate\":[{\"limit\":1,\"key\":\"k\"}]}");
  tg_hot_key keys[2];
  uint32_t count = 2;
  CHECK_STATUS(tg_guard_hottest(NULL, 0, keys, &count), TG_INVALID);
  CHECK_EQ(count, 0);
  count = 2;
  CHECK_STATUS(tg_guard_hottest(guard, 0, NULL, &count), TG_INVALID);
  count = 2;
  CHECK_STATUS(tg_guard_hottest(guard, 0, keys, NULL), TG_INVALID);
  CHECK_STATUS(tg_guard_hottest(guard, 0, keys, &count), TG_OK);
  CHECK_EQ(count, 0);
}

TEST(limiter) {
  tg_limiter_options options = TG_LIMITER_OPTIONS_INIT;
  tg_limiter_place place = TG_LIMITER_PLACE_INIT;
  tg_reservation reservation;
  const tg_limiter *limiter = (const tg_limiter *)(uintptr_t)64;
  double tokens;
  CHECK_STATUS(tg_limiter_resolve(NULL, TG_STR("l"), &options, &limiter, NULL), TG_INVALID);
  CHECK_STATUS(tg_limiter_resolve(rt, lost, &options, &limiter, NULL), TG_INVALID);
  CHECK_STATUS(tg_limiter_resolve(rt, TG_STR(""), NULL, &limiter, NULL), TG_INVALID);
  CHECK(limiter == NULL);
  CHECK_STATUS(tg_limiter_resolve(rt, TG_STR("l"), NULL, &limiter, NULL), TG_NOT_FOUND);
  CHECK_STATUS(tg_limiter_resolve(rt, TG_STR("l"), &options, NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_limiter_resolve(rt, TG_STR("l"), &options, &limiter, NULL), TG_OK);
  CHECK_STATUS(tg_limiter_take(NULL, 1, 0, NULL), TG_INVALID);
  CHECK_STATUS(tg_limiter_take(limiter, 0, 0, NULL), TG_OK);
  CHECK_STATUS(tg_limiter_reserve(NULL, 1, 0, 0, &reservation), TG_INVALID);
  CHECK_STATUS(tg_limiter_cancel(limiter, &reservation, 0), TG_NOT_HELD);
  CHECK_STATUS(tg_limiter_reserve(limiter, 1, 0, 0, NULL), TG_INVALID);
  CHECK_STATUS(tg_limiter_cancel(NULL, &reservation, 0), TG_INVALID);
  CHECK_STATUS(tg_limiter_cancel(limiter, NULL, 0), TG_INVALID);
  CHECK_STATUS(tg_limiter_tokens(NULL, 0, &tokens), TG_INVALID);
  CHECK_STATUS(tg_limiter_tokens(limiter, 0, NULL), TG_INVALID);
  CHECK_STATUS(tg_limiter_set(NULL, &options, 0, NULL), TG_INVALID);
  CHECK_STATUS(tg_limiter_set(limiter, NULL, 0, NULL), TG_INVALID);
  CHECK_STATUS(tg_limiter_read(NULL, &options), TG_INVALID);
  CHECK_STATUS(tg_limiter_read(limiter, NULL), TG_INVALID);
  CHECK_STATUS(tg_limiter_locate(NULL, &place), TG_INVALID);
  CHECK_STATUS(tg_limiter_locate(limiter, NULL), TG_INVALID);
  CHECK_STATUS(tg_limiter_retire(NULL), TG_INVALID);
}

/* A build without WASM may say that it has no policies before it looks at the rest. */
static void check_refused(tg_status status) {
  CHECK(status == TG_INVALID || status == TG_POLICY_REJECTED || (!has_wasm() && status == TG_UNSUPPORTED));
}

TEST(policy) {
  uint64_t generation;
  tg_policy_options options = TG_POLICY_OPTIONS_INIT;
  options.config = lost;
  CHECK_STATUS(tg_policy_load(NULL, TG_STR("p"), wasm, sizeof wasm, NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_policy_check(NULL, wasm, sizeof wasm, NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_policy_rollback(NULL, TG_STR("p"), NULL), TG_INVALID);
  CHECK_STATUS(tg_policy_unload(NULL, TG_STR("p")), TG_INVALID);
  CHECK_STATUS(tg_policy_generation(NULL, TG_STR("p"), &generation), TG_INVALID);
  check_refused(tg_policy_load(rt, TG_STR("p"), NULL, 5, NULL, NULL));
  check_refused(tg_policy_load(rt, TG_STR("p"), NULL, 0, NULL, NULL));
  check_refused(tg_policy_load(rt, lost, wasm, sizeof wasm, NULL, NULL));
  check_refused(tg_policy_load(rt, TG_STR("p"), wasm, sizeof wasm, &options, NULL));
  check_refused(tg_policy_check(rt, NULL, 5, NULL, NULL));
  check_refused(tg_policy_check(rt, wasm, sizeof wasm, &options, NULL));
  check_refused(tg_policy_rollback(rt, lost, NULL));
  check_refused(tg_policy_unload(rt, lost));
  check_refused(tg_policy_generation(rt, lost, &generation));
  check_refused(tg_policy_generation(rt, TG_STR("p"), NULL));
}

TEST(metrics) {
  tg_text *text = NULL;
  CHECK_STATUS(tg_metrics_render(NULL, TG_STR(""), &text, NULL), TG_INVALID);
  CHECK_STATUS(tg_metrics_render(rt, TG_STR(""), NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_metrics_render(rt, lost, &text, NULL), TG_INVALID);
  CHECK(text == NULL);
  CHECK_EQ(tg_text_bytes(NULL).len, 0);
  CHECK_EQ(tg_text_content_type(NULL).len, 0);
  tg_text_free(NULL);
}

TEST(the_runtime_took_no_harm) {
  CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
}

TEST_MAIN
