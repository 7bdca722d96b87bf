/* Limiters that stand alone. */
#include "support.h"
#include <math.h>

#define TENTH (SECOND / 10)

static tg_limiter_options bucket_of(double limit, uint64_t burst) {
  tg_limiter_options options = TG_LIMITER_OPTIONS_INIT;
  options.limit = limit;
  options.burst = burst;
  return options;
}

static const tg_limiter *limiter_of(const tg_runtime *rt, const char *name, tg_limiter_options options) {
  const tg_limiter *limiter = NULL;
  REQUIRE(tg_limiter_resolve(rt, str(name), &options, &limiter, NULL) == TG_OK);
  return limiter;
}

static double tokens_of(const tg_limiter *limiter) {
  double tokens = NAN;
  CHECK_STATUS(tg_limiter_tokens(limiter, 0, &tokens), TG_OK);
  return tokens;
}

TEST(takes_what_is_there) {
  tg_runtime *rt = open_virtual();
  const tg_limiter *limiter = limiter_of(rt, "l", bucket_of(10, 3));
  uint64_t ns = 7;
  for (int i = 0; i < 3; i++) CHECK_STATUS(tg_limiter_take(limiter, 1, 0, &ns), TG_OK);
  CHECK_EQ(ns, 0);
  CHECK_STATUS(tg_limiter_take(limiter, 1, 0, &ns), TG_REFUSED_RATE);
  CHECK_EQ(ns, TENTH);
  CHECK_STATUS(tg_limiter_take(limiter, 4, 0, &ns), TG_REFUSED_RATE);
  CHECK_EQ(ns, TG_LIMITER_FOREVER);
  CHECK_STATUS(tg_limiter_take(limiter, 0, 0, &ns), TG_OK);
  CHECK_STATUS(tg_clock_advance(rt, TENTH), TG_OK);
  CHECK_STATUS(tg_limiter_take(limiter, 1, 0, NULL), TG_OK);
  CHECK_STATUS(tg_limiter_take(limiter, 2, START + 3 * TENTH, NULL), TG_OK);
  CHECK_STATUS(tg_limiter_take(limiter, 1, START + 3 * TENTH, NULL), TG_REFUSED_RATE);
  tg_runtime_close(rt);
}

TEST(a_name_is_one_limiter_and_none_is_ones_own) {
  tg_options options = TG_OPTIONS_INIT;
  options.name = TG_STR("c-limiters");
  tg_runtime *one = NULL, *other = NULL;
  REQUIRE(tg_runtime_open(&options, &one, NULL) == TG_OK);
  REQUIRE(tg_runtime_open(&options, &other, NULL) == TG_OK);
  const tg_limiter *here = limiter_of(one, "l", bucket_of(0, 2)), *there = limiter_of(other, "l", bucket_of(0, 9));
  CHECK_STATUS(tg_limiter_take(here, 1, 0, NULL), TG_OK);
  CHECK_STATUS(tg_limiter_take(there, 1, 0, NULL), TG_OK);
  CHECK_STATUS(tg_limiter_take(here, 1, 0, NULL), TG_REFUSED_RATE);
  tg_limiter_options told = TG_LIMITER_OPTIONS_INIT;
  CHECK_STATUS(tg_limiter_read(there, &told), TG_OK);
  CHECK_EQ(told.burst, 2);
  const tg_limiter *mine = limiter_of(one, "", bucket_of(0, 1)), *yours = limiter_of(one, "", bucket_of(0, 1));
  CHECK(mine != yours);
  CHECK_STATUS(tg_limiter_take(mine, 1, 0, NULL), TG_OK);
  CHECK_STATUS(tg_limiter_take(yours, 1, 0, NULL), TG_OK);
  tg_runtime_close(one);
  tg_runtime_close(other);
}

