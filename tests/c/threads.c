/* Threads that come and go. */
#include "support.h"
#include <limits.h>
#include <pthread.h>

static const tg_guard *guard;
static const tg_counter *counter;
static tg_runtime *rt;

static void open_with_threads(uint32_t max_threads) {
  tg_options options = TG_OPTIONS_INIT;
  tg_instrument desc = described("calls_total");
  options.max_threads = max_threads;
  options.clock = TG_CLOCK_VIRTUAL; /* every call takes no time: durations need the same room in each slot */
  REQUIRE(tg_runtime_open(&options, &rt, NULL) == TG_OK);
  guard = guarded(rt, "{\"concurrency\":{\"max\":1000}}");
  REQUIRE(tg_counter_resolve(rt, &desc, &counter, NULL) == TG_OK);
}

static void check_totals(uint64_t calls) {
  uint64_t value = 0;
  CHECK_STATUS(tg_counter_value(counter, &value), TG_OK);
  CHECK_EQ(value, calls);
  tg_guard_stats stats = stats_of(guard);
  CHECK_EQ(stats.calls[TG_OUTCOME_SUCCESS], calls);
  CHECK_EQ(stats.inflight, 0);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
}

static void *one_call(void *unused) {
  (void)unused;
  CHECK_STATUS(tg_counter_add(counter, 1), TG_OK);
  CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  return NULL;
}

static void waves(int count, int width) {
  pthread_t threads[8];
  for (int started = 0; started < count; started += width) {
    for (int i = 0; i < width; i++) REQUIRE(pthread_create(&threads[i], NULL, one_call, NULL) == 0);
    for (int i = 0; i < width; i++) pthread_join(threads[i], NULL);
  }
}

TEST(a_thousand_short_threads_with_slots_enough) {
  open_with_threads(16);
  waves(1000, 8);
  check_totals(1000);
}

TEST(a_thousand_short_threads_with_two_slots) {
  open_with_threads(2);
  waves(1000, 8);
  check_totals(1000);
}

static uint64_t segment_bytes_in_use(void) {
  static const char name[] = "\ntidegate_segment_used_bytes ";
  tg_text *text = NULL;
  CHECK_STATUS(tg_metrics_render(rt, TG_STR(""), &text, NULL), TG_OK);
  tg_str bytes = tg_text_bytes(text);
  const char *at = memmem(bytes.ptr, bytes.len, name, sizeof name - 1);
  uint64_t used = at == NULL ? 0 : strtoull(at + sizeof name - 1, NULL, 10);
  CHECK(used > 0);
  tg_text_free(text);
  return used;
}

/* Each thread that counts in a slot of its own takes room: two thousand one after the other take no more than ten. */
TEST(slots_are_given_back) {
  open_with_threads(0);
  waves(10, 1);
  uint64_t used = segment_bytes_in_use();
  waves(2000, 1);
  CHECK_EQ(segment_bytes_in_use(), used);
  check_totals(2010);
}

static void *prepared(void *unused) {
  (void)unused;
  CHECK_STATUS(tg_thread_prepare(rt), TG_OK);
  CHECK_STATUS(tg_thread_prepare(rt), TG_OK);
  return one_call(NULL);
}

TEST(a_thread_may_prepare) {
  open_with_threads(0);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, NULL, prepared, NULL) == 0);
  pthread_join(thread, NULL);
  check_totals(1);
}

static void *exit_for_another(void *permit) {
  CHECK_STATUS(tg_guard_exit(permit, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(tg_counter_add(counter, 1), TG_OK);
  return NULL;
}

TEST(a_permit_may_be_exited_on_another_thread) {
  open_with_threads(0);
  for (int i = 0; i < 100; i++) {
    tg_permit permit;
    pthread_t thread;
    CHECK_STATUS(tg_guard_enter(guard, NULL, &permit), TG_OK);
    REQUIRE(pthread_create(&thread, NULL, exit_for_another, &permit) == 0);
    pthread_join(thread, NULL);
  }
  check_totals(100);
}

static pthread_key_t at_end;

static void use_at_end(void *value) {
  one_call(NULL);
  /* Once more in a later round of destructors, when the library's own have run. */
  if (value == (void *)1) pthread_setspecific(at_end, (void *)2);
}

static void *sets_a_destructor(void *unused) {
  (void)unused;
  one_call(NULL);
  pthread_setspecific(at_end, (void *)1);
  return NULL;
}

TEST(thread_destructors_may_use_it) {
  open_with_threads(4);
  REQUIRE(pthread_key_create(&at_end, use_at_end) == 0);
  for (int i = 0; i < 50; i++) {
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, sets_a_destructor, NULL) == 0);
    pthread_join(thread, NULL);
  }
  pthread_key_delete(at_end);
  check_totals(50 * 3);
}

static void *opens_its_own(void *unused) {
  (void)unused;
  for (int i = 0; i < 20; i++) {
    tg_runtime *own = open_virtual();
    CHECK_STATUS(pass(guard_of(own, "g"), TG_OUTCOME_SUCCESS), TG_OK);
    CHECK_STATUS(tg_runtime_close(own), TG_OK);
  }
  return NULL;
}

/* A sanitizer's own frames need more. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SMALL_STACK (512 << 10)
#else
#define SMALL_STACK PTHREAD_STACK_MIN
#endif

TEST(the_smallest_stack_is_enough) {
  pthread_attr_t small;
  pthread_t thread;
  open_with_threads(4);
  pthread_attr_init(&small);
  REQUIRE(pthread_attr_setstacksize(&small, SMALL_STACK) == 0);
  REQUIRE(pthread_create(&thread, &small, one_call, NULL) == 0);
  pthread_join(thread, NULL);
  pthread_attr_destroy(&small);
  check_totals(1);
}

TEST(runtimes_may_be_opened_and_closed_side_by_side) {
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) REQUIRE(pthread_create(&threads[i], NULL, opens_its_own, NULL) == 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

TEST_MAIN
