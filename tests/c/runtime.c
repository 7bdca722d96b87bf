/* Opening and closing. */
#include "support.h"

static tg_status open_with(tg_options *options, tg_runtime **out) {
  tg_error error = TG_ERROR_INIT;
  tg_status status = tg_runtime_open(options, out, &error);
  CHECK_EQ(error.status, status);
  CHECK((status == TG_OK) == (*out != NULL));
  CHECK((status == TG_OK) == (error.message[0] == 0));
  return status;
}

TEST(opens_with_defaults) {
  tg_runtime *rt = NULL;
  CHECK_STATUS(tg_runtime_open(NULL, &rt, NULL), TG_OK);
  CHECK(rt != NULL);
  CHECK_STATUS(tg_thread_prepare(rt), TG_OK);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
}

TEST(closes_once) {
  tg_runtime *rt = open_plain();
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
  CHECK_STATUS(tg_runtime_close(rt), TG_CLOSED);
  CHECK_STATUS(tg_runtime_close(NULL), TG_OK);
}

TEST(everything_of_a_closed_runtime_says_so) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guard_of(rt, "g");
  tg_instrument desc = described("n");
  const tg_counter *counter = NULL;
  CHECK_STATUS(tg_counter_resolve(rt, &desc, &counter, NULL), TG_OK);
  tg_permit held, refused;
  CHECK_STATUS(tg_guard_enter(guard, NULL, &held), TG_OK);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);

  tg_error error = TG_ERROR_INIT;
  const tg_guard *other = guard;
  uint64_t number = 0;
  uint32_t id = 0;
  tg_text *text = NULL;
  tg_guard_stats stats = TG_GUARD_STATS_INIT;
  CHECK_STATUS(tg_guard_exit(&held, TG_OUTCOME_SUCCESS), TG_CLOSED);
  CHECK_STATUS(tg_guard_exit(&held, TG_OUTCOME_SUCCESS), TG_NOT_HELD);
  CHECK_STATUS(tg_guard_enter(guard, NULL, &refused), TG_CLOSED);
  CHECK_STATUS(tg_guard_exit(&refused, TG_OUTCOME_SUCCESS), TG_NOT_HELD);
  CHECK_STATUS(tg_guard_stats_read(guard, &stats), TG_CLOSED);
  CHECK_STATUS(tg_guard_retire(guard), TG_CLOSED);
  CHECK_STATUS(tg_guard_resolve(rt, TG_STR("g"), &other, &error), TG_CLOSED);
  CHECK(other == NULL && error.status == TG_CLOSED && error.message[0] != 0);
  CHECK_STATUS(tg_attribute_resolve(rt, TG_STR("tenant"), &id), TG_CLOSED);
  CHECK_STATUS(tg_counter_add(counter, 1), TG_CLOSED);
  CHECK_STATUS(tg_counter_value(counter, &number), TG_CLOSED);
  CHECK_STATUS(tg_counter_resolve(rt, &desc, &counter, NULL), TG_CLOSED);
  CHECK_STATUS(tg_thread_prepare(rt), TG_CLOSED);
  CHECK_STATUS(tg_clock_now(rt, &number), TG_CLOSED);
  CHECK_STATUS(tg_clock_set(rt, 1), TG_CLOSED);
  CHECK_STATUS(tg_clock_advance(rt, 1), TG_CLOSED);
  CHECK_STATUS(tg_rules_apply(rt, "{\"version\":1}", 13, NULL), TG_CLOSED);
  CHECK_STATUS(tg_rules_version(rt, &number), TG_CLOSED);
  CHECK_STATUS(tg_metrics_render(rt, TG_STR(""), &text, NULL), TG_CLOSED);
  CHECK(text == NULL);
  CHECK_STATUS(tg_policy_load(rt, TG_STR("p"), (const uint8_t *)"x", 1, NULL, NULL), TG_CLOSED);
  CHECK_STATUS(tg_policy_generation(rt, TG_STR("p"), &number), TG_CLOSED);
}