TEST(reservations_wait_and_come_back) {
  tg_runtime *rt = open_virtual();
  const tg_limiter *limiter = limiter_of(rt, "", bucket_of(10, 2)), *other = limiter_of(rt, "", bucket_of(10, 2));
  tg_reservation first, second, zero = { 0 };
  CHECK_STATUS(tg_limiter_reserve(limiter, 2, 0, 0, &first), TG_OK);
  CHECK_STATUS(tg_limiter_reserve(limiter, 2, 0, TENTH, &second), TG_REFUSED_RATE);
  CHECK_EQ(second.wait_ns, TENTH);
  CHECK_STATUS(tg_limiter_cancel(limiter, &second, 0), TG_NOT_HELD);
  CHECK_STATUS(tg_limiter_reserve(limiter, 2, 0, TG_LIMITER_FOREVER, &second), TG_OK);
  CHECK_EQ(second.wait_ns, 2 * TENTH);
  CHECK_EQ(second.act_at_ns, START + 2 * TENTH);
  CHECK(tokens_of(limiter) == -2);
  CHECK_STATUS(tg_limiter_cancel(other, &second, 0), TG_INVALID);
  CHECK_STATUS(tg_limiter_cancel(limiter, &second, 0), TG_OK);
  CHECK_STATUS(tg_limiter_cancel(limiter, &second, 0), TG_NOT_HELD);
  CHECK_STATUS(tg_limiter_cancel(limiter, &zero, 0), TG_NOT_HELD);
  CHECK(tokens_of(limiter) == 0);
  CHECK_STATUS(tg_limiter_cancel(limiter, &first, START + 1), TG_OK);
  CHECK(tokens_of(limiter) == 0);
  tg_runtime_close(rt);
}

TEST(every_algorithm_holds_its_limit) {
  tg_runtime *rt = open_virtual();
  const uint64_t most[] = { 10, 1, 10, 10, 10, 1 };
  for (uint32_t algorithm = TG_LIMITER_TOKEN_BUCKET; algorithm <= TG_LIMITER_WARM_UP; algorithm++) {
    tg_limiter_options options = bucket_of(10, 0);
    options.algorithm = algorithm;
    options.warm_up_ns = algorithm == TG_LIMITER_WARM_UP ? SECOND : 0;
    const tg_limiter *limiter = limiter_of(rt, "", options);
    uint64_t taken = 0;
    while (tg_limiter_take(limiter, 1, 0, NULL) == TG_OK) taken++;
    CHECK_EQ(taken, most[algorithm]);
  }
  tg_runtime_close(rt);
}

TEST(options_are_checked) {
  tg_runtime *rt = open_virtual();
  const tg_limiter *limiter = NULL;
  tg_error error = TG_ERROR_INIT;
  tg_limiter_options wrong[] = { bucket_of(-1, 0), bucket_of(NAN, 0), bucket_of(1, 0), bucket_of(1, 0), bucket_of(1e-9, 1) };
  wrong[2].algorithm = 6;
  wrong[3].algorithm = TG_LIMITER_PACING, wrong[3].burst = 3;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    CHECK_STATUS(tg_limiter_resolve(rt, TG_STR("l"), &wrong[i], &limiter, &error), TG_INVALID);
    CHECK(limiter == NULL && error.message[0] != 0);
  }
  tg_limiter_options none = bucket_of(INFINITY, TG_LIMITER_NO_BURST);
  limiter = limiter_of(rt, "all", none);
  CHECK_STATUS(tg_limiter_take(limiter, UINT64_MAX, 0, NULL), TG_OK);
  none.limit = 10;
  limiter = limiter_of(rt, "none", none);
  CHECK_STATUS(tg_limiter_take(limiter, 1, 0, NULL), TG_REFUSED_RATE);
  tg_limiter_options told = TG_LIMITER_OPTIONS_INIT;
  CHECK_STATUS(tg_limiter_read(limiter, &told), TG_OK);
  CHECK(told.burst == TG_LIMITER_NO_BURST && told.limit == 10);
  tg_runtime_close(rt);
}

