/*
 * A test framework in one header. A program includes it once, defines tests by TEST(name) and ends with
 * TEST_MAIN. It runs the tests in their order and closes with one line: "<program>: N passed, N failed".
 * A failed check is told and the test goes on; REQUIRE ends the program, for what the rest cannot do without.
 */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_MOST_TESTS 64

typedef struct check_test {
  const char *name;
  void (*run)(void);
} check_test;

static check_test check_tests[CHECK_MOST_TESTS];
static int check_count;
static atomic_int check_faults; /* of the test that runs */

static inline void check_add(const char *name, void (*run)(void)) {
  if (check_count == CHECK_MOST_TESTS) abort();
  check_tests[check_count++] = (check_test){ name, run };
}

#define TEST(name)                                                                  \
  static void name(void);                                                           \
  __attribute__((constructor)) static void check_add_##name(void) { check_add(#name, name); } \
  static void name(void)

static inline void check_fault(const char *file, int line, const char *what) {
  atomic_fetch_add(&check_faults, 1);
  fprintf(stderr, "%s:%d: %s\n", file, line, what);
}

#define CHECK(condition) \
  do { \
    if (!(condition)) check_fault(__FILE__, __LINE__, #condition); \
  } while (0)

#define REQUIRE(condition) \
  do { \
    if (!(condition)) { \
      check_fault(__FILE__, __LINE__, "cannot go on without: " #condition); \
      exit(2); \
    } \
  } while (0)

static inline void check_u64(const char *file, int line, const char *what, uint64_t got, uint64_t want) {
  if (got == want) return;
  char text[256];
  snprintf(text, sizeof text, "%s is %" PRIu64 ", want %" PRIu64, what, got, want);
  check_fault(file, line, text);
}

#define CHECK_EQ(got, want) check_u64(__FILE__, __LINE__, #got, (uint64_t)(got), (uint64_t)(want))

static inline void check_near(const char *file, int line, const char *what, double got, double want, double rel) {
  double off = got > want ? got - want : want - got;
  if (off <= rel * (want < 0 ? -want : want)) return;
  char text[256];
  snprintf(text, sizeof text, "%s is %g, want %g within %g of it", what, got, want, rel);
  check_fault(file, line, text);
}

#define CHECK_NEAR(got, want, rel) check_near(__FILE__, __LINE__, #got, got, want, rel)

static inline void check_text(const char *file, int line, const char *what, const char *got, const char *want) {
  if (got != NULL && strcmp(got, want) == 0) return;
  char text[512];
  snprintf(text, sizeof text, "%s is \"%.200s\", want \"%.200s\"", what, got == NULL ? "(null)" : got, want);
  check_fault(file, line, text);
}

#define CHECK_TEXT(got, want) check_text(__FILE__, __LINE__, #got, got, want)

/* Runs one test; whether it passed. */
static inline bool check_run(const check_test *test) {
  atomic_store(&check_faults, 0);
  test->run();
  bool passed = atomic_load(&check_faults) == 0;
  printf("%s %s\n", passed ? "ok    " : "FAILED", test->name);
  fflush(stdout);
  return passed;
}

static inline int check_run_all(const char *program) {
  int passed = 0;
  for (int i = 0; i < check_count; i++) passed += check_run(&check_tests[i]);
  printf("%s: %d passed, %d failed\n", program, passed, check_count - passed);
  return passed == check_count ? 0 : 1;
}

#define TEST_MAIN \
  int main(int argc, char **argv) { \
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL; \
    return check_run_all(slash != NULL ? slash + 1 : "tests"); \
  }

#endif
