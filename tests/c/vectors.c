/*
 * Runs tests/vectors through the C interface. Standard input holds the vectors as flatten.py writes them: one step a
 * line, fields parted by tabs; "-" is a field that is not there.
 */
#include "support.h"

enum { MOST_FIELDS = 64, MOST_PERMITS = 512 };

typedef struct named_permit { char name[64]; tg_permit permit; } named_permit;

typedef struct named_breaker { char name[64]; const tg_breaker *breaker; uint64_t generation; } named_breaker;
typedef struct named_ticket { char name[64]; tg_breaker_ticket ticket; } named_ticket;
static named_breaker counted[8];
static named_ticket tickets[MOST_PERMITS];
typedef struct named_retry { char name[32]; tg_retry retry; tg_hedge hedge; } named_retry;

static tg_runtime *rt;
static named_retry retries[32];
static int retry_count;
static named_permit permits[MOST_PERMITS];
static int permit_count, passed, failed;
static char vector[256], step[16];
static char *fields[MOST_FIELDS];
static int field_count;

static bool has(int field) { return field < field_count && strcmp(fields[field], "-") != 0; }
static tg_str text(int field) { return has(field) ? str(fields[field]) : (tg_str){ NULL, 0 }; }
static uint64_t number(int field) { return has(field) ? strtoull(fields[field], NULL, 10) : 0; }
static double real(int field) { return strtod(fields[field], NULL); }

static void fault(const char *what, const char *got, const char *want) {
  char line[1024];
  snprintf(line, sizeof line, "%s, step %s: %s is %.200s, want %.200s", vector, step, what, got, want);
  check_fault(__FILE__, __LINE__, line);
}

static void expect_status(tg_status got, int field) {
  const char *want = has(field) ? fields[field] : "TG_OK";
  if (strcmp(tg_status_name(got), want) != 0) fault("status", tg_status_name(got), want);
}

static void expect_number(const char *what, uint64_t got, int field) {
  if (!has(field) || got == number(field)) return;
  char is[32];
  snprintf(is, sizeof is, "%" PRIu64, got);
  fault(what, is, fields[field]);
}

static tg_permit *permit_named(const char *name) {
  for (int i = 0; i < permit_count; i++)
    if (strcmp(permits[i].name, name) == 0) return &permits[i].permit;
  REQUIRE(permit_count < MOST_PERMITS);
  snprintf(permits[permit_count].name, sizeof permits->name, "%s", name);
  memset(&permits[permit_count].permit, 0, sizeof(tg_permit));
  return &permits[permit_count++].permit;
}

/* open <name> <start_ns> <faults> */
static void op_open(void) {
  tg_options options = TG_OPTIONS_INIT;
  options.clock = TG_CLOCK_VIRTUAL;
  options.virtual_start_ns = number(2);
  snprintf(vector, sizeof vector, "%s", fields[1]);
  options.flags = number(3) ? TG_OPTION_FAULTS : 0;
  permit_count = retry_count = 0;
  memset(counted, 0, sizeof counted);
  memset(tickets, 0, sizeof tickets);
  atomic_store(&check_faults, 0);
  REQUIRE(tg_runtime_open(&options, &rt, NULL) == TG_OK);
}

static void op_end(void) {
  bool good = atomic_load(&check_faults) == 0;
  printf("%s %s\n", good ? "ok    " : "FAILED", vector);
  *(good ? &passed : &failed) += 1;
  CHECK_STATUS(tg_runtime_close(rt), TG_OK);
}

static void op_guard(void) { guard_of(rt, fields[1]); }

/* at <ns> */
static void op_at(void) { expect_status(tg_clock_set(rt, number(1)), MOST_FIELDS); }

/* rules <json> <expect> */
static void op_rules(void) { expect_status(tg_rules_apply(rt, fields[1], strlen(fields[1]), NULL), 2); }

/* What the next call says of how much it matters. */
static uint32_t criticality, level, has_level;

/* matters <criticality> <level> */
static void op_matters(void) { criticality = (uint32_t)number(1), level = (uint32_t)number(2), has_level = has(2); }

