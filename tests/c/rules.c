/* Rules: checked, applied, refused. */
#include "support.h"

static uint64_t version_of(const tg_runtime *rt) {
  uint64_t version = UINT64_MAX;
  CHECK_STATUS(tg_rules_version(rt, &version), TG_OK);
  return version;
}

TEST(a_good_document_has_a_short_report) {
  tg_text *report = NULL;
  const char *json = "{\"version\":1,\"guards\":{\"a\":{\"rate\":[{\"limit\":10}]}}}";
  CHECK_STATUS(tg_rules_check(json, strlen(json), &report, NULL), TG_OK);
  CHECK(holds(report, "\"ok\":true"));
  tg_str type = tg_text_content_type(report);
  CHECK(type.len == strlen("application/json") && memcmp(type.ptr, "application/json", type.len) == 0);
  tg_text_free(report);
}

TEST(every_error_has_its_path) {
  tg_text *report = NULL;
  tg_error error = TG_ERROR_INIT;
  const char *json = "{\"version\":1,\"guards\":{\"a\":{\"rate\":[{\"limit\":0}],\"concurency\":{}},"
                     "\"b\":{\"timeout\":5}}}";
  CHECK_STATUS(tg_rules_check(json, strlen(json), &report, &error), TG_INVALID);
  CHECK_EQ(error.count, 3);
  CHECK(holds(report, "\"ok\":false"));
  CHECK(holds(report, "$.guards.a.rate[0].limit"));
  CHECK(holds(report, "$.guards.a.concurency"));
  CHECK(holds(report, "$.guards.b.timeout"));
  tg_text_free(report);
  CHECK_STATUS(tg_rules_check(json, strlen(json), NULL, NULL), TG_INVALID);
}

static const char *const bad[] = {
  "", "{", "[]", "null", "1", "\"x\"", "{}", "{\"version\":0}", "{\"version\":-1}", "{\"version\":1.5}",
  "{\"version\":18446744073709551616}", "{\"version\":NaN}", "{\"version\":1,\"version\":1}", "{\"version\":1}x",
  "{\"version\":1,\"schema\":2}", "{\"version\":1,\"requires\":[\"gradient2\"]}",
  "{\"version\":1,\"guards\":[]}", "{\"version\":1,\"guards\":{\"\":{}}}",
  "{\"version\":1,\"guards\":{\"a\":{\"rate\":[{\"limit\":0}]}}}",
  "{\"version\":1,\"guards\":{\"a\":{\"rate\":[{\"limit\":-1}]}}}",
  "{\"version\":1,\"guards\":{\"a\":{\"rate\":[{\"limit\":1e999}]}}}",
  "{\"version\":1,\"guards\":{\"a\":{\"rate\":[{\"limit\":1e-99}]}}}",
  "{\"version\":1,\"guards\":{\"a\":{\"rate\":[{\"limit\":1,\"burst\":99999999999999999999}]}}}",
  "{\"version\":1,\"guards\":{\"a\":{\"rate\":[{\"limit\":1,\"per\":\"24h\",\"burst\":1000000000000}]}}}",
  "{\"version\":1,\"guards\":{\"a\":{\"rate\":{}}}}",
  "{\"version\":1,\"guards\":{\"a\":{\"concurrency\":{\"max\":0}}}}",
  "{\"version\":1,\"guards\":{\"a\":{\"breaker\":{}}}}",
  "{\"version\":1,\"guards\":{\"a\":{\"breaker\":{\"error_ratio\":1.01}}}}",
  "{\"version\":1,\"guards\":{\"a\":{\"max_hold\":\"1ms\"}}}",
  "{\"version\":1,\"guards\":{\"a\":{\"timeout\":\"1 s\"}}}",
  "{\"version\":1,\"guards\":{\"a\":{\"retry\":{\"max_attempts\":0}}}}",
  "\xEF\xBB\xBF{\"version\":1}", "{\"version\":1,\"\xFF\":1}",
};

