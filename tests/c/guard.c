/* Guards: resolve, enter, exit, stats, retire. */
#include "support.h"

TEST(a_guard_without_rules_lets_pass_and_counts) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guard_of(rt, "plain");
  for (int outcome = 0; outcome <= TG_OUTCOME_IGNORED; outcome++) {
    tg_permit permit;
    CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_OK);
    CHECK_EQ(stats_of(guard).inflight, 1);
    tg_clock_advance(rt, MS);
    CHECK_STATUS(tg_guard_exit(&permit, outcome), TG_OK);
  }
  tg_guard_stats stats = stats_of(guard);
  for (int outcome = 0; outcome <= TG_OUTCOME_IGNORED; outcome++) CHECK_EQ(stats.calls[outcome], 1);
  CHECK_EQ(stats.inflight, 0);
  CHECK_EQ(stats.breaker, 0);
  CHECK_EQ(stats.limit, 0);
  CHECK_EQ(stats.latency_count, 5); /* a cancelled call has no duration */
  CHECK_NEAR(stats.latency_sum, 0.005, 1e-9);
  CHECK_NEAR(stats.latency_p50, 0.001, 0.023);
  CHECK_NEAR(stats.latency_p90, 0.001, 0.023);
  CHECK_NEAR(stats.latency_p99, 0.001, 0.023);
  tg_runtime_close(rt);
}

TEST(the_same_name_is_the_same_guard) {
  tg_runtime *rt = open_virtual();
  CHECK(guard_of(rt, "a") == guard_of(rt, "a"));
  CHECK(guard_of(rt, "a") != guard_of(rt, "b"));
  tg_runtime_close(rt);
}

TEST(refusals_say_which_stage_and_when_to_come_back) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"rate\":[{\"limit\":1000,\"burst\":9},{\"limit\":10,\"burst\":1}]}");
  tg_permit permit;
  CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_REFUSED_RATE);
  CHECK_EQ(tg_permit_stage(&permit), TG_STAGE_RATE);
  CHECK_EQ(tg_permit_retry_after(&permit), 100 * MS);
  CHECK_EQ(tg_permit_reason(&permit), 1); /* the second limit */
  CHECK_EQ(tg_permit_wait(&permit), 0);
  CHECK_EQ(tg_permit_route(&permit), 0);
  CHECK_EQ(stats_of(guard).rejected[TG_STAGE_RATE], 1);
  tg_runtime_close(rt);
}

TEST(a_cost_over_the_burst_never_fits) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"rate\":[{\"limit\":10,\"burst\":5}]}");
  tg_call call = TG_CALL_INIT;
  tg_permit permit;
  call.cost = 6;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_REFUSED_RATE);
  CHECK_EQ(tg_permit_retry_after(&permit), UINT64_MAX);
  call.cost = UINT64_MAX;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_REFUSED_RATE);
  call.cost = 5;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_OK);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(rt);
}

TEST(the_earliest_deadline_wins) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"timeout\":\"800ms\"}");
  tg_call call = TG_CALL_INIT;
  tg_permit permit;
  CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_OK);
  CHECK_EQ(tg_permit_deadline(&permit), START + 800 * MS);
  tg_guard_exit(&permit, TG_OUTCOME_SUCCESS);
  call.timeout_ns = 5 * MS;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_OK);
  CHECK_EQ(tg_permit_deadline(&permit), START + 5 * MS);
  tg_guard_exit(&permit, TG_OUTCOME_SUCCESS);
  call.deadline_ns = START + MS;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_OK);
  CHECK_EQ(tg_permit_deadline(&permit), START + MS);
  tg_guard_exit(&permit, TG_OUTCOME_SUCCESS);
  call.deadline_ns = START;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_REFUSED_DEADLINE);
  CHECK_EQ(tg_permit_stage(&permit), TG_STAGE_DEADLINE);
  call = (tg_call)TG_CALL_INIT;
  call.timeout_ns = UINT64_MAX;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_OK);
  CHECK_EQ(tg_permit_deadline(&permit), START + 800 * MS);
  tg_guard_exit(&permit, TG_OUTCOME_SUCCESS);
  tg_runtime_close(rt);
}

