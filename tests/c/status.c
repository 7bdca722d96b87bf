/* Statuses, versions, and the error struct. */
#include "support.h"

static const struct { tg_status status; const char *name; } names[] = {
  { TG_OK, "TG_OK" }, { TG_REFUSED_DEADLINE, "TG_REFUSED_DEADLINE" }, { TG_REFUSED_FAULT, "TG_REFUSED_FAULT" },
  { TG_REFUSED_BREAKER, "TG_REFUSED_BREAKER" }, { TG_REFUSED_THROTTLE, "TG_REFUSED_THROTTLE" },
  { TG_REFUSED_POLICY, "TG_REFUSED_POLICY" }, { TG_REFUSED_SYSTEM, "TG_REFUSED_SYSTEM" },
  { TG_REFUSED_CONCURRENCY, "TG_REFUSED_CONCURRENCY" }, { TG_REFUSED_RATE, "TG_REFUSED_RATE" },
  { TG_INVALID, "TG_INVALID" }, { TG_CLOSED, "TG_CLOSED" }, { TG_UNSUPPORTED, "TG_UNSUPPORTED" },
  { TG_FULL, "TG_FULL" }, { TG_NOT_HELD, "TG_NOT_HELD" }, { TG_FOREIGN, "TG_FOREIGN" },
  { TG_EXPIRED, "TG_EXPIRED" }, { TG_CONFLICT, "TG_CONFLICT" }, { TG_NOT_FOUND, "TG_NOT_FOUND" },
  { TG_BUSY, "TG_BUSY" }, { TG_SYSTEM, "TG_SYSTEM" }, { TG_INTERNAL, "TG_INTERNAL" },
  { TG_POLICY_REJECTED, "TG_POLICY_REJECTED" },
};

TEST(every_status_has_its_name) {
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) CHECK_TEXT(tg_status_name(names[i].status), names[i].name);
}

TEST(a_number_that_is_no_status_has_a_name_too) {
  const int32_t strange[] = { -1, 9, 99, 113, INT32_MAX, INT32_MIN };
  for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
    const char *name = tg_status_name(strange[i]);
    CHECK(name != NULL && strncmp(name, "TG_", 3) != 0);
  }
}

TEST(refusals_are_1_to_99) {
  for (int status = -5; status < 200; status++) CHECK(tg_is_refusal(status) == (status >= 1 && status <= 99));
}

TEST(the_version_is_the_headers) {
  CHECK_TEXT(tg_version(), "0.1.0");
  CHECK((tg_features() & ~(uint64_t)TG_FEATURE_WASM) == 0);
}

TEST(an_error_says_what_was_wrong) {
  tg_error error = TG_ERROR_INIT;
  CHECK_STATUS(tg_rules_check("{\"a\":1,\"b\":2}", 13, NULL, &error), TG_INVALID);
  CHECK_EQ(error.status, TG_INVALID);
  CHECK_EQ(error.count, 3); /* two unknown fields, and no version */
  CHECK(strstr(error.message, "$.a") != NULL);
  CHECK_STATUS(tg_rules_check("{\"version\":1}", 13, NULL, &error), TG_OK);
  CHECK_EQ(error.status, TG_OK);
  CHECK_EQ(error.count, 0);
  CHECK_TEXT(error.message, "");
}

TEST(an_error_struct_is_filled_no_further_than_it_says) {
  for (uint32_t size = 0; size <= sizeof(tg_error); size += size < 40 ? 1 : 31) {
    struct { tg_error error; char after[8]; } cut;
    memset(&cut, 0x5A, sizeof cut);
    cut.error.struct_size = size;
    CHECK_STATUS(tg_rules_check("[", 1, NULL, &cut.error), TG_INVALID);
    const unsigned char *bytes = (const unsigned char *)&cut;
    uint32_t from = size < sizeof(uint32_t) ? sizeof(uint32_t) : size;
    for (size_t i = from; i < sizeof cut; i++) CHECK_EQ(bytes[i], 0x5A);
    size_t message = offsetof(tg_error, message);
    if (size > message) CHECK(memchr(cut.error.message, 0, size - message) != NULL);
  }
}

TEST(an_error_struct_that_says_too_much_is_still_ours) {
  struct { tg_error error; char after[64]; } newer;
  memset(&newer, 0, sizeof newer);
  newer.error.struct_size = sizeof newer;
  CHECK_STATUS(tg_rules_check("[", 1, NULL, &newer.error), TG_INVALID);
  CHECK_EQ(newer.error.status, TG_INVALID);
  for (size_t i = 0; i < sizeof newer.after; i++) CHECK_EQ(newer.after[i], 0);
}

TEST(a_cut_message_is_whole_utf8) {
  tg_error error = TG_ERROR_INIT;
  const char *json = "{\"\xC3\xA4\xC3\xB6\xC3\xBC\xC3\xA4\xC3\xB6\xC3\xBC\xC3\xA4\xC3\xB6\xC3\xBC\":1}";
  for (uint32_t room = 1; room < 60; room++) {
    error.struct_size = (uint32_t)offsetof(tg_error, message) + room;
    CHECK_STATUS(tg_rules_check(json, strlen(json), NULL, &error), TG_INVALID);
    size_t len = strlen(error.message);
    CHECK(len < room);
    /* The last character is not a lead byte without its second. */
    CHECK(len == 0 || ((unsigned char)error.message[len - 1] & 0xC0) != 0xC0);
  }
}

TEST_MAIN
