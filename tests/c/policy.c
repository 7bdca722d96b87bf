/* Policies: load, decide, swap, roll back, unload; guests that mean no good. */
#include "guest.h"
#include <dirent.h>
#include <pthread.h>

#define BOUND "{\"policy\":{\"name\":\"p\",\"on_fail\":\"%s\"}}"

static const tg_guard *bound(const tg_runtime *rt, const char *on_fail) {
  char rules[128];
  snprintf(rules, sizeof rules, BOUND, on_fail);
  return guarded(rt, rules);
}

static tg_status enter_at(const tg_guard *guard, uint64_t cost, tg_permit *permit) {
  tg_call call = TG_CALL_INIT;
  call.cost = cost;
  return tg_guard_enter(guard, &call, permit);
}

static uint64_t generation_of(const tg_runtime *rt, const char *name) {
  uint64_t generation = 0;
  CHECK_STATUS(tg_policy_generation(rt, str(name), &generation), TG_OK);
  return generation;
}

TEST(without_wasm_everything_says_so) {
  if (has_wasm()) return;
  tg_runtime *rt = open_virtual();
  uint64_t generation = 0;
  tg_error error = TG_ERROR_INIT;
  const uint8_t wasm[] = { 0, 'a', 's', 'm', 1, 0, 0, 0 };
  CHECK_STATUS(tg_policy_load(rt, TG_STR("p"), wasm, sizeof wasm, NULL, &error), TG_UNSUPPORTED);
  CHECK(error.message[0] != 0);
  CHECK_STATUS(tg_policy_check(rt, wasm, sizeof wasm, NULL, NULL), TG_UNSUPPORTED);
  CHECK_STATUS(tg_policy_rollback(rt, TG_STR("p"), NULL), TG_UNSUPPORTED);
  CHECK_STATUS(tg_policy_unload(rt, TG_STR("p")), TG_UNSUPPORTED);
  CHECK_STATUS(tg_policy_generation(rt, TG_STR("p"), &generation), TG_UNSUPPORTED);
  tg_permit permit;
  CHECK_STATUS(tg_guard_enter(bound(rt, "deny"), NULL, &permit), TG_REFUSED_POLICY);
  tg_runtime_close(rt);
}

TEST(until_it_is_loaded_on_fail_answers) {
  tg_runtime *rt = open_virtual();
  tg_permit permit;
  CHECK_STATUS(pass(bound(rt, "allow"), TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(rt);
  rt = open_virtual();
  CHECK_STATUS(tg_guard_enter(bound(rt, "deny"), NULL, &permit), TG_REFUSED_POLICY);
  CHECK_EQ(tg_permit_reason(&permit), 0);
  tg_runtime_close(rt);
}

TEST(each_verdict_reaches_the_permit) {
  if (!has_wasm()) return;
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = bound(rt, "deny");
  CHECK_STATUS(guest_load(rt, "p", "by_cost"), TG_OK);
  tg_permit permit;
  CHECK_STATUS(enter_at(guard, 1, &permit), TG_OK);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(enter_at(guard, 2, &permit), TG_REFUSED_POLICY);
  CHECK_EQ(tg_permit_stage(&permit), TG_STAGE_POLICY);
  CHECK_EQ(tg_permit_reason(&permit), 7);
  CHECK_EQ(tg_permit_retry_after(&permit), 250 * MS);
  CHECK_STATUS(enter_at(guard, 3, &permit), TG_OK);
  CHECK_EQ(tg_permit_wait(&permit), 2 * MS);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_CANCELLED), TG_OK);
  CHECK_STATUS(enter_at(guard, 4, &permit), TG_OK);
  CHECK_EQ(tg_permit_route(&permit), 9);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_EQ(stats_of(guard).rejected[TG_STAGE_POLICY], 1);
  tg_runtime_close(rt);
}

TEST(a_wait_past_the_deadline_is_a_refusal) {
  if (!has_wasm()) return;
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = bound(rt, "allow");
  CHECK_STATUS(guest_load(rt, "p", "by_cost"), TG_OK);
  tg_call call = TG_CALL_INIT;
  tg_permit permit;
  call.cost = 3, call.timeout_ns = MS;
  CHECK_STATUS(tg_guard_enter(guard, &call, &permit), TG_REFUSED_DEADLINE);
  CHECK_EQ(stats_of(guard).inflight, 0);
  tg_runtime_close(rt);
}