TEST(private_runtimes_share_nothing) {
  tg_runtime *one = open_virtual(), *two = open_virtual();
  CHECK_STATUS(pass(guard_of(one, "g"), TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_EQ(stats_of(guard_of(one, "g")).calls[TG_OUTCOME_SUCCESS], 1);
  CHECK_EQ(stats_of(guard_of(two, "g")).calls[TG_OUTCOME_SUCCESS], 0);
  tg_runtime_close(one);
  CHECK_STATUS(pass(guard_of(two, "g"), TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(two);
}

TEST(one_name_is_one_segment) {
  tg_options options = TG_OPTIONS_INIT;
  options.name = TG_STR("tests.c.runtime");
  tg_runtime *one = NULL, *two = NULL;
  CHECK_STATUS(open_with(&options, &one), TG_OK);
  CHECK_STATUS(open_with(&options, &two), TG_OK);
  const tg_guard *first = guarded(one, "{\"concurrency\":{\"max\":1}}"), *second = guard_of(two, "g");
  tg_permit permit, other;
  CHECK_STATUS(tg_guard_enter(first, NULL, &permit), TG_OK);
  CHECK_STATUS(tg_guard_enter(second, NULL, &other), TG_REFUSED_CONCURRENCY);
  CHECK_EQ(stats_of(second).inflight, 1);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
  uint64_t version = 0;
  CHECK_STATUS(tg_rules_version(two, &version), TG_OK);
  CHECK_EQ(version, 1);
  CHECK_STATUS(tg_runtime_close(one), TG_OK);
  CHECK_STATUS(pass(second, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_EQ(stats_of(second).calls[TG_OUTCOME_SUCCESS], 2);
  CHECK_STATUS(tg_runtime_close(two), TG_OK);
}

TEST(odd_options_are_refused) {
  tg_runtime *rt = NULL;
  tg_options clock = TG_OPTIONS_INIT, small = TG_OPTIONS_INIT, huge = TG_OPTIONS_INIT, threads = TG_OPTIONS_INIT;
  clock.clock = 2;
  CHECK_STATUS(open_with(&clock, &rt), TG_INVALID);
  small.segment_bytes = 4096;
  CHECK_STATUS(open_with(&small, &rt), TG_INVALID);
  huge.segment_bytes = UINT64_MAX;
  CHECK_STATUS(open_with(&huge, &rt), TG_INVALID);
  threads.max_threads = 1025;
  CHECK_STATUS(open_with(&threads, &rt), TG_INVALID);
  tg_options guards = TG_OPTIONS_INIT;
  guards.max_guards = UINT32_MAX;
  CHECK_STATUS(open_with(&guards, &rt), TG_INVALID);
}

TEST(the_smallest_segment_works) {
  tg_options options = TG_OPTIONS_INIT;
  options.segment_bytes = 1 << 20;
  options.max_threads = 1;
  tg_runtime *rt = NULL;
  CHECK_STATUS(open_with(&options, &rt), TG_OK);
  if (rt == NULL) return;
  CHECK_STATUS(pass(guard_of(rt, "g"), TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(rt);
}

/* A full segment has its overflow guard and series, and says so where it cannot. */
TEST(a_full_segment_overflows) {
  tg_options options = TG_OPTIONS_INIT;
  options.segment_bytes = 1 << 20;
  options.max_guards = 65536;
  tg_runtime *rt = NULL;
  CHECK_STATUS(open_with(&options, &rt), TG_OK);
  if (rt == NULL) return;
  const tg_guard *guard = NULL;
  for (int i = 0; i < 20000; i++) {
    char name[32];
    snprintf(name, sizeof name, "guard.%d", i);
    CHECK_STATUS(tg_guard_resolve(rt, str(name), &guard, NULL), TG_OK);
    if (guard == NULL) break;
  }
  const tg_guard *overflow = guard_of(rt, "tidegate.overflow");
  CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(pass(overflow, TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(rt);
}

TEST(guards_beyond_the_limit_share_one) {
  tg_options options = TG_OPTIONS_INIT;
  options.max_guards = 3;
  tg_runtime *rt = NULL;
  CHECK_STATUS(open_with(&options, &rt), TG_OK);
  if (rt == NULL) return;
  for (int i = 0; i < 10; i++) {
    char name[32];
    snprintf(name, sizeof name, "guard.%d", i);
    CHECK_STATUS(pass(guard_of(rt, name), TG_OUTCOME_SUCCESS), TG_OK);
  }
  CHECK_EQ(stats_of(guard_of(rt, "tidegate.overflow")).calls[TG_OUTCOME_SUCCESS], 7);
  tg_runtime_close(rt);
}

/* People put URLs into names: a flood of them must not take memory for ever. */
TEST(names_and_labels_beyond_the_limit_share_one_handle) {
  tg_options options = TG_OPTIONS_INIT;
  options.max_guards = 1;
  tg_runtime *rt = NULL;
  CHECK_STATUS(open_with(&options, &rt), TG_OK);
  if (rt == NULL) return;
  guard_of(rt, "the.only.one");
  CHECK(guard_of(rt, "/orders/1") == guard_of(rt, "/orders/2"));
  char value[16];
  tg_label label = { TG_STR("url"), { value, 0 } };
  tg_instrument desc = described("flood_total");
  desc.labels = &label, desc.label_count = 1;
  const tg_counter *last = NULL, *before = NULL;
  for (int i = 0; i < 2010; i++) {
    before = last;
    label.value.len = (size_t)snprintf(value, sizeof value, "/%d", i);
    CHECK_STATUS(tg_counter_resolve(rt, &desc, &last, NULL), TG_OK);
  }
  CHECK(last == before);
  tg_runtime_close(rt);
}

TEST(opening_and_closing_leaves_no_descriptor) {
  int descriptors[2];
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < 50; i++) CHECK_STATUS(tg_runtime_close(open_plain()), TG_OK);
    FILE *probe = tmpfile();
    REQUIRE(probe != NULL);
    descriptors[round] = fileno(probe);
    fclose(probe);
  }
  CHECK_EQ(descriptors[1], descriptors[0]);
}

TEST_MAIN
