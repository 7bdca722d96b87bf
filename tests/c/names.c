/* Names that are empty, a megabyte long, not UTF-8, or lie where the answer goes. */
#include "support.h"

enum { HUGE = 1 << 20 };
static tg_runtime *rt;
static char *huge;

typedef tg_status (*taker)(tg_str name);

static tg_status as_guard(tg_str name) {
  const tg_guard *out = NULL;
  tg_error error = TG_ERROR_INIT;
  tg_status status = tg_guard_resolve(rt, name, &out, &error);
  CHECK((status == TG_OK) == (out != NULL) && (status == TG_OK) == (error.message[0] == 0));
  return status;
}

static tg_status as_counter(tg_str name) {
  const tg_counter *out = NULL;
  tg_instrument desc = TG_INSTRUMENT_INIT;
  desc.name = name;
  return tg_counter_resolve(rt, &desc, &out, NULL);
}

static tg_status as_label_name(tg_str name) {
  const tg_gauge *out = NULL;
  tg_instrument desc = described("gauge");
  tg_label label = { name, TG_STR("v") };
  desc.labels = &label, desc.label_count = 1;
  return tg_gauge_resolve(rt, &desc, &out, NULL);
}

static tg_status as_label_value(tg_str value) {
  const tg_gauge *out = NULL;
  tg_instrument desc = described("gauge");
  tg_label label = { TG_STR("l"), value };
  desc.labels = &label, desc.label_count = 1;
  return tg_gauge_resolve(rt, &desc, &out, NULL);
}

static tg_status as_help(tg_str help) {
  const tg_gauge *out = NULL;
  tg_instrument desc = described("gauge");
  desc.help = help;
  return tg_gauge_resolve(rt, &desc, &out, NULL);
}

static tg_status as_runtime(tg_str name) {
  tg_runtime *other = NULL;
  tg_options options = TG_OPTIONS_INIT;
  options.name = name;
  tg_status status = tg_runtime_open(&options, &other, NULL);
  CHECK((status == TG_OK) == (other != NULL));
  tg_runtime_close(other);
  return status;
}

static tg_status as_policy(tg_str name) {
  const uint8_t garbage[] = "not wasm";
  return has_wasm() ? tg_policy_load(rt, name, garbage, sizeof garbage, NULL, NULL) : TG_INVALID;
}

static tg_status as_attribute(tg_str name) {
  uint32_t id;
  return tg_attribute_resolve(rt, name, &id);
}

TEST(setup) {
  rt = open_virtual();
  huge = malloc(HUGE);
  REQUIRE(huge != NULL);
  memset(huge, 'a', HUGE);
}

static const taker names[] = { as_guard, as_counter, as_label_name, as_policy, as_attribute };
#define EACH(take, takers) for (size_t i_ = 0; i_ < sizeof(takers) / sizeof *(takers); i_++) { taker take = (takers)[i_];
#define END }

TEST(empty) {
  EACH(take, names)
    CHECK(take((tg_str){ "", 0 }) >= TG_INVALID);
    CHECK(take((tg_str){ NULL, 0 }) >= TG_INVALID);
    CHECK(take((tg_str){ (const char *)(uintptr_t)1, 0 }) >= TG_INVALID); /* not looked at */
  END
  CHECK_STATUS(as_label_value((tg_str){ (const char *)(uintptr_t)1, 0 }), TG_OK);
  CHECK_STATUS(as_help((tg_str){ (const char *)(uintptr_t)1, 0 }), TG_OK);
  CHECK_STATUS(as_runtime((tg_str){ (const char *)(uintptr_t)1, 0 }), TG_OK);
}

TEST(a_megabyte_long) {
  tg_str name = { huge, HUGE };
  EACH(take, names) CHECK(take(name) >= TG_INVALID); END
  CHECK_STATUS(as_guard(name), TG_INVALID);
  CHECK_STATUS(as_label_value(name), TG_INVALID);
  CHECK_STATUS(as_help(name), TG_INVALID);
  CHECK_STATUS(as_runtime(name), TG_INVALID);
}

TEST(longer_than_memory) {
  tg_str name = { huge, SIZE_MAX };
  EACH(take, names) CHECK(take(name) >= TG_INVALID); END
  CHECK_STATUS(as_label_value(name), TG_INVALID);
  CHECK_STATUS(tg_rules_apply(rt, huge, SIZE_MAX, NULL), TG_INVALID);
  CHECK(tg_policy_check(rt, (const uint8_t *)huge, SIZE_MAX, NULL, NULL) >= TG_INVALID);
}

