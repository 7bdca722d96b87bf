//! Refuses everything, or a share of it, or what carries an attribute.
//!
//! Configuration, all optional:
//! ```json
//! {"share": 250, "attribute": "region", "value": "eu", "spare_critical": 1, "retry_after_ms": 5000}
//! ```
//! `share` is in thousandths (1000) and taken by the call's key, so that a key is either in it or not; by time
//! where there is none. With `attribute`, only calls that carry it (with this `value`) are meant.

#![no_std]

use tidegate_policy::{Attribute, Call, Config, Init, Policy, Verdict, policy};

const REASON_KILLED: u16 = 1;
const CRITICAL: u16 = 1;
const VALUE_BYTES: usize = 256;

struct KillSwitch {
    share: u64,
    attribute: Option<Attribute>,
    value: Option<Value>,
    spare_critical: bool,
    retry_after_ms: u32,
}

struct Value {
    bytes: [u8; VALUE_BYTES],
    length: usize,
}

impl Policy for KillSwitch {
    fn init(config: Config<'_>, host: &mut Init) -> Result<Self, &'static str> {
        let share = config.number("share", 1000);
        let retry = config.number("retry_after_ms", 0);
        if !(0..=1000).contains(&share) {
            return Err("share is 0 to 1000");
        }
        if !(0..=3_600_000).contains(&retry) {
            return Err("retry_after_ms is 0 to 3600000");
        }
        let value = config.text("value").map(Value::new).transpose()?;
        let attribute = config.text("attribute").map(|name| ask_for(name, host)).transpose()?;
        if value.is_some() && attribute.is_none() {
            return Err("value needs an attribute");
        }
        Ok(Self {
            share: share as u64,
            attribute,
            value,
            spare_critical: config.number("spare_critical", 0) != 0,
            retry_after_ms: retry as u32,
        })
    }

    fn decide(&mut self, call: &Call<'_>) -> Verdict {
        if self.spare_critical && call.record.criticality == CRITICAL {
            return Verdict::ALLOW;
        }
        if self.means(call) && self.has_in_its_share(call) {
            return Verdict::deny(REASON_KILLED, self.retry_after_ms);
        }
        Verdict::ALLOW
    }
}

impl KillSwitch {
    fn means(&self, call: &Call<'_>) -> bool {
        let Some(attribute) = self.attribute else {
            return true;
        };
        let wanted = |found: &[u8]| self.value.as_ref().is_none_or(|value| value.bytes[..value.length] == *found);
        call.value(attribute).is_some_and(wanted)
    }

    fn has_in_its_share(&self, call: &Call<'_>) -> bool {
        let record = call.record;
        let what = if record.key_hash != 0 { record.key_hash } else { record.now_ns };
        mix(what) % 1000 < self.share
    }
}

impl Value {
    fn new(text: &[u8]) -> Result<Self, &'static str> {
        let mut bytes = [0; VALUE_BYTES];
        let kept = bytes.get_mut(..text.len()).ok_or("value has at most 256 bytes")?;
        kept.copy_from_slice(text);
        Ok(Self { bytes, length: text.len() })
    }
}

fn ask_for(name: &[u8], host: &mut Init) -> Result<Attribute, &'static str> {
    if !(1..=128).contains(&name.len()) {
        return Err("attribute has 1 to 128 bytes");
    }
    let name = core::str::from_utf8(name).map_err(|_| "attribute is UTF-8")?;
    host.attribute(name).ok_or("no room for the attribute")
}

/// The finaliser of splitmix64 (Steele, Lea and Flood, 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

policy!(KillSwitch);
