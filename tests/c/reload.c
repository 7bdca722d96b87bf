/* The library loaded by dlopen, again and again, and twice at once. It is not linked in here. */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>
#include <tidegate.h>

#define LIBRARY LIBDIR "/libtidegate.so.0"
#define COPY GUESTS "/../copy.so"

typedef struct api {
  void *library;
  tg_status (*open)(const tg_options *, tg_runtime **, tg_error *);
  tg_status (*close)(tg_runtime *);
  tg_status (*resolve)(const tg_runtime *, tg_str, const tg_guard **, tg_error *);
  tg_status (*enter)(const tg_guard *, const tg_call *, tg_permit *);
  tg_status (*exit)(tg_permit *, tg_outcome);
  tg_status (*stats)(const tg_guard *, tg_guard_stats *);
} api;

static api load(const char *path) {
  api api = { .library = dlopen(path, RTLD_NOW | RTLD_LOCAL) };
  if (api.library == NULL) fprintf(stderr, "%s\n", dlerror());
  REQUIRE(api.library != NULL);
  *(void **)&api.open = dlsym(api.library, "tg_runtime_open");
  *(void **)&api.close = dlsym(api.library, "tg_runtime_close");
  *(void **)&api.resolve = dlsym(api.library, "tg_guard_resolve");
  *(void **)&api.enter = dlsym(api.library, "tg_guard_enter");
  *(void **)&api.exit = dlsym(api.library, "tg_guard_exit");
  *(void **)&api.stats = dlsym(api.library, "tg_guard_stats_read");
  REQUIRE(api.open && api.close && api.resolve && api.enter && api.exit && api.stats);
  return api;
}

static const tg_guard *resolve(const api *api, const tg_runtime *rt) {
  const tg_guard *guard = NULL;
  REQUIRE(api->resolve(rt, TG_STR("g"), &guard, NULL) == TG_OK);
  return guard;
}

static void pass(const api *api, const tg_guard *guard) {
  tg_permit permit;
  CHECK_EQ(api->enter(guard, NULL, &permit), TG_OK);
  CHECK_EQ(api->exit(&permit, TG_OUTCOME_SUCCESS), TG_OK);
}

TEST(a_thousand_times) {
  for (int i = 0; i < 1000; i++) {
    api api = load(LIBRARY);
    tg_runtime *rt = NULL;
    CHECK_EQ(api.open(NULL, &rt, NULL), TG_OK);
    pass(&api, resolve(&api, rt));
    CHECK_EQ(api.close(rt), TG_OK);
    CHECK_EQ(dlclose(api.library), 0);
  }
}

static void *use_in_thread(void *with) {
  api *api = with;
  tg_runtime *rt = NULL;
  CHECK_EQ(api->open(NULL, &rt, NULL), TG_OK);
  pass(api, resolve(api, rt));
  CHECK_EQ(dlclose(api->library), 0);
  pass(api, resolve(api, rt)); /* it stays where it is */
  CHECK_EQ(api->close(rt), TG_OK);
  return NULL;
}

/* The thread ends, with its thread-local destructors, after the library was closed. */
TEST(threads_outlive_a_dlclose) {
  for (int i = 0; i < 50; i++) {
    api api = load(LIBRARY);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, use_in_thread, &api) == 0);
    pthread_join(thread, NULL);
  }
}

static void copy(const char *from, const char *to) {
  FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
  REQUIRE(in != NULL && out != NULL);
  static char buffer[1 << 16];
  for (size_t len; (len = fread(buffer, 1, sizeof buffer, in)) > 0;) REQUIRE(fwrite(buffer, 1, len, out) == len);
  fclose(in);
  REQUIRE(fclose(out) == 0);
}

/* A plugin may bring a copy of its own: under one name both are on one segment. */
TEST(two_copies_share_a_named_segment) {
  copy(LIBRARY, COPY);
  api one = load(LIBRARY), two = load(COPY);
  CHECK(one.open != two.open);
  tg_options options = TG_OPTIONS_INIT;
  options.name = TG_STR("tests.c.reload");
  tg_runtime *first = NULL, *second = NULL;
  CHECK_EQ(one.open(&options, &first, NULL), TG_OK);
  CHECK_EQ(two.open(&options, &second, NULL), TG_OK);
  const tg_guard *mine = resolve(&one, first), *theirs = resolve(&two, second);
  pass(&one, mine);
  pass(&two, theirs);
  tg_guard_stats stats = TG_GUARD_STATS_INIT;
  CHECK_EQ(one.stats(mine, &stats), TG_OK);
  CHECK_EQ(stats.calls[TG_OUTCOME_SUCCESS], 2);
  CHECK_EQ(two.close(second), TG_OK);
  pass(&one, mine);
  CHECK_EQ(one.close(first), TG_OK);
  dlclose(two.library);
  dlclose(one.library);
}

TEST_MAIN
