/*
 * Tidegate: an embeddable observability and resilience runtime.
 *
 * Generated from ffi/ (`make header`); do not edit.
 *
 * Rules that hold for every function:
 *  - `const T *` may be used by many threads at once; `T *` is exclusive to the caller for the call.
 *  - Handles (tg_runtime, tg_guard, tg_counter, tg_gauge, tg_histogram, tg_limiter) are never unmapped: after a close or a
 *    retirement, calls with them return TG_CLOSED.
 *  - HOT functions allocate nothing, lock nothing and make no system call after a thread's first call (or
 *    tg_thread_prepare). COLD ones may do all three. No function waits for anything but, shortly, another cold call.
 *  - Strings and bytes are {ptr, len}; ptr is not looked at when len is 0; text is UTF-8.
 *  - Structs that begin with struct_size are initialised by their _INIT macro.
 *  - Times are nanoseconds. Every call survives NULL: the answer is TG_INVALID.
 */

#ifndef TIDEGATE_H
#define TIDEGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* A tg_str of a string literal, and what the _INIT macros are made of. */
#ifdef __cplusplus
#define TG_STR(literal) (tg_str{ (literal), sizeof(literal) - 1 })
#define TG_INIT(type) { sizeof(type) }
#else
#define TG_STR(literal) ((tg_str){ (literal), sizeof(literal) - 1 })
#define TG_INIT(type) { .struct_size = sizeof(type) }
#endif


// The guard has no breaker, or an operator disabled it: calls pass and are neither counted nor judged.
#define TG_BREAKER_DISABLED 0

// The breaker lets pass.
#define TG_BREAKER_CLOSED 1

// The breaker refuses.
#define TG_BREAKER_OPEN 2

// The breaker lets probes pass.
#define TG_BREAKER_HALF_OPEN 3

// The breaker lets a rising share pass.
#define TG_BREAKER_RECOVERING 4

// An operator has it refuse everything.
#define TG_BREAKER_FORCED_OPEN 5

// An operator has it let pass and count, and never open.
#define TG_BREAKER_FORCED_CLOSED 6

// The header grpc-timeout: one to eight digits and a unit, as "1500m".
#define TG_TIMEOUT_GRPC 0

// A number of milliseconds, as in Envoy's headers x-envoy-expected-rq-timeout-ms (what we send, and read first) and
// x-envoy-upstream-rq-timeout-ms (in which 0 means no limit).
#define TG_TIMEOUT_MILLIS 1

// A call matters as most do. Where a concurrency limit sheds by criticality, calls that matter less are refused first.
#define TG_CRITICALITY_DEFAULT 0

// A call to be shed last.
#define TG_CRITICALITY_CRITICAL 1

// A call to be shed first.
#define TG_CRITICALITY_SHEDDABLE 2

// In tg_call.flags: it must not be made twice. It is neither tried again, unless it was refused here, nor hedged.
#define TG_CALL_ONCE 1

// Tokens: `limit` come in each `per_ns`, and at most `burst` are kept. It may go into debt, for those who wait.
#define TG_LIMITER_TOKEN_BUCKET 0

// One after the other at even distances: who comes early waits, at most `max_wait_ns`, or is refused.
#define TG_LIMITER_PACING 1

// At most `limit` in each window of `per_ns`, counted from the clock's zero: twice as many around the border of two.
#define TG_LIMITER_FIXED_WINDOW 2

// About `limit` in any `per_ns`, estimated from two windows' counts.
#define TG_LIMITER_SLIDING_COUNTER 3

// At most `limit` in any `per_ns`, in `buckets`.
#define TG_LIMITER_SLIDING_WINDOW 4

// `limit` once it has been in use for `warm_up_ns`, and `limit` / `cold_factor` after a rest.
#define TG_LIMITER_WARM_UP 5

// A wait without end, and the retry-after of what will never be admitted.
#define TG_LIMITER_FOREVER UINT64_MAX

// A token bucket that holds nothing, and so refuses all that costs something.
#define TG_LIMITER_NO_BURST UINT64_MAX

// Time is the machine's monotonic clock.
#define TG_CLOCK_MONOTONIC 0

// Time stands still until tg_clock_set and tg_clock_advance move it: for tests.
#define TG_CLOCK_VIRTUAL 1

// In tg_features: this build runs WASM policies.
#define TG_FEATURE_WASM 1

// In tg_options.flags: rules may inject faults into this process's calls.
#define TG_OPTION_FAULTS 1

// A breaker that counts, and leaves the verdict to its user.
typedef struct tg_breaker tg_breaker;

// A counter: goes up only.
typedef struct tg_counter tg_counter;

// A gauge: goes up and down.
typedef struct tg_gauge tg_gauge;

// A named protected resource.
typedef struct tg_guard tg_guard;

// A histogram of values that are not negative: exponential buckets, read back to within 2.2 %.
typedef struct tg_histogram tg_histogram;

// A limiter.
typedef struct tg_limiter tg_limiter;

// An opened Tidegate.
typedef struct tg_runtime tg_runtime;

// Text that the library owns, until tg_text_free.
typedef struct tg_text tg_text;

// What a call answers: TG_OK, a refusal (1 to 99, one number a stage), an error (100 to 199), or why there is no
// further attempt (200 and up). Numbers are never
// used again for something else.
typedef int32_t tg_status;

// Why a breaker changed.
typedef uint32_t tg_breaker_reason;

