/*
 * A checkout that charges customers through a payment service, guarded: at most three payments an hour (so that the limit
 * shows), ten in flight, and none while the service fails.
 *
 *   cc checkout.c $(pkg-config --cflags --libs tidegate) -o checkout && ./checkout
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <tidegate.h>

static const char rules[] =
    "{ \"version\": 1, \"guards\": { \"payments.charge\": {"
    "    \"breaker\":     { \"error_ratio\": 0.5, \"window\": \"10s\", \"min_calls\": 20, \"open_for\": \"5s\" },"
    "    \"concurrency\": { \"max\": 10 },"
    "    \"rate\":        [{ \"limit\": 1, \"per\": \"1h\", \"burst\": 3 }],"
    "    \"timeout\":     \"800ms\" } } }";

/* The call that is guarded. */
static bool charge(int order) {
  printf("order %d: charged\n", order);
  return true;
}

static void checkout(const tg_guard *payments, int order) {
  tg_permit permit; /* plain data, on the stack */
  tg_status status = tg_guard_enter(payments, NULL, &permit);
  if (tg_is_refusal(status)) {
    uint64_t minutes = (tg_permit_retry_after(&permit) + 59999999999u) / 60000000000u;
    printf("order %d: %s, come back in %d min\n", order, tg_status_name(status), (int)minutes);
    return;
  }
  /* Any other status than TG_OK is a fault of ours, not of the payment service: go ahead. */
  bool charged = charge(order);
  if (status == TG_OK) tg_guard_exit(&permit, charged ? TG_OUTCOME_SUCCESS : TG_OUTCOME_FAILURE);
}

int main(void) {
  tg_error error = TG_ERROR_INIT;
  tg_runtime *rt = NULL;
  const tg_guard *payments = NULL;
  if (tg_runtime_open(NULL, &rt, &error) != TG_OK || tg_rules_apply(rt, rules, strlen(rules), &error) != TG_OK ||
      tg_guard_resolve(rt, TG_STR("payments.charge"), &payments, &error) != TG_OK) {
    fprintf(stderr, "checkout: %s\n", error.message);
    return 1;
  }
  for (int order = 1; order <= 5; order++) checkout(payments, order);
  tg_runtime_close(rt);
  return 0;
}
