/* Tidegate: what a policy written in C needs. The reference is docs/policies.md.
 *
 * A policy is one C file, compiled for wasm32 without a C library:
 *
 *     #include "tidegate_policy.h"
 *     TG_POLICY
 *     TG_EXPORT(tg_policy_init)   int32_t init(const char *config, uint32_t length) { return 0; }
 *     TG_EXPORT(tg_policy_decide) int64_t decide(const tg_record *record) { return tg_allow(0); }
 *
 *     clang --target=wasm32 -O2 -nostdlib -ffreestanding -mbulk-memory -I include \
 *       -Wl,--no-entry -Wl,--export=tg_policy_abi -Wl,-z,stack-size=16384 -Wl,--stack-first \
 *       -o my_policy.wasm my_policy.c
 *
 * The types can be included by any C11 or C++ compiler; imports and exports are there for wasm32. */
#ifndef TIDEGATE_POLICY_H
#define TIDEGATE_POLICY_H

#include <stddef.h>
#include <stdint.h>

#define TG_POLICY_ABI_VERSION 1u
#define TG_POLICY_ABI_MAGIC 0x41504754u /* "TGPA" */
/* Bytes of the region that tg_policy_arena gives: the host writes there, the guest reads. */
#define TG_POLICY_ARENA_BYTES 16384u

/* ---- the record: one call, little-endian ---- */

enum { TG_RECORD_DEFAULT = 0, TG_RECORD_CRITICAL = 1, TG_RECORD_SHEDDABLE = 2 };
enum { TG_RECORD_BREAKER_DISABLED = 0, TG_RECORD_BREAKER_CLOSED = 1, TG_RECORD_BREAKER_OPEN = 2,
       TG_RECORD_BREAKER_HALF_OPEN = 3 };

typedef struct tg_record {
  uint16_t size;             /* bytes of this record, without attributes; only ever grows */
  uint16_t version;          /* 1 */
  uint16_t criticality;      /* TG_RECORD_DEFAULT, _CRITICAL, _SHEDDABLE */
  uint16_t breaker;          /* TG_RECORD_BREAKER_* */
  uint64_t now_ns;           /* on the runtime's clock */
  uint64_t key_hash;         /* of the call's key; 0 without one */
  uint64_t remaining_ns;     /* to the call's deadline; UINT64_MAX without one */
  uint32_t cost;             /* in units of the guard's rate limits */
  uint32_t inflight;         /* calls in flight through the guard */
  uint32_t limit;            /* the guard's concurrency limit; 0 without one */
  uint32_t pressure;         /* how near the guard is to refusing, in thousandths */
  uint32_t guard;            /* a number for the guard, stable while it lives */
  uint32_t attribute_count;  /* how many tg_record_attribute follow, */
  uint32_t attribute_offset; /* at so many bytes from the start of the record */
  uint32_t reserved;         /* 0 */
} tg_record;

/* One attribute that init subscribed to and that the call carries. */
typedef struct tg_record_attribute {
  uint32_t id;               /* what tg_attribute gave */
  uint32_t offset;           /* of the value, in bytes from the start of the record */
  uint32_t length;           /* of the value, in bytes */
  uint32_t flags;            /* TG_RECORD_VALUE_CUT: the value was longer than 512 bytes */
} tg_record_attribute;
#define TG_RECORD_VALUE_CUT 1u

/* Bytes, not NUL-terminated; ptr is NULL when there are none. */
typedef struct tg_bytes {
  const char *ptr;
  uint32_t length;
} tg_bytes;

/* ---- the verdict: bits 0-7 action, 8-15 flags (0), 16-31 reason, 32-63 argument ---- */

enum { TG_ACTION_ALLOW = 0, TG_ACTION_DENY = 1, TG_ACTION_DELAY = 2, TG_ACTION_ROUTE = 3 };