/* A trap, a loop, a recursion, a growth, a nonsense: each costs its call the on_fail answer, and no more. */
TEST(misbehaviour_is_contained) {
  if (!has_wasm()) return;
  const char *const answers[] = { "allow", "deny" };
  for (int deny = 0; deny < 2; deny++) {
    tg_runtime *rt = open_virtual();
    const tg_guard *guard = bound(rt, answers[deny]);
    tg_permit permit;
    for (uint64_t cost = 5; cost <= 9; cost++) {
      CHECK_STATUS(guest_load(rt, "p", "by_cost"), TG_OK);
      CHECK_STATUS(enter_at(guard, cost, &permit), deny ? TG_REFUSED_POLICY : TG_OK);
      if (!deny) CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
      CHECK_STATUS(enter_at(guard, 2, &permit), TG_REFUSED_POLICY);
      CHECK_EQ(tg_permit_reason(&permit), 7);
    }
    CHECK_EQ(stats_of(guard).inflight, 0);
    tg_runtime_close(rt);
  }
}

TEST(a_swap_counts_generations_and_rolls_back) {
  if (!has_wasm()) return;
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = bound(rt, "deny");
  tg_permit permit;
  CHECK_STATUS(tg_policy_rollback(rt, TG_STR("p"), NULL), TG_NOT_FOUND);
  CHECK_STATUS(guest_load(rt, "p", "well_behaved"), TG_OK);
  CHECK_EQ(generation_of(rt, "p"), 1);
  CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(guest_load(rt, "p", "deny"), TG_OK);
  CHECK_EQ(generation_of(rt, "p"), 2);
  CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_REFUSED_POLICY);
  CHECK_EQ(tg_permit_reason(&permit), 8);
  CHECK_STATUS(tg_policy_rollback(rt, TG_STR("p"), NULL), TG_OK);
  CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(rt);
}

TEST(a_refused_module_leaves_what_was_in_force) {
  if (!has_wasm()) return;
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = bound(rt, "allow");
  tg_permit permit;
  CHECK_STATUS(guest_load(rt, "p", "deny"), TG_OK);
  CHECK_STATUS(guest_load(rt, "p", "trap_in_init"), TG_POLICY_REJECTED);
  CHECK_STATUS(guest_load(rt, "p", "no_decide"), TG_POLICY_REJECTED);
  CHECK_EQ(generation_of(rt, "p"), 1);
  CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_REFUSED_POLICY);
  CHECK_EQ(tg_permit_reason(&permit), 8);
  tg_runtime_close(rt);
}

TEST(unloading_gives_on_fail_the_word) {
  if (!has_wasm()) return;
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = bound(rt, "allow");
  tg_permit permit;
  uint64_t generation;
  CHECK_STATUS(guest_load(rt, "p", "deny"), TG_OK);
  CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_REFUSED_POLICY);
  CHECK_STATUS(tg_policy_unload(rt, TG_STR("p")), TG_OK);
  CHECK_STATUS(tg_policy_unload(rt, TG_STR("p")), TG_NOT_FOUND);
  CHECK_STATUS(tg_policy_generation(rt, TG_STR("p"), &generation), TG_NOT_FOUND);
  CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(rt);
}

TEST(a_check_publishes_nothing) {
  if (!has_wasm()) return;
  tg_runtime *rt = open_virtual();
  guest good = guest_read("well_behaved"), bad = guest_read("imports_wasi");
  uint64_t generation;
  tg_error error = TG_ERROR_INIT;
  CHECK_STATUS(tg_policy_check(rt, good.bytes, good.len, NULL, &error), TG_OK);
  CHECK_STATUS(tg_policy_check(rt, bad.bytes, bad.len, NULL, &error), TG_POLICY_REJECTED);
  CHECK(strstr(error.message, "wasi") != NULL);
  CHECK_STATUS(tg_policy_generation(rt, TG_STR("p"), &generation), TG_NOT_FOUND);
  free(good.bytes), free(bad.bytes);
  tg_runtime_close(rt);
}

