/* Rate limits by key: whose bucket a call takes from, the keys that call most, and a flood. */
#include "support.h"

static tg_status call_of(const tg_guard *guard, const char *key, const tg_attribute *attribute, tg_permit *permit) {
  tg_call call = TG_CALL_INIT;
  call.key = str(key);
  call.attributes = attribute, call.attribute_count = attribute != NULL;
  return tg_guard_enter(guard, &call, permit);
}

static tg_status pass_as(const tg_guard *guard, const char *key) {
  tg_permit permit;
  tg_status status = call_of(guard, key, NULL, &permit);
  return status == TG_OK ? tg_guard_exit(&permit, TG_OUTCOME_SUCCESS) : status;
}

TEST(each_key_has_its_own_bucket) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"rate\":[{\"limit\":1,\"per\":\"1h\",\"burst\":2,\"key\":\"tenant\"}]}");
  for (int i = 0; i < 2; i++) {
    CHECK_STATUS(pass_as(guard, "a"), TG_OK);
    CHECK_STATUS(pass_as(guard, "b"), TG_OK);
  }
  tg_permit permit;
  CHECK_STATUS(call_of(guard, "a", NULL, &permit), TG_REFUSED_RATE);
  CHECK_EQ(tg_permit_stage(&permit), TG_STAGE_RATE);
  CHECK_EQ(tg_permit_reason(&permit), 0);
  CHECK(tg_permit_retry_after(&permit) > 3599 * SECOND && tg_permit_retry_after(&permit) < 3601 * SECOND);
  uint32_t id = 0;
  CHECK_STATUS(tg_attribute_resolve(rt, TG_STR("tenant"), &id), TG_OK);
  tg_attribute tenant = { id, 0, TG_STR("c") };
  CHECK_STATUS(call_of(guard, "a", &tenant, &permit), TG_OK);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(pass_as(guard, "c"), TG_OK);
  CHECK_STATUS(pass_as(guard, "c"), TG_REFUSED_RATE);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
}

TEST(the_hottest_keys_can_be_read) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard =
      guarded(rt, "{\"rate\":[{\"limit\":1e9,\"burst\":1000000000},{\"limit\":1,\"key\":\"k\",\"hottest\":8}]}");
  char longest[100];
  memset(longest, 'x', sizeof longest - 1);
  longest[sizeof longest - 1] = 0;
  for (int i = 0; i < 300; i++) {
    pass_as(guard, "loud");
    if (i % 3 != 0) pass_as(guard, longest);
    if (i % 3 == 0) pass_as(guard, "quiet");
  }
  tg_hot_key keys[8];
  uint32_t count = 8;
  CHECK_STATUS(tg_guard_hottest(guard, 1, keys, &count), TG_OK);
  CHECK_EQ(count, 3);
  CHECK(keys[0].len == 4 && memcmp(keys[0].name, "loud", 4) == 0);
  CHECK(keys[1].len == 48 && memcmp(keys[1].name, longest, 48) == 0);
  CHECK(keys[0].count >= 299 && keys[0].count <= 316 && keys[0].error == 0);
  count = 1;
  CHECK_STATUS(tg_guard_hottest(guard, 1, keys, &count), TG_OK);
  CHECK_EQ(count, 1);
  count = 0;
  CHECK_STATUS(tg_guard_hottest(guard, 1, NULL, &count), TG_OK);
  CHECK_EQ(count, 0);
  for (uint32_t other = 0; other < 5; other += 2) {
    count = 8;
    CHECK_STATUS(tg_guard_hottest(guard, other, keys, &count), TG_NOT_FOUND);
    CHECK_EQ(count, 0);
  }
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
  count = 8;
  CHECK_STATUS(tg_guard_hottest(guard, 1, keys, &count), TG_CLOSED);
}

TEST(a_flood_frees_nobody_and_shows_in_the_metrics) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard =
      guarded(rt, "{\"rate\":[{\"limit\":1,\"per\":\"1h\",\"key\":\"ip\",\"keys\":64,\"on_full\":\"refuse\"}]}");
  CHECK_STATUS(pass_as(guard, "known"), TG_OK);
  char key[16];
  int passed = 0;
  for (int i = 0; i < 5000; i++) {
    snprintf(key, sizeof key, "%d", i);
    passed += pass_as(guard, key) == TG_OK;
  }
  CHECK_EQ(passed, 139); /* ten sets of fourteen places */
  CHECK_STATUS(pass_as(guard, "known"), TG_REFUSED_RATE);
  tg_text *text = NULL;
  CHECK_STATUS(tg_metrics_render(rt, TG_STR(""), &text, NULL), TG_OK);
  CHECK(holds(text, "tidegate_rate_keys_live{guard=\"g\",rate=\"0\"} 140\n"));
  CHECK(holds(text, "tidegate_rate_overflow_total{guard=\"g\",rate=\"0\"} 4861\n"));
  tg_text_free(text);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
}

TEST_MAIN
