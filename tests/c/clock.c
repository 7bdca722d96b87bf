/* The clock. */
#include "support.h"

static uint64_t now(const tg_runtime *rt) {
  uint64_t ns = 0;
  CHECK_STATUS(tg_clock_now(rt, &ns), TG_OK);
  return ns;
}

TEST(a_virtual_clock_stands_still) {
  tg_runtime *rt = open_virtual();
  CHECK_EQ(now(rt), START);
  CHECK_EQ(now(rt), START);
  tg_runtime_close(rt);
}

TEST(a_virtual_clock_moves_as_told) {
  tg_runtime *rt = open_virtual();
  CHECK_STATUS(tg_clock_advance(rt, 1), TG_OK);
  CHECK_EQ(now(rt), START + 1);
  CHECK_STATUS(tg_clock_set(rt, 5), TG_OK);
  CHECK_EQ(now(rt), 5);
  CHECK_STATUS(tg_clock_set(rt, 0), TG_OK);
  CHECK_EQ(now(rt), 0);
  CHECK_STATUS(tg_clock_advance(rt, UINT64_MAX), TG_OK);
  CHECK_STATUS(tg_clock_advance(rt, UINT64_MAX), TG_OK);
  CHECK_EQ(now(rt), UINT64_MAX); /* it stops at the end */
  tg_runtime_close(rt);
}

TEST(the_machines_clock_cannot_be_moved) {
  tg_runtime *rt = open_plain();
  uint64_t before = now(rt);
  CHECK_STATUS(tg_clock_set(rt, 5), TG_UNSUPPORTED);
  CHECK_STATUS(tg_clock_advance(rt, 5), TG_UNSUPPORTED);
  for (int i = 0; i < 10000; i++) {
    uint64_t later = now(rt);
    CHECK(later >= before);
    before = later;
  }
  tg_runtime_close(rt);
}

/* Guards work at the ends of time too. */
TEST(the_ends_of_time_are_survived) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"rate\":[{\"limit\":1,\"burst\":2}],\"breaker\":{\"consecutive_failures\":1},"
                                      "\"concurrency\":{\"max\":1},\"max_hold\":\"1s\",\"timeout\":\"1s\"}");
  const uint64_t moments[] = { 0, 1, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 2, START, 0 };
  for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
    CHECK_STATUS(tg_clock_set(rt, moments[i]), TG_OK);
    for (int outcome = 0; outcome <= TG_OUTCOME_IGNORED; outcome++) {
      tg_status status = pass(guard, outcome);
      CHECK(status == TG_OK || tg_is_refusal(status) || status == TG_EXPIRED);
    }
    CHECK_EQ(stats_of(guard).inflight, 0);
  }
  tg_runtime_close(rt);
}

TEST_MAIN
