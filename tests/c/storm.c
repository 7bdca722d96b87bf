/* Several threads at once on everything, with fixed amounts of work: what comes out is exact, and no race is seen. */
#include "support.h"
#include <pthread.h>

enum { CALLERS = 4, CALLS = 5000, LIMIT = 3 };

static tg_runtime *rt;
static const tg_guard *guard;
static const tg_counter *counter;
static const tg_gauge *gauge;
static const tg_histogram *histogram;
static atomic_int holders, most_holders;
static atomic_uint_fast64_t entered, refused;
static atomic_bool over;

static void hold(int change) {
  int now = atomic_fetch_add(&holders, change) + change;
  int most = atomic_load(&most_holders);
  while (now > most && !atomic_compare_exchange_weak(&most_holders, &most, now)) {}
}

static void *caller(void *number) {
  for (int i = 0; i < CALLS; i++) {
    tg_permit permit;
    tg_status status = tg_guard_enter(guard, NULL, &permit);
    if (status == TG_OK) {
      hold(+1);
      hold(-1);
      CHECK_STATUS(tg_guard_exit(&permit, (tg_outcome)((i + (int)(intptr_t)number) % 6)), TG_OK);
      atomic_fetch_add(&entered, 1);
    } else {
      CHECK(tg_is_refusal(status));
      atomic_fetch_add(&refused, 1);
    }
    CHECK_STATUS(tg_counter_add(counter, 2), TG_OK);
    CHECK_STATUS(tg_gauge_add(gauge, 1), TG_OK);
    CHECK_STATUS(tg_histogram_record(histogram, i), TG_OK);
  }
  return NULL;
}

static void *ruler(void *unused) {
  (void)unused;
  for (uint64_t version = 2; !atomic_load(&over); version++) {
    char json[256];
    snprintf(json, sizeof json,
             "{\"version\":%" PRIu64 ",\"guards\":{\"g\":{\"concurrency\":{\"max\":%d},"
             "\"rate\":[{\"limit\":%" PRIu64 "}],\"breaker\":{\"consecutive_failures\":1000}}}}",
             version, LIMIT, 1000000 + version % 7);
    CHECK_STATUS(apply(rt, json), TG_OK);
  }
  return NULL;
}

static void *reader(void *unused) {
  (void)unused;
  while (!atomic_load(&over)) {
    tg_text *text = NULL;
    uint64_t value;
    CHECK_STATUS(tg_metrics_render(rt, TG_STR(""), &text, NULL), TG_OK);
    tg_text_free(text);
    CHECK_STATUS(tg_counter_value(counter, &value), TG_OK);
    CHECK(value % 2 == 0);
    stats_of(guard);
  }
  return NULL;
}

static void *maker(void *unused) {
  (void)unused;
  for (int i = 0; !atomic_load(&over); i++) {
    char name[32];
    snprintf(name, sizeof name, "short.lived.%d", i % 5);
    const tg_guard *mine = guard_of(rt, name);
    CHECK_STATUS(pass(mine, TG_OUTCOME_SUCCESS), TG_OK);
    CHECK_STATUS(tg_guard_retire(mine), TG_OK);
  }
  return NULL;
}

static void open_storm(void) {
  tg_instrument desc = described("c_total");
  rt = open_plain();
  guard = guarded(rt, "{\"concurrency\":{\"max\":3}}");
  REQUIRE(tg_counter_resolve(rt, &desc, &counter, NULL) == TG_OK);
  desc.name = TG_STR("h");
  REQUIRE(tg_histogram_resolve(rt, &desc, &histogram, NULL) == TG_OK);
  desc.name = TG_STR("depth");
  REQUIRE(tg_gauge_resolve(rt, &desc, &gauge, NULL) == TG_OK);
}