TEST(not_utf8) {
  const tg_str bad[] = { TG_STR("\xFF"), TG_STR("a\xC3"), TG_STR("\xED\xA0\x80"), TG_STR("\xC0\x80") };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    EACH(take, names) CHECK(take(bad[i]) >= TG_INVALID); END
    CHECK_STATUS(as_guard(bad[i]), TG_INVALID);
    CHECK_STATUS(as_label_value(bad[i]), TG_INVALID);
    CHECK_STATUS(as_help(bad[i]), TG_INVALID);
    CHECK_STATUS(as_runtime(bad[i]), TG_INVALID);
  }
}

TEST(the_longest_and_one_more) {
  CHECK_STATUS(as_guard((tg_str){ huge, 128 }), TG_OK);
  CHECK_STATUS(as_guard((tg_str){ huge, 129 }), TG_INVALID);
  CHECK_STATUS(as_counter((tg_str){ huge, 128 }), TG_OK);
  CHECK_STATUS(as_counter((tg_str){ huge, 129 }), TG_INVALID);
}

TEST(odd_but_allowed) {
  CHECK_STATUS(as_guard(TG_STR("/orders/{id} \xE6\xBD\xAE")), TG_OK);
  CHECK_STATUS(as_guard(TG_STR("quote\"back\\slash")), TG_OK);
  CHECK_STATUS(as_label_value(TG_STR("line\nbreak\"\\")), TG_OK);
}

TEST(odd_and_refused) {
  CHECK_STATUS(as_guard(TG_STR("line\nbreak")), TG_INVALID);
  CHECK_STATUS(as_guard(TG_STR("nul\0inside")), TG_INVALID);
  CHECK_STATUS(as_counter(TG_STR("1starts_with_a_digit")), TG_INVALID);
  CHECK_STATUS(as_counter(TG_STR("has-dash")), TG_INVALID);
  CHECK_STATUS(as_counter(TG_STR("tidegate_is_ours")), TG_INVALID);
  CHECK_STATUS(as_label_name(TG_STR("__reserved")), TG_INVALID);
  CHECK_STATUS(as_label_name(TG_STR("le")), TG_INVALID);
  CHECK_STATUS(as_runtime(TG_STR("../up")), TG_INVALID);
  CHECK_STATUS(as_runtime(TG_STR("a/b")), TG_INVALID);
}

/* Input that lies in the struct that the answer goes to. */
TEST(input_and_output_may_overlap) {
  union { tg_error error; char bytes[sizeof(tg_error)]; } place = { TG_ERROR_INIT };
  const tg_guard *out = NULL;
  memcpy(place.error.message, "bad\nname", 8);
  CHECK_STATUS(tg_guard_resolve(rt, (tg_str){ place.error.message, 8 }, &out, &place.error), TG_INVALID);
  CHECK(strstr(place.error.message, "guard name") != NULL);
  memcpy(place.error.message, "{\"a\":1}", 7);
  CHECK_STATUS(tg_rules_apply(rt, place.error.message, 7, &place.error), TG_INVALID);
  CHECK(strstr(place.error.message, "$.a") != NULL);
}

TEST(misaligned_pointers_are_noticed) {
  _Alignas(16) char room[sizeof(tg_guard_stats) + 16] = { 0 };
  tg_permit permit;
  const tg_guard *guard = guard_of(rt, "g");
  CHECK_STATUS(tg_guard_enter((const tg_guard *)(void *)((char *)(uintptr_t)guard + 1), NULL, &permit), TG_INVALID);
  CHECK_STATUS(tg_guard_enter(guard, NULL, (tg_permit *)(void *)(room + 1)), TG_INVALID);
  CHECK_STATUS(tg_guard_exit((tg_permit *)(void *)(room + 4), TG_OUTCOME_SUCCESS), TG_INVALID);
  CHECK_STATUS(tg_guard_stats_read(guard, (tg_guard_stats *)(void *)(room + 4)), TG_INVALID);
  CHECK_STATUS(tg_clock_now(rt, (uint64_t *)(void *)(room + 1)), TG_INVALID);
}

TEST(the_runtime_took_no_harm) {
  CHECK_STATUS(pass(guard_of(rt, "g"), TG_OUTCOME_SUCCESS), TG_OK);
  free(huge);
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
}

TEST_MAIN