// A change of a breaker.
typedef struct tg_breaker_change {
  // sizeof(tg_breaker_change) as this library knows it.
  uint32_t struct_size;
  // TG_BREAKER_*: where it stood.
  uint32_t from;
  // TG_BREAKER_*: where it stands.
  uint32_t to;
  // Why.
  tg_breaker_reason reason;
  // The generation that it is in now, modulo 1024: says which of two changes came first.
  uint64_t generation;
  // Whose breaker it is.
  const struct tg_guard *guard;
  // Zeros.
  uint8_t reserved[32];
} tg_breaker_change;

// Hears of a change, on the thread whose call changed the breaker, without any lock held. It may call the library. `change` is
// readable until it returns. It must return: neither throw nor longjmp.
typedef void (*tg_breaker_callback)(void *ctx, const struct tg_breaker_change *change);

// Frees what a callback was given; NULL where there is nothing to free.
typedef void (*tg_free_callback)(void *ctx);

// Bytes of the caller's: `ptr` is not looked at when `len` is 0.
typedef struct tg_str {
  // The first byte.
  const char *ptr;
  // How many.
  size_t len;
} tg_str;

// What a counted breaker goes by. Set by TG_BREAKER_OPTIONS_INIT; all of it may stay as it is.
typedef struct tg_breaker_options {
  // sizeof(tg_breaker_options).
  uint32_t struct_size;
  // Calls that it lets pass while half-open, all of which have to end well; 0: one.
  uint32_t max_requests;
  // Closed, it forgets what it counted after this time; 0: never.
  uint64_t interval_ns;
  // It forgets in steps of this time, of which there are at most 10 000; 0: all at once.
  uint64_t bucket_period_ns;
  // How long it is open; 0: a minute.
  uint64_t timeout_ns;
  // Zeros.
  uint8_t reserved[32];
} tg_breaker_options;

// Details of an error, written into the caller's own struct: a NULL is fine where one is asked for.
typedef struct tg_error {
  // sizeof(tg_error), as TG_ERROR_INIT sets it.
  uint32_t struct_size;
  // The status that the call returned.
  int32_t status;
  // How many things were wrong.
  uint32_t count;
  // Zero.
  uint32_t reserved;
  // What was wrong, where, and what would be right; UTF-8, NUL-terminated, cut to fit.
  char message[496];
} tg_error;

// What a call that was let pass hands to tg_breaker_end. The caller's own; a copy of one that is out is misuse.
typedef struct tg_breaker_ticket {
  // 0; or of a refused call TG_BREAKER_OPEN, or TG_BREAKER_HALF_OPEN: as many as may pass are out.
  uint32_t refused_by;
  // Zero.
  uint32_t reserved;
  // The library's own.
  uint64_t opaque[3];
} tg_breaker_ticket;

// How a call of a counted breaker ended.
typedef int32_t tg_ending;

// What a counted breaker has counted in its generation. Set by TG_BREAKER_COUNTS_INIT.
typedef struct tg_breaker_counts {
  // sizeof(tg_breaker_counts).
  uint32_t struct_size;
  // TG_BREAKER_CLOSED, TG_BREAKER_OPEN or TG_BREAKER_HALF_OPEN.
  uint32_t state;
  // For tg_breaker_trip.
  uint64_t generation;
  // Calls let pass.
  uint32_t requests;
  // Of them those that ended well.
  uint32_t total_successes;
  // Of them those that failed.
  uint32_t total_failures;
  // Of them those that said nothing.
  uint32_t total_exclusions;
  // Ended well since the last that failed.
  uint32_t consecutive_successes;
  // Failed since the last that ended well.
  uint32_t consecutive_failures;
  // Zeros.
  uint8_t reserved[32];
} tg_breaker_counts;

// One attribute of a call, for policies.
typedef struct tg_attribute {
  // From tg_attribute_resolve.
  uint32_t id;
  // Zero.
  uint32_t reserved;
  // Any bytes.
  struct tg_str value;
} tg_attribute;

// What a caller says of a call. Set by TG_CALL_INIT; all of it may stay as it is.
typedef struct tg_call {
  // sizeof(tg_call).
  uint32_t struct_size;
  // TG_CRITICALITY_*.
  uint32_t criticality;
  // Tokens that it takes of each rate limit; 0 means 1.
  uint64_t cost;
  // How long its caller waits, from now; 0: no limit.
  uint64_t timeout_ns;
  // The same as a moment on the runtime's clock; 0: none. The earliest of this, timeout_ns and the rule's timeout
  // counts.
  uint64_t deadline_ns;
  // Whom it is for; any bytes.
  struct tg_str key;
  // What policies may look at.
  const struct tg_attribute *attributes;
  // How many: at most 16.
  size_t attribute_count;
  // How much it matters among the calls of its criticality: 0 to 99, higher matters more. Looked at where has_level is 1.
  uint32_t level;
  // 1: level is set; 0: it is not, and counts as 99.
  uint32_t has_level;
  // A sum of TG_CALL_*.
  uint32_t flags;
  // Zeros.
  uint8_t reserved[36];
} tg_call;

// What a successful enter hands out and exit gives back: the caller's own plain data. Copying one that is held is
// misuse. Zero-filled, it is a permit that holds nothing.
typedef struct tg_permit {
  // The library's own.
  uint64_t opaque[16];
} tg_permit;

// How a guarded call ended.
typedef int32_t tg_outcome;

// A stage of the pipeline.
typedef int32_t tg_stage;