TEST(bad_documents_change_nothing) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"concurrency\":{\"max\":1}}");
  tg_permit held, other;
  CHECK_STATUS(tg_guard_enter(guard, NULL, &held), TG_OK);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    tg_error error = TG_ERROR_INIT;
    tg_status status = tg_rules_apply(rt, bad[i], strlen(bad[i]), &error);
    if (status != TG_INVALID) printf("       %s: %s\n", bad[i], tg_status_name(status));
    CHECK_STATUS(status, TG_INVALID);
    CHECK(error.count >= 1 && error.message[0] != 0);
    CHECK_EQ(version_of(rt), 1);
  }
  CHECK_STATUS(tg_guard_enter(guard, NULL, &other), TG_REFUSED_CONCURRENCY);
  CHECK_STATUS(tg_guard_exit(&held, TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(rt);
}

TEST(versions_only_rise) {
  tg_runtime *rt = open_virtual();
  CHECK_EQ(version_of(rt), 0);
  CHECK_STATUS(tg_rules_apply(rt, "{\"version\":5}", 13, NULL), TG_OK);
  CHECK_STATUS(tg_rules_apply(rt, "{ \"version\": 5 }", 16, NULL), TG_OK);
  CHECK_STATUS(tg_rules_apply(rt, "{\"version\":4}", 13, NULL), TG_CONFLICT);
  CHECK_STATUS(tg_rules_apply(rt, "{\"version\":5,\"guards\":{\"a\":{}}}", 31, NULL), TG_CONFLICT);
  CHECK_EQ(version_of(rt), 5);
  CHECK_STATUS(tg_rules_apply(rt, "{\"version\":18446744073709551615}", 32, NULL), TG_OK);
  CHECK_EQ(version_of(rt), UINT64_MAX);
  tg_runtime_close(rt);
}

static void check_garbage(const tg_runtime *rt, const char *bytes, size_t len) {
  tg_text *report = NULL;
  tg_error error = TG_ERROR_INIT;
  CHECK_STATUS(tg_rules_check(bytes, len, &report, &error), TG_INVALID);
  CHECK(holds(report, "\"path\":\"$\""));
  CHECK(tg_text_bytes(report).len < 100000);
  tg_text_free(report);
  CHECK_STATUS(tg_rules_apply(rt, bytes, len, &error), TG_INVALID);
  CHECK_EQ(version_of(rt), 1);
}

TEST(ten_megabytes_of_garbage_are_refused) {
  tg_runtime *rt = open_virtual();
  guarded(rt, "{}");
  size_t len = 10 << 20;
  char *bytes = malloc(len);
  REQUIRE(bytes != NULL);
  const char fills[] = { 0, '[', '{', '"', '1', (char)0xFF };
  for (size_t i = 0; i < sizeof fills; i++) {
    memset(bytes, fills[i], len);
    check_garbage(rt, bytes, len);
  }
  uint32_t seed = 1;
  for (size_t i = 0; i < len; i++) bytes[i] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
  check_garbage(rt, bytes, len);
  free(bytes);
  tg_runtime_close(rt);
}

TEST(a_document_cut_short_anywhere_is_refused) {
  const char *json = "{\"version\":2,\"guards\":{\"a\":{\"rate\":[{\"limit\":10,\"per\":\"1s\"}]}}}";
  for (size_t len = 0; len < strlen(json); len++) CHECK_STATUS(tg_rules_check(json, len, NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_rules_check(json, strlen(json), NULL, NULL), TG_OK);
}

/* A length of 0 means that nobody looks where the pointer points. */
TEST(no_bytes_are_not_looked_at) {
  tg_runtime *rt = open_virtual();
  const char *wild = (const char *)(uintptr_t)0x10;
  CHECK_STATUS(tg_rules_check(wild, 0, NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_rules_apply(rt, wild, 0, NULL), TG_INVALID);
  CHECK_STATUS(tg_rules_apply(rt, NULL, 0, NULL), TG_INVALID);
  tg_runtime_close(rt);
}

TEST(rules_may_change_a_thousand_times_under_a_held_permit) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"concurrency\":{\"max\":2}}");
  tg_permit held;
  CHECK_STATUS(tg_guard_enter(guard, NULL, &held), TG_OK);
  for (int version = 2; version < 1002; version++) {
    char json[128];
    snprintf(json, sizeof json, "{\"version\":%d,\"guards\":{\"g\":{\"concurrency\":{\"max\":%d}}}}", version,
             version % 5 + 2);
    CHECK_STATUS(apply(rt, json), TG_OK);
    CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  }
  CHECK_EQ(stats_of(guard).inflight, 1);
  CHECK_STATUS(tg_guard_exit(&held, TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(rt);
}

TEST_MAIN