/* enter <guard> <as> <cost> <timeout> <key> <expect> <retry after> <wait> <reason> <attribute name> <value>... */
static void op_enter(void) {
  tg_call call = TG_CALL_INIT;
  tg_attribute attributes[8];
  for (int i = 10; i + 1 < field_count && call.attribute_count < 8; i += 2) {
    tg_attribute *attribute = &attributes[call.attribute_count++];
    *attribute = (tg_attribute){ .value = text(i + 1) };
    CHECK_STATUS(tg_attribute_resolve(rt, text(i), &attribute->id), TG_OK);
  }
  call.attributes = attributes;
  tg_permit unnamed, *permit = has(2) ? permit_named(fields[2]) : &unnamed;
  call.cost = number(3), call.timeout_ns = number(4), call.key = text(5);
  call.criticality = criticality, call.level = level, call.has_level = has_level;
  criticality = level = has_level = 0;
  expect_status(tg_guard_enter(guard_of(rt, fields[1]), &call, permit), 6);
  expect_number("retry after", tg_permit_retry_after(permit), 7);
  expect_number("wait", tg_permit_wait(permit), 8);
  expect_number("reason", tg_permit_reason(permit), 9);
}

static named_retry *retry_named(const char *name) {
  for (int i = 0; i < retry_count; i++)
    if (strcmp(retries[i].name, name) == 0) return &retries[i];
  REQUIRE(retry_count < 32);
  snprintf(retries[retry_count].name, sizeof retries->name, "%s", name);
  return &retries[retry_count++];
}

/* retry|hedge <guard> <as> <timeout> <criticality> <once> */
static tg_call about(void) {
  tg_call call = TG_CALL_INIT;
  call.timeout_ns = number(3);
  if (has(4)) call.criticality = fields[4][0] == 'c' ? TG_CRITICALITY_CRITICAL : TG_CRITICALITY_SHEDDABLE;
  call.flags = number(5) ? TG_CALL_ONCE : 0;
  return call;
}

static void op_retry(void) {
  tg_call call = about();
  CHECK_STATUS(tg_retry_begin(guard_of(rt, fields[1]), &call, &retry_named(fields[2])->retry), TG_OK);
}

static void op_hedge(void) {
  tg_call call = about();
  CHECK_STATUS(tg_hedge_begin(guard_of(rt, fields[1]), &call, &retry_named(fields[2])->hedge), TG_OK);
}

static tg_outcome outcome_named(const char *name) {
  static const char *const names[] = { "success", "failure", "timeout", "overloaded", "cancelled", "ignored" };
  for (int i = 0; i < 6; i++)
    if (strcmp(names[i], name) == 0) return i;
  REQUIRE(!"an outcome");
  return -1;
}

/* retry_next <retry> <outcome> <retry after> <expect> <wait> */
static void op_retry_next(void) {
  tg_outcome outcome = strcmp(fields[2], "refused") == 0 ? TG_OUTCOME_REFUSED : outcome_named(fields[2]);
  uint64_t wait = 1;
  expect_status(tg_retry_next(&retry_named(fields[1])->retry, outcome, number(3), &wait), 4);
  expect_number("wait", wait, 5);
}

static void op_retry_abandon(void) { CHECK_STATUS(tg_retry_abandon(&retry_named(fields[1])->retry), TG_OK); }

/* hedge_next <hedge> <expect> <wait> */
static void op_hedge_next(void) {
  uint64_t wait = 1;
  expect_status(tg_hedge_next(&retry_named(fields[1])->hedge, &wait), 2);
  expect_number("wait", wait, 3);
}

/* hedge_end <hedge> <outcome> */
static void op_hedge_end(void) {
  CHECK_STATUS(tg_hedge_end(&retry_named(fields[1])->hedge, outcome_named(fields[2])), TG_OK);
}

/* exit <permit> <outcome> <expect> */
static void op_exit(void) { expect_status(tg_guard_exit(permit_named(fields[1]), outcome_named(fields[2])), 3); }

static const char *const breakers[] = { "disabled",   "closed",      "open",         "half_open",
                                        "recovering", "forced_open", "forced_closed" };

/* set_breaker <guard> <state> <expect> */
static void op_set_breaker(void) {
  uint32_t state = 0;
  while (state < 7 && strcmp(breakers[state], fields[2]) != 0) state++;
  expect_status(tg_guard_set_breaker(guard_of(rt, fields[1]), state), 3);
}