// What a guard did and how it stands.
typedef struct tg_guard_stats {
  // sizeof(tg_guard_stats), as TG_GUARD_STATS_INIT sets it.
  uint32_t struct_size;
  // TG_BREAKER_*.
  uint32_t breaker;
  // Calls in flight.
  uint64_t inflight;
  // The concurrency limit in force; 0: none.
  uint64_t limit;
  // Exits, by tg_outcome.
  uint64_t calls[6];
  // Refusals, by tg_stage.
  uint64_t rejected[9];
  // What stages in shadow mode would have refused, by tg_stage.
  uint64_t shadow_rejected[9];
  // Permits that max_hold took back.
  uint64_t expired;
  // Exits that held nothing, or were another process's.
  uint64_t misused_exits;
  // Durations recorded.
  uint64_t latency_count;
  // Their sum in seconds.
  double latency_sum;
  // Quantiles in seconds, off by at most 2.2 %; 0 when nothing was recorded.
  double latency_p50;
  // See latency_p50.
  double latency_p90;
  // See latency_p50.
  double latency_p99;
  // How often the breaker went to each state, by TG_BREAKER_*.
  uint64_t breaker_transitions[8];
  // Retries that were decided on and not abandoned.
  uint64_t retries;
  // Hedges that were sent.
  uint64_t hedges;
  // Retries or hedges that the budget has left for a critical call; 0 without a budget.
  uint64_t retry_budget;
  // Zeros.
  uint8_t reserved[8];
} tg_guard_stats;

// The hedges of one logical call: the caller's own plain data. Zero-filled, it is one that was never begun.
typedef struct tg_hedge {
  // The library's own.
  uint64_t opaque[16];
} tg_hedge;

// One of the keys that call most.
typedef struct tg_hot_key {
  // The key's first bytes, not ended by a zero.
  char name[48];
  // How many bytes of them.
  uint64_t len;
  // About how often it has called, refused calls included.
  uint64_t count;
  // By how much the count may be too large, apart from the chance of sampling.
  uint64_t error;
} tg_hot_key;

// One label of a series.
typedef struct tg_label {
  // [a-zA-Z_][a-zA-Z0-9_]*, not beginning with __, not "le" or "quantile".
  struct tg_str name;
  // At most 1024 bytes of UTF-8.
  struct tg_str value;
} tg_label;

// What an instrument is. Set by TG_INSTRUMENT_INIT.
typedef struct tg_instrument {
  // sizeof(tg_instrument).
  uint32_t struct_size;
  // How many labels: at most 32.
  uint32_t label_count;
  // [a-zA-Z_:][a-zA-Z0-9_:]*, at most 128 bytes, not beginning with tidegate_. A counter's may end in _total or not.
  struct tg_str name;
  // One sentence for people; the first that is given stays.
  struct tg_str help;
  // As in OpenMetrics ("seconds", "bytes"), or empty.
  struct tg_str unit;
  // The labels of this series.
  const struct tg_label *labels;
  // Zeros.
  uint8_t reserved[32];
} tg_instrument;

// What a limiter is made of. Set by TG_LIMITER_OPTIONS_INIT, then `limit` and what else is needed; what the algorithm does not
// have stays 0.
typedef struct tg_limiter_options {
  // sizeof(tg_limiter_options).
  uint32_t struct_size;
  // TG_LIMITER_TOKEN_BUCKET or another.
  uint32_t algorithm;
  // So much in each per_ns. Infinity lets a token bucket pass all, and 0 gains it nothing. Windows want a whole number: up to 2^40 - 1
  // the fixed one, up to 2^22 - 1 the sliding ones.
  double limit;
  // 0: a second.
  uint64_t per_ns;
  // Of a token bucket; 0: as many as `limit`, rounded up. TG_LIMITER_NO_BURST: none.
  uint64_t burst;
  // How long tg_limiter_take may let its caller wait; 0: it refuses. Not of windows.
  uint64_t max_wait_ns;
  // Of a warm-up.
  uint64_t warm_up_ns;
  // Of a warm-up: 1 to 1000; 0: 3.
  double cold_factor;
  // Of a sliding window: 2 to 60; 0: 10.
  uint32_t buckets;
  // Zeros.
  uint8_t reserved[60];
} tg_limiter_options;

// What was reserved: plain data, of which a copy is the same reservation. Zeros hold nothing.
typedef struct tg_reservation {
  // How long to wait before acting; of a refusal, after how long to come back (TG_LIMITER_FOREVER: never).
  uint64_t wait_ns;
  // When to act, on the runtime's clock.
  uint64_t act_at_ns;
  // The library's.
  uint64_t opaque[6];
} tg_reservation;

// Where a limiter's state stands, for bindings that decide by themselves, as docs/limiters.md says how.
typedef struct tg_limiter_place {
  // sizeof(tg_limiter_place).
  uint32_t struct_size;
  // What *generation says as long as the limiter stands.
  uint32_t life;
  // The cell's generation.
  const uint32_t *generation;
  // The word that decides.
  uint64_t *word;
  // The numbers of even and of odd changes: 24 words each.
  const uint64_t *numbers[2];
  // Counts refusals: whoever decides by itself adds its own.
  uint64_t *rejected;
  // Zeros.
  uint8_t reserved[16];
} tg_limiter_place;

// How a policy is loaded. Set by TG_POLICY_OPTIONS_INIT.
typedef struct tg_policy_options {
  // sizeof(tg_policy_options).
  uint32_t struct_size;
  // Zero.
  uint32_t flags;
  // Handed to the guest's init, as a rule JSON; may be empty.
  struct tg_str config;
  // Processor time that one decision may take; 0: 1 ms; at most 1 s.
  uint64_t deadline_ns;
  // How far an instance's memory may grow; 0: 16 MiB; at most 256 MiB.
  uint64_t memory_max_bytes;
  // Zeros.
  uint8_t reserved[64];
} tg_policy_options;