static void check_sums(void) {
  uint64_t value = 0, calls = 0;
  double depth = 0;
  CHECK_STATUS(tg_counter_value(counter, &value), TG_OK);
  CHECK_EQ(value, 2 * CALLERS * CALLS);
  CHECK_STATUS(tg_gauge_value(gauge, &depth), TG_OK);
  CHECK(depth == CALLERS * CALLS);
  tg_guard_stats stats = stats_of(guard);
  for (int i = 0; i < 6; i++) calls += stats.calls[i];
  CHECK_EQ(calls, atomic_load(&entered));
  uint64_t rejected = 0;
  for (int i = 0; i < 9; i++) rejected += stats.rejected[i];
  CHECK_EQ(rejected, atomic_load(&refused));
  CHECK_EQ(entered + refused, CALLERS * CALLS);
  CHECK_EQ(stats.inflight, 0);
  CHECK_EQ(stats.misused_exits, 0);
  CHECK(atomic_load(&most_holders) <= LIMIT);
}

TEST(a_storm_adds_up) {
  open_storm();
  void *(*const others[])(void *) = { ruler, reader, maker };
  pthread_t callers[CALLERS], helpers[3];
  for (int i = 0; i < 3; i++) REQUIRE(pthread_create(&helpers[i], NULL, others[i], NULL) == 0);
  for (int i = 0; i < CALLERS; i++)
    REQUIRE(pthread_create(&callers[i], NULL, caller, (void *)(intptr_t)i) == 0);
  for (int i = 0; i < CALLERS; i++) pthread_join(callers[i], NULL);
  atomic_store(&over, true);
  for (int i = 0; i < 3; i++) pthread_join(helpers[i], NULL);
  check_sums();
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
}

/* What a call may answer while its runtime is being closed. */
static void check_may_be(int line, const char *call, tg_status status) {
  if (status == TG_OK || status == TG_CLOSED || tg_is_refusal(status)) return;
  char text[128];
  snprintf(text, sizeof text, "%s is %s", call, tg_status_name(status));
  check_fault(__FILE__, line, text);
}

#define MAY_BE(call, status) check_may_be(__LINE__, call, status)

/* Uses the handles until they say that they are closed. */
static void *until_closed(void *started) {
  tg_status status = TG_OK;
  for (int i = 0; status != TG_CLOSED; i++) {
    tg_permit permit;
    status = tg_guard_enter(guard, NULL, &permit);
    MAY_BE("enter", status);
    if (status == TG_OK) MAY_BE("exit", tg_guard_exit(&permit, TG_OUTCOME_SUCCESS));
    MAY_BE("counter_add", tg_counter_add(counter, 1));
    MAY_BE("gauge_set", tg_gauge_set(gauge, 1));
    MAY_BE("histogram_record", tg_histogram_record(histogram, 1));
    uint64_t now;
    MAY_BE("clock_now", tg_clock_now(rt, &now));
    if (i % 64 == 0) {
      const tg_guard *other;
      tg_text *text = NULL;
      MAY_BE("guard_resolve", tg_guard_resolve(rt, TG_STR("other"), &other, NULL));
      MAY_BE("metrics_render", tg_metrics_render(rt, TG_STR(""), &text, NULL));
      tg_text_free(text);
    }
    atomic_fetch_add((atomic_int *)started, 1);
  }
  return NULL;
}

TEST(closing_amid_a_storm) {
  for (int round = 0; round < 30; round++) {
    open_storm();
    atomic_int turns = 0;
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) REQUIRE(pthread_create(&threads[i], NULL, until_closed, &turns) == 0);
    while (atomic_load(&turns) < 50 + round * 10) sched_yield();
    CHECK_STATUS(tg_runtime_close(rt), TG_OK);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  }
}

static atomic_int closes;

static void *close_it(void *unused) {
  (void)unused;
  tg_status status = tg_runtime_close(rt);
  CHECK(status == TG_OK || status == TG_CLOSED);
  if (status == TG_OK) atomic_fetch_add(&closes, 1);
  return NULL;
}

TEST(one_close_of_many_wins) {
  for (int round = 1; round <= 30; round++) {
    rt = open_virtual();
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) REQUIRE(pthread_create(&threads[i], NULL, close_it, NULL) == 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&closes), round);
  }
}

TEST_MAIN
