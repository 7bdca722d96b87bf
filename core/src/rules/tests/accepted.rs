use super::{FULL, accept, guard};
use crate::guard::Outcome;
use crate::rate::keyed::OnFull;
use crate::retry::backoff::{Backoff, Growth, Jitter};
use crate::retry::budget::Reserve;
use crate::retry::plan::bit;
use crate::rules::{
    BreakerRule, BudgetKind, BudgetRule, ConcurrencyRule, DeadlineRule, FaultRule, FaultWhen, GuardRules, HedgeDelay,
    HedgeRule, KeyedRule, LimitAlgorithm, MAX_GUARDS, Mode, OwnRule, PolicyRule, RateAlgorithm, RateRule, RetryRule,
    RuleSet, SlowRule, SystemRule, ThrottleRule,
};

const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;

fn rate(limit: f64, per_ns: u64, burst: u64, mode: Mode) -> RateRule {
    let algorithm = RateAlgorithm::TokenBucket { burst, max_wait_ns: 0 };
    RateRule { algorithm, limit, per_ns, follow: None, keyed: None, mode }
}

fn fixed(max: u32) -> ConcurrencyRule {
    let algorithm = LimitAlgorithm::Fixed;
    ConcurrencyRule { algorithm, min: max, max, initial: max, sheds: false, mode: Mode::Enforce }
}

fn only(body: &str) -> GuardRules {
    accept(&guard(body)).guard("a")
}

#[test]
fn every_field_arrives_where_it_belongs() {
    let rules = accept(FULL);
    let breaker = BreakerRule {
        error_ratio: Some(0.5),
        error_count: Some(50),
        slow: Some(SlowRule { over_ns: SECOND / 2, ratio: 0.25 }),
        consecutive_failures: Some(5),
        window_ns: 20 * SECOND,
        window_calls: None,
        min_calls: 10,
        open_for_ns: 2 * SECOND,
        probes: 3,
        probes_needed: 2,
        recover_over_ns: Some(10 * SECOND),
        probe_timeout_ns: 4 * SECOND,
        mode: Mode::Shadow,
    };
    let policy = PolicyRule { name: "tenant-tiers".into(), on_fail_allow: false, mode: Mode::Off };
    let want = GuardRules {
        breaker: Some(breaker),
        policy: Some(policy),
        system: Some(SystemRule { cpu: Some(0.9), memory: Some(0.95), mode: Mode::Shadow }),
        concurrency: Some(ConcurrencyRule { sheds: true, ..fixed(200) }),
        rate: vec![rate(100.0, SECOND, 20, Mode::Shadow), rate(0.5, 3600 * SECOND, 1, Mode::Enforce)],
        timeout_ns: Some(SECOND * 8 / 10),
        max_hold_ns: Some(60 * SECOND),
        ..others()
    };
    assert_eq!(rules.version, 7);
    assert_eq!(rules.guard("payments.charge"), want);
    let names = ["adaptive", "bare", "by-calls", "by-key", "payments.charge", "quota"];
    assert_eq!(Vec::from_iter(rules.guards.keys()), names);
}

