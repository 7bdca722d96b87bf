/* One measurement: the same operation in a loop, on one or two pinned threads, for a given time. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  CHUNK = 64,         /* operations between two looks at the stop flag */
  WARM_UP = 2000,     /* operations before the clock starts */
  BETWEEN_STEPS = 26, /* length of the work between two calls: about 50 ns */
  MAX_THREADS = 8
};

/* What a thread has for itself. */
typedef struct worker {
  const void *subject;  /* the guard or instrument, shared by the threads */
  uint64_t x;           /* state of the work between calls */
  unsigned next_value;  /* place in the values that histograms record */
  atomic_bool *stop;    /* NULL: stop after WARM_UP operations */
  uint64_t operations;  /* out */
} worker;

/* Calls one operation until stopped, with or without work between the calls. */
typedef void loop(worker *w);

typedef struct bench_case {
  const char *work, *who;
  loop *plain, *between;
  const void *subject;
} bench_case;

/* Nanoseconds an operation: wall time x threads / operations. */
double measure(const bench_case *c, unsigned threads, bool between, unsigned milliseconds);

static inline bool go_on(const worker *w) {
  if (w->stop == NULL) return w->operations < WARM_UP;
  return !atomic_load_explicit(w->stop, memory_order_relaxed);
}

static inline uint64_t mix(uint64_t x) { return (x ^ (x >> 29)) * UINT64_C(0x9e3779b97f4a7c15); }

/* The work between two calls: four chains of steps that each need the one before, so that the
   processor is busy but not stalled. The Rust and Go programs do the same. */
static inline uint64_t spin(uint64_t x) {
  uint64_t a = x, b = x ^ 1, c = x ^ 2, d = x ^ 3;
  for (int i = 0; i < BETWEEN_STEPS; i++) {
    a = mix(a);
    b = mix(b);
    c = mix(c);
    d = mix(d);
  }
  x = a ^ b ^ c ^ d;
  __asm__ volatile("" : "+r"(x));
  return x;
}

/* Defines NAME_plain and NAME_between, whose loops do OPERATION on `subject`. */
#define LOOP(name, type, operation) \
  LOOP_OF(name##_plain, type, operation, ) \
  LOOP_OF(name##_between, type, operation, w->x = spin(w->x))
#define LOOP_OF(name, type, operation, after) \
  static void name(worker *w) { \
    const type *subject = w->subject; \
    (void)subject; \
    while (go_on(w)) { \
      for (int i = 0; i < CHUNK; i++) { \
        operation; \
        after; \
      } \
      w->operations += CHUNK; \
    } \
  }

#endif
