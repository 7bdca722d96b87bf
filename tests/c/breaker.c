/* Breakers: what an operator sets, who hears of changes, and breakers that only count. */
#include "support.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct ear {
  const tg_guard *guard;
  tg_runtime *rt;
  uint64_t watch;
  int heard, freed, in_call;
  tg_breaker_change last;
  void (*then)(struct ear *);
} ear;

static void hear(void *ctx, const tg_breaker_change *change) {
  ear *to = ctx;
  CHECK_EQ(to->freed, 0);
  to->heard++, to->in_call++;
  to->last = *change;
  if (to->then) to->then(to);
  CHECK_EQ(to->freed, 0); /* not while it is called */
  to->in_call--;
}

static void let_go(void *ctx) {
  ear *to = ctx;
  CHECK_EQ(to->in_call, 0);
  to->freed++;
}

static void begin_watch(ear *to) { CHECK_STATUS(tg_guard_watch_breaker(to->guard, hear, to, let_go, &to->watch), TG_OK); }

static const char *const one_failure = "{\"breaker\":{\"consecutive_failures\":1,\"open_for\":\"1s\"}}";

TEST(a_watch_hears_each_change_once_and_why) {
  tg_runtime *rt = open_virtual();
  ear to = { .guard = guarded(rt, one_failure) };
  begin_watch(&to);
  CHECK_STATUS(pass(to.guard, TG_OUTCOME_FAILURE), TG_OK);
  CHECK_EQ(to.heard, 1);
  CHECK_EQ(to.last.struct_size, sizeof(tg_breaker_change));
  CHECK(to.last.guard == to.guard);
  CHECK_EQ(to.last.from, TG_BREAKER_CLOSED);
  CHECK_EQ(to.last.to, TG_BREAKER_OPEN);
  CHECK_EQ(to.last.reason, TG_BREAKER_FAILURES_IN_A_ROW);
  uint64_t opened = to.last.generation;
  CHECK_STATUS(pass(to.guard, TG_OUTCOME_SUCCESS), TG_REFUSED_BREAKER);
  CHECK_EQ(to.heard, 1); /* a refusal changes nothing */
  tg_clock_advance(rt, SECOND + MS);
  CHECK_STATUS(pass(to.guard, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_EQ(to.heard, 3);
  CHECK_EQ(to.last.from, TG_BREAKER_HALF_OPEN);
  CHECK_EQ(to.last.to, TG_BREAKER_CLOSED);
  CHECK_EQ(to.last.reason, TG_BREAKER_PROBES_PASSED);
  CHECK_EQ(to.last.generation, opened + 2);
  CHECK_STATUS(tg_guard_set_breaker(to.guard, TG_BREAKER_DISABLED), TG_OK);
  CHECK_EQ(to.last.reason, TG_BREAKER_FORCED);
  CHECK_STATUS(tg_guard_set_breaker(to.guard, TG_BREAKER_DISABLED), TG_OK);
  CHECK_EQ(to.heard, 4); /* it was there */
  CHECK_STATUS(tg_guard_set_breaker(to.guard, TG_BREAKER_CLOSED), TG_OK);
  CHECK_EQ(to.last.reason, TG_BREAKER_RESET);
  CHECK_STATUS(tg_guard_unwatch_breaker(to.guard, to.watch), TG_OK);
  CHECK_EQ(to.freed, 1);
  CHECK_STATUS(pass(to.guard, TG_OUTCOME_FAILURE), TG_OK);
  CHECK_EQ(to.heard, 5);
  CHECK_STATUS(tg_guard_unwatch_breaker(to.guard, to.watch), TG_NOT_FOUND);
  CHECK_EQ(to.freed, 1);
  tg_runtime_close(rt);
}

static void unwatch(ear *to) {
  CHECK_STATUS(tg_guard_unwatch_breaker(to->guard, to->watch), TG_OK);
  CHECK_STATUS(tg_guard_unwatch_breaker(to->guard, to->watch), TG_NOT_FOUND);
}

TEST(a_watch_ends_from_within_its_callback) {
  tg_runtime *rt = open_virtual();
  ear to = { .guard = guarded(rt, one_failure), .then = unwatch };
  begin_watch(&to);
  CHECK_STATUS(pass(to.guard, TG_OUTCOME_FAILURE), TG_OK);
  CHECK_EQ(to.heard, 1);
  CHECK_EQ(to.freed, 1);
  tg_clock_advance(rt, 2 * SECOND);
  CHECK_STATUS(pass(to.guard, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_EQ(to.heard, 1);
  tg_runtime_close(rt);
}

static void use_a_hundred_guards(ear *to) {
  if (to->heard > 1) return;
  for (int i = 0; i < 100; i++) {
    char name[32];
    snprintf(name, sizeof name, "other%d", i);
    CHECK_STATUS(pass(guard_of(to->rt, name), TG_OUTCOME_SUCCESS), TG_OK);
  }
}

/* A thread remembers 64 guards: the one whose call is on its way is forgotten meanwhile. */
TEST(a_callback_may_use_more_guards_than_a_thread_remembers) {
  tg_runtime *rt = open_virtual();
  ear to = { .rt = rt, .then = use_a_hundred_guards };
  to.guard = guarded(rt, "{\"breaker\":{\"consecutive_failures\":1,\"open_for\":\"1s\"},\"concurrency\":{\"max\":2}}");
  tg_permit permit;
  begin_watch(&to);
  CHECK_STATUS(pass(to.guard, TG_OUTCOME_FAILURE), TG_OK); /* heard at exit */
  CHECK_EQ(to.heard, 1);
  CHECK_EQ(stats_of(to.guard).calls[TG_OUTCOME_FAILURE], 1);
  CHECK_EQ(stats_of(to.guard).latency_count, 1);
  CHECK_EQ(stats_of(to.guard).inflight, 0);
  to.heard = 0;
  tg_clock_advance(rt, 2 * SECOND);
  CHECK_STATUS(tg_guard_enter(to.guard, NULL, &permit), TG_OK); /* heard amid enter */
  CHECK_EQ(stats_of(to.guard).inflight, 1);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_EQ(stats_of(to.guard).inflight, 0);
  CHECK_EQ(stats_of(to.guard).latency_count, 2);
  CHECK_EQ(stats_of(to.guard).breaker, TG_BREAKER_CLOSED);
  CHECK_EQ(stats_of(to.guard).misused_exits, 0);
  for (int i = 0; i < 100; i++) {
    char name[32];
    snprintf(name, sizeof name, "other%d", i);
    CHECK_EQ(stats_of(guard_of(rt, name)).calls[TG_OUTCOME_SUCCESS], 2);
    CHECK_EQ(stats_of(guard_of(rt, name)).latency_count, 2);
  }
  tg_runtime_close(rt);
}

static void change_rules(ear *to) {
  if (to->heard == 1) CHECK_STATUS(apply(to->rt, "{\"version\":2,\"guards\":{}}"), TG_OK);
}

TEST(a_callback_may_change_the_rules) {
  tg_runtime *rt = open_virtual();
  ear to = { .rt = rt, .guard = guarded(rt, one_failure), .then = change_rules };
  begin_watch(&to);
  CHECK_STATUS(pass(to.guard, TG_OUTCOME_FAILURE), TG_OK);
  CHECK_STATUS(pass(to.guard, TG_OUTCOME_FAILURE), TG_OK); /* there is no breaker any more */
  CHECK_EQ(stats_of(to.guard).calls[TG_OUTCOME_FAILURE], 2);
  CHECK_EQ(stats_of(to.guard).inflight, 0);
  tg_runtime_close(rt);
}

static void close_and_open_another(ear *to) {
  CHECK_STATUS(tg_runtime_close(to->rt), TG_OK);
  tg_runtime *other = open_virtual();
  CHECK_STATUS(pass(guard_of(other, "g"), TG_OUTCOME_SUCCESS), TG_OK);
  tg_runtime_close(other);
}

TEST(a_callback_may_close_the_runtime) {
  ear to = { .rt = open_virtual(), .then = close_and_open_another };
  to.guard = guarded(to.rt, one_failure);
  begin_watch(&to);
  tg_permit permit;
  CHECK_STATUS(tg_guard_enter(to.guard, NULL, &permit), TG_OK);
  tg_guard_exit(&permit, TG_OUTCOME_FAILURE); /* its place was given back before */
  CHECK_EQ(to.heard, 1);
  CHECK_EQ(to.freed, 1);
  CHECK_STATUS(tg_guard_enter(to.guard, NULL, &permit), TG_CLOSED);

  ear again = { .rt = open_virtual(), .then = close_and_open_another };
  again.guard = guarded(again.rt, one_failure);
  CHECK_STATUS(pass(again.guard, TG_OUTCOME_FAILURE), TG_OK);
  tg_clock_advance(again.rt, 2 * SECOND);
  begin_watch(&again);
  CHECK_STATUS(tg_guard_enter(again.guard, NULL, &permit), TG_CLOSED); /* heard amid enter */
  CHECK_EQ(again.freed, 1);
}

TEST(a_watch_ends_with_its_guard_and_its_runtime) {
  tg_runtime *rt = open_virtual();
  ear retired = { .guard = guarded(rt, one_failure) }, closed = { .guard = guard_of(rt, "other") };
  begin_watch(&retired), begin_watch(&closed);
  CHECK_STATUS(tg_guard_retire(retired.guard), TG_OK);
  CHECK_EQ(retired.freed, 1);
  CHECK_EQ(closed.freed, 0);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
  CHECK_EQ(closed.freed, 1);
  CHECK_STATUS(tg_guard_unwatch_breaker(closed.guard, closed.watch), TG_NOT_FOUND);
  ear late = { .guard = closed.guard };
  CHECK_STATUS(tg_guard_watch_breaker(late.guard, hear, &late, let_go, &late.watch), TG_CLOSED);
  CHECK_EQ(late.freed, 1); /* what fails frees too */
  CHECK_STATUS(tg_guard_set_breaker(closed.guard, TG_BREAKER_FORCED_OPEN), TG_CLOSED);
}

TEST(a_guard_has_sixty_four_watches) {
  tg_runtime *rt = open_virtual();
  ear to = { .guard = guarded(rt, one_failure) };
  for (int i = 0; i < 64; i++) begin_watch(&to);
  uint64_t one_more = 0;
  CHECK_STATUS(tg_guard_watch_breaker(to.guard, hear, &to, let_go, &one_more), TG_FULL);
  CHECK_EQ(to.freed, 1);
  to.freed = 0;
  CHECK_STATUS(pass(to.guard, TG_OUTCOME_FAILURE), TG_OK);
  CHECK_EQ(to.heard, 64);
  tg_runtime_close(rt);
  CHECK_EQ(to.freed, 64);
}

TEST(null_and_what_cannot_be_set) {
  tg_runtime *rt = open_virtual();
  ear to = { .guard = guarded(rt, one_failure) };
  CHECK_STATUS(tg_guard_watch_breaker(NULL, hear, &to, let_go, &to.watch), TG_INVALID);
  CHECK_STATUS(tg_guard_watch_breaker(to.guard, NULL, &to, let_go, &to.watch), TG_INVALID);
  CHECK_STATUS(tg_guard_watch_breaker(to.guard, hear, &to, let_go, NULL), TG_INVALID);
  CHECK_EQ(to.freed, 3);
  CHECK_STATUS(tg_guard_watch_breaker(to.guard, hear, &to, NULL, &to.watch), TG_OK);
  CHECK_STATUS(tg_guard_unwatch_breaker(NULL, to.watch), TG_INVALID);
  CHECK_STATUS(tg_guard_unwatch_breaker(to.guard, 0), TG_NOT_FOUND);
  CHECK_STATUS(tg_guard_set_breaker(NULL, TG_BREAKER_CLOSED), TG_INVALID);
  for (uint32_t state = TG_BREAKER_OPEN; state <= TG_BREAKER_RECOVERING; state++)
    CHECK_STATUS(tg_guard_set_breaker(to.guard, state), TG_INVALID);
  CHECK_STATUS(tg_guard_set_breaker(to.guard, 7), TG_INVALID);
  CHECK_STATUS(tg_guard_set_breaker(to.guard, UINT32_MAX), TG_INVALID);
  tg_runtime_close(rt);
}

TEST(a_child_hears_nothing_and_sees_what_is_forced) {
  tg_runtime *rt = open_virtual();
  ear to = { .guard = guarded(rt, one_failure) };
  begin_watch(&to);
  pid_t child = fork();
  if (child == 0) {
    tg_status forced = tg_guard_set_breaker(to.guard, TG_BREAKER_FORCED_OPEN);
    tg_status none = tg_guard_unwatch_breaker(to.guard, to.watch);
    _exit(forced == TG_OK && none == TG_NOT_FOUND && to.heard == 0 && to.freed == 0 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK_EQ(status, 0);
  CHECK_STATUS(pass(to.guard, TG_OUTCOME_SUCCESS), TG_REFUSED_BREAKER);
  CHECK_EQ(to.heard, 0);
  tg_runtime_close(rt);
  CHECK_EQ(to.freed, 1);
}

static void *watch_and_unwatch(void *ctx) {
  const tg_guard *guard = ctx;
  for (int i = 0; i < 500; i++) {
    static _Thread_local ear to;
    memset(&to, 0, sizeof to);
    to.guard = guard;
    CHECK_STATUS(tg_guard_watch_breaker(guard, NULL, &to, let_go, &to.watch), TG_INVALID);
    CHECK_EQ(to.freed, 1);
  }
  return NULL;
}

static atomic_int shared_heard, shared_freed;
static void hear_shared(void *ctx, const tg_breaker_change *change) {
  (void)ctx, (void)change;
  atomic_fetch_add(&shared_heard, 1);
}
static void free_shared(void *ctx) {
  free(ctx);
  atomic_fetch_add(&shared_freed, 1);
}

static void *churn(void *ctx) {
  const tg_guard *guard = ctx;
  for (int i = 0; i < 500; i++) {
    uint64_t watch = 0;
    CHECK_STATUS(tg_guard_watch_breaker(guard, hear_shared, malloc(16), free_shared, &watch), TG_OK);
    CHECK_STATUS(tg_guard_set_breaker(guard, TG_BREAKER_CLOSED), TG_OK);
    CHECK_STATUS(tg_guard_unwatch_breaker(guard, watch), TG_OK);
  }
  return NULL;
}

TEST(threads_watch_and_change_at_once) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, one_failure);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, i == 0 ? watch_and_unwatch : churn, (void *)guard);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  CHECK_EQ(atomic_load(&shared_freed), 1500);
  CHECK(atomic_load(&shared_heard) >= 1500); /* each thread hears of its own changes at least */
  tg_runtime_close(rt);
}

/* Counted breakers. */

static const tg_breaker *counted(const tg_runtime *rt, const char *name, uint32_t max_requests) {
  tg_breaker_options options = TG_BREAKER_OPTIONS_INIT;
  const tg_breaker *breaker = NULL;
  options.max_requests = max_requests, options.timeout_ns = SECOND;
  CHECK_STATUS(tg_breaker_resolve(rt, str(name), &options, &breaker, NULL), TG_OK);
  REQUIRE(breaker != NULL);
  return breaker;
}

static tg_breaker_counts counts_of(const tg_breaker *breaker) {
  tg_breaker_counts counts = TG_BREAKER_COUNTS_INIT;
  CHECK_STATUS(tg_breaker_counts_read(breaker, &counts), TG_OK);
  return counts;
}

TEST(a_ticket_is_ended_once_and_where_it_was_given) {
  tg_runtime *rt = open_virtual();
  const tg_breaker *one = counted(rt, "", 1), *other = counted(rt, "", 1);
  CHECK(one != other);
  tg_breaker_ticket ticket, zeroed = { 0 };
  CHECK_STATUS(tg_breaker_ask(one, &ticket), TG_OK);
  CHECK_STATUS(tg_breaker_end(other, &ticket, TG_ENDING_SUCCESS), TG_NOT_HELD);
  CHECK_STATUS(tg_breaker_end(one, &ticket, 3), TG_INVALID);
  CHECK_STATUS(tg_breaker_end(one, &ticket, -1), TG_INVALID);
  CHECK_STATUS(tg_breaker_end(one, &ticket, TG_ENDING_FAILURE), TG_OK);
  CHECK_STATUS(tg_breaker_end(one, &ticket, TG_ENDING_FAILURE), TG_NOT_HELD);
  CHECK_STATUS(tg_breaker_end(one, &zeroed, TG_ENDING_FAILURE), TG_NOT_HELD);
  CHECK_EQ(counts_of(one).total_failures, 1);
  CHECK_EQ(counts_of(other).requests, 0);
  CHECK_STATUS(tg_breaker_trip(one, counts_of(one).generation + 1), TG_OK);
  CHECK_EQ(counts_of(one).state, TG_BREAKER_CLOSED); /* another generation's verdict */
  CHECK_STATUS(tg_breaker_trip(one, counts_of(one).generation), TG_OK);
  CHECK_STATUS(tg_breaker_ask(one, &ticket), TG_REFUSED_BREAKER);
  CHECK_EQ(ticket.refused_by, TG_BREAKER_OPEN);
  CHECK_STATUS(tg_breaker_end(one, &ticket, TG_ENDING_SUCCESS), TG_NOT_HELD);
  tg_clock_advance(rt, SECOND + MS);
  CHECK_STATUS(tg_breaker_ask(one, &ticket), TG_OK);
  CHECK_STATUS(tg_breaker_ask(one, &zeroed), TG_REFUSED_BREAKER);
  CHECK_EQ(zeroed.refused_by, TG_BREAKER_HALF_OPEN);
  tg_runtime_close(rt);
}

TEST(a_counted_breaker_is_retired_and_closed) {
  tg_runtime *rt = open_virtual();
  const tg_breaker *breaker = counted(rt, "b", 1), *own = counted(rt, "", 1);
  tg_breaker_ticket ticket, of_own;
  tg_breaker_counts counts = TG_BREAKER_COUNTS_INIT;
  CHECK_STATUS(tg_breaker_ask(breaker, &ticket), TG_OK);
  CHECK_STATUS(tg_breaker_ask(own, &of_own), TG_OK);
  CHECK(counted(rt, "b", 1) == breaker);
  CHECK_STATUS(tg_breaker_retire(breaker), TG_OK);
  CHECK_STATUS(tg_breaker_retire(breaker), TG_CLOSED);
  CHECK_STATUS(tg_breaker_end(breaker, &ticket, TG_ENDING_FAILURE), TG_CLOSED);
  CHECK_STATUS(tg_breaker_ask(breaker, &ticket), TG_CLOSED);
  CHECK_STATUS(tg_breaker_counts_read(breaker, &counts), TG_CLOSED);
  CHECK_STATUS(tg_breaker_trip(breaker, 0), TG_CLOSED);
  const tg_breaker *again = counted(rt, "b", 7); /* other options: it is a new one */
  CHECK(again != breaker);
  CHECK_EQ(counts_of(again).requests, 0);
  CHECK_STATUS(tg_breaker_ask(breaker, &ticket), TG_CLOSED);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
  CHECK_STATUS(tg_breaker_ask(again, &ticket), TG_CLOSED);
  CHECK_STATUS(tg_breaker_end(own, &of_own, TG_ENDING_SUCCESS), TG_CLOSED);
  CHECK_STATUS(tg_breaker_ask(own, &of_own), TG_CLOSED);
  CHECK_STATUS(tg_breaker_retire(again), TG_CLOSED);
  CHECK_STATUS(tg_breaker_retire(own), TG_CLOSED);
}

TEST(a_counted_breaker_checks_what_it_is_given) {
  tg_runtime *rt = open_virtual();
  const tg_breaker *breaker = counted(rt, "b", 1), *out = breaker;
  tg_breaker_options options = TG_BREAKER_OPTIONS_INIT;
  tg_breaker_counts counts = TG_BREAKER_COUNTS_INIT;
  tg_breaker_ticket ticket;
  CHECK_STATUS(tg_breaker_resolve(NULL, TG_STR("b"), &options, &out, NULL), TG_INVALID);
  CHECK(out == NULL);
  CHECK_STATUS(tg_breaker_resolve(rt, TG_STR("b"), &options, NULL, NULL), TG_INVALID);
  CHECK_STATUS(tg_breaker_resolve(rt, TG_STR("a\nb"), &options, &out, NULL), TG_INVALID);
  options.reserved[5] = 1;
  CHECK_STATUS(tg_breaker_resolve(rt, TG_STR("c"), &options, &out, NULL), TG_UNSUPPORTED);
  options = (tg_breaker_options)TG_BREAKER_OPTIONS_INIT;
  options.struct_size = 3;
  CHECK_STATUS(tg_breaker_resolve(rt, TG_STR("c"), &options, &out, NULL), TG_INVALID);
  options = (tg_breaker_options)TG_BREAKER_OPTIONS_INIT;
  options.interval_ns = UINT64_MAX, options.bucket_period_ns = 1;
  CHECK_STATUS(tg_breaker_resolve(rt, TG_STR("c"), &options, &out, NULL), TG_INVALID);
  options.interval_ns = 10000, options.bucket_period_ns = 1;
  CHECK_STATUS(tg_breaker_resolve(rt, TG_STR("c"), &options, &out, NULL), TG_OK);
  CHECK_STATUS(tg_breaker_resolve(rt, TG_STR("d"), NULL, &out, NULL), TG_OK);
  CHECK_STATUS(tg_breaker_ask(NULL, &ticket), TG_INVALID);
  CHECK_STATUS(tg_breaker_ask(breaker, NULL), TG_INVALID);
  CHECK_STATUS(tg_breaker_end(NULL, &ticket, TG_ENDING_SUCCESS), TG_INVALID);
  CHECK_STATUS(tg_breaker_end(breaker, NULL, TG_ENDING_SUCCESS), TG_INVALID);
  CHECK_STATUS(tg_breaker_trip(NULL, 0), TG_INVALID);
  CHECK_STATUS(tg_breaker_counts_read(NULL, &counts), TG_INVALID);
  CHECK_STATUS(tg_breaker_counts_read(breaker, NULL), TG_INVALID);
  counts.struct_size = 8;
  CHECK_STATUS(tg_breaker_counts_read(breaker, &counts), TG_INVALID);
  CHECK_STATUS(tg_breaker_retire(NULL), TG_INVALID);
  const uint64_t *words = NULL;
  size_t count = 0;
  CHECK_STATUS(tg_breaker_words(breaker, &words, &count), TG_OK);
  CHECK_EQ(count, 6);
  CHECK_STATUS(tg_breaker_words(NULL, &words, &count), TG_INVALID);
  CHECK_STATUS(tg_breaker_words(breaker, NULL, &count), TG_INVALID);
  CHECK_STATUS(tg_breaker_words(breaker, &words, NULL), TG_INVALID);
  tg_runtime_close(rt);
}

TEST(processes_share_a_counted_breaker_by_its_name) {
  tg_runtime *rt = open_virtual();
  const tg_breaker *named = counted(rt, "b", 2), *own = counted(rt, "", 2);
  tg_breaker_ticket ticket;
  pid_t child = fork();
  if (child == 0) {
    bool done = tg_breaker_ask(named, &ticket) == TG_OK && tg_breaker_end(named, &ticket, TG_ENDING_FAILURE) == TG_OK;
    const tg_breaker *found = NULL;
    tg_breaker_options options = TG_BREAKER_OPTIONS_INIT;
    options.max_requests = 2, options.timeout_ns = SECOND;
    done = done && tg_breaker_resolve(rt, TG_STR("b"), &options, &found, NULL) == TG_OK;
    done = done && tg_breaker_ask(found, &ticket) == TG_OK && tg_breaker_ask(own, &ticket) == TG_OK;
    _exit(done && tg_breaker_trip(named, counts_of(named).generation) == TG_OK ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK_EQ(status, 0);
  CHECK_EQ(counts_of(named).state, TG_BREAKER_OPEN);
  CHECK_EQ(counts_of(own).requests, 0);
  tg_clock_advance(rt, SECOND + MS);
  for (int i = 0; i < 2; i++) CHECK_STATUS(tg_breaker_ask(named, &ticket), TG_OK);
  CHECK_STATUS(tg_breaker_ask(named, &ticket), TG_REFUSED_BREAKER);
  tg_runtime_close(rt);
}

enum { ASKERS = 4, ASKS = 20000 };
static const tg_breaker *stormed;
static atomic_uint storm_passed;

static void *storm(void *ctx) {
  (void)ctx;
  tg_breaker_ticket ticket;
  for (int i = 0; i < ASKS; i++) {
    if (tg_breaker_ask(stormed, &ticket) != TG_OK) continue;
    atomic_fetch_add(&storm_passed, 1);
    if (i % 2) CHECK_STATUS(tg_breaker_end(stormed, &ticket, TG_ENDING_SUCCESS), TG_OK);
  }
  return NULL;
}

TEST(a_storm_is_counted_exactly_and_half_open_lets_no_more_pass) {
  tg_runtime *rt = open_virtual();
  for (int half_open = 0; half_open < 2; half_open++) {
    stormed = counted(rt, half_open ? "half" : "closed", 1000);
    if (half_open) CHECK_STATUS(tg_breaker_trip(stormed, 0), TG_OK);
    tg_clock_advance(rt, 2 * SECOND);
    atomic_store(&storm_passed, 0);
    pthread_t threads[ASKERS];
    for (int i = 0; i < ASKERS; i++) pthread_create(&threads[i], NULL, storm, NULL);
    for (int i = 0; i < ASKERS; i++) pthread_join(threads[i], NULL);
    tg_breaker_counts counts = counts_of(stormed);
    CHECK_EQ(counts.state, half_open ? TG_BREAKER_HALF_OPEN : TG_BREAKER_CLOSED);
    CHECK_EQ(atomic_load(&storm_passed), half_open ? 1000 : ASKERS * ASKS);
    CHECK_EQ(counts.requests, atomic_load(&storm_passed));
    if (!half_open) CHECK_EQ(counts.total_successes, ASKERS * ASKS / 2);
  }
  tg_runtime_close(rt);
}

TEST_MAIN
