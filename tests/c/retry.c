/* Retries, hedges, faults by option, and timeouts in headers. */
#include "support.h"

static const char *const rules =
  "{\"version\":1,\"guards\":{\"g\":{\"retry\":{\"max_attempts\":3,\"backoff\":{\"growth\":\"constant\",\"base\":\"10ms\","
  "\"jitter\":\"none\"},\"budget\":{\"quota\":{\"tokens\":1000,\"cost\":1,\"timeout_cost\":1}}},\"hedge\":{\"delay\":\"5ms\"},"
  "\"faults\":[{\"abort\":\"timeout\"}]}}}";

static tg_runtime *opened(uint32_t flags) {
  tg_runtime *rt = NULL;
  tg_options options = TG_OPTIONS_INIT;
  options.clock = TG_CLOCK_VIRTUAL;
  options.virtual_start_ns = 3600000000000;
  options.flags = flags;
  REQUIRE(tg_runtime_open(&options, &rt, NULL) == TG_OK);
  CHECK_STATUS(tg_rules_apply(rt, rules, strlen(rules), NULL), TG_OK);
  return rt;
}

TEST(retries_are_plain_data) {
  tg_runtime *rt = opened(0);
  const tg_guard *guard = guard_of(rt, "g");
  tg_retry retry, copy;
  uint64_t wait = 9;
  CHECK_STATUS(tg_retry_begin(guard, NULL, &retry), TG_OK);
  CHECK_STATUS(tg_retry_next(&retry, TG_OUTCOME_FAILURE, 0, &wait), TG_OK);
  CHECK_EQ(wait, 10000000);
  copy = retry;
  CHECK_STATUS(tg_retry_next(&copy, TG_OUTCOME_TIMEOUT, 0, &wait), TG_OK);
  CHECK_STATUS(tg_retry_next(&copy, TG_OUTCOME_FAILURE, 0, &wait), TG_STOP_ATTEMPTS);
  CHECK_EQ(wait, 0);
  CHECK_EQ(stats_of(guard).retries, 2);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
  CHECK_STATUS(tg_retry_next(&retry, TG_OUTCOME_FAILURE, 0, &wait), TG_CLOSED);
  CHECK_STATUS(tg_retry_abandon(&retry), TG_CLOSED);
  CHECK_STATUS(tg_retry_begin(guard, NULL, &retry), TG_CLOSED);
}