#[test]
fn limits_that_adapt_have_the_usual_numbers_unless_they_say_others() {
    let of = |fields: &str| only(&format!(r#"{{"concurrency": {{{fields}}}}}"#)).concurrency.unwrap();
    let usual = ConcurrencyRule { algorithm: LimitAlgorithm::Vegas, min: 1, initial: 20, sheds: true, ..fixed(1000) };
    assert_eq!(of(r#""algorithm": "vegas""#), usual);
    let gradient = ConcurrencyRule { algorithm: LimitAlgorithm::Gradient2, min: 50, initial: 50, ..usual.clone() };
    assert_eq!(of(r#""algorithm": "gradient2", "min": 50"#), gradient);
    let aimd = LimitAlgorithm::Aimd { target_ns: Some(SECOND / 2) };
    let low = ConcurrencyRule { algorithm: aimd, max: 5, initial: 5, sheds: false, ..usual.clone() };
    assert_eq!(of(r#""algorithm": "aimd", "max": 5, "target": "500ms", "shed": "none""#), low);
    let above = ConcurrencyRule { algorithm: LimitAlgorithm::Vegas, min: 2000, max: 2000, initial: 2000, ..usual };
    assert_eq!(of(r#""algorithm": "vegas", "min": 2000"#), above);
    assert_eq!(of(r#""max": 7"#), fixed(7));
}

/// The stages of deadlines, faults, the throttle, retries and hedges.
fn others() -> GuardRules {
    let delay = FaultRule {
        when: Some(FaultWhen { attribute: "method".into(), value: "GET".into(), is_prefix: false }),
        share: 0.25,
        delay_ns: (10 * MS, 20 * MS),
        abort: None,
        max_active: 7,
        mode: Mode::Off,
    };
    let abort = FaultRule {
        when: Some(FaultWhen { attribute: "path".into(), value: "/a".into(), is_prefix: true }),
        share: 1.0,
        delay_ns: (0, 0),
        abort: Some(Outcome::Overloaded),
        max_active: 100,
        mode: Mode::Enforce,
    };
    let kind = BudgetKind::Ratio { ratio: 0.1, min_per_sec: 2.0, window_ns: 20 * SECOND };
    let retry = RetryRule {
        max_attempts: 4,
        backoff: Backoff::new(Growth::exponential(1.5).unwrap(), Jitter::Equal, 10 * MS, SECOND).unwrap(),
        max_elapsed_ns: 3 * SECOND,
        retry_on: bit(Outcome::Timeout) | bit(Outcome::Overloaded),
        budget: BudgetRule { kind, reserve: Reserve { for_critical: 250, for_default: 125 } },
    };
    let overloaded = bit(Outcome::Overloaded);
    GuardRules {
        deadline: Some(DeadlineRule { usual: 0.5, factor: 1.5, mode: Mode::Shadow }),
        faults: vec![delay, abort],
        throttle: Some(ThrottleRule { k: 1.5, window_ns: 60 * SECOND, refused_as: overloaded, mode: Mode::Shadow }),
        retry: Some(retry),
        hedge: Some(HedgeRule { delay: HedgeDelay::Live { quantile: 0.95, min_ns: 2 * MS, max_ns: 90 * MS }, max: 2 }),
        ..GuardRules::default()
    }
}

#[test]
fn retries_have_defaults() {
    let retry = only(r#"{"retry": {}}"#).retry.unwrap();
    let backoff = Backoff::new(Growth::exponential(2.0).unwrap(), Jitter::Full, 50 * MS, 2 * SECOND).unwrap();
    assert_eq!((retry.max_attempts, retry.backoff, retry.max_elapsed_ns), (3, backoff, 0));
    let kind = BudgetKind::Ratio { ratio: 0.05, min_per_sec: 1.0, window_ns: 10 * SECOND };
    assert_eq!(retry.budget, BudgetRule { kind, reserve: Reserve::default() });
    assert_eq!(retry.retry_on, bit(Outcome::Failure) | bit(Outcome::Timeout) | bit(Outcome::Overloaded));
    let quota = accept(FULL).guard("quota");
    assert_eq!(quota.retry.unwrap().budget.kind, BudgetKind::Quota([100, 4, 8, 2]));
    assert_eq!(quota.hedge, Some(HedgeRule { delay: HedgeDelay::Fixed(30 * MS), max: 1 }));
}

#[test]
fn a_limit_by_key_has_keys_of_its_own_and_defaults() {
    let rate = accept(FULL).guard("by-key").rate;
    let gold = OwnRule::Limit { limit: 500.0, per_ns: 60 * SECOND, burst: 50 };
    let own = [("gold", gold), ("us", OwnRule::Allow), ("evil", OwnRule::Deny)];
    let own = own.map(|(key, rule)| (key.to_owned(), rule)).to_vec();
    let tenant = KeyedRule { key: "tenant".into(), keys: 64, on_full: OnFull::Refuse, own, hottest: 8 };
    let origin =
        KeyedRule { key: "origin".into(), keys: 10_000, on_full: OnFull::Shared, own: Vec::new(), hottest: 16 };
    assert_eq!([&rate[0].keyed, &rate[1].keyed], [&Some(tenant), &Some(origin)]);
    let body = r#"{"rate": [{"limit": 1, "per": "1h", "key": "k", "overrides": {"a": {"limit": 2.5}}}]}"#;
    let own = only(body).rate[0].keyed.clone().unwrap().own;
    assert_eq!(own, [("a".to_owned(), OwnRule::Limit { limit: 2.5, per_ns: 3600 * SECOND, burst: 3 })]);
}

#[test]
fn a_guard_without_fields_or_name_has_the_defaults() {
    let rules = accept(FULL);
    let want = GuardRules {
        rate: vec![rate(9.0, SECOND, 9, Mode::Enforce)],
        timeout_ns: Some(SECOND),
        max_hold_ns: Some(300 * SECOND),
        ..GuardRules::default()
    };
    assert_eq!(rules.defaults, want);
    assert_eq!([rules.guard("bare"), rules.guard("unheard of")], [want.clone(), want]);
}

#[test]
fn a_field_replaces_the_default_whole() {
    let rules = accept(
        r#"{"version": 1,
            "defaults": {"breaker": {"error_ratio": 0.1, "probes": 9}, "timeout": "30s"},
            "guards": {"own": {"breaker": {"consecutive_failures": 3}}, "slow": {"timeout": "60s"}}}"#,
    );
    let own = rules.guard("own").breaker.unwrap();
    assert_eq!((own.error_ratio, own.probes, own.consecutive_failures), (None, 1, Some(3)));
    let patience = |name| rules.guard(name).breaker.unwrap().probe_timeout_ns / SECOND;
    assert_eq!([patience("own"), patience("slow"), patience("other")], [30, 60, 30]);
}

#[test]
fn defaults_of_a_breaker_are_the_documented_ones() {
    let breaker = only(r#"{"breaker": {"error_ratio": 1}}"#).breaker.unwrap();
    let want = BreakerRule {
        error_ratio: Some(1.0),
        error_count: None,
        slow: None,
        consecutive_failures: None,
        window_ns: 10 * SECOND,
        window_calls: None,
        min_calls: 20,
        open_for_ns: 5 * SECOND,
        probes: 1,
        probes_needed: 1,
        recover_over_ns: None,
        probe_timeout_ns: 5 * SECOND,
        mode: Mode::Enforce,
    };
    assert_eq!(breaker, want);
}

#[test]
fn an_unsaid_burst_is_the_limit_rounded_up() {
    let algorithm = |limit: &str| only(&format!(r#"{{"rate": [{{"limit": {limit}}}]}}"#)).rate[0].algorithm;
    let of = |burst| RateAlgorithm::TokenBucket { burst, max_wait_ns: 0 };
    assert_eq!([algorithm("0.5"), algorithm("2.5"), algorithm("1e10")], [of(1), of(3), of(10_000_000_000)]);
}

#[test]
fn each_rate_algorithm_has_its_own_fields_and_defaults() {
    let algorithm = |fields: &str| only(&format!(r#"{{"rate": [{{"limit": 7, {fields}}}]}}"#)).rate[0].algorithm;
    let ms = SECOND / 1000;
    for (fields, want) in [
        (r#""burst": 9, "max_wait": "1s""#, RateAlgorithm::TokenBucket { burst: 9, max_wait_ns: SECOND }),
        (r#""algorithm": "pacing""#, RateAlgorithm::Pacing { max_wait_ns: 500 * ms }),
        (r#""algorithm": "pacing", "max_wait": "0s""#, RateAlgorithm::Pacing { max_wait_ns: 0 }),
        (r#""algorithm": "fixed_window""#, RateAlgorithm::FixedWindow),
        (r#""algorithm": "sliding_window""#, RateAlgorithm::SlidingWindow { buckets: 10 }),
        (r#""algorithm": "sliding_window", "buckets": 60"#, RateAlgorithm::SlidingWindow { buckets: 60 }),
        (r#""algorithm": "sliding_counter""#, RateAlgorithm::SlidingCounter),
        (
            r#""algorithm": "warm_up""#,
            RateAlgorithm::WarmUp { cold_factor: 3.0, warm_up_ns: 10 * SECOND, max_wait_ns: 0 },
        ),
        (
            r#""algorithm": "warm_up", "cold_factor": 1.5, "warm_up": "1ms", "max_wait": "1h""#,
            RateAlgorithm::WarmUp { cold_factor: 1.5, warm_up_ns: ms, max_wait_ns: 3600 * SECOND },
        ),
    ] {
        assert_eq!(algorithm(fields), want, "{fields}");
    }
}

#[test]
fn ends_of_ranges_belong_to_them() {
    for body in [
        r#"{"breaker": {"error_ratio": 1, "min_calls": 1, "window": "100ms", "open_for": "1ms", "probes": 255}}"#,
        r#"{"breaker": {"error_count": 1000000, "window_calls": 10000, "min_calls": 10000, "probes": 255, "probes_needed": 128}}"#,
        r#"{"breaker": {"slow": {"over": "1h", "ratio": 1}, "recover_over": "24h"}}"#,
        r#"{"breaker": {"slow": {"over": "1us", "ratio": 1e-9}, "recover_over": "1ms", "window_calls": 20}}"#,
        r#"{"breaker": {"consecutive_failures": 1000000, "min_calls": 1e6, "window": "1h", "open_for": "24h"}}"#,
        r#"{"concurrency": {"max": 16000000}, "timeout": "24h", "max_hold": "168h"}"#,
        r#"{"concurrency": {"max": 1.0}, "timeout": "1us", "max_hold": "100ms"}"#,
        r#"{"rate": [{"limit": 10000000000, "burst": 1000000000000}, {"limit": 10000, "per": "1us"}]}"#,
        r#"{"rate": [{"limit": 1, "per": "744h", "burst": 1}]}"#,
    ] {
        accept(&guard(body));
    }
    accept(r#"{"version": 18446744073709551615}"#);
}

#[test]
fn names_may_be_anything_printable_and_are_counted_in_bytes() {
    for name in ["a", "GET /users/{id}", "платежи", &"é".repeat(64)] {
        let rules = accept(&format!(r#"{{"version": 1, "guards": {{"{name}": {{"timeout": "1s"}}}}}}"#));
        assert_eq!(rules.guard(name).timeout_ns, Some(SECOND));
    }
}

#[test]
fn as_many_guards_as_allowed() {
    let names = (0..MAX_GUARDS).map(|i| format!(r#""g{i}":{{}}"#));
    let all = Vec::from_iter(names).join(",");
    let rules = accept(&format!(r#"{{"version":1,"guards":{{"x-a":0,{all}}}}}"#));
    assert_eq!(rules.guards.len(), MAX_GUARDS);
}

#[test]
fn empty_rules_restrain_nobody() {
    let rules = RuleSet::empty();
    assert_eq!((rules.version, rules.guard("any")), (0, GuardRules::default()));
}

#[test]
fn canonical_text_is_sorted_bare_and_reads_back() {
    let text = r#"{ "version": 2.0, "x-by": "me", "guards": {"b": {"timeout": "1s"}, "a": {"rate": [
        {"per": "1s", "limit": 5.0e-1, "x-why": 1}]}} }"#;
    let want = r#"{"guards":{"a":{"rate":[{"limit":0.5,"per":"1s"}]},"b":{"timeout":"1s"}},"version":2}"#;
    assert_eq!(accept(text).canonical, want);
    assert_eq!(accept(want), accept(text));
}

#[test]
fn canonical_texts_differ_when_contents_do() {
    let texts = [
        r#"{"version": 1}"#,
        r#"{"version": 9007199254740992}"#,
        r#"{"version": 9007199254740993}"#,
        r#"{"version": 1, "guards": {}}"#,
        r#"{"version": 1, "guards": {"a": {}}}"#,
        r#"{"version": 1, "guards": {"a": {"rate": [{"limit": 0.1}, {"limit": 0.2}]}}}"#,
        r#"{"version": 1, "guards": {"a": {"rate": [{"limit": 0.2}, {"limit": 0.1}]}}}"#,
        r#"{"version": 1, "guards": {"a": {"rate": [{"limit": 0.2}, {"limit": 0.10000000000000002}]}}}"#,
    ];
    let canonical = std::collections::BTreeSet::from_iter(texts.map(|text| accept(text).canonical));
    assert_eq!(canonical.len(), texts.len());
}