// The retries of one logical call: the caller's own plain data. Zero-filled, it is one that was never begun.
typedef struct tg_retry {
  // The library's own.
  uint64_t opaque[16];
} tg_retry;

// What a runtime is opened with. Set by TG_OPTIONS_INIT, then change what is needed.
typedef struct tg_options {
  // sizeof(tg_options).
  uint32_t struct_size;
  // TG_CLOCK_MONOTONIC or TG_CLOCK_VIRTUAL.
  uint32_t clock;
  // At most 128 of A-Z a-z 0-9 . _ -. A second open under the same name in this process, or in a child that it
  // forked, is on the same segment, whatever its other options say. Empty: a private one.
  struct tg_str name;
  // Size of the segment: 1 MiB to 64 GiB; 0: 64 MiB. Memory comes as it is touched.
  uint64_t segment_bytes;
  // Where a virtual clock starts, in ns.
  uint64_t virtual_start_ns;
  // Thread slots, 1 to 1024; 0: 128. Threads beyond share one, more slowly.
  uint32_t max_threads;
  // Guards, 1 to 65536; 0: 4096. Names beyond share the guard "tidegate.overflow".
  uint32_t max_guards;
  // A sum of TG_OPTION_*.
  uint32_t flags;
  // Zeros.
  uint8_t reserved[76];
} tg_options;

// Somebody said so who gave no other reason.
#define TG_BREAKER_TOLD 0

// Too many failures in a row.
#define TG_BREAKER_FAILURES_IN_A_ROW 1

// Too many bad calls in the window.
#define TG_BREAKER_ERROR_COUNT 2

// Too large a share of bad calls in the window.
#define TG_BREAKER_ERROR_RATIO 3

// Too large a share of slow calls in the window.
#define TG_BREAKER_SLOW_RATIO 4

// So many probes failed that not enough can pass.
#define TG_BREAKER_PROBES_FAILED 5

// Enough probes passed.
#define TG_BREAKER_PROBES_PASSED 6

// Probes did not come back in time.
#define TG_BREAKER_PROBES_LOST 7

// open_for passed.
#define TG_BREAKER_OPEN_ENDED 8

// recover_over passed.
#define TG_BREAKER_RECOVERED 9

// An operator forced it.
#define TG_BREAKER_FORCED 10

// An operator reset it.
#define TG_BREAKER_RESET 11

// Well.
#define TG_ENDING_SUCCESS 0

// Not.
#define TG_ENDING_FAILURE 1

// So that it says nothing.
#define TG_ENDING_EXCLUDED 2

// Well.
#define TG_OUTCOME_SUCCESS 0

// The callee failed.
#define TG_OUTCOME_FAILURE 1

// The callee took too long.
#define TG_OUTCOME_TIMEOUT 2

// The callee said that it has too much to do.
#define TG_OUTCOME_OVERLOADED 3

// Our own caller left: says nothing of the callee, and has no duration.
#define TG_OUTCOME_CANCELLED 4

// Says nothing about health, but its duration counts.
#define TG_OUTCOME_IGNORED 5

// No stage.
#define TG_STAGE_NONE 0

// Time left.
#define TG_STAGE_DEADLINE 1

// Faults on purpose.
#define TG_STAGE_FAULT 2

// The circuit breaker.
#define TG_STAGE_BREAKER 3

// The client-side throttle.
#define TG_STAGE_THROTTLE 4

// The policy.
#define TG_STAGE_POLICY 5

// Protection of the whole process.
#define TG_STAGE_SYSTEM 6

// The concurrency limit.
#define TG_STAGE_CONCURRENCY 7

// The rate limits.
#define TG_STAGE_RATE 8

// For tg_retry_next alone: a guard of ours refused the attempt, so the callee never saw it.
#define TG_OUTCOME_REFUSED 64

// Done, or admitted.
#define TG_OK 0

// Refused: no time left.
#define TG_REFUSED_DEADLINE 1

// Refused: a fault injected on purpose; the reason is the outcome that it stands for.
#define TG_REFUSED_FAULT 2

// Refused: the circuit breaker is open, or has its probes out.
#define TG_REFUSED_BREAKER 3

// Refused: the callee refuses most calls, so that only a share of them is sent.
#define TG_REFUSED_THROTTLE 4

// Refused: a policy said so.
#define TG_REFUSED_POLICY 5

// Refused: the process is overloaded (a later version).
#define TG_REFUSED_SYSTEM 6

// Refused: as many calls are in flight as may be.
#define TG_REFUSED_CONCURRENCY 7

// Refused: too few tokens.
#define TG_REFUSED_RATE 8

// An argument or a document is wrong; nothing was changed.
#define TG_INVALID 100

// The runtime was closed, or the guard or series retired.
#define TG_CLOSED 101

// This build or version does not know what was asked.
#define TG_UNSUPPORTED 102

// No room in the segment.
#define TG_FULL 103

// The permit holds nothing: refused, zeroed, or already exited.
#define TG_NOT_HELD 104

// The permit was entered in another process (before a fork).
#define TG_FOREIGN 105

// max_hold had already taken the permit back; the outcome was counted.
#define TG_EXPIRED 106

// Rules older than those in force, or the same version with other content.
#define TG_CONFLICT 107

// No such name.
#define TG_NOT_FOUND 108

// Another thread or process has held a cold lock for two seconds (a policy of this name, for ten).
#define TG_BUSY 109

// The operating system refused; the message says what.
#define TG_SYSTEM 110

// A fault of the library's own, caught.
#define TG_INTERNAL 111

// The module is not acceptable as a policy.
#define TG_POLICY_REJECTED 112

