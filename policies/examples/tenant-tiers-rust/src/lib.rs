//! Under pressure, free tenants are refused first, then standard ones; premium and critical calls never.
//!
//! Configuration, all optional, pressures in thousandths:
//! `{"free_above": 800, "standard_above": 950, "retry_after_ms": 1000}`.
//! The caller's attribute `tier` says `free`, `standard` or `premium`; anything else counts as standard.

#![no_std]

use tidegate_policy::{Attribute, Call, Config, Counter, Init, Policy, Verdict, policy};

const REASON_FREE: u16 = 1;
const REASON_STANDARD: u16 = 2;
const CRITICAL: u16 = 1;

struct TenantTiers {
    tier: Attribute,
    refused_free: Counter,
    refused_standard: Counter,
    free_above: u32,
    standard_above: u32,
    retry_after_ms: u32,
}

impl Policy for TenantTiers {
    fn init(config: Config<'_>, host: &mut Init) -> Result<Self, &'static str> {
        let free = config.number("free_above", 800);
        let standard = config.number("standard_above", 950);
        let retry = config.number("retry_after_ms", 1000);
        if !(0 <= free && free <= standard && standard <= 1000) {
            return Err("0 <= free_above <= standard_above <= 1000 does not hold");
        }
        if !(0..=3_600_000).contains(&retry) {
            return Err("retry_after_ms is 0 to 3600000");
        }
        Ok(Self {
            tier: host.attribute("tier").ok_or("no room for the attribute tier")?,
            refused_free: host.counter("refused_free").ok_or("no room for a counter")?,
            refused_standard: host.counter("refused_standard").ok_or("no room for a counter")?,
            free_above: free as u32,
            standard_above: standard as u32,
            retry_after_ms: retry as u32,
        })
    }

    fn decide(&mut self, call: &Call<'_>) -> Verdict {
        let pressure = call.record.pressure;
        if pressure <= self.free_above || call.record.criticality == CRITICAL {
            return Verdict::ALLOW;
        }
        match call.value(self.tier) {
            Some(b"premium") => Verdict::ALLOW,
            Some(b"free") => self.refuse(REASON_FREE, self.refused_free),
            _ if pressure > self.standard_above => self.refuse(REASON_STANDARD, self.refused_standard),
            _ => Verdict::ALLOW,
        }
    }
}

impl TenantTiers {
    fn refuse(&self, reason: u16, counter: Counter) -> Verdict {
        counter.add(1);
        Verdict::deny(reason, self.retry_after_ms)
    }
}

policy!(TenantTiers);
