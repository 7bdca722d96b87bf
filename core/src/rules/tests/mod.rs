//! What a document means, what is wrong with bad ones, and that any bytes are survived.

mod accepted;
mod property;
mod refused;
mod table;

use super::{Report, RuleSet, parse};

/// A document with every field of the table, and `x-` fields at every level.
const FULL: &str = r#"{
  "schema": 1, "version": 7, "x-note": {"version": [1e999]},
  "requires": ["token_bucket", "fixed_concurrency", "breaker", "policy", "shadow", "max_hold", "timeout"],
  "defaults": {"timeout": "1s", "x-a": 1, "rate": [{"limit": 9}], "max_hold": "5m"},
  "guards": {
    "x-comment": "not a guard",
    "payments.charge": {
      "breaker": {"error_ratio": 0.5, "error_count": 50, "slow": {"over": "500ms", "ratio": 0.25, "x-s": 0},
                  "consecutive_failures": 5, "window": "20s", "min_calls": 10, "open_for": "2s", "probes": 3,
                  "probes_needed": 2, "probe_timeout": "4s", "recover_over": "10s", "mode": "shadow", "x-b": null},
      "policy": {"name": "tenant-tiers", "on_fail": "deny", "mode": "off", "x-c": []},
      "system": {"cpu": 0.9, "memory": 0.95, "mode": "shadow", "x-y": {}},
      "concurrency": {"algorithm": "fixed", "max": 200, "shed": "criticality", "mode": "enforce", "x-d": true},
      "rate": [{"algorithm": "token_bucket", "limit": 100, "per": "1s", "burst": 20, "mode": "shadow", "x-e": "e"},
               {"limit": 0.5, "per": "1h"}],
      "timeout": "800ms", "max_hold": "1m",
      "deadline": {"usual": 0.5, "factor": 1.5, "mode": "shadow"},
      "faults": [{"share": 0.25, "delay": "10ms", "delay_max": "20ms", "max_active": 7, "mode": "off",
                  "when": {"attribute": "method", "equals": "GET"}},
                 {"abort": "overloaded", "when": {"attribute": "path", "prefix": "/a"}}],
      "throttle": {"k": 1.5, "window": "1m", "refused_as": ["overloaded"], "mode": "shadow"},
      "retry": {"max_attempts": 4, "max_elapsed": "3s", "retry_on": ["timeout", "overloaded"],
                "backoff": {"growth": "exponential", "base": "10ms", "max": "1s", "factor": 1.5, "jitter": "equal"},
                "budget": {"ratio": 0.1, "min_per_sec": 2, "window": "20s", "for_critical": 0.25, "for_default": 0.125}},
      "hedge": {"quantile": 0.95, "min": "2ms", "max_delay": "90ms", "max": 2}
    },
    "bare": {},
    "adaptive": {"concurrency": {"algorithm": "aimd", "min": 2, "initial": 10, "target": "1s"}},
    "quota": {"retry": {"budget": {"quota": {"tokens": 100, "cost": 4, "timeout_cost": 8, "earned": 2}}},
              "hedge": {"delay": "30ms"}},
    "by-calls": {"breaker": {"error_ratio": 0.5, "window_calls": 50},
                 "rate": [{"algorithm": "warm_up", "limit": 1, "cold_factor": 2, "warm_up": "5s", "max_wait": "1s"},
                          {"algorithm": "sliding_window", "limit": 1, "buckets": 6,
                           "follow": {"guard": "bare", "from": 0.4, "to": 0.8, "floor": 0.2}}]},
    "by-key": {"rate": [{"limit": 10, "key": "tenant", "keys": 64, "on_full": "refuse", "hottest": 8, "allow": ["us"],
                         "overrides": {"gold": {"limit": 500, "per": "1m", "burst": 50}}, "deny": ["evil"]},
                        {"limit": 3, "per": "1h", "key": "origin"}]}
  }
}"#;

fn accept(json: &str) -> RuleSet {
    parse(json.as_bytes()).unwrap_or_else(|report| panic!("{report}"))
}

fn refuse(json: &str) -> Report {
    parse(json.as_bytes()).expect_err(json)
}

/// A document whose guard `a` is this object.
fn guard(body: &str) -> String {
    format!(r#"{{"version": 1, "guards": {{"a": {body}}}}}"#)
}
