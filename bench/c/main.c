/* The C side of `make bench`: Tidegate through its C ABI. It measures what it is asked for, one line
   of standard input at a time, so that bench/run can alternate between this program and those in Rust
   and Go:

     list                                   one JSON line with every case
     run CASE THREADS BETWEEN MILLISECONDS  one line with the nanoseconds an operation

   Arguments: the file of the rules, and that of the policy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate.h>

#include "measure.h"

enum { VALUES = 64 };

/* What every histogram here records, the same in Rust, C and Go: 0.1 ms to 0.67 s. */
static double latencies[VALUES];

static void fill_latencies(void) {
  latencies[0] = 0.0001;
  for (int i = 1; i < VALUES; i++) latencies[i] = latencies[i - 1] * 1.15;
}

/* The next value; steps of 37 visit all of them out of order. */
static inline double next_latency(worker *w) {
  w->next_value = (w->next_value + 37) % VALUES;
  return latencies[w->next_value];
}

static void must(tg_status status, const char *what, const tg_error *error) {
  if (status == TG_OK) return;
  fprintf(stderr, "bench: %s: %s %s\n", what, tg_status_name(status), error ? error->message : "");
  exit(EXIT_FAILURE);
}

static inline void guarded_call(const tg_guard *guard) {
  tg_permit permit;
  tg_status status = tg_guard_enter(guard, NULL, &permit);
  if (__builtin_expect(status != TG_OK, 0)) must(status, "enter", NULL);
  tg_guard_exit(&permit, TG_OUTCOME_SUCCESS);
}

LOOP(nothing, void, (void)0)
LOOP(guard, tg_guard, guarded_call(subject))
LOOP(counter, tg_counter, tg_counter_add(subject, 1))
LOOP(histogram, tg_histogram, tg_histogram_record(subject, next_latency(w)))

typedef struct file_bytes {
  char *bytes;
  size_t length;
} file_bytes;

static file_bytes read_file(const char *path) {
  file_bytes file = {malloc(1 << 20), 0};
  FILE *in = fopen(path, "rb");
  if (in == NULL || file.bytes == NULL) {
    perror(path);
    exit(EXIT_FAILURE);
  }
  file.length = fread(file.bytes, 1, 1 << 20, in);
  fclose(in);
  return file;
}

static tg_runtime *open_runtime(const char *rules_path, const char *policy_path) {
  tg_error error = TG_ERROR_INIT;
  tg_runtime *rt;
  must(tg_runtime_open(NULL, &rt, &error), "open", &error);
  file_bytes rules = read_file(rules_path), policy = read_file(policy_path);
  must(tg_rules_apply(rt, rules.bytes, rules.length, &error), "rules", &error);
  must(tg_policy_load(rt, TG_STR("bench"), (const uint8_t *)policy.bytes, policy.length, NULL, &error),
       "policy", &error);
  free(rules.bytes);
  free(policy.bytes);
  return rt;
}

static const tg_guard *resolve_guard(const tg_runtime *rt, const char *name) {
  tg_error error = TG_ERROR_INIT;
  const tg_guard *found;
  must(tg_guard_resolve(rt, (tg_str){name, strlen(name)}, &found, &error), name, &error);
  return found;
}

static tg_instrument describe(tg_str name) {
  static const tg_label labels[] = {
      {TG_STR("guard"), TG_STR("payments.charge")},
      {TG_STR("outcome"), TG_STR("success")},
      {TG_STR("method"), TG_STR("POST")},
  };
  tg_instrument instrument = TG_INSTRUMENT_INIT;
  instrument.name = name;
  instrument.labels = labels;
  instrument.label_count = 3;
  return instrument;
}

static const tg_counter *resolve_counter(const tg_runtime *rt) {
  tg_error error = TG_ERROR_INIT;
  tg_instrument instrument = describe(TG_STR("bench_calls_total"));
  const tg_counter *found;
  must(tg_counter_resolve(rt, &instrument, &found, &error), "counter", &error);
  return found;
}

static const tg_histogram *resolve_histogram(const tg_runtime *rt) {
  tg_error error = TG_ERROR_INIT;
  tg_instrument instrument = describe(TG_STR("bench_duration_seconds"));
  const tg_histogram *found;
  must(tg_histogram_resolve(rt, &instrument, &found, &error), "histogram", &error);
  return found;
}

static void list(const bench_case *cases, size_t count) {
  for (size_t i = 0; i < count; i++)
    printf("%s{\"work\": \"%s\", \"who\": \"%s\"}", i ? ", " : "[", cases[i].work, cases[i].who);
  printf("]\n");
}

static void answer(const bench_case *cases, size_t count, const char *line) {
  unsigned index, threads, between, ms;
  if (strcmp(line, "list\n") == 0) {
    list(cases, count);
  } else if (sscanf(line, "run %u %u %u %u", &index, &threads, &between, &ms) == 4 && index < count &&
             threads >= 1 && threads <= MAX_THREADS) {
    printf("%.4f\n", measure(&cases[index], threads, between == 1, ms));
  } else {
    fprintf(stderr, "bench: not understood: %s", line);
    exit(EXIT_FAILURE);
  }
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s RULES.json POLICY.wasm\n", argv[0]);
    return EXIT_FAILURE;
  }
  fill_latencies();
  tg_runtime *rt = open_runtime(argv[1], argv[2]);
#define CASE(work, loop, subject) {work, "tidegate-c", loop##_plain, loop##_between, subject}
  const bench_case cases[] = {
      {"between_work", "c", nothing_plain, nothing_between, NULL},
      CASE("guard", guard, resolve_guard(rt, "bench.guard")),
      CASE("guard_policy", guard, resolve_guard(rt, "bench.policy")),
      CASE("token_bucket", guard, resolve_guard(rt, "bench.rate")),
      CASE("breaker", guard, resolve_guard(rt, "bench.breaker")),
      CASE("counter", counter, resolve_counter(rt)),
      CASE("histogram", histogram, resolve_histogram(rt)),
  };
  char line[128];
  while (fgets(line, sizeof line, stdin) != NULL) answer(cases, sizeof cases / sizeof *cases, line);
  return tg_runtime_close(rt) == TG_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