TEST(a_live_change_keeps_the_tokens) {
  tg_runtime *rt = open_virtual();
  const tg_limiter *limiter = limiter_of(rt, "l", bucket_of(10, 5));
  CHECK_STATUS(tg_limiter_take(limiter, 3, 0, NULL), TG_OK);
  tg_limiter_options faster = bucket_of(20, 8);
  CHECK_STATUS(tg_limiter_set(limiter, &faster, 0, NULL), TG_OK);
  CHECK(tokens_of(limiter) == 2);
  CHECK_STATUS(tg_clock_advance(rt, TENTH), TG_OK);
  CHECK(tokens_of(limiter) == 4);
  faster.algorithm = 77;
  CHECK_STATUS(tg_limiter_set(limiter, &faster, 0, NULL), TG_INVALID);
  CHECK(tokens_of(limiter) == 4);
  tg_runtime_close(rt);
}

TEST(its_place_is_told) {
  tg_runtime *rt = open_virtual();
  const tg_limiter *limiter = limiter_of(rt, "l", bucket_of(10, 5));
  tg_limiter_place place = TG_LIMITER_PLACE_INIT;
  CHECK_STATUS(tg_limiter_locate(limiter, &place), TG_OK);
  CHECK(*place.generation == place.life && *place.word == 0);
  CHECK_STATUS(tg_limiter_take(limiter, 5, 0, NULL), TG_OK);
  CHECK_EQ(*place.word & 15, 1);
  CHECK_EQ(place.numbers[1][0], 1);
  CHECK_EQ(place.numbers[1][1], 16);
  CHECK_EQ(*place.rejected, 0);
  CHECK_STATUS(tg_limiter_take(limiter, 1, 0, NULL), TG_REFUSED_RATE);
  CHECK_EQ(*place.rejected, 1);
  *place.word = 0;
  CHECK(tokens_of(limiter) == 5);
  tg_runtime_close(rt);
  CHECK_EQ(*place.generation, 0);
  CHECK_STATUS(tg_limiter_locate(limiter, &place), TG_CLOSED);
}

static void check_gone(const tg_limiter *limiter) {
  tg_limiter_options options = bucket_of(1, 1);
  tg_reservation reservation;
  double tokens;
  CHECK_STATUS(tg_limiter_take(limiter, 1, 0, NULL), TG_CLOSED);
  CHECK_STATUS(tg_limiter_reserve(limiter, 1, 0, 0, &reservation), TG_CLOSED);
  CHECK_STATUS(tg_limiter_cancel(limiter, &reservation, 0), TG_CLOSED);
  CHECK_STATUS(tg_limiter_tokens(limiter, 0, &tokens), TG_CLOSED);
  CHECK_STATUS(tg_limiter_set(limiter, &options, 0, NULL), TG_CLOSED);
  CHECK_STATUS(tg_limiter_read(limiter, &options), TG_CLOSED);
  CHECK_STATUS(tg_limiter_retire(limiter), TG_CLOSED);
}

TEST(retired_and_closed_ones_say_so) {
  tg_runtime *rt = open_virtual();
  const tg_limiter *named = limiter_of(rt, "l", bucket_of(10, 5)), *own = limiter_of(rt, "", bucket_of(10, 5));
  CHECK_STATUS(tg_limiter_retire(named), TG_OK);
  CHECK_STATUS(tg_limiter_retire(own), TG_OK);
  check_gone(named);
  check_gone(own);
  const tg_limiter *again = limiter_of(rt, "l", bucket_of(10, 5)), *alone = limiter_of(rt, "", bucket_of(10, 5));
  check_gone(named);
  check_gone(own);
  CHECK_STATUS(tg_limiter_take(again, 5, 0, NULL), TG_OK);
  tg_runtime_close(rt);
  check_gone(again);
  check_gone(alone);
}

TEST_MAIN
