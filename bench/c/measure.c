#define _GNU_SOURCE
#include "measure.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct thread_run {
  const bench_case *c;
  pthread_barrier_t *ready;
  atomic_bool *stop;
  unsigned index;
  bool between;
  uint64_t start, end, operations;
} thread_run;

static uint64_t monotonic_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Binds the calling thread to one of the cores that the process may use, counted from the last: the
   first core is the one that most interrupts go to. Where the system refuses, it stays free. */
static void pin_to_core(unsigned index) {
  cpu_set_t allowed, one;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  int wanted = (int)(index % (unsigned)CPU_COUNT(&allowed));
  for (int core = CPU_SETSIZE - 1; core >= 0; core--) {
    if (!CPU_ISSET(core, &allowed) || wanted-- > 0) continue;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

static void *run_thread(void *argument) {
  thread_run *run = argument;
  loop *body = run->between ? run->c->between : run->c->plain;
  worker w = {.subject = run->c->subject, .x = 1};
  pin_to_core(run->index);
  body(&w);
  w.stop = run->stop;
  w.operations = 0;
  pthread_barrier_wait(run->ready);
  run->start = monotonic_ns();
  body(&w);
  run->end = monotonic_ns();
  run->operations = w.operations;
  return NULL;
}

static double nanoseconds_each(const thread_run *runs, unsigned threads) {
  uint64_t start = runs[0].start, end = runs[0].end, operations = 0;
  for (unsigned i = 0; i < threads; i++) {
    if (runs[i].start < start) start = runs[i].start;
    if (runs[i].end > end) end = runs[i].end;
    operations += runs[i].operations;
  }
  return (double)(end - start) * threads / (double)operations;
}

static void sleep_ms(unsigned milliseconds) {
  struct timespec t = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
  nanosleep(&t, NULL);
}

double measure(const bench_case *c, unsigned threads, bool between, unsigned milliseconds) {
  pthread_t ids[MAX_THREADS];
  thread_run runs[MAX_THREADS];
  pthread_barrier_t ready;
  atomic_bool stop = false;
  pthread_barrier_init(&ready, NULL, threads + 1);
  for (unsigned i = 0; i < threads; i++) {
    runs[i] = (thread_run){.c = c, .ready = &ready, .stop = &stop, .index = i, .between = between};
    if (pthread_create(&ids[i], NULL, run_thread, &runs[i]) != 0) {
      perror("pthread_create");
      exit(EXIT_FAILURE);
    }
  }
  pthread_barrier_wait(&ready);
  sleep_ms(milliseconds);
  atomic_store_explicit(&stop, true, memory_order_relaxed);
  for (unsigned i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  pthread_barrier_destroy(&ready);
  return nanoseconds_each(runs, threads);
}