static inline int64_t tg_verdict(uint32_t action, uint16_t reason, uint32_t argument) {
  return (int64_t)((uint64_t)action | (uint64_t)reason << 16 | (uint64_t)argument << 32);
}
/* Go on. The reason of any verdict is the policy's own number, shown in metrics. */
static inline int64_t tg_allow(uint16_t reason) { return tg_verdict(TG_ACTION_ALLOW, reason, 0); }
/* Refuse; come back in so many milliseconds (0: not known; at most an hour). */
static inline int64_t tg_deny(uint16_t reason, uint32_t retry_after_ms) {
  return tg_verdict(TG_ACTION_DENY, reason, retry_after_ms);
}
/* Go on after so many microseconds (at most a minute). */
static inline int64_t tg_delay(uint16_t reason, uint32_t delay_us) {
  return tg_verdict(TG_ACTION_DELAY, reason, delay_us);
}
/* Go on; the caller's permit carries the number of a route. */
static inline int64_t tg_route(uint16_t reason, uint32_t route) {
  return tg_verdict(TG_ACTION_ROUTE, reason, route);
}

/* ---- reading attributes and values ---- */

/* The value of an attribute; ptr is NULL when the call does not carry it. */
static inline tg_bytes tg_record_value(const tg_record *record, int32_t id) {
  const char *base = (const char *)record;
  const tg_record_attribute *all = (const tg_record_attribute *)(base + record->attribute_offset);
  tg_bytes none = { 0, 0 };
  for (uint32_t n = 0; n < record->attribute_count; n++) {
    if (all[n].id == (uint32_t)id) {
      tg_bytes value = { base + all[n].offset, all[n].length };
      return value;
    }
  }
  return none;
}

/* Whether both are the same bytes. */
static inline int tg_bytes_equal(tg_bytes a, tg_bytes b) {
  if (a.length != b.length) return 0;
  for (uint32_t n = 0; n < a.length; n++)
    if (a.ptr[n] != b.ptr[n]) return 0;
  return 1;
}
#ifdef __cplusplus
#define TG_BYTES(literal) (tg_bytes{ (literal), sizeof(literal) - 1 })
#else
#define TG_BYTES(literal) ((tg_bytes){ (literal), sizeof(literal) - 1 })
#endif
#define TG_IS(bytes, literal) tg_bytes_equal((bytes), TG_BYTES(literal))

/* Spreads the bits of a number (splitmix64's finaliser), for taking a share of keys. */
static inline uint64_t tg_mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* ---- a flat JSON object, as configurations mostly are ---- */

/* From `at`, which is behind an opening quote, to behind the closing one (or the end). */
static inline uint32_t tg_json_skip_string(tg_bytes json, uint32_t at) {
  while (at < json.length && json.ptr[at] != '"') at += json.ptr[at] == '\\' ? 2 : 1;
  return at < json.length ? at + 1 : json.length;
}
static inline uint32_t tg_json_skip_space(tg_bytes json, uint32_t at) {
  while (at < json.length && (json.ptr[at] == ' ' || (json.ptr[at] >= '\t' && json.ptr[at] <= '\r'))) at++;
  return at;
}

/* Where the value of a field begins; json.length when there is no such field. */
static inline uint32_t tg_json_find(tg_bytes json, tg_bytes field) {
  uint32_t at = 0;
  while (at < json.length) {
    if (json.ptr[at++] != '"') continue;
    uint32_t end = tg_json_skip_string(json, at);
    tg_bytes name = { json.ptr + at, end - at ? end - at - 1 : 0 };
    at = tg_json_skip_space(json, end);
    if (at < json.length && json.ptr[at] == ':' && tg_bytes_equal(name, field))
      return tg_json_skip_space(json, at + 1);
  }
  return json.length;
}

/* The whole number of a field; `otherwise` when it is not there, is no number, or does not fit. */
static inline int64_t tg_json_number(tg_bytes json, tg_bytes field, int64_t otherwise) {
  uint32_t at = tg_json_find(json, field);
  int negative = at < json.length && json.ptr[at] == '-';
  uint32_t first = at += (uint32_t)negative;
  int64_t number = 0;
  for (; at < json.length && json.ptr[at] >= '0' && json.ptr[at] <= '9'; at++) {
    if (number > (INT64_MAX - 9) / 10) return otherwise;
    number = number * 10 + (json.ptr[at] - '0');
  }
  if (at == first) return otherwise;
  return negative ? -number : number;
}