/* stats <guard> <breaker> <inflight> <limit> <calls by outcome>... <budget left> <retries> <hedges> <rejected by stage>... */
static void op_stats(void) {
  tg_guard_stats stats = stats_of(guard_of(rt, fields[1]));
  const char *breaker = stats.breaker < 7 ? breakers[stats.breaker] : "?";
  if (has(2) && strcmp(breaker, fields[2]) != 0) fault("breaker", breaker, fields[2]);
  expect_number("inflight", stats.inflight, 3);
  expect_number("limit", stats.limit, 4);
  for (int i = 0; i < 6; i++) expect_number("calls", stats.calls[i], 5 + i);
  expect_number("budget left", stats.retry_budget, 11);
  expect_number("retries", stats.retries, 12);
  expect_number("hedges", stats.hedges, 13);
  for (int stage = 1; stage <= 8; stage++) expect_number("rejected", stats.rejected[stage], 13 + stage);
}

static named_breaker *breaker_named(const char *name) {
  for (int i = 0; i < 8; i++) {
    if (counted[i].name[0] == 0) snprintf(counted[i].name, sizeof counted->name, "%s", name);
    if (strcmp(counted[i].name, name) == 0) return &counted[i];
  }
  REQUIRE(!"room for a breaker");
  return NULL;
}

static tg_breaker_ticket *ticket_named(const char *name) {
  for (int i = 0; i < MOST_PERMITS; i++) {
    if (tickets[i].name[0] == 0) snprintf(tickets[i].name, sizeof tickets->name, "%s", name);
    if (strcmp(tickets[i].name, name) == 0) return &tickets[i].ticket;
  }
  REQUIRE(!"room for a ticket");
  return NULL;
}

/* breaker <name> <max requests> <interval> <bucket period> <timeout> <expect> */
static void op_breaker(void) {
  tg_breaker_options options = TG_BREAKER_OPTIONS_INIT;
  const tg_breaker *found = NULL;
  options.max_requests = number(2), options.interval_ns = number(3);
  options.bucket_period_ns = number(4), options.timeout_ns = number(5);
  tg_status status = tg_breaker_resolve(rt, str(fields[1]), &options, &found, NULL);
  expect_status(status, 6);
  if (status == TG_OK) breaker_named(fields[1])->breaker = found;
}

/* ask <name> <as> <expect> <refused by> */
static void op_ask(void) {
  tg_breaker_ticket unnamed, *ticket = has(2) ? ticket_named(fields[2]) : &unnamed;
  expect_status(tg_breaker_ask(breaker_named(fields[1])->breaker, ticket), 3);
  if (has(4) && strcmp(breakers[ticket->refused_by % 7], fields[4]) != 0)
    fault("refused by", breakers[ticket->refused_by % 7], fields[4]);
}

/* ended <name> <ticket> <ending> <expect> */
static void op_ended(void) {
  static const char *const names[] = { "success", "failure", "excluded" };
  tg_ending ending = 0;
  while (ending < 3 && strcmp(names[ending], fields[3]) != 0) ending++;
  expect_status(tg_breaker_end(breaker_named(fields[1])->breaker, ticket_named(fields[2]), ending), 4);
}

/* trip <name>: the generation whose counts were read last */
static void op_trip(void) {
  named_breaker *of = breaker_named(fields[1]);
  CHECK_STATUS(tg_breaker_trip(of->breaker, of->generation), TG_OK);
}

/* counts <name> <state> <requests> <successes> <failures> <exclusions> <successes in a row> <failures in a row> */
static void op_counts(void) {
  named_breaker *of = breaker_named(fields[1]);
  tg_breaker_counts is = TG_BREAKER_COUNTS_INIT;
  CHECK_STATUS(tg_breaker_counts_read(of->breaker, &is), TG_OK);
  if (has(2) && strcmp(breakers[is.state % 7], fields[2]) != 0) fault("state", breakers[is.state % 7], fields[2]);
  expect_number("requests", is.requests, 3);
  expect_number("successes", is.total_successes, 4);
  expect_number("failures", is.total_failures, 5);
  expect_number("exclusions", is.total_exclusions, 6);
  expect_number("successes in a row", is.consecutive_successes, 7);
  expect_number("failures in a row", is.consecutive_failures, 8);
  of->generation = is.generation;
}
/* shadow_rejected <guard> <by stage>... */
static void op_shadow_rejected(void) {
  tg_guard_stats stats = stats_of(guard_of(rt, fields[1]));
  for (int i = 0; i < 9; i++) expect_number("shadow rejected", stats.shadow_rejected[i], 2 + i);
}