// No further attempt: the last one was a success.
#define TG_STOP_DONE 200

// No further attempt: its outcome is not one that is tried again, or what refused it does not say when to come back.
#define TG_STOP_NOT_RETRYABLE 201

// No further attempt: as many were made as may be.
#define TG_STOP_ATTEMPTS 202

// No further attempt: it would begin later than max_elapsed after the first.
#define TG_STOP_ELAPSED 203

// No further attempt: it would not begin before the deadline.
#define TG_STOP_DEADLINE 204

// No further attempt: the guard's budget has nothing left for it.
#define TG_STOP_BUDGET 205

// No further attempt: the call must not be made twice.
#define TG_STOP_NOT_IDEMPOTENT 206

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Sets a guard's breaker by hand, in every process on the segment: TG_BREAKER_FORCED_OPEN, TG_BREAKER_FORCED_CLOSED or
// TG_BREAKER_DISABLED until it is set again; TG_BREAKER_CLOSED resets it, with an empty window. COLD.
tg_status tg_guard_set_breaker(const struct tg_guard *guard, uint32_t state);

// Calls `callback` with `ctx` at every change that a call of this process makes to the guard's breaker (those that other
// processes make show in the metrics). `free` is called exactly once: when the watch has ended and the last call has
// returned, or before this returns when it fails. At most 64 a guard; a forked child has none. COLD.
tg_status tg_guard_watch_breaker(const struct tg_guard *guard,
                                 tg_breaker_callback callback,
                                 void *ctx,
                                 tg_free_callback free,
                                 uint64_t *out_watch);

// Ends a watch: returns at once, also from within the callback; calls that have begun go on. TG_NOT_FOUND: there is no such
// watch. COLD.
tg_status tg_guard_unwatch_breaker(const struct tg_guard *guard,
                                   uint64_t watch);

// Reads the runtime's clock, in ns. Cheap, but not among the HOT: it checks the handle thoroughly.
tg_status tg_clock_now(const struct tg_runtime *runtime, uint64_t *ns);

// Moves a virtual clock to ns, which may lie before now. TG_UNSUPPORTED when the clock is not virtual. COLD.
tg_status tg_clock_set(const struct tg_runtime *runtime, uint64_t ns);

// Moves a virtual clock on by ns. TG_UNSUPPORTED when the clock is not virtual. COLD.
tg_status tg_clock_advance(const struct tg_runtime *runtime, uint64_t ns);

// Finds or makes the counted breaker of this name (as a guard's): shared by all who resolve it on the segment, with the
// same options (else TG_CONFLICT). Without a name: a new one of this process's own. The handle is never unmapped, nor are the
// words of one without a name (16 bytes and 32 a bucket). options may be NULL. COLD.
tg_status tg_breaker_resolve(const struct tg_runtime *runtime,
                             struct tg_str name,
                             const struct tg_breaker_options *options,
                             const struct tg_breaker **out_breaker,
                             struct tg_error *error);

// Asks for one call. TG_OK: the ticket goes to tg_breaker_end. TG_REFUSED_BREAKER: the ticket says why. It is initialised in
// any case. HOT.
tg_status tg_breaker_ask(const struct tg_breaker *breaker,
                         struct tg_breaker_ticket *ticket);

// Says how a call ended. TG_NOT_HELD: the ticket is not out, or is another breaker's. Calls of an earlier generation change
// nothing (TG_OK). After a failure whoever judges calls tg_breaker_counts_read, and trips the generation found there. HOT.
tg_status tg_breaker_end(const struct tg_breaker *breaker,
                         struct tg_breaker_ticket *ticket,
                         tg_ending ending);

// Opens it, if it is closed and in this generation still: what the generation's counts say of it is true then. TG_OK also
// where it is not. HOT.
tg_status tg_breaker_trip(const struct tg_breaker *breaker,
                          uint64_t generation);

// Reads where it stands and what it has counted, all of one generation. HOT.
tg_status tg_breaker_counts_read(const struct tg_breaker *breaker, struct tg_breaker_counts *counts);

// The words that it lives in, for bindings that make its transitions themselves (see docs/breaker.md): two, then four a bucket.
// They stay readable; of a breaker with a name they lie in the segment, and are zeros once the runtime is closed. COLD.
tg_status tg_breaker_words(const struct tg_breaker *breaker,
                           const uint64_t **words,
                           size_t *count);

// Ends a breaker: one with a name for all processes; its room is used again, so whoever makes transitions by the words has to
// have stopped. What is called with a handle of it answers TG_CLOSED. COLD.
tg_status tg_breaker_retire(const struct tg_breaker *breaker);

// Reads the time left from a header's value, in nanoseconds; more than 64 bits saturate. TG_INVALID when it is not
// one. COLD: locks nothing and allocates only for an error.
tg_status tg_timeout_parse(uint32_t form, struct tg_str value, uint64_t *ns);

// Writes the time left as a header's value, NUL-terminated and never more than it is; 24 bytes are always enough. TG_FULL when
// they are fewer than it takes. COLD, as tg_timeout_parse.
tg_status tg_timeout_format(uint32_t form,
                            uint64_t ns,
                            char *text,
                            size_t room);

// Finds or makes the guard of this name: 1 to 128 bytes of UTF-8 without control characters. Once per name; the handle
// is never unmapped. Names beyond the runtime's max_guards get the guard "tidegate.overflow". COLD.
tg_status tg_guard_resolve(const struct tg_runtime *runtime,
                           struct tg_str name,
                           const struct tg_guard **out_guard,
                           struct tg_error *error);

