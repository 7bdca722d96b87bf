/* Structs that say another size than the library knows. */
#include "support.h"

#define TAIL 64

/* A struct as a newer header may have it, between bytes that are nobody's to read. */
#define NEWER(type) struct { type known; uint8_t tail[TAIL]; }

/* Runs `call` with struct_size too small, larger with a zero tail, and larger with each tail byte set. */
#define CHECK_SIZES(newer, ok, call) \
  do { \
    memset((newer).tail, 0, TAIL); \
    const uint32_t small[] = { 0, 1, 4, 8, sizeof (newer).known / 2, sizeof (newer).known - 1 }; \
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) { \
      (newer).known.struct_size = small[i]; \
      CHECK_STATUS(call, TG_INVALID); \
    } \
    (newer).known.struct_size = sizeof(newer); \
    CHECK_STATUS(call, ok); \
    for (size_t i = 0; i < TAIL; i++) { \
      (newer).tail[i] = 1; \
      CHECK_STATUS(call, TG_UNSUPPORTED); \
      (newer).tail[i] = 0; \
    } \
    (newer).known.struct_size = UINT32_MAX; \
    CHECK_STATUS(call, TG_INVALID); \
    (newer).known.struct_size = sizeof (newer).known; \
    for (size_t i = 0; i < sizeof (newer).known.reserved; i++) { \
      (newer).known.reserved[i] = 1; \
      CHECK_STATUS(call, TG_UNSUPPORTED); \
      (newer).known.reserved[i] = 0; \
    } \
    CHECK_STATUS(call, ok); \
  } while (0)

static tg_status open_and_close(const tg_options *options) {
  tg_runtime *rt = NULL;
  tg_error error = TG_ERROR_INIT;
  tg_status status = tg_runtime_open(options, &rt, &error);
  CHECK((status == TG_OK) == (rt != NULL) && (status == TG_OK) == (error.message[0] == 0));
  tg_runtime_close(rt);
  return status;
}

TEST(options) {
  NEWER(tg_options) newer = { TG_OPTIONS_INIT, { 0 } };
  CHECK_SIZES(newer, TG_OK, open_and_close(&newer.known));
}

static tg_status enter_and_exit(const tg_guard *guard, const tg_call *call) {
  tg_permit permit;
  tg_status status = tg_guard_enter(guard, call, &permit);
  CHECK_STATUS(tg_guard_exit(&permit, TG_OUTCOME_SUCCESS), status == TG_OK ? TG_OK : TG_NOT_HELD);
  return status;
}

TEST(call) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guard_of(rt, "g");
  NEWER(tg_call) newer = { TG_CALL_INIT, { 0 } };
  CHECK_SIZES(newer, TG_OK, enter_and_exit(guard, &newer.known));
  CHECK_EQ(stats_of(guard).inflight, 0);
  tg_runtime_close(rt);
}

TEST(instrument) {
  tg_runtime *rt = open_virtual();
  const tg_counter *counter = NULL;
  const tg_gauge *gauge = NULL;
  const tg_histogram *histogram = NULL;
  NEWER(tg_instrument) newer = { described("c"), { 0 } };
  CHECK_SIZES(newer, TG_OK, tg_counter_resolve(rt, &newer.known, &counter, NULL));
  newer.known.name = TG_STR("g");
  CHECK_SIZES(newer, TG_OK, tg_gauge_resolve(rt, &newer.known, &gauge, NULL));
  newer.known.name = TG_STR("h");
  CHECK_SIZES(newer, TG_OK, tg_histogram_resolve(rt, &newer.known, &histogram, NULL));
  tg_runtime_close(rt);
}

static const tg_limiter *limiter;

static tg_status resolve(const tg_runtime *rt, const tg_limiter_options *options) {
  return tg_limiter_resolve(rt, TG_STR("l"), options, &limiter, NULL);
}

TEST(limiter_options) {
  tg_runtime *rt = open_virtual();
  NEWER(tg_limiter_options) newer = { TG_LIMITER_OPTIONS_INIT, { 0 } };
  CHECK_SIZES(newer, TG_OK, resolve(rt, &newer.known));
  REQUIRE(resolve(rt, NULL) == TG_OK);
  CHECK_SIZES(newer, TG_OK, tg_limiter_set(limiter, &newer.known, 0, NULL));
  REQUIRE(resolve(rt, NULL) == TG_OK);
  newer.known.struct_size = sizeof newer.known - 1;
  CHECK_STATUS(tg_limiter_read(limiter, &newer.known), TG_INVALID);
  newer.known.struct_size = sizeof newer;
  CHECK_STATUS(tg_limiter_read(limiter, &newer.known), TG_OK);
  CHECK_EQ(newer.known.struct_size, sizeof newer);
  tg_limiter_place place = TG_LIMITER_PLACE_INIT;
  CHECK_STATUS(tg_limiter_locate(limiter, &place), TG_OK);
  place.struct_size--;
  CHECK_STATUS(tg_limiter_locate(limiter, &place), TG_INVALID);
  tg_runtime_close(rt);
}

TEST(policy_options) {
  if (!has_wasm()) return;
  tg_runtime *rt = open_virtual();
  const uint8_t garbage[] = "not wasm";
  NEWER(tg_policy_options) newer = { TG_POLICY_OPTIONS_INIT, { 0 } };
  CHECK_SIZES(newer, TG_POLICY_REJECTED, tg_policy_check(rt, garbage, sizeof garbage, &newer.known, NULL));
  newer.known.flags = 1;
  CHECK(tg_policy_check(rt, garbage, sizeof garbage, &newer.known, NULL) >= TG_INVALID);
  tg_runtime_close(rt);
}

/* Here the library writes: a larger struct gets what the library knows, a smaller one nothing. */
TEST(stats) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guard_of(rt, "g");
  CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  NEWER(tg_guard_stats) newer = { TG_GUARD_STATS_INIT, { 0 } };
  newer.known.struct_size = sizeof newer;
  CHECK_STATUS(tg_guard_stats_read(guard, &newer.known), TG_OK);
  CHECK_EQ(newer.known.calls[TG_OUTCOME_SUCCESS], 1);
  CHECK_EQ(newer.known.struct_size, sizeof newer);
  for (uint32_t size = 0; size < sizeof(tg_guard_stats); size += 5) {
    memset(&newer, 0x5A, sizeof newer);
    newer.known.struct_size = size;
    CHECK_STATUS(tg_guard_stats_read(guard, &newer.known), TG_INVALID);
    const uint8_t *bytes = (const uint8_t *)&newer;
    for (size_t i = sizeof(uint32_t); i < sizeof newer; i++) CHECK_EQ(bytes[i], 0x5A);
  }
  tg_runtime_close(rt);
}

TEST_MAIN