/* load <cpu> <memory> */
static void op_load(void) { CHECK_STATUS(tg_system_set(rt, real(1), real(2)), TG_OK); }

/* hottest <guard> <rate> <expect> <name>... */
static void op_hottest(void) {
  tg_hot_key hot[64];
  uint32_t count = 64;
  expect_status(tg_guard_hottest(guard_of(rt, fields[1]), (uint32_t)number(2), hot, &count), 3);
  for (uint32_t i = 0; 4 + (int)i < field_count; i++) {
    char name[64] = "nobody";
    if (i < count) snprintf(name, sizeof name, "%.*s", (int)hot[i].len, hot[i].name);
    if (strcmp(name, fields[4 + i]) != 0) fault("hottest", name, fields[4 + i]);
  }
}

static const tg_histogram *histogram_named(const char *name) {
  const tg_histogram *histogram = NULL;
  tg_instrument desc = described(name);
  CHECK_STATUS(tg_histogram_resolve(rt, &desc, &histogram, NULL), TG_OK);
  return histogram;
}

/* record <histogram> <value>... */
static void op_record(void) {
  const tg_histogram *histogram = histogram_named(fields[1]);
  for (int i = 2; i < field_count; i++) CHECK_STATUS(tg_histogram_record(histogram, real(i)), TG_OK);
}

/* quantile <histogram> <q> <expect> <rel> */
static void op_quantile(void) {
  double got = -1;
  CHECK_STATUS(tg_histogram_quantile(histogram_named(fields[1]), real(2), &got), TG_OK);
  double off = got > real(3) ? got - real(3) : real(3) - got;
  char is[64];
  snprintf(is, sizeof is, "%.9g", got);
  if (off > (has(4) ? real(4) : 0) * real(3)) fault("quantile", is, fields[3]);
}

/* count <counter> <n> <value> <label name> <label value>... */
static void op_count(void) {
  tg_label labels[8];
  tg_instrument desc = described(fields[1]);
  const tg_counter *counter = NULL;
  uint64_t value = 0;
  for (int i = 4; i + 1 < field_count; i += 2) labels[desc.label_count++] = (tg_label){ text(i), text(i + 1) };
  desc.labels = labels;
  CHECK_STATUS(tg_counter_resolve(rt, &desc, &counter, NULL), TG_OK);
  CHECK_STATUS(tg_counter_add(counter, number(2)), TG_OK);
  CHECK_STATUS(tg_counter_value(counter, &value), TG_OK);
  expect_number("counter", value, 3);
}

static tg_limiter_options limiter_options(void) {
  static const char *const names[] = { "token_bucket", "pacing", "fixed_window", "sliding_counter", "sliding_window", "warm_up" };
  tg_limiter_options options = TG_LIMITER_OPTIONS_INIT;
  while (has(2) && strcmp(names[options.algorithm], fields[2]) != 0) options.algorithm++;
  options.limit = has(3) ? real(3) : 0;
  options.per_ns = number(4);
  options.burst = has(5) && number(5) == 0 ? TG_LIMITER_NO_BURST : number(5);
  options.max_wait_ns = number(6);
  options.warm_up_ns = number(7);
  options.cold_factor = has(8) ? real(8) : 0;
  options.buckets = number(9);
  return options;
}

static const tg_limiter *limiter_named(const char *name) {
  const tg_limiter *limiter = NULL;
  REQUIRE(tg_limiter_resolve(rt, str(name), NULL, &limiter, NULL) == TG_OK);
  return limiter;
}