TEST(absurd_options_are_refused) {
  if (!has_wasm()) return;
  tg_runtime *rt = open_virtual();
  guest good = guest_read("well_behaved");
  tg_policy_options slow = TG_POLICY_OPTIONS_INIT, large = TG_POLICY_OPTIONS_INIT;
  slow.deadline_ns = UINT64_MAX;
  large.memory_max_bytes = UINT64_MAX;
  CHECK_STATUS(tg_policy_check(rt, good.bytes, good.len, &slow, NULL), TG_INVALID);
  CHECK_STATUS(tg_policy_check(rt, good.bytes, good.len, &large, NULL), TG_INVALID);
  free(good.bytes);
  tg_runtime_close(rt);
}

/* Every hostile guest: refused, or loaded and contained; the guard goes on. */
TEST(hostile_guests_do_no_harm) {
  if (!has_wasm()) return;
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = bound(rt, "allow");
  DIR *dir = opendir(GUESTS);
  REQUIRE(dir != NULL);
  int seen = 0;
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    char *dot = strstr(entry->d_name, ".wasm");
    if (dot == NULL) continue;
    *dot = 0;
    seen++;
    tg_status loaded = guest_load(rt, "p", entry->d_name);
    CHECK(loaded == TG_OK || loaded == TG_POLICY_REJECTED);
    tg_status passed = pass(guard, TG_OUTCOME_SUCCESS);
    CHECK(passed == TG_OK || passed == TG_REFUSED_POLICY);
    if (loaded == TG_OK) CHECK_STATUS(tg_policy_unload(rt, TG_STR("p")), TG_OK);
  }
  closedir(dir);
  CHECK(seen > 20);
  CHECK_EQ(stats_of(guard).inflight, 0);
  tg_runtime_close(rt);
}

TEST(a_module_cut_short_or_spoilt_is_refused_or_contained) {
  if (!has_wasm()) return;
  tg_runtime *rt = open_virtual();
  guest good = guest_read("by_cost");
  for (size_t len = 0; len < good.len; len += 3)
    CHECK_STATUS(tg_policy_check(rt, good.bytes, len, NULL, NULL), TG_POLICY_REJECTED);
  for (size_t at = 0; at < good.len; at += 7) {
    good.bytes[at] ^= 0x55;
    tg_status status = tg_policy_check(rt, good.bytes, good.len, NULL, NULL);
    CHECK(status == TG_OK || status == TG_POLICY_REJECTED);
    good.bytes[at] ^= 0x55;
  }
  free(good.bytes);
  tg_runtime_close(rt);
}

TEST(policies_show_in_the_metrics) {
  if (!has_wasm()) return;
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = bound(rt, "allow");
  CHECK_STATUS(guest_load(rt, "p", "well_behaved"), TG_OK);
  CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  tg_text *text = NULL;
  CHECK_STATUS(tg_metrics_render(rt, TG_STR(""), &text, NULL), TG_OK);
  CHECK(holds(text, "tidegate_policy_"));
  tg_text_free(text);
  tg_runtime_close(rt);
}

/* Large enough for the library, too small for a guest that recurses to its limit. */
#define SMALL_STACK (160 << 10)

static void on_a_small_stack(void *(*body)(void *), void *with) {
  pthread_attr_t attributes;
  pthread_t thread;
  REQUIRE(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, SMALL_STACK) == 0);
  REQUIRE(pthread_create(&thread, &attributes, body, with) == 0);
  pthread_join(thread, NULL);
  pthread_attr_destroy(&attributes);
}

static void *recurse_without_end(void *guard) {
  tg_permit permit;
  CHECK_STATUS(enter_at(guard, 7, &permit), TG_REFUSED_POLICY);
  CHECK_EQ(tg_permit_reason(&permit), 0);
  return NULL;
}

static void *load_here(void *rt) {
  guest guest = guest_read("by_cost");
  tg_error error = TG_ERROR_INIT;
  CHECK_STATUS(tg_policy_load(rt, TG_STR("p"), guest.bytes, guest.len, NULL, &error), TG_SYSTEM);
  CHECK(strstr(error.message, "stack") != NULL);
  free(guest.bytes);
  return NULL;
}

TEST(a_small_stack_gets_no_answer) {
  if (!has_wasm()) return;
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = bound(rt, "deny");
  CHECK_STATUS(guest_load(rt, "p", "by_cost"), TG_OK);
  on_a_small_stack(recurse_without_end, (void *)(uintptr_t)guard);
  on_a_small_stack(load_here, rt);
  CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(rt);
}

TEST_MAIN