/* The text of a field, with escapes as they stand; ptr is NULL when it is not there or no text. */
static inline tg_bytes tg_json_text(tg_bytes json, tg_bytes field) {
  uint32_t at = tg_json_find(json, field);
  tg_bytes none = { 0, 0 };
  if (at >= json.length || json.ptr[at] != '"') return none;
  uint32_t end = tg_json_skip_string(json, ++at);
  tg_bytes text = { json.ptr + at, end > at ? end - at - 1 : 0 };
  return text;
}

/* ---- imports: all the host there is; none of them waits ---- */

#ifdef __wasm__
#define TG_IMPORT(name) __attribute__((import_module("tidegate"), import_name(#name)))

/* The record's now_ns; 0 in init. */
TG_IMPORT(now) int64_t tg_now(void);

enum { TG_LOG_DEBUG = 0, TG_LOG_INFO = 1, TG_LOG_WARNING = 2, TG_LOG_ERROR = 3 };
/* A line for the operator: at most 240 bytes, kept in a ring of 256 lines. */
TG_IMPORT(log) void tg_log(int32_t level, const char *text, uint32_t length);

/* In init: the id of an attribute, which records then carry; -1 when there is no room. */
TG_IMPORT(attribute) int32_t tg_attribute(const char *name, uint32_t length);

/* In init: a counter, exported with the policy's metrics; -1 when there are 64 already. */
TG_IMPORT(counter) int32_t tg_counter(const char *name, uint32_t length);
TG_IMPORT(counter_add) void tg_counter_add(int32_t counter, int64_t n);

/* In init: a limiter of `limit` units every `per_ns`, `burst` at once. Its state is the host's, one for all
 * threads, and lives through swaps under its name. -1 when a number is bad or there are 64 already. */
TG_IMPORT(limiter) int32_t tg_limiter(const char *name, uint32_t length, int64_t limit, int64_t per_ns,
                                      int64_t burst);
/* Takes units, atomically: 1 taken, 0 not there, -1 no such limiter. */
TG_IMPORT(limiter_acquire) int32_t tg_limiter_acquire(int32_t limiter, int64_t cost);

/* Numbers under numbers, kept by the host for all threads through swaps: at most 4096 of them. */
TG_IMPORT(kv_get) int64_t tg_kv_get(int64_t key, int64_t otherwise);
/* 1 kept, 0 not (no room, or another thread was at it). */
TG_IMPORT(kv_set) int32_t tg_kv_set(int64_t key, int64_t value, int64_t ttl_ns);
/* The sum; it lives for ttl_ns from its first change. INT64_MIN when it was not kept. */
TG_IMPORT(kv_incr) int64_t tg_kv_incr(int64_t key, int64_t delta, int64_t ttl_ns);

/* ---- exports ---- */

#define TG_EXPORT(name) __attribute__((export_name(#name), used))
/* Once in a policy: its arena, and the version of this contract. */
#define TG_POLICY                                                                                  \
  const uint32_t tg_policy_abi[2] = { TG_POLICY_ABI_MAGIC, TG_POLICY_ABI_VERSION };                \
  static _Alignas(8) unsigned char tg_arena_[TG_POLICY_ARENA_BYTES];                               \
  TG_EXPORT(tg_policy_arena) unsigned char *tg_policy_arena_(void) { return tg_arena_; }
#endif

#ifdef __cplusplus
static_assert(sizeof(tg_record) == 64, "the layout is the host's");
static_assert(sizeof(tg_record_attribute) == 16, "the layout is the host's");
#else
_Static_assert(sizeof(tg_record) == 64, "the layout is the host's");
_Static_assert(sizeof(tg_record_attribute) == 16, "the layout is the host's");
#endif
#endif