/* limiter <name> <algorithm> <rate> <per> <burst> <max wait> <warm up> <cold factor> <buckets> <expect> */
static void op_limiter(void) {
  const tg_limiter *limiter = NULL;
  const tg_limiter_options options = limiter_options();
  expect_status(tg_limiter_resolve(rt, text(1), &options, &limiter, NULL), 10);
}

/* set_limiter, the same */
static void op_set_limiter(void) {
  const tg_limiter_options options = limiter_options();
  expect_status(tg_limiter_set(limiter_named(fields[1]), &options, 0, NULL), 10);
}

/* take <limiter> <cost> <expect> <wait> */
static void op_take(void) {
  uint64_t ns = 0;
  expect_status(tg_limiter_take(limiter_named(fields[1]), number(2), 0, &ns), 3);
  expect_number("wait", ns, 4);
}

typedef struct named_reservation { char name[64]; tg_reservation reservation; } named_reservation;
static named_reservation reservations[MOST_PERMITS];
static int reservation_count;

static tg_reservation *reservation_named(const char *name) {
  for (int i = 0; i < reservation_count; i++)
    if (strcmp(reservations[i].name, name) == 0) return &reservations[i].reservation;
  REQUIRE(reservation_count < MOST_PERMITS);
  snprintf(reservations[reservation_count].name, sizeof reservations->name, "%s", name);
  return &reservations[reservation_count++].reservation;
}

/* reserve <limiter> <as> <cost> <max wait> <expect> <wait> */
static void op_reserve(void) {
  tg_reservation *reservation = reservation_named(fields[2]);
  const uint64_t most = has(4) ? number(4) : TG_LIMITER_FOREVER;
  expect_status(tg_limiter_reserve(limiter_named(fields[1]), number(3), 0, most, reservation), 5);
  expect_number("wait", reservation->wait_ns, 6);
}

/* cancel <limiter> <reservation> <expect> */
static void op_cancel(void) {
  expect_status(tg_limiter_cancel(limiter_named(fields[1]), reservation_named(fields[2]), 0), 3);
}

/* tokens <limiter> <tokens> */
static void op_tokens(void) {
  double got = -1e300;
  CHECK_STATUS(tg_limiter_tokens(limiter_named(fields[1]), 0, &got), TG_OK);
  double off = got > real(2) ? got - real(2) : real(2) - got;
  char is[64];
  snprintf(is, sizeof is, "%.9g", got);
  if (!(off <= 1e-6)) fault("tokens", is, fields[2]);
}

static void op_step(void) { snprintf(step, sizeof step, "%s", fields[1]); }

static const struct { const char *name; void (*run)(void); } ops[] = {
  { "open", op_open },   { "end", op_end },     { "step", op_step },     { "guard", op_guard },       { "at", op_at },
  { "rules", op_rules }, { "enter", op_enter }, { "exit", op_exit },     { "stats", op_stats },       { "record", op_record },
  { "count", op_count }, { "quantile", op_quantile }, { "set_breaker", op_set_breaker },
  { "limiter", op_limiter }, { "set_limiter", op_set_limiter }, { "take", op_take }, { "reserve", op_reserve },
  { "cancel", op_cancel }, { "tokens", op_tokens },
  { "hottest", op_hottest },
  { "breaker", op_breaker }, { "ask", op_ask }, { "ended", op_ended }, { "trip", op_trip }, { "counts", op_counts },
  { "matters", op_matters }, { "shadow_rejected", op_shadow_rejected }, { "load", op_load },
  { "retry", op_retry }, { "retry_next", op_retry_next }, { "retry_abandon", op_retry_abandon }, { "hedge", op_hedge },
  { "hedge_next", op_hedge_next }, { "hedge_end", op_hedge_end },
};

static void run(char *line) {
  field_count = 0;
  for (char *field; (field = strsep(&line, "\t")) != NULL && field_count < MOST_FIELDS;) fields[field_count++] = field;
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    if (strcmp(ops[i].name, fields[0]) == 0) return ops[i].run();
  }
  fault("op", fields[0], "one that is known");
  exit(2);
}

int main(void) {
  char *line = NULL;
  size_t room = 0;
  for (ssize_t len; (len = getline(&line, &room, stdin)) > 0;) {
    line[len - 1] = 0;
    run(line);
  }
  free(line);
  printf("vectors: %d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
