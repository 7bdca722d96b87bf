// Runs tests/vectors through this binding. Standard input holds them as tests/c/flatten.py writes them: one step a line,
// fields parted by tabs; "-" is a field that is not there.
#include "support.hpp"

#include <cmath>
#include <functional>
#include <map>
#include <optional>

namespace vectors {

using fields = std::vector<std::string>;

// One vector while it runs.
struct scene {
  tidegate::runtime rt;
  std::string name;
  std::string step = "-";
  std::map<std::string, tidegate::permit> permits;
  std::map<std::string, std::pair<const tg_breaker *, std::uint64_t>> counted;
  std::map<std::string, tg_breaker_ticket> tickets;
  std::map<std::string, tg_retry> retries;
  std::map<std::string, tg_hedge> hedges;
};

std::optional<scene> now;
int passed = 0, failed = 0;

bool has(const fields &f, std::size_t i) { return i < f.size() && f[i] != "-"; }
std::uint64_t number(const fields &f, std::size_t i) { return has(f, i) ? std::strtoull(f[i].c_str(), nullptr, 10) : 0; }
double real(const fields &f, std::size_t i) { return std::strtod(f[i].c_str(), nullptr); }
nanoseconds ns_of(const fields &f, std::size_t i) { return nanoseconds(static_cast<std::int64_t>(number(f, i))); }

void expect(const char *what, const std::string &got, const fields &f, std::size_t i) {
  if (has(f, i) && got != f[i])
    check::fault(__FILE__, __LINE__, now->name + ", step " + now->step + ": " + what + " is " + got + ", want " + f[i]);
}
void expect(const char *what, std::uint64_t got, const fields &f, std::size_t i) { expect(what, std::to_string(got), f, i); }
void expect(status got, const fields &f, std::size_t i) {
  expect("status", tidegate::name(got), has(f, i) ? f : fields{"TG_OK"}, has(f, i) ? i : 0);
}

tidegate::guard guard_of(const std::string &name) { return now->rt.guard(name).value(); }

// "never" is all ones in the C interface.
std::uint64_t in_c(nanoseconds time) {
  return time == tidegate::never ? UINT64_MAX : static_cast<std::uint64_t>(time.count());
}

void open(const fields &f) {
  tidegate::options with;
  with.virtual_clock = true;
  with.virtual_start = ns_of(f, 2);
  with.faults = number(f, 3) != 0;
  check::faults = 0;
  now.emplace(scene{tidegate::runtime::open(with).value(), f[1], "-", {}, {}, {}, {}, {}});
}

void end(const fields &) {
  const bool good = check::faults == 0;
  std::cout << (good ? "ok     " : "FAILED ") << now->name << "\n";
  ++(good ? passed : failed);
  now.reset();
}

void step(const fields &f) { now->step = f[1]; }
void guard(const fields &f) { guard_of(f[1]); }
void at(const fields &f) { expect(now->rt.set_clock(ns_of(f, 1)).status(), f, f.size()); }
void rules(const fields &f) { expect(now->rt.apply_rules(f[1]).status(), f, 2); }

// What the next call says of how much it matters.
tidegate::call matter;

// matters <criticality> <level>
void matters(const fields &f) {
  const auto how = static_cast<tidegate::criticality>(number(f, 1));
  if (has(f, 2))
    matter.criticality(how, static_cast<unsigned>(number(f, 2)));
  else
    matter.criticality(how);
}

// enter <guard> <as> <cost> <timeout> <key> <expect> <retry after> <wait> <reason> <attribute name> <value>...
void enter(const fields &f) {
  tidegate::call about = matter;
  matter = tidegate::call();
  about.cost(number(f, 3));
  if (has(f, 4)) about.timeout(ns_of(f, 4));
  if (has(f, 5)) about.key(f[5]);
  std::vector<tg_attribute> attributes;
  for (std::size_t i = 10; i + 1 < f.size(); i += 2) attributes.push_back(now->rt.attribute(f[i]).value()(f[i + 1]));
  about.attributes(attributes.data(), attributes.size());
  auto entered = guard_of(f[1]).enter(about);
  expect(entered.status(), f, 6);
  expect("retry after", entered ? 0 : in_c(entered.error().retry_after), f, 7);
  expect("wait", entered ? in_c(entered->wait()) : 0, f, 8);
  expect("reason", entered ? 0 : entered.error().reason, f, 9);
  // One without a name is never exited, as in the other languages: it stays in flight until the vector ends.
  static int unnamed = 0;
  const std::string name = has(f, 2) ? f[2] : "unnamed " + std::to_string(++unnamed);
  if (entered) now->permits[name] = std::move(*entered);
}

outcome outcome_named(const std::string &name) {
  static const char *const names[] = {"success", "failure", "timeout", "overloaded", "cancelled", "ignored"};
  for (int i = 0; i < 6; i++)
    if (name == names[i]) return static_cast<outcome>(i);
  REQUIRE(name == "an outcome");
  return outcome::failure;
}

// retry|hedge <guard> <as> <timeout> <criticality> <once>
tidegate::call about(const fields &f) {
  tidegate::call about;
  if (has(f, 3)) about.timeout(ns_of(f, 3));
  if (has(f, 4)) about.criticality(f[4] == "critical" ? tidegate::criticality::critical : tidegate::criticality::sheddable);
  if (number(f, 5) != 0) about.once();
  return about;
}

void retry(const fields &f) {
  const auto call = about(f);
  CHECK_STATUS(static_cast<status>(tg_retry_begin(guard_of(f[1]).handle(), &call.raw(), &now->retries[f[2]])), status::ok);
}

// retry_next <retry> <outcome> <retry after> <expect> <wait>
void retry_next(const fields &f) {
  const tg_outcome how = f[2] == "refused" ? TG_OUTCOME_REFUSED : static_cast<tg_outcome>(outcome_named(f[2]));
  std::uint64_t wait = 1;
  expect(static_cast<status>(tg_retry_next(&now->retries[f[1]], how, number(f, 3), &wait)), f, 4);
  expect("wait", wait, f, 5);
}

void retry_abandon(const fields &f) {
  CHECK_STATUS(static_cast<status>(tg_retry_abandon(&now->retries[f[1]])), status::ok);
}

void hedge(const fields &f) {
  const auto call = about(f);
  CHECK_STATUS(static_cast<status>(tg_hedge_begin(guard_of(f[1]).handle(), &call.raw(), &now->hedges[f[2]])), status::ok);
}

// hedge_next <hedge> <expect> <wait>
void hedge_next(const fields &f) {
  std::uint64_t wait = 1;
  expect(static_cast<status>(tg_hedge_next(&now->hedges[f[1]], &wait)), f, 2);
  expect("wait", wait, f, 3);
}

// hedge_end <hedge> <outcome>
void hedge_end(const fields &f) {
  const auto how = static_cast<tg_outcome>(outcome_named(f[2]));
  CHECK_STATUS(static_cast<status>(tg_hedge_end(&now->hedges[f[1]], how)), status::ok);
}

// exit <permit> <outcome> <expect>
void exit(const fields &f) { expect(now->permits[f[1]].exit(outcome_named(f[2])), f, 3); }

const char *const breakers[] = {"disabled", "closed", "open", "half_open", "recovering", "forced_open", "forced_closed"};

// stats <guard> <breaker> <inflight> <limit> <calls by outcome>... <budget left> <retries> <hedges> <rejected by stage>...
void stats(const fields &f) {
  const auto stats = stats_of(guard_of(f[1]));
  expect("breaker", breakers[static_cast<std::size_t>(stats.breaker()) % 7], f, 2);
  expect("inflight", stats.inflight(), f, 3);
  expect("limit", stats.limit(), f, 4);
  for (std::size_t i = 0; i < 6; i++) expect("calls", stats.calls(static_cast<outcome>(i)), f, 5 + i);
  expect("budget left", stats.retry_budget(), f, 11);
  expect("retries", stats.retries(), f, 12);
  expect("hedges", stats.hedges(), f, 13);
  for (std::size_t i = 1; i <= 8; i++) expect("rejected", stats.rejected(static_cast<tidegate::stage>(i)), f, 13 + i);
}

// shadow_rejected <guard> <by stage>...
void shadow_rejected(const fields &f) {
  const auto stats = stats_of(guard_of(f[1]));
  for (std::size_t i = 0; i < 9; i++) expect("shadow rejected", stats.shadow_rejected(static_cast<tidegate::stage>(i)), f, 2 + i);
}

// load <cpu> <memory>
void load(const fields &f) { CHECK_STATUS(now->rt.set_system(real(f, 1), real(f, 2)).status(), status::ok); }

// hottest <guard> <rate> <expect> <name>...
void hottest(const fields &f) {
  const auto hot = guard_of(f[1]).hottest(static_cast<std::uint32_t>(number(f, 2)));
  expect(hot.status(), f, 3);
  for (std::size_t i = 4; i < f.size(); i++) {
    const bool there = hot && i - 4 < hot->size();
    expect("hottest", there ? (*hot)[i - 4].name : std::string("nobody"), f, i);
  }
}

// record <histogram> <value>...
void record(const fields &f) {
  const auto histogram = now->rt.histogram({f[1]}).value();
  for (std::size_t i = 2; i < f.size(); i++) CHECK_STATUS(histogram.record(real(f, i)), status::ok);
}

// quantile <histogram> <q> <expect> <rel>
void quantile(const fields &f) {
  const double got = now->rt.histogram({f[1]})->quantile(real(f, 2)).value();
  const double allowed = has(f, 4) ? real(f, 4) : 0;
  if (std::abs(got - real(f, 3)) > allowed * real(f, 3)) expect("quantile", std::to_string(got), f, 3);
}

// count <counter> <n> <value> <label name> <label value>...
void count(const fields &f) {
  tidegate::instrument what{f[1]};
  for (std::size_t i = 4; i + 1 < f.size(); i += 2) what.labels.push_back({f[i], f[i + 1]});
  const auto counter = now->rt.counter(what).value();
  CHECK_STATUS(counter.add(number(f, 2)), status::ok);
  expect("counter", counter.value().value(), f, 3);
}

// set_breaker <guard> <state> <expect>
void set_breaker(const fields &f) {
  std::uint32_t state = 0;
  while (state < 7 && f[2] != breakers[state]) state++;
  expect(guard_of(f[1]).set_breaker(static_cast<tidegate::breaker_state>(state)).status(), f, 3);
}

tg_str text_of(const std::string &text) { return {text.data(), text.size()}; }

// Counted breakers have no wrapper: these use the C interface.
// breaker <name> <max requests> <interval> <bucket period> <timeout> <expect>
void counted(const fields &f) {
  auto options = tidegate::detail::sized<tg_breaker_options>();
  const tg_breaker *found = nullptr;
  options.max_requests = static_cast<std::uint32_t>(number(f, 2));
  options.interval_ns = number(f, 3), options.bucket_period_ns = number(f, 4), options.timeout_ns = number(f, 5);
  const auto code = tg_breaker_resolve(now->rt.handle(), text_of(f[1]), &options, &found, nullptr);
  expect(static_cast<status>(code), f, 6);
  if (code == TG_OK) now->counted[f[1]] = {found, 0};
}

// ask <name> <as> <expect> <refused by>
void ask(const fields &f) {
  tg_breaker_ticket &ticket = now->tickets[f[2]];
  expect(static_cast<status>(tg_breaker_ask(now->counted[f[1]].first, &ticket)), f, 3);
  expect("refused by", breakers[ticket.refused_by % 7], f, 4);
}

// ended <name> <ticket> <ending> <expect>
void ended(const fields &f) {
  const tg_ending ending = f[3] == "success" ? TG_ENDING_SUCCESS : f[3] == "failure" ? TG_ENDING_FAILURE : TG_ENDING_EXCLUDED;
  expect(static_cast<status>(tg_breaker_end(now->counted[f[1]].first, &now->tickets[f[2]], ending)), f, 4);
}

// trip <name>
void trip(const fields &f) {
  const auto &of = now->counted[f[1]];
  CHECK(tg_breaker_trip(of.first, of.second) == TG_OK);
}

// counts <name> <state> <requests> <successes> <failures> <exclusions> <successes in a row> <failures in a row>
void counts(const fields &f) {
  auto &of = now->counted[f[1]];
  auto is = tidegate::detail::sized<tg_breaker_counts>();
  CHECK(tg_breaker_counts_read(of.first, &is) == TG_OK);
  of.second = is.generation;
  expect("state", breakers[is.state % 7], f, 2);
  const std::uint32_t all[] = {is.requests, is.total_successes, is.total_failures, is.total_exclusions,
                               is.consecutive_successes, is.consecutive_failures};
  for (std::size_t i = 0; i < 6; i++) expect("counts", all[i], f, 3 + i);
}

fields split(const std::string &line) {
  fields found;
  std::size_t start = 0;
  for (std::size_t tab; (tab = line.find('\t', start)) != std::string::npos; start = tab + 1)
    found.push_back(line.substr(start, tab - start));
  found.push_back(line.substr(start));
  return found;
}

tidegate::limiter_options limiter_options_of(const fields &f) {
  static const char *const names[] = {"token_bucket", "pacing", "fixed_window", "sliding_counter", "sliding_window", "warm_up"};
  tidegate::limiter_options with;
  for (std::uint32_t i = 0; i < 6; i++)
    if (has(f, 2) && f[2] == names[i]) with.algorithm = static_cast<tidegate::limiter_algorithm>(i);
  with.limit = has(f, 3) ? real(f, 3) : 0;
  if (has(f, 4)) with.per = ns_of(f, 4);
  if (has(f, 5)) with.burst = number(f, 5);
  with.max_wait = ns_of(f, 6);
  with.warm_up = ns_of(f, 7);
  with.cold_factor = has(f, 8) ? real(f, 8) : 0;
  with.buckets = static_cast<std::uint32_t>(number(f, 9));
  return with;
}

std::map<std::string, tidegate::reservation> reservations;

// limiter <name> <algorithm> <rate> <per> <burst> <max wait> <warm up> <cold factor> <buckets> <expect>
void limiter(const fields &f) { expect(now->rt.limiter(f[1], limiter_options_of(f)).status(), f, 10); }
// set_limiter, the same
void set_limiter(const fields &f) { expect(now->rt.limiter(f[1])->set(limiter_options_of(f)).status(), f, 10); }

// take <limiter> <cost> <expect> <wait>
void take(const fields &f) {
  const auto taken = now->rt.limiter(f[1])->take(number(f, 2));
  expect(taken.status(), f, 3);
  expect("wait", in_c(taken ? *taken : taken.error().retry_after), f, 4);
}

// reserve <limiter> <as> <cost> <max wait> <expect> <wait>
void reserve(const fields &f) {
  auto made = now->rt.limiter(f[1])->reserve(number(f, 3), has(f, 4) ? ns_of(f, 4) : tidegate::never);
  expect(made.status(), f, 5);
  expect("wait", in_c(made ? made->wait() : made.error().retry_after), f, 6);
  reservations[f[2]] = made ? *made : tidegate::reservation();
}

// cancel <limiter> <reservation> <expect>
void cancel(const fields &f) { expect(now->rt.limiter(f[1])->cancel(reservations[f[2]]), f, 3); }

// tokens <limiter> <tokens>
void tokens(const fields &f) {
  const double got = now->rt.limiter(f[1])->tokens().value();
  if (!(std::abs(got - real(f, 2)) <= 1e-6)) expect("tokens", std::to_string(got), f, 2);
}

inline int run_all(const char *program) {
  const std::map<std::string, void (*)(const fields &)> ops = {
      {"open", open}, {"end", end},     {"step", step},    {"guard", guard}, {"at", at},
      {"rules", rules}, {"enter", enter}, {"exit", exit}, {"stats", stats}, {"record", record},
      {"hottest", hottest}, {"quantile", quantile}, {"count", count}, {"set_breaker", set_breaker}, {"breaker", counted},
      {"limiter", limiter}, {"set_limiter", set_limiter}, {"take", take}, {"reserve", reserve}, {"cancel", cancel}, {"tokens", tokens},
      {"ask", ask}, {"ended", ended}, {"trip", trip}, {"counts", counts},
      {"matters", matters}, {"shadow_rejected", shadow_rejected}, {"load", load}, {"retry", retry},
      {"retry_next", retry_next}, {"retry_abandon", retry_abandon}, {"hedge", hedge}, {"hedge_next", hedge_next},
      {"hedge_end", hedge_end}};
  for (std::string line; std::getline(std::cin, line);) {
    const fields f = split(line);
    const auto op = ops.find(f[0]);
    REQUIRE(op != ops.end());
    op->second(f);
  }
  std::cout << program << ": " << passed << " passed, " << failed << " failed" << std::endl;
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace vectors
