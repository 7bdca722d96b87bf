/* Protection of the process, and how much calls matter. */
#include "support.h"
#include <math.h>

TEST(wanted) {
  tg_runtime *rt = open_virtual();
  uint32_t wanted = 7;
  CHECK_STATUS(tg_system_wanted(rt, &wanted), TG_OK);
  CHECK_EQ(wanted, 0);
  REQUIRE(apply(rt, "{\"version\":1,\"defaults\":{\"system\":{\"memory\":0.9}}}") == TG_OK);
  CHECK_STATUS(tg_system_wanted(rt, &wanted), TG_OK);
  CHECK_EQ(wanted, 1);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
  CHECK_STATUS(tg_system_wanted(rt, &wanted), TG_CLOSED);
}

TEST(sample) {
  tg_runtime *rt = open_virtual();
  tg_error error = TG_ERROR_INIT;
  tg_text *page = NULL;
  CHECK_STATUS(tg_system_sample(rt, &error), TG_OK);
  CHECK_STATUS(tg_metrics_render(rt, TG_STR(""), &page, NULL), TG_OK);
  CHECK(holds(page, "tidegate_system_memory_ratio 0."));
  tg_text_free(page);
  tg_runtime_close(rt);
  CHECK_STATUS(tg_system_sample(rt, &error), TG_CLOSED);
  CHECK(error.message[0] != 0);
}

TEST(shares) {
  tg_runtime *rt = open_virtual();
  const double wrong[] = { -0.001, 1.001, NAN, INFINITY, -INFINITY };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    CHECK_STATUS(tg_system_set(rt, wrong[i], 0), TG_INVALID);
    CHECK_STATUS(tg_system_set(rt, 0, wrong[i]), TG_INVALID);
  }
  CHECK_STATUS(tg_system_set(rt, 0, 1), TG_OK);
  CHECK_STATUS(tg_system_set(rt, 1, 0), TG_OK);
  tg_runtime_close(rt);
  CHECK_STATUS(tg_system_set(rt, 1, 0), TG_CLOSED);
}

TEST(levels) {
  tg_runtime *rt = open_virtual();
  REQUIRE(apply(rt, "{\"version\":1,\"guards\":{\"g\":{\"concurrency\":{\"max\":8,\"shed\":\"criticality\"}}}}") == TG_OK);
  const tg_guard *guard = guard_of(rt, "g");
  const uint32_t wrong[][2] = { { 0, 1 }, { 1, 100 }, { 2, 5 }, { 1, UINT32_MAX }, { UINT32_MAX, 0 } };
  tg_permit permit;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    tg_call call = TG_CALL_INIT;
    call.has_level = wrong[i][0], call.level = wrong[i][1];
    CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_INVALID);
  }
  tg_call least = TG_CALL_INIT, best = TG_CALL_INIT;
  least.has_level = 1;
  best.has_level = 1, best.level = 99;
  for (int i = 0; i < 7; i++) CHECK_STATUS(tg_guard_enter(guard, &least, &permit), TG_OK);
  CHECK_STATUS(tg_guard_enter(guard, &least, &permit), TG_REFUSED_CONCURRENCY);
  CHECK_STATUS(tg_guard_enter(guard, &best, &permit), TG_OK);
  CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_REFUSED_CONCURRENCY);
  tg_runtime_close(rt);
}

TEST_MAIN