// Takes a guard out; its room is used again. Its handle, and exits of its permits, answer TG_CLOSED. COLD.
tg_status tg_guard_retire(const struct tg_guard *guard);

// Asks to pass. TG_OK: the permit holds a place until tg_guard_exit; wait tg_permit_wait first. A refusal (1 to 99): see
// tg_permit_stage and tg_permit_retry_after. An error (100 and up): nobody can tell; go ahead, or not, as you choose. The
// permit is initialised in any case. call may be NULL. HOT.
tg_status tg_guard_enter(const struct tg_guard *guard,
                         const struct tg_call *call,
                         struct tg_permit *permit);

// Gives a permit back and tells how the call ended. TG_NOT_HELD when it holds nothing (refused, zeroed, already exited),
// TG_FOREIGN when another process entered it, TG_EXPIRED when max_hold had taken it back, TG_CLOSED when the runtime or
// guard is gone: nothing else happens then, but it is counted. HOT.
tg_status tg_guard_exit(struct tg_permit *permit,
                        tg_outcome outcome);

// How long until a refused call may come back: 0: not known; UINT64_MAX: never (its cost exceeds the burst). HOT.
uint64_t tg_permit_retry_after(const struct tg_permit *permit);

// How long to wait before the guarded work starts. HOT.
uint64_t tg_permit_wait(const struct tg_permit *permit);

// The moment on the runtime's clock at which the call should be over; 0: none. HOT.
uint64_t tg_permit_deadline(const struct tg_permit *permit);

// Which stage refused. HOT.
tg_stage tg_permit_stage(const struct tg_permit *permit);

// The stage's own reason: a policy's number, the index of the rate limit that refused, or the tg_outcome that a fault stands
// for. HOT.
uint32_t tg_permit_reason(const struct tg_permit *permit);

// The route that a policy chose; 0: none. HOT.
uint32_t tg_permit_route(const struct tg_permit *permit);

// Reads a guard's figures into the caller's struct. COLD.
tg_status tg_guard_stats_read(const struct tg_guard *guard, struct tg_guard_stats *stats);

// The id of an attribute's name, for tg_attribute: the same for callers, rules and policies; at most 1023 names. COLD:
// once per name.
tg_status tg_attribute_resolve(const struct tg_runtime *runtime, struct tg_str name, uint32_t *id);

// Begins a logical call, as its first attempt is sent, which earns the guard's budget its share. call as of
// tg_retry_begin. HOT.
tg_status tg_hedge_begin(const struct tg_guard *guard, const struct tg_call *call, struct tg_hedge *hedge);

// Says whether another attempt is due while none has answered. TG_OK with *wait_ns of 0: send one now, it is paid for; with
// more: ask again after so long. TG_STOP_*: there is no further one; wait for those that are out. TG_NOT_HELD: it was never
// begun, or has ended. HOT, but for one call a second, which sums the guard's histogram.
tg_status tg_hedge_next(struct tg_hedge *hedge,
                        uint64_t *wait_ns);

// The call has ended, with the outcome of the answer that counts. HOT.
tg_status tg_hedge_end(struct tg_hedge *hedge, tg_outcome outcome);

// The keys that call most at the rate limit of an index (from 0, as the rules list them), the loudest first. *count is how many
// fit into keys, and then how many were written: at most what the rule remembers (16 unless it says otherwise). Of admitted calls one in
// sixteen is looked at, of refused ones each; every ten seconds the counts are halved. TG_NOT_FOUND: that limit has no key. COLD.
tg_status tg_guard_hottest(const struct tg_guard *guard,
                           uint32_t rate_index,
                           struct tg_hot_key *keys,
                           uint32_t *count);

// Finds or makes a counter's series. Once per label set; the handle is never unmapped. A metric has at most 2000 series:
// label sets beyond share the one labelled otel_metric_overflow="true". COLD.
tg_status tg_counter_resolve(const struct tg_runtime *runtime,
                             const struct tg_instrument *instrument,
                             const struct tg_counter **out,
                             struct tg_error *error);

// Adds n. HOT.
tg_status tg_counter_add(const struct tg_counter *counter, uint64_t n);

// The sum over all threads. COLD.
tg_status tg_counter_value(const struct tg_counter *counter, uint64_t *out);

// Takes the series out; its room is used again and its handle answers TG_CLOSED. COLD.
tg_status tg_counter_retire(const struct tg_counter *counter);

// Finds or makes a gauge's series, as tg_counter_resolve does. COLD.
tg_status tg_gauge_resolve(const struct tg_runtime *runtime,
                           const struct tg_instrument *instrument,
                           const struct tg_gauge **out,
                           struct tg_error *error);

// Sets the value. HOT.
tg_status tg_gauge_set(const struct tg_gauge *gauge, double value);

// Adds to the value. HOT.
tg_status tg_gauge_add(const struct tg_gauge *gauge, double delta);

// The value. COLD.
tg_status tg_gauge_value(const struct tg_gauge *gauge, double *out);

// Takes the series out, as tg_counter_retire does. COLD.
tg_status tg_gauge_retire(const struct tg_gauge *gauge);

// Finds or makes a histogram's series, as tg_counter_resolve does. COLD.
tg_status tg_histogram_resolve(const struct tg_runtime *runtime,
                               const struct tg_instrument *instrument,
                               const struct tg_histogram **out,
                               struct tg_error *error);

// Records a value: TG_INVALID when it is negative, infinite or not a number. HOT.
tg_status tg_histogram_record(const struct tg_histogram *histogram, double value);

