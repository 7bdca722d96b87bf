/* Forks: the child uses the runtime afresh, what it holds is its own, and its end gives it back. */
#include "support.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs `body` in a child, whose failed checks count here too. */
static void in_child(void (*body)(void *), void *with) {
  fflush(stdout);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    atomic_store(&check_faults, 0);
    body(with);
    fflush(stderr);
    _exit(atomic_load(&check_faults) == 0 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

typedef struct scene {
  tg_runtime *rt;
  const tg_guard *guard;
  const tg_counter *counter;
  tg_permit *permit;
} scene;

static scene scene_open(const char *rules) {
  scene scene = { .rt = open_virtual() };
  scene.guard = guarded(scene.rt, rules);
  tg_instrument desc = described("calls_total");
  REQUIRE(tg_counter_resolve(scene.rt, &desc, &scene.counter, NULL) == TG_OK);
  return scene;
}

static void use_everything(void *with) {
  scene *scene = with;
  uint64_t number;
  tg_text *text = NULL;
  CHECK_STATUS(pass(scene->guard, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(tg_counter_add(scene->counter, 5), TG_OK);
  CHECK_STATUS(pass(guard_of(scene->rt, "childs.own"), TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(tg_clock_now(scene->rt, &number), TG_OK);
  CHECK_STATUS(apply(scene->rt, "{\"version\":2}"), TG_OK);
  CHECK_STATUS(tg_metrics_render(scene->rt, TG_STR(""), &text, NULL), TG_OK);
  CHECK(holds(text, "calls_total 6\n"));
  tg_text_free(text);
}

TEST(a_child_goes_on_where_its_parent_was) {
  scene scene = scene_open("{\"concurrency\":{\"max\":5}}");
  CHECK_STATUS(pass(scene.guard, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(tg_counter_add(scene.counter, 1), TG_OK);
  in_child(use_everything, &scene);
  uint64_t value = 0, version = 0;
  CHECK_STATUS(tg_counter_value(scene.counter, &value), TG_OK);
  CHECK_EQ(value, 6);
  CHECK_EQ(stats_of(scene.guard).calls[TG_OUTCOME_SUCCESS], 2);
  CHECK_EQ(stats_of(guard_of(scene.rt, "childs.own")).calls[TG_OUTCOME_SUCCESS], 1);
  CHECK_STATUS(tg_rules_version(scene.rt, &version), TG_OK);
  CHECK_EQ(version, 2);
  CHECK_STATUS(tg_runtime_close(scene.rt), TG_OK);
}

static void exit_the_parents(void *with) {
  scene *scene = with;
  tg_permit mine;
  CHECK_STATUS(tg_guard_exit(scene->permit, TG_OUTCOME_SUCCESS), TG_FOREIGN);
  CHECK_STATUS(tg_guard_exit(scene->permit, TG_OUTCOME_SUCCESS), TG_FOREIGN);
  CHECK_STATUS(tg_guard_enter(scene->guard, NULL, &mine), TG_REFUSED_CONCURRENCY);
}

TEST(a_permit_is_its_own_processs) {
  scene scene = scene_open("{\"concurrency\":{\"max\":1}}");
  tg_permit permit;
  scene.permit = &permit;
  CHECK_STATUS(tg_guard_enter(scene.guard, NULL, &permit), TG_OK);
  in_child(exit_the_parents, &scene);
  CHECK_EQ(stats_of(scene.guard).inflight, 1);
  CHECK_EQ(stats_of(scene.guard).misused_exits, 2);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_EQ(stats_of(scene.guard).inflight, 0);
  CHECK_STATUS(tg_runtime_close(scene.rt), TG_OK);
}

static void die_holding(void *with) {
  scene *scene = with;
  tg_permit lost[3];
  for (int i = 0; i < 3; i++) CHECK_STATUS(tg_guard_enter(scene->guard, NULL, &lost[i]), TG_OK);
}

TEST(what_a_dead_child_held_comes_back) {
  scene scene = scene_open("{\"concurrency\":{\"max\":4}}");
  tg_permit permit;
  CHECK_STATUS(tg_guard_enter(scene.guard, NULL, &permit), TG_OK);
  for (int round = 0; round < 20; round++) {
    in_child(die_holding, &scene);
    tg_text *text = NULL;
    CHECK_STATUS(tg_metrics_render(scene.rt, TG_STR(""), &text, NULL), TG_OK);
    CHECK(holds(text, "tidegate_guard_inflight{guard=\"g\"} 1\n"));
    tg_text_free(text);
    CHECK_EQ(stats_of(scene.guard).inflight, 1);
  }
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(tg_runtime_close(scene.rt), TG_OK);
}

static void close_it(void *with) {
  scene *scene = with;
  CHECK_STATUS(tg_runtime_close(scene->rt), TG_OK);
  CHECK_STATUS(pass(scene->guard, TG_OUTCOME_SUCCESS), TG_CLOSED);
}

TEST(a_child_closes_only_for_itself) {
  scene scene = scene_open("{\"concurrency\":{\"max\":1}}");
  tg_permit permit;
  CHECK_STATUS(tg_guard_enter(scene.guard, NULL, &permit), TG_OK);
  in_child(close_it, &scene);
  CHECK_EQ(stats_of(scene.guard).inflight, 1);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(pass(scene.guard, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(tg_runtime_close(scene.rt), TG_OK);
}

static void grandchild(void *with) {
  scene *scene = with;
  CHECK_STATUS(pass(scene->guard, TG_OUTCOME_SUCCESS), TG_OK);
  in_child(close_it, scene);
  CHECK_STATUS(pass(scene->guard, TG_OUTCOME_SUCCESS), TG_OK);
}

TEST(children_have_children) {
  scene scene = scene_open("{}");
  in_child(grandchild, &scene);
  CHECK_EQ(stats_of(scene.guard).calls[TG_OUTCOME_SUCCESS], 2);
  CHECK_STATUS(tg_runtime_close(scene.rt), TG_OK);
}

static void open_by_name(void *with) {
  tg_runtime *rt = NULL;
  tg_options options = TG_OPTIONS_INIT;
  options.name = TG_STR("tests.c.forked");
  CHECK_STATUS(tg_runtime_open(&options, &rt, NULL), TG_OK);
  CHECK_STATUS(pass(guard_of(rt, "g"), TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_EQ(stats_of(with).calls[TG_OUTCOME_SUCCESS], 1);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
}

TEST(a_child_finds_a_named_runtime) {
  tg_runtime *rt = NULL;
  tg_options options = TG_OPTIONS_INIT;
  options.name = TG_STR("tests.c.forked");
  CHECK_STATUS(tg_runtime_open(&options, &rt, NULL), TG_OK);
  const tg_guard *guard = guard_of(rt, "g");
  in_child(open_by_name, (void *)(uintptr_t)guard);
  CHECK_EQ(stats_of(guard).calls[TG_OUTCOME_SUCCESS], 1);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
}

static void let_no_file_open(bool on) {
  static struct rlimit before;
  if (on) REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  struct rlimit none = { 0, before.rlim_max };
  REQUIRE(setrlimit(RLIMIT_NOFILE, on ? &none : &before) == 0);
}

/* It attaches at its first cold call, for which it needs a descriptor; all it opens meanwhile is its own. */
static void attach_in_vain(void *with) {
  scene *scene = with;
  uint64_t version;
  tg_error error = TG_ERROR_INIT;
  tg_text *text = NULL;
  let_no_file_open(true);
  CHECK_STATUS(tg_metrics_render(scene->rt, TG_STR(""), &text, &error), TG_SYSTEM);
  CHECK(strstr(error.message, "Too many open files") != NULL);
  let_no_file_open(false);
  int mine[8];
  for (int i = 0; i < 8; i++) REQUIRE((mine[i] = open("/dev/null", O_RDONLY)) >= 0);
  let_no_file_open(true);
  CHECK_STATUS(apply(scene->rt, "{\"version\":2}"), TG_SYSTEM);
  CHECK_STATUS(tg_metrics_render(scene->rt, TG_STR(""), &text, NULL), TG_SYSTEM);
  CHECK_STATUS(pass(scene->guard, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(tg_rules_version(scene->rt, &version), TG_OK);
  let_no_file_open(false);
  for (int i = 0; i < 8; i++) CHECK(fcntl(mine[i], F_GETFD) >= 0);
  CHECK_STATUS(apply(scene->rt, "{\"version\":2}"), TG_OK);
  for (int i = 0; i < 8; i++) CHECK(fcntl(mine[i], F_GETFD) >= 0);
}

TEST(a_child_that_cannot_attach_leaves_the_hosts_files_alone) {
  scene scene = scene_open("{}");
  CHECK_STATUS(pass(scene.guard, TG_OUTCOME_SUCCESS), TG_OK);
  in_child(attach_in_vain, &scene);
  CHECK_EQ(stats_of(scene.guard).calls[TG_OUTCOME_SUCCESS], 2);
  CHECK_STATUS(tg_runtime_close(scene.rt), TG_OK);
}

static atomic_bool storm_over;
static pthread_barrier_t storm_begun;

/* A thread's first call allocates, which not every allocator lets a fork come amid: AddressSanitizer's of gcc 12 does not. */
static void *storm(void *guard) {
  pass(guard, TG_OUTCOME_SUCCESS);
  pthread_barrier_wait(&storm_begun);
  while (!atomic_load(&storm_over)) pass(guard, TG_OUTCOME_SUCCESS);
  return NULL;
}

/* Forks while other threads are anywhere in enter and exit. */
TEST(a_fork_amid_a_storm) {
  scene scene = scene_open("{\"concurrency\":{\"max\":100},\"rate\":[{\"limit\":1000000000}]}");
  CHECK_STATUS(pass(scene.guard, TG_OUTCOME_SUCCESS), TG_OK);
  CHECK_STATUS(tg_counter_add(scene.counter, 1), TG_OK);
  pthread_t threads[2];
  pthread_barrier_init(&storm_begun, NULL, 3);
  for (int i = 0; i < 2; i++) REQUIRE(pthread_create(&threads[i], NULL, storm, (void *)(uintptr_t)scene.guard) == 0);
  pthread_barrier_wait(&storm_begun);
  for (int round = 0; round < 30; round++) in_child(die_holding, &scene);
  atomic_store(&storm_over, true);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&storm_begun);
  tg_text *text = NULL;
  CHECK_STATUS(tg_metrics_render(scene.rt, TG_STR(""), &text, NULL), TG_OK);
  tg_text_free(text);
  CHECK_EQ(stats_of(scene.guard).inflight, 0);
  CHECK_STATUS(tg_runtime_close(scene.rt), TG_OK);
}

TEST_MAIN