TEST(what_was_never_begun_holds_nothing) {
  tg_runtime *rt = opened(0);
  const tg_guard *guard = guard_of(rt, "g");
  tg_retry retry;
  tg_hedge hedge;
  uint64_t wait;
  for (int byte = 0; byte < 256; byte++) {
    memset(&retry, byte, sizeof retry), memset(&hedge, byte, sizeof hedge);
    CHECK_STATUS(tg_retry_next(&retry, TG_OUTCOME_FAILURE, 0, &wait), TG_NOT_HELD);
    CHECK_STATUS(tg_retry_abandon(&retry), TG_NOT_HELD);
    CHECK_STATUS(tg_hedge_next(&hedge, &wait), TG_NOT_HELD);
    CHECK_STATUS(tg_hedge_end(&hedge, TG_OUTCOME_SUCCESS), TG_NOT_HELD);
  }
  CHECK_STATUS(tg_hedge_begin(guard, NULL, &hedge), TG_OK);
  memcpy(&retry, &hedge, sizeof retry);
  CHECK_STATUS(tg_retry_next(&retry, TG_OUTCOME_FAILURE, 0, &wait), TG_NOT_HELD);
  CHECK_STATUS(tg_hedge_end(&hedge, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(tg_hedge_end(&hedge, TG_OUTCOME_SUCCESS), TG_NOT_HELD);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
}

TEST(null_and_nonsense) {
  tg_runtime *rt = opened(0);
  const tg_guard *guard = guard_of(rt, "g");
  tg_call call = TG_CALL_INIT;
  tg_retry retry;
  tg_hedge hedge;
  uint64_t wait;
  CHECK_STATUS(tg_retry_begin(NULL, NULL, &retry), TG_INVALID);
  CHECK_STATUS(tg_retry_begin(guard, NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_retry_next(NULL, TG_OUTCOME_FAILURE, 0, &wait), TG_INVALID);
  CHECK_STATUS(tg_retry_abandon(NULL), TG_INVALID);
  CHECK_STATUS(tg_hedge_begin(NULL, NULL, &hedge), TG_INVALID);
  CHECK_STATUS(tg_hedge_begin(guard, NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_hedge_next(NULL, &wait), TG_INVALID);
  CHECK_STATUS(tg_hedge_end(NULL, TG_OUTCOME_SUCCESS), TG_INVALID);
  call.flags = 2;
  CHECK_STATUS(tg_retry_begin(guard, &call, &retry), TG_UNSUPPORTED);
  CHECK_STATUS(tg_retry_begin(guard, NULL, &retry), TG_OK);
  CHECK_STATUS(tg_retry_next(&retry, TG_OUTCOME_FAILURE, 0, NULL), TG_INVALID);
  CHECK_STATUS(tg_retry_next(&retry, 7, 0, &wait), TG_INVALID);
  CHECK_STATUS(tg_retry_next(&retry, -1, 0, &wait), TG_INVALID);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
}

TEST(faults_need_leave) {
  tg_permit permit;
  tg_runtime *rt = opened(0);
  CHECK_STATUS(tg_guard_enter(guard_of(rt, "g"), NULL, &permit), TG_OK);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
  rt = opened(TG_OPTION_FAULTS);
  CHECK_STATUS(tg_guard_enter(guard_of(rt, "g"), NULL, &permit), TG_REFUSED_FAULT);
  CHECK_EQ(tg_permit_stage(&permit), TG_STAGE_FAULT);
  CHECK_EQ(tg_permit_reason(&permit), TG_OUTCOME_TIMEOUT);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
  tg_options options = TG_OPTIONS_INIT;
  options.flags = 2;
  CHECK_STATUS(tg_runtime_open(&options, &rt, NULL), TG_UNSUPPORTED);
}

TEST(timeouts_in_headers) {
  char text[24];
  uint64_t ns = 1;
  CHECK_STATUS(tg_timeout_parse(TG_TIMEOUT_GRPC, TG_STR("1500m"), &ns), TG_OK);
  CHECK_EQ(ns, 1500000000);
  CHECK_STATUS(tg_timeout_parse(TG_TIMEOUT_MILLIS, TG_STR("25"), &ns), TG_OK);
  CHECK_EQ(ns, 25000000);
  CHECK_STATUS(tg_timeout_parse(TG_TIMEOUT_GRPC, TG_STR("123456789m"), &ns), TG_INVALID);
  CHECK_STATUS(tg_timeout_parse(TG_TIMEOUT_MILLIS, TG_STR("25m"), &ns), TG_INVALID);
  CHECK_STATUS(tg_timeout_parse(2, TG_STR("25"), &ns), TG_INVALID);
  CHECK_STATUS(tg_timeout_parse(TG_TIMEOUT_MILLIS, (tg_str){ NULL, 2 }, &ns), TG_INVALID);
  CHECK_STATUS(tg_timeout_parse(TG_TIMEOUT_MILLIS, TG_STR("25"), NULL), TG_INVALID);
  CHECK_STATUS(tg_timeout_format(TG_TIMEOUT_GRPC, 1999999999, text, sizeof text), TG_OK);
  CHECK(strcmp(text, "1999999u") == 0);
  CHECK_STATUS(tg_timeout_format(TG_TIMEOUT_MILLIS, UINT64_MAX, text, sizeof text), TG_OK);
  CHECK(strcmp(text, "18446744073709") == 0);
  CHECK_STATUS(tg_timeout_format(TG_TIMEOUT_MILLIS, 1000000000, text, 4), TG_FULL);
  CHECK_STATUS(tg_timeout_format(TG_TIMEOUT_MILLIS, 1000000000, text, 5), TG_OK);
  CHECK_STATUS(tg_timeout_format(TG_TIMEOUT_MILLIS, 1, NULL, 24), TG_INVALID);
  CHECK_STATUS(tg_timeout_format(9, 1, text, sizeof text), TG_INVALID);
}

TEST_MAIN