// The value below which a share q (0 to 1) of the values lies, off by at most 2.2 %; not a number when nothing was
// recorded. COLD.
tg_status tg_histogram_quantile(const struct tg_histogram *histogram, double q, double *out);

// Takes the series out, as tg_counter_retire does. COLD.
tg_status tg_histogram_retire(const struct tg_histogram *histogram);

// Finds or makes the limiter of a name (1 to 128 bytes of UTF-8 without control characters), which all who resolve it share, in
// every process on the segment; with an empty name it makes a new one, the caller's own, which is not in the segment. One that stands already keeps
// its numbers, whatever options says; with options NULL it must stand already (TG_NOT_FOUND). Once per name; the handle is never
// unmapped. COLD: TG_INVALID for options out of their range, TG_FULL.
tg_status tg_limiter_resolve(const struct tg_runtime *runtime,
                             struct tg_str name,
                             const struct tg_limiter_options *options,
                             const struct tg_limiter **out_limiter,
                             struct tg_error *error);

// Takes cost at at_ns of the runtime's clock (0: now). TG_OK: *wait_or_retry_ns says how long to wait before acting, which is nothing unless the
// options have a max_wait_ns. TG_REFUSED_RATE: nothing was taken, and it says after how long to come back (TG_LIMITER_FOREVER: the cost is
// more than the limiter can ever give). wait_or_retry_ns may be NULL. A cost of 0 takes nothing. An at_ns before the last one finds no more
// than there was then. HOT.
tg_status tg_limiter_take(const struct tg_limiter *limiter,
                          uint64_t cost,
                          uint64_t at_ns,
                          uint64_t *wait_or_retry_ns);

// As tg_limiter_take with a wait of at most max_wait_ns, whatever the options say (TG_LIMITER_FOREVER: any, also one without end), for callers who
// may cancel. *reservation is always initialised. HOT.
tg_status tg_limiter_reserve(const struct tg_limiter *limiter,
                             uint64_t cost,
                             uint64_t at_ns,
                             uint64_t max_wait_ns,
                             struct tg_reservation *reservation);

// Gives back what was reserved and will not be used. Of a token bucket that is what golang.org/x/time/rate gives back: nothing once its moment has passed,
// else what it took less what was reserved after it. A second time: TG_NOT_HELD, as for a refused or zeroed one; of another limiter:
// TG_INVALID. HOT.
tg_status tg_limiter_cancel(const struct tg_limiter *limiter,
                            struct tg_reservation *reservation,
                            uint64_t at_ns);

// What could be taken at at_ns (0: now): tokens, negative in debt; of other algorithms the largest whole cost. HOT.
tg_status tg_limiter_tokens(const struct tg_limiter *limiter, uint64_t at_ns, double *out_tokens);

// Puts other numbers in force at at_ns (0: now), for all who share the limiter. Tokens stay, as many as the new burst holds, and debts
// stay debts; another algorithm begins afresh. COLD.
tg_status tg_limiter_set(const struct tg_limiter *limiter,
                         const struct tg_limiter_options *options,
                         uint64_t at_ns,
                         struct tg_error *error);

// The options in force. COLD.
tg_status tg_limiter_read(const struct tg_limiter *limiter, struct tg_limiter_options *out_options);

// Tells where a limiter's state stands. The addresses stay mapped for ever; they hold zeros once the runtime is closed. COLD.
tg_status tg_limiter_locate(const struct tg_limiter *limiter,
                            struct tg_limiter_place *out_place);

// Takes the limiter out, for all who share it; its room is used again, and its handles answer TG_CLOSED. COLD.
tg_status tg_limiter_retire(const struct tg_limiter *limiter);

// Renders all metrics in the format that an HTTP Accept header asks for: OpenMetrics 1.0, or Prometheus text 0.0.4 (also
// when accept is empty). *out is to be freed by tg_text_free; tg_text_content_type gives the Content-Type. COLD: writers
// are not stopped.
tg_status tg_metrics_render(const struct tg_runtime *runtime,
                            struct tg_str accept,
                            struct tg_text **out,
                            struct tg_error *error);

// Checks a module, compiles it, tries it out, then publishes it under a name with one store. A name loaded before is
// swapped: no call is refused or lost by it, and calls in flight stay with the generation that they entered with.
// options may be NULL. TG_POLICY_REJECTED says why in error; what was in force stays. TG_UNSUPPORTED in a build without
// WASM. COLD: it compiles.
tg_status tg_policy_load(const struct tg_runtime *runtime,
                         struct tg_str name,
                         const uint8_t *wasm,
                         size_t len,
                         const struct tg_policy_options *options,
                         struct tg_error *error);

// Does what tg_policy_load does, but does not publish. COLD.
tg_status tg_policy_check(const struct tg_runtime *runtime,
                          const uint8_t *wasm,
                          size_t len,
                          const struct tg_policy_options *options,
                          struct tg_error *error);

// Lets the previous good generation serve again, which was kept compiled. TG_NOT_FOUND when there is none. COLD.
tg_status tg_policy_rollback(const struct tg_runtime *runtime, struct tg_str name, struct tg_error *error);

// Takes a policy away: guards that name it answer by their on_fail. COLD.
tg_status tg_policy_unload(const struct tg_runtime *runtime, struct tg_str name);

// The number of the generation that serves: 1, 2, 3…; 0 when it failed too often and there was no earlier one.
tg_status tg_policy_generation(const struct tg_runtime *runtime, struct tg_str name, uint64_t *generation);

