/* Permits that are not what they should be. */
#include "support.h"

TEST(a_permit_is_exited_once) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guard_of(rt, "g");
  tg_permit permit;
  CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_OK);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_NOT_HELD);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_FAILURE), TG_NOT_HELD);
  tg_guard_stats stats = stats_of(guard);
  CHECK_EQ(stats.calls[TG_OUTCOME_SUCCESS], 1);
  CHECK_EQ(stats.calls[TG_OUTCOME_FAILURE], 0);
  CHECK_EQ(stats.misused_exits, 2);
  CHECK_EQ(stats.inflight, 0);
  tg_runtime_close(rt);
}

static void check_holds_nothing(tg_permit *permit) {
  CHECK_EQ(tg_permit_retry_after(permit), 0);
  CHECK_EQ(tg_permit_wait(permit), 0);
  CHECK_EQ(tg_permit_deadline(permit), 0);
  CHECK_EQ(tg_permit_stage(permit), TG_STAGE_NONE);
  CHECK_EQ(tg_permit_reason(permit), 0);
  CHECK_EQ(tg_permit_route(permit), 0);
  CHECK_STATUS(tg_guard_exit(permit, TG_OUTCOME_SUCCESS), TG_NOT_HELD);
}

TEST(a_zeroed_permit_holds_nothing) {
  tg_permit permit;
  memset(&permit, 0, sizeof permit);
  check_holds_nothing(&permit);
}

TEST(garbage_is_no_permit) {
  uint64_t seed = 88172645463325252u;
  for (int round = 0; round < 10000; round++) {
    tg_permit permit;
    for (size_t i = 0; i < 16; i++) {
      seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
      permit.opaque[i] = seed;
    }
    check_holds_nothing(&permit);
  }
  for (int fill = 0; fill < 256; fill++) {
    tg_permit permit;
    memset(&permit, fill, sizeof permit);
    check_holds_nothing(&permit);
  }
}

/* Whatever byte of a held permit's identity is spoilt, it is not taken for another's; unspoilt it still counts. */
TEST(a_spoilt_permit_frees_at_most_its_own_place) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"concurrency\":{\"max\":1}}");
  tg_permit held;
  CHECK_STATUS(tg_guard_enter(guard, NULL, &held), TG_OK);
  for (size_t word = 0; word < 3; word++) {
    for (int bit = 0; bit < 64; bit++) {
      tg_permit spoilt = held;
      spoilt.opaque[word] ^= UINT64_C(1) << bit;
      CHECK_STATUS(tg_guard_exit(&spoilt, TG_OUTCOME_SUCCESS), TG_NOT_HELD);
    }
  }
  CHECK_EQ(stats_of(guard).inflight, 1);
  CHECK_STATUS(tg_guard_exit(&held, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_EQ(stats_of(guard).inflight, 0);
  tg_runtime_close(rt);
}

TEST(a_refused_permit_holds_nothing) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"concurrency\":{\"max\":1}}");
  tg_permit held, refused;
  CHECK_STATUS(tg_guard_enter(guard, NULL, &held), TG_OK);
  CHECK_STATUS(tg_guard_enter(guard, NULL, &refused), TG_REFUSED_CONCURRENCY);
  CHECK_STATUS(tg_guard_exit(&refused, TG_OUTCOME_SUCCESS), TG_NOT_HELD);
  CHECK_EQ(stats_of(guard).inflight, 1);
  CHECK_EQ(stats_of(guard).misused_exits, 1);
  CHECK_STATUS(tg_guard_exit(&held, TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(rt);
}

TEST(enter_initialises_whatever_was_there) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guard_of(rt, "g");
  tg_permit permit;
  memset(&permit, 0xA5, sizeof permit);
  CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_OK);
  CHECK_EQ(tg_permit_retry_after(&permit), 0);
  CHECK_EQ(tg_permit_deadline(&permit), 0);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
  memset(&permit, 0xA5, sizeof permit);
  CHECK_STATUS(tg_guard_enter(NULL, NULL, &permit), TG_INVALID);
  check_holds_nothing(&permit);
  tg_runtime_close(rt);
}

TEST(an_outcome_that_is_none_leaves_the_permit) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guard_of(rt, "g");
  tg_permit permit;
  CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_OK);
  const tg_outcome strange[] = { -1, 6, INT32_MAX, INT32_MIN };
  for (size_t i = 0; i < 4; i++) CHECK_STATUS(tg_guard_exit(&permit, strange[i]), TG_INVALID);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_IGNORED), TG_OK);
  tg_runtime_close(rt);
}

TEST(max_hold_takes_back_and_a_late_exit_is_harmless) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"concurrency\":{\"max\":1},\"max_hold\":\"1s\"}");
  tg_permit lost, next, other;
  CHECK_STATUS(tg_guard_enter(guard, NULL, &lost), TG_OK);
  tg_clock_advance(rt, 2 * SECOND);
  CHECK_STATUS(tg_guard_enter(guard, NULL, &next), TG_OK);
  CHECK_STATUS(tg_guard_exit(&lost, TG_OUTCOME_SUCCESS), TG_EXPIRED);
  CHECK_STATUS(tg_guard_exit(&lost, TG_OUTCOME_SUCCESS), TG_NOT_HELD);
  CHECK_STATUS(tg_guard_enter(guard, NULL, &other), TG_REFUSED_CONCURRENCY);
  CHECK_EQ(stats_of(guard).expired, 1);
  CHECK_STATUS(tg_guard_exit(&next, TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(rt);
}

/* The epochs of max_hold are counted in 15 bits: a very late exit may name one that is in force again. */
TEST(an_exit_after_all_epochs_is_harmless_too) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"concurrency\":{\"max\":2},\"max_hold\":\"1s\"}");
  tg_permit lost;
  CHECK_STATUS(tg_guard_enter(guard, NULL, &lost), TG_OK);
  for (int i = 0; i < 4; i++) {
    tg_clock_advance(rt, 8192 * SECOND);
    CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  }
  CHECK_STATUS(tg_guard_exit(&lost, TG_OUTCOME_SUCCESS), TG_EXPIRED);
  CHECK_EQ(stats_of(guard).inflight, 0);
  CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_EQ(stats_of(guard).expired, 1);
  tg_runtime_close(rt);
}

/* A permit lies anywhere in memory that is aligned for it. */
TEST(permits_may_be_moved) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guard_of(rt, "g");
  tg_permit *permits = malloc(1000 * sizeof *permits), *moved = NULL;
  REQUIRE(permits != NULL);
  for (int i = 0; i < 1000; i++) CHECK_STATUS(tg_guard_enter(guard, NULL, &permits[i]), TG_OK);
  CHECK_EQ(stats_of(guard).inflight, 1000);
  moved = malloc(1000 * sizeof *moved);
  REQUIRE(moved != NULL);
  memcpy(moved, permits, 1000 * sizeof *moved);
  free(permits);
  for (int i = 999; i >= 0; i--) CHECK_STATUS(tg_guard_exit(&moved[i], TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_EQ(stats_of(guard).inflight, 0);
  free(moved);
  tg_runtime_close(rt);
}

TEST_MAIN