TEST(shadow_counts_and_lets_pass) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"concurrency\":{\"max\":1,\"mode\":\"shadow\"}}");
  tg_permit one, two;
  CHECK_STATUS(tg_guard_enter(guard, NULL, &one), TG_OK);
  CHECK_STATUS(tg_guard_enter(guard, NULL, &two), TG_OK);
  tg_guard_stats stats = stats_of(guard);
  CHECK_EQ(stats.shadow_rejected[TG_STAGE_CONCURRENCY], 1);
  CHECK_EQ(stats.rejected[TG_STAGE_CONCURRENCY], 0);
  CHECK_EQ(stats.limit, 1);
  CHECK_STATUS(tg_guard_exit(&two, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(tg_guard_exit(&one, TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(rt);
}

TEST(the_breaker_shows_its_state) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"breaker\":{\"consecutive_failures\":1,\"open_for\":\"1s\"}}");
  CHECK_EQ(stats_of(guard).breaker, 1);
  CHECK_STATUS(pass(guard, TG_OUTCOME_FAILURE), TG_OK);
  CHECK_EQ(stats_of(guard).breaker, 2);
  tg_permit permit;
  CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_REFUSED_BREAKER);
  CHECK(tg_permit_retry_after(&permit) > SECOND - MS && tg_permit_retry_after(&permit) <= SECOND + MS);
  tg_clock_advance(rt, SECOND + MS);
  CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_OK);
  CHECK_EQ(stats_of(guard).breaker, 3);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
  tg_guard_stats stats = stats_of(guard);
  CHECK_EQ(stats.breaker, TG_BREAKER_CLOSED);
  CHECK_EQ(stats.breaker_transitions[TG_BREAKER_CLOSED], 1);
  CHECK_EQ(stats.breaker_transitions[TG_BREAKER_OPEN], 1);
  CHECK_EQ(stats.breaker_transitions[TG_BREAKER_HALF_OPEN], 1);
  tg_runtime_close(rt);
}

TEST(a_retired_guard_is_gone_and_its_name_is_free) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guard_of(rt, "short.lived");
  tg_permit held, permit;
  CHECK_STATUS(tg_guard_enter(guard, NULL, &held), TG_OK);
  CHECK_STATUS(tg_guard_retire(guard), TG_OK);
  CHECK_STATUS(tg_guard_retire(guard), TG_CLOSED);
  CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_CLOSED);
  CHECK_STATUS(tg_guard_exit(&held, TG_OUTCOME_SUCCESS), TG_CLOSED);
  const tg_guard *again = guard_of(rt, "short.lived");
  CHECK_STATUS(pass(again, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_EQ(stats_of(again).calls[TG_OUTCOME_SUCCESS], 1);
  CHECK_EQ(stats_of(again).inflight, 0);
  tg_runtime_close(rt);
}

TEST(a_call_may_say_much) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guard_of(rt, "g");
  tg_attribute attributes[16];
  for (int i = 0; i < 16; i++) attributes[i] = (tg_attribute){ (uint32_t)i, 0, TG_STR("value") };
  tg_call call = TG_CALL_INIT;
  tg_permit permit;
  call.criticality = TG_CRITICALITY_SHEDDABLE;
  call.key = TG_STR("tenant \xFF\x00 any bytes");
  call.attributes = attributes;
  call.attribute_count = 16;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_OK);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
  call.attribute_count = 17;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_INVALID);
  call.attribute_count = 1;
  call.attributes = NULL;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_INVALID);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_NOT_HELD);
  call.attribute_count = 0;
  call.criticality = 3;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_INVALID);
  CHECK_EQ(stats_of(guard).inflight, 0);
  tg_runtime_close(rt);
}

TEST(attributes_have_one_number_a_name) {
  tg_runtime *rt = open_virtual();
  uint32_t tenant = 0, again = 1, region = 0;
  CHECK_STATUS(tg_attribute_resolve(rt, TG_STR("tenant"), &tenant), TG_OK);
  CHECK_STATUS(tg_attribute_resolve(rt, TG_STR("tenant"), &again), TG_OK);
  CHECK_STATUS(tg_attribute_resolve(rt, TG_STR("region"), &region), TG_OK);
  CHECK(tenant == again && tenant != region);
  tg_runtime_close(rt);
}

TEST_MAIN