// Begins a logical call, before its first attempt, which earns the guard's budget its share. Of call (may be NULL) counts
// what holds for all attempts together: criticality, timeout_ns, deadline_ns, TG_CALL_ONCE. Each attempt is then an enter and exit of its
// own. HOT.
tg_status tg_retry_begin(const struct tg_guard *guard,
                         const struct tg_call *call,
                         struct tg_retry *retry);

// Says what to do after an attempt that ended with this outcome (TG_OUTCOME_REFUSED: the guard refused it). retry_after_ns is when
// the callee, or tg_permit_retry_after, said to come back: 0: not said; UINT64_MAX: never. TG_OK: wait *wait_ns, then try
// again. TG_STOP_*: the call is over, with what the last attempt gave. TG_NOT_HELD: it was never begun. HOT.
tg_status tg_retry_next(struct tg_retry *retry,
                        tg_outcome outcome,
                        uint64_t retry_after_ns,
                        uint64_t *wait_ns);

// The attempt that tg_retry_next said to make is not made (its caller left meanwhile): what it cost goes back to the
// budget. Once; later calls change nothing. HOT.
tg_status tg_retry_abandon(struct tg_retry *retry);

// Checks a document without applying it. *report, if not NULL, becomes {"ok":true} or {"ok":false,"errors":
// [{"path":…,"message":…},…]} with every error, to be freed by tg_text_free. TG_INVALID when anything is wrong. COLD.
tg_status tg_rules_check(const char *json,
                         size_t len,
                         struct tg_text **report,
                         struct tg_error *error);

// Puts a document in force, whole or not at all. TG_INVALID: error.message begins with the first errors and
// error.count says how many there are. TG_CONFLICT: its version is older than the one in force, or the same with other
// content. COLD.
tg_status tg_rules_apply(const struct tg_runtime *runtime, const char *json, size_t len, struct tg_error *error);

// The version of the rules in force; 0 before the first.
tg_status tg_rules_version(const struct tg_runtime *runtime, uint64_t *version);

// Opens a runtime. On success *out is a handle that is never unmapped; otherwise *out is NULL. options and error may
// be NULL. COLD: TG_INVALID for a bad option, TG_UNSUPPORTED for one that is not known, TG_SYSTEM when memory is
// refused, RLIMIT_FSIZE is less than the segment, or /proc is not mounted.
tg_status tg_runtime_open(const struct tg_options *options, struct tg_runtime **out_runtime, struct tg_error *error);

// Closes a runtime: gives back what this process holds, and the segment's pages, at once. Its handles answer TG_CLOSED
// from now on, whatever other threads are doing with them; so the segment's range of addresses stays reserved (without
// memory behind it), and each open and close takes segment_bytes more of what RLIMIT_AS grants. NULL is fine (TG_OK); a
// second close is TG_CLOSED. The handle itself, and some 100 bytes a handle resolved from it, stay allocated. COLD.
tg_status tg_runtime_close(struct tg_runtime *runtime);

// Does now what this thread's first hot call would do (take its slot). COLD.
tg_status tg_thread_prepare(const struct tg_runtime *runtime);

// The library's version, such as "0.1.0". Static. HOT.
const char *tg_version(void);

// What was built in: a sum of TG_FEATURE_*. The functions of what was not are there and answer TG_UNSUPPORTED. HOT.
uint64_t tg_features(void);

// Whether a status is a refusal (1 to 99) rather than TG_OK or an error. HOT.
bool tg_is_refusal(tg_status status);

// The name of a status, such as "TG_REFUSED_RATE"; "unknown" for a number that is none. Static. HOT.
const char *tg_status_name(tg_status status);

// Reads CPU and memory of the container (of the machine, where there is none) from the kernel's files, and tells every guard
// of every process on the segment. The library starts no thread for it: call it every 250 ms or so while
// tg_system_wanted says 1, in one process of those on the segment. What was sampled holds for 10 s; without it the
// `system` stage lets pass. The CPU is known from a process's second call on. COLD: TG_SYSTEM when there is nothing to read.
tg_status tg_system_sample(const struct tg_runtime *runtime,
                           struct tg_error *error);

// Says in place of tg_system_sample what the load is: for hosts that measure it themselves, and for tests. Each is a share,
// 0 (not known) to 1. COLD.
tg_status tg_system_set(const struct tg_runtime *runtime,
                        double cpu,
                        double memory);

// Whether rules in force have a `system` stage, so that somebody should sample: 1 or 0. COLD.
tg_status tg_system_wanted(const struct tg_runtime *runtime, uint32_t *wanted);

// The bytes of a text, valid until it is freed; empty for NULL. HOT.
struct tg_str tg_text_bytes(const struct tg_text *text);

// What kind of text it is, as an HTTP Content-Type; empty for NULL. HOT.
struct tg_str tg_text_content_type(const struct tg_text *text);

// Frees a text; NULL is fine. COLD.
void tg_text_free(struct tg_text *text);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TIDEGATE_H */

#define TG_ERROR_INIT TG_INIT(tg_error)
#define TG_OPTIONS_INIT TG_INIT(tg_options)
#define TG_CALL_INIT TG_INIT(tg_call)
#define TG_GUARD_STATS_INIT TG_INIT(tg_guard_stats)
#define TG_BREAKER_OPTIONS_INIT TG_INIT(tg_breaker_options)
#define TG_BREAKER_COUNTS_INIT TG_INIT(tg_breaker_counts)
#define TG_INSTRUMENT_INIT TG_INIT(tg_instrument)
#define TG_LIMITER_OPTIONS_INIT TG_INIT(tg_limiter_options)
#define TG_LIMITER_PLACE_INIT TG_INIT(tg_limiter_place)
#define TG_POLICY_OPTIONS_INIT TG_INIT(tg_policy_options)
