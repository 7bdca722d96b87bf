/* The library leaves signal handlers, signal masks, alternate signal stacks and the number of threads as they were. */
#include "guest.h"
#include <dirent.h>
#include <pthread.h>
#include <signal.h>

typedef struct disposition {
  struct sigaction actions[65];
  sigset_t blocked;
  stack_t stack;
} disposition;

static disposition disposition_now(void) {
  disposition now;
  memset(&now, 0, sizeof now);
  for (int number = 1; number < 65; number++) sigaction(number, NULL, &now.actions[number]);
  pthread_sigmask(SIG_SETMASK, NULL, &now.blocked);
  sigaltstack(NULL, &now.stack);
  return now;
}

static void check_same(const disposition *before) {
  disposition after = disposition_now();
  for (int number = 1; number < 65; number++) {
    CHECK(before->actions[number].sa_sigaction == after.actions[number].sa_sigaction);
    CHECK_EQ(after.actions[number].sa_flags, before->actions[number].sa_flags);
    CHECK(sigismember(&before->blocked, number) == sigismember(&after.blocked, number));
  }
  CHECK(before->stack.ss_sp == after.stack.ss_sp);
  CHECK_EQ(after.stack.ss_size, before->stack.ss_size);
  CHECK_EQ(after.stack.ss_flags, before->stack.ss_flags);
}

static int threads_now(void) {
  int count = 0;
  DIR *tasks = opendir("/proc/self/task");
  REQUIRE(tasks != NULL);
  while (readdir(tasks) != NULL) count++;
  closedir(tasks);
  return count;
}

TEST(the_native_part_changes_nothing_and_starts_no_thread) {
  disposition before = disposition_now();
  int threads = threads_now();
  tg_runtime *rt = open_plain();
  const tg_guard *guard = guarded(rt, "{\"rate\":[{\"limit\":1}],\"concurrency\":{\"max\":1}}");
  for (int i = 0; i < 100; i++) pass(guard, TG_OUTCOME_FAILURE);
  tg_text *text = NULL;
  CHECK_STATUS(tg_metrics_render(rt, TG_STR(""), &text, NULL), TG_OK);
  tg_text_free(text);
  CHECK_EQ(threads_now(), threads);
  tg_runtime_close(rt);
  check_same(&before);
}

static void use_policy(const tg_runtime *rt, const tg_guard *guard, const uint64_t *costs, int count) {
  (void)rt;
  for (int i = 0; i < count; i++) {
    tg_call call = TG_CALL_INIT;
    tg_permit permit;
    call.cost = costs[i];
    if (tg_guard_enter(guard, &call, &permit) == TG_OK) tg_guard_exit(&permit, TG_OUTCOME_SUCCESS);
  }
}

/* Good answers, a trap, a loop, a recursion. */
static const uint64_t costs[] = { 1, 2, 5, 6, 7, 1, 2, 3, 4 };

TEST(policies_change_nothing) {
  if (!has_wasm()) return;
  disposition before = disposition_now();
  tg_runtime *rt = open_plain();
  const tg_guard *guard = guarded(rt, "{\"policy\":{\"name\":\"p\"}}");
  CHECK_STATUS(guest_load(rt, "p", "by_cost"), TG_OK);
  use_policy(rt, guard, costs, sizeof costs / sizeof *costs);
  check_same(&before);
  tg_runtime_close(rt);
  check_same(&before);
}

static const tg_guard *shared_guard;

/* A thread like one of Go's: its alternate stack has 32 KiB. */
static void *with_a_small_stack(void *runtime) {
  stack_t small = { .ss_sp = malloc(32 << 10), .ss_size = 32 << 10 }, theirs;
  REQUIRE(small.ss_sp != NULL);
  CHECK(sigaltstack(&small, &theirs) == 0);
  disposition before = disposition_now();
  use_policy(runtime, shared_guard, costs, sizeof costs / sizeof *costs);
  check_same(&before);
  CHECK(before.stack.ss_sp == small.ss_sp && before.stack.ss_size == small.ss_size);
  sigaltstack(&theirs, NULL);
  free(small.ss_sp);
  return NULL;
}

/* A thread that has no alternate stack keeps none. */
static void *without_a_stack(void *runtime) {
  stack_t none = { .ss_flags = SS_DISABLE }, theirs;
  CHECK(sigaltstack(&none, &theirs) == 0);
  disposition before = disposition_now();
  use_policy(runtime, shared_guard, costs, sizeof costs / sizeof *costs);
  check_same(&before);
  CHECK((before.stack.ss_flags & SS_DISABLE) != 0);
  sigaltstack(&theirs, NULL);
  return NULL;
}

TEST(threads_keep_their_own_stacks) {
  if (!has_wasm()) return;
  tg_runtime *rt = open_plain();
  shared_guard = guarded(rt, "{\"policy\":{\"name\":\"p\"}}");
  CHECK_STATUS(guest_load(rt, "p", "by_cost"), TG_OK);
  void *(*const kinds[])(void *) = { with_a_small_stack, without_a_stack };
  for (int i = 0; i < 20; i++) {
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, kinds[i % 2], rt) == 0);
    pthread_join(thread, NULL);
  }
  tg_runtime_close(rt);
}

static atomic_int signals_seen;

static void on_signal(int number) {
  (void)number;
  atomic_fetch_add(&signals_seen, 1);
}

/* The host's own handler, on its own alternate stack, still runs where it should. */
TEST(the_hosts_handler_still_works) {
  struct sigaction mine = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK }, theirs;
  CHECK(sigaction(SIGUSR1, &mine, &theirs) == 0);
  tg_runtime *rt = open_plain();
  const tg_guard *guard = guarded(rt, "{\"policy\":{\"name\":\"p\"}}");
  if (has_wasm()) CHECK_STATUS(guest_load(rt, "p", "by_cost"), TG_OK);
  for (int i = 0; i < 10; i++) {
    use_policy(rt, guard, costs, 1);
    raise(SIGUSR1);
  }
  CHECK_EQ(atomic_load(&signals_seen), 10);
  tg_runtime_close(rt);
  sigaction(SIGUSR1, &theirs, NULL);
}

TEST_MAIN
