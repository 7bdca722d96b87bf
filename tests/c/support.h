/* What the tests share: opening, rules, entering, in one line each. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include "check.h"
#include <tidegate.h>

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define START (UINT64_C(3600) * SECOND)

/* Compares statuses by name, so that a difference can be read. */
#define CHECK_STATUS(call, want) check_text(__FILE__, __LINE__, #call, tg_status_name(call), tg_status_name(want))

static inline tg_str str(const char *text) { return (tg_str){ text, strlen(text) }; }

/* A private runtime on a virtual clock. */
static inline tg_runtime *open_virtual(void) {
  tg_options options = TG_OPTIONS_INIT;
  options.clock = TG_CLOCK_VIRTUAL;
  options.virtual_start_ns = START;
  tg_runtime *rt = NULL;
  REQUIRE(tg_runtime_open(&options, &rt, NULL) == TG_OK);
  return rt;
}

static inline tg_runtime *open_plain(void) {
  tg_runtime *rt = NULL;
  REQUIRE(tg_runtime_open(NULL, &rt, NULL) == TG_OK);
  return rt;
}

static inline tg_status apply(const tg_runtime *rt, const char *json) {
  tg_error error = TG_ERROR_INIT;
  tg_status status = tg_rules_apply(rt, json, strlen(json), &error);
  if (status != TG_OK) printf("       %s: %s\n", tg_status_name(status), error.message);
  return status;
}

static inline const tg_guard *guard_of(const tg_runtime *rt, const char *name) {
  const tg_guard *guard = NULL;
  REQUIRE(tg_guard_resolve(rt, str(name), &guard, NULL) == TG_OK);
  REQUIRE(guard != NULL);
  return guard;
}

/* The guard "g" under these rules for it. */
static inline const tg_guard *guarded(const tg_runtime *rt, const char *rules) {
  char json[2048];
  snprintf(json, sizeof json, "{\"version\":1,\"guards\":{\"g\":%s}}", rules);
  REQUIRE(apply(rt, json) == TG_OK);
  return guard_of(rt, "g");
}

/* Enters and exits at once. */
static inline tg_status pass(const tg_guard *guard, tg_outcome outcome) {
  tg_permit permit;
  tg_status status = tg_guard_enter(guard, NULL, &permit);
  return status == TG_OK ? tg_guard_exit(&permit, outcome) : status;
}

static inline tg_guard_stats stats_of(const tg_guard *guard) {
  tg_guard_stats stats = TG_GUARD_STATS_INIT;
  CHECK_STATUS(tg_guard_stats_read(guard, &stats), TG_OK);
  return stats;
}

static inline tg_instrument described(const char *name) {
  tg_instrument desc = TG_INSTRUMENT_INIT;
  desc.name = str(name);
  return desc;
}

static inline bool has_wasm(void) { return (tg_features() & TG_FEATURE_WASM) != 0; }

/* Whether a text of the library's holds these words. */
static inline bool holds(const tg_text *text, const char *words) {
  tg_str bytes = tg_text_bytes(text);
  return bytes.len > 0 && memmem(bytes.ptr, bytes.len, words, strlen(words)) != NULL;
}

#endif
