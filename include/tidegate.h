/* DRAFT of the contract; the committed file is generated from ffi/ by cbindgen. */
#ifndef TIDEGATE_H
#define TIDEGATE_H
#include <stdint.h>
#include <stddef.h>
#include <stdbool.h>
#ifdef __cplusplus
extern "C" {
#endif

/* ---- status ---- */
typedef int32_t tg_status;
enum {
  TG_OK = 0,
  /* refusals: 1..99, one a stage, in pipeline order */
  TG_REFUSED_DEADLINE = 1, TG_REFUSED_FAULT = 2, TG_REFUSED_BREAKER = 3, TG_REFUSED_THROTTLE = 4,
  TG_REFUSED_POLICY = 5, TG_REFUSED_SYSTEM = 6, TG_REFUSED_CONCURRENCY = 7, TG_REFUSED_RATE = 8,
  /* errors: 100.. ; a wrapper goes ahead and counts, unless its options say otherwise */
  TG_INVALID = 100,      /* an argument or a document is wrong */
  TG_CLOSED = 101,       /* the runtime was closed, or the guard / series retired */
  TG_UNSUPPORTED = 102,  /* this build or this version does not know what was asked */
  TG_FULL = 103,         /* no room in the segment */
  TG_NOT_HELD = 104,     /* the permit holds nothing: refused, zeroed, or already exited */
  TG_FOREIGN = 105,      /* the permit was entered in another process (before a fork) */
  TG_EXPIRED = 106,      /* max_hold had already taken the permit back; nothing else to do */
  TG_CONFLICT = 107,     /* rules older than those in force, or the same version with other content */
  TG_NOT_FOUND = 108,    /* no such name */
  TG_BUSY = 109,         /* another process holds the cold lock for too long */
  TG_SYSTEM = 110,       /* the operating system refused; the message says what */
  TG_INTERNAL = 111,     /* a fault of ours, caught */
  TG_POLICY_REJECTED = 112 /* the module is not acceptable as a policy */
};
bool tg_is_refusal(tg_status status);
const char *tg_status_name(tg_status status);          /* static, e.g. "TG_REFUSED_RATE" */

typedef struct tg_str { const char *ptr; size_t len; } tg_str;
#define TG_STR(literal) ((tg_str){ (literal), sizeof(literal) - 1 })

typedef struct tg_error {
  uint32_t struct_size; int32_t status; uint32_t count; uint32_t reserved;
  char message[496];                                   /* NUL-terminated UTF-8 */
} tg_error;
#define TG_ERROR_INIT { sizeof(tg_error) }

/* text that the library owns */
typedef struct tg_text tg_text;
tg_str tg_text_bytes(const tg_text *text);
tg_str tg_text_content_type(const tg_text *text);      /* "" unless rendered metrics; "application/json" for reports */
void   tg_text_free(tg_text *text);

/* ---- runtime ---- */
typedef struct tg_runtime tg_runtime;
enum { TG_CLOCK_MONOTONIC = 0, TG_CLOCK_VIRTUAL = 1 };
typedef struct tg_options {
  uint32_t struct_size;
  uint32_t clock;              /* TG_CLOCK_* */
  tg_str   name;               /* empty: private. The same name in one process (or its forked children) is the same segment */
  uint64_t segment_bytes;      /* 0: 64 MiB; 1 MiB .. 64 GiB */
  uint64_t virtual_start_ns;   /* where the virtual clock starts */
  uint32_t max_threads;        /* 0: 128 thread slots; 1 .. 1024 */
  uint32_t max_guards;         /* 0: 4096 */
  uint8_t  reserved[80];
} tg_options;
#define TG_OPTIONS_INIT { sizeof(tg_options) }
tg_status tg_runtime_open(const tg_options *options /*nullable*/, tg_runtime **out, tg_error *error);
tg_status tg_runtime_close(tg_runtime *runtime);       /* NULL-safe; twice: TG_CLOSED */
tg_status tg_thread_prepare(const tg_runtime *runtime);/* does now what this thread's first call would do */
const char *tg_version(void);                          /* "0.1.0" */
enum { TG_FEATURE_WASM = 1 };
uint64_t tg_features(void);

/* ---- clock ---- */
tg_status tg_clock_now(const tg_runtime *runtime, uint64_t *ns);
tg_status tg_clock_set(const tg_runtime *runtime, uint64_t ns);      /* virtual only, else TG_UNSUPPORTED */
tg_status tg_clock_advance(const tg_runtime *runtime, uint64_t ns);

/* ---- rules ---- */
tg_status tg_rules_check(const char *json, size_t len, tg_text **report /*nullable*/, tg_error *error);
   /* report: {"ok":false,"errors":[{"path":"$.guards.a.rate[0].limit","message":"..."}]} */
tg_status tg_rules_apply(const tg_runtime *runtime, const char *json, size_t len, tg_error *error);
tg_status tg_rules_version(const tg_runtime *runtime, uint64_t *version);

/* ---- guard ---- */
typedef struct tg_guard tg_guard;
typedef struct tg_permit { uint64_t opaque[16]; } tg_permit;
typedef int32_t tg_outcome;
enum { TG_OUTCOME_SUCCESS = 0, TG_OUTCOME_FAILURE = 1, TG_OUTCOME_TIMEOUT = 2, TG_OUTCOME_OVERLOADED = 3,
       TG_OUTCOME_CANCELLED = 4, TG_OUTCOME_IGNORED = 5 };
typedef int32_t tg_stage;
enum { TG_STAGE_NONE = 0, TG_STAGE_DEADLINE = 1, TG_STAGE_FAULT = 2, TG_STAGE_BREAKER = 3, TG_STAGE_THROTTLE = 4,
       TG_STAGE_POLICY = 5, TG_STAGE_SYSTEM = 6, TG_STAGE_CONCURRENCY = 7, TG_STAGE_RATE = 8 };
enum { TG_CRITICALITY_DEFAULT = 0, TG_CRITICALITY_CRITICAL = 1, TG_CRITICALITY_SHEDDABLE = 2 };
typedef struct tg_attribute { uint32_t id; uint32_t reserved; tg_str value; } tg_attribute;
typedef struct tg_call {
  uint32_t struct_size;
  uint32_t criticality;
  uint64_t cost;               /* 0 means 1 */
  uint64_t timeout_ns;         /* from now; 0: none */
  uint64_t deadline_ns;        /* on the runtime's clock; 0: none. The earlier of all wins */
  tg_str   key;
  const tg_attribute *attributes; size_t attribute_count;   /* at most 16 */
  uint8_t  reserved[48];
} tg_call;
#define TG_CALL_INIT { sizeof(tg_call) }
tg_status tg_guard_resolve(const tg_runtime *runtime, tg_str name, const tg_guard **out, tg_error *error);
tg_status tg_guard_retire(const tg_guard *guard);
tg_status tg_guard_enter(const tg_guard *guard, const tg_call *call /*nullable*/, tg_permit *permit);  /* hot */
tg_status tg_guard_exit(tg_permit *permit, tg_outcome outcome);                                        /* hot */
uint64_t  tg_permit_retry_after(const tg_permit *permit);   /* ns; 0: not known; UINT64_MAX: never */
uint64_t  tg_permit_wait(const tg_permit *permit);          /* ns to wait before starting */
uint64_t  tg_permit_deadline(const tg_permit *permit);      /* ns on the runtime's clock; 0: none */
tg_stage  tg_permit_stage(const tg_permit *permit);         /* which stage refused */
uint32_t  tg_permit_reason(const tg_permit *permit);        /* the stage's own number (a policy's reason) */
uint32_t  tg_permit_route(const tg_permit *permit);         /* a policy's route; 0: none */
typedef struct tg_guard_stats {
  uint32_t struct_size;
  uint32_t breaker;            /* 0 disabled, 1 closed, 2 open, 3 half-open */
  uint64_t inflight;
  uint64_t limit;              /* 0: no limit */
  uint64_t calls[6];           /* by tg_outcome */
  uint64_t rejected[9];        /* by tg_stage */
  uint64_t shadow_rejected[9];
  uint64_t expired;            /* taken back by max_hold */
  uint64_t misused_exits;      /* exits that held nothing, or were another process's */
  uint64_t latency_count;
  double   latency_sum;        /* seconds */
  double   latency_p50, latency_p90, latency_p99;
  uint8_t  reserved[64];
} tg_guard_stats;
#define TG_GUARD_STATS_INIT { sizeof(tg_guard_stats) }
tg_status tg_guard_stats_read(const tg_guard *guard, tg_guard_stats *out);   /* cold */
tg_status tg_attribute_resolve(const tg_runtime *runtime, tg_str name, uint32_t *id);  /* once per name */

/* ---- instruments ---- */
typedef struct tg_counter tg_counter; typedef struct tg_gauge tg_gauge; typedef struct tg_histogram tg_histogram;
typedef struct tg_label { tg_str name; tg_str value; } tg_label;
typedef struct tg_instrument {
  uint32_t struct_size; uint32_t label_count;
  tg_str name;                 /* [a-zA-Z_:][a-zA-Z0-9_:]*, counters may or may not end in _total */
  tg_str help; tg_str unit;    /* unit as in OpenMetrics ("seconds", "bytes"); may be empty */
  const tg_label *labels;
  uint8_t reserved[32];
} tg_instrument;
#define TG_INSTRUMENT_INIT { sizeof(tg_instrument) }
tg_status tg_counter_resolve(const tg_runtime *runtime, const tg_instrument *desc, const tg_counter **out, tg_error *error);
tg_status tg_counter_add(const tg_counter *counter, uint64_t n);             /* hot */
tg_status tg_counter_value(const tg_counter *counter, uint64_t *out);
tg_status tg_counter_retire(const tg_counter *counter);
tg_status tg_gauge_resolve(const tg_runtime *runtime, const tg_instrument *desc, const tg_gauge **out, tg_error *error);
tg_status tg_gauge_set(const tg_gauge *gauge, double value);                 /* hot */
tg_status tg_gauge_add(const tg_gauge *gauge, double delta);                 /* hot */
tg_status tg_gauge_value(const tg_gauge *gauge, double *out);
tg_status tg_gauge_retire(const tg_gauge *gauge);
tg_status tg_histogram_resolve(const tg_runtime *runtime, const tg_instrument *desc, const tg_histogram **out, tg_error *error);
tg_status tg_histogram_record(const tg_histogram *histogram, double value);  /* hot; negative or NaN: TG_INVALID */
tg_status tg_histogram_quantile(const tg_histogram *histogram, double q, double *out);
tg_status tg_histogram_retire(const tg_histogram *histogram);

/* ---- policy ---- */
typedef struct tg_policy_options {
  uint32_t struct_size; uint32_t flags;
  tg_str   config;             /* JSON handed to the guest's init; may be empty */
  uint64_t deadline_ns;        /* 0: 1 ms */
  uint64_t memory_max_bytes;   /* 0: 16 MiB */
  uint8_t  reserved[64];
} tg_policy_options;
#define TG_POLICY_OPTIONS_INIT { sizeof(tg_policy_options) }
/* Checks, compiles, instantiates and initialises; then publishes under name with one store. A name loaded before is swapped. */
tg_status tg_policy_load(const tg_runtime *runtime, tg_str name, const uint8_t *wasm, size_t len,
                         const tg_policy_options *options /*nullable*/, tg_error *error);
tg_status tg_policy_check(const tg_runtime *runtime, const uint8_t *wasm, size_t len,
                         const tg_policy_options *options, tg_error *error);
tg_status tg_policy_rollback(const tg_runtime *runtime, tg_str name, tg_error *error);
tg_status tg_policy_unload(const tg_runtime *runtime, tg_str name);
tg_status tg_policy_generation(const tg_runtime *runtime, tg_str name, uint64_t *generation);  /* 1, 2, 3... */

/* ---- metrics ---- */
/* accept: an HTTP Accept header; empty: text/plain; version=0.0.4 */
tg_status tg_metrics_render(const tg_runtime *runtime, tg_str accept, tg_text **out, tg_error *error);

#ifdef __cplusplus
}
#endif
#endif
