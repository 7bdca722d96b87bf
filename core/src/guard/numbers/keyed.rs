//! The numbers of rate limits by key: as plain data, as words of an immutable block of their own beside the guard's, and from rules.
//!
//! What decisions need ([`Keyed`]) every process makes of them for itself; see [`crate::guard::keyed_limit`].
//!
//! ```text
//! attribute | keys | how many of the hottest, on_full, generations | number of keys of their own
//! limit, per, burst: now, and as they were before each of the last changes
//! each key of its own: hash | what holds, place of its word | its bucket | its bucket before
//! ```

use super::compile::unfit;
use super::extra::OF_RATES;
use super::{Compiled, Extra};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::cell::MAX_RATES;
use crate::rate::keyed::{
    Entry, Keyed, MAX_OVERRIDES, Numbers, OnFull, Override, Overrides, Pace, REMEMBERED, Seed, Shape,
};
use crate::rate::token_bucket::Bucket;
use crate::rules::{GuardRules, KeyedRule, OwnRule, RateAlgorithm, RateRule};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Of each rate limit of a guard.
pub type KeyedLimits = [Option<KeyedNumbers>; MAX_RATES];

const FLOWS: usize = 1 + REMEMBERED;
const HEAD: usize = 4 + 3 * FLOWS;
const OWN: usize = 10;

/// The numbers of a limit by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedNumbers {
    /// Id of the attribute that is the key.
    pub attribute: u32,
    /// Keys at once.
    pub keys: u64,
    /// How many of the hottest are remembered.
    pub hottest: usize,
    /// What becomes of those that find no place.
    pub on_full: OnFull,
    /// Which change of the flow this is: 1 to 15, in a circle.
    generation: u64,
    /// The flow, and those before it, the latest first.
    flows: [Flow; FLOWS],
    /// Which change of the keys with numbers of their own this is, likewise.
    own_generation: u64,
    own: Vec<Entry>,
}

/// A flow as a rule says it; all zeros: there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Flow {
    /// Bits of a float.
    limit: u64,
    per_ns: u64,
    burst: u64,
}

impl Flow {
    fn pace(&self) -> Option<Pace> {
        Pace::new(f64::from_bits(self.limit), self.per_ns, self.burst)
    }
}

impl KeyedNumbers {
    /// Ready for decisions; None: no rule says this.
    pub fn keyed(&self) -> Option<Keyed> {
        let [now, before @ ..] = &self.flows;
        let earlier = before.each_ref().map(Flow::pace);
        let numbers = Numbers::with_earlier(now.pace()?, self.on_full, self.generation, earlier)?;
        Some(Keyed::new(numbers, Overrides::of(&self.own)))
    }

    /// How large its table is.
    pub fn shape(&self) -> Option<Shape> {
        Shape::for_keys(self.keys, self.hottest)
    }

    /// Whether keys that are known to the others are known to these in the same table.
    pub fn shares_table_with(&self, other: &KeyedNumbers) -> bool {
        (self.attribute, self.keys, self.hottest) == (other.attribute, other.keys, other.hottest)
    }

    /// As words for a block.
    pub fn words(&self) -> Vec<u64> {
        let modes =
            self.hottest as u64 | (self.on_full as u64) << 8 | self.generation << 16 | self.own_generation << 24;
        let mut words = vec![self.attribute.into(), self.keys, modes, self.own.len() as u64];
        words.extend(self.flows.iter().flat_map(|flow| [flow.limit, flow.per_ns, flow.burst]));
        words.extend(self.own.iter().flat_map(words_of));
        words
    }

    /// Reads [`KeyedNumbers::words`]. None for what no rule gives.
    pub fn read(words: &[AtomicU64]) -> Option<KeyedNumbers> {
        let words: Vec<u64> = words.iter().map(|word| word.load(Relaxed)).collect();
        let (head, own) = words.split_at_checked(HEAD)?;
        let (&[attribute, keys, modes, count], flows) = head.split_first_chunk::<4>()?;
        if count as usize > MAX_OVERRIDES || own.len() < count as usize * OWN {
            return None;
        }
        let mut read = KeyedNumbers {
            attribute: attribute as u32,
            keys,
            hottest: (modes & 0xFF) as usize,
            on_full: on_full(modes >> 8 & 0xFF)?,
            generation: modes >> 16 & 0xFF,
            flows: [Flow::default(); FLOWS],
            own_generation: modes >> 24 & 0xFF,
            own: Vec::with_capacity(count as usize),
        };
        for (to, &[limit, per_ns, burst]) in read.flows.iter_mut().zip(flows.as_chunks::<3>().0) {
            *to = Flow { limit, per_ns, burst };
        }
        read.own.extend(own.as_chunks::<OWN>().0.iter().take(count as usize).filter_map(own_of));
        Some(read)
    }
}

fn on_full(number: u64) -> Option<OnFull> {
    [OnFull::Shared, OnFull::Refuse, OnFull::Allow].into_iter().find(|choice| *choice as u64 == number)
}

fn words_of(entry: &Entry) -> [u64; OWN] {
    let kind = match entry.what {
        Override::Deny => 0,
        Override::Allow => 1,
        Override::Limit(_) => 2,
    };
    let four =
        |bucket: Option<Bucket>| bucket.map_or([0; 4], |bucket| bucket.words()[..4].try_into().unwrap_or([0; 4]));
    let ([a, b, c, d], [e, f, g, h]) = (four(entry.bucket()), four(entry.before));
    [entry.hash, kind | u64::from(entry.place) << 8, a, b, c, d, e, f, g, h]
}

fn own_of(words: &[u64; OWN]) -> Option<Entry> {
    let &[hash, kind, a, b, c, d, e, f, g, h] = words;
    let bucket = |[a, b, c, d]: [u64; 4]| Bucket::of([a, b, c, d, 0, 0, 0, 0]);
    let what = match kind & 0xFF {
        0 => Override::Deny,
        1 => Override::Allow,
        _ => Override::Limit(bucket([a, b, c, d])?),
    };
    Some(Entry { hash, what, place: (kind >> 8) as u8, before: bucket([e, f, g, h]) })
}

/// Compiles the limits by key of a guard's rules, going on from the numbers that it has, and says how much room they want.
/// `attribute` knows the ids of names; `seed` is that of the segment's hashes.
pub fn compile_keyed(
    rules: &GuardRules,
    before: &Compiled,
    compiled: &mut Compiled,
    seed: Seed,
    attribute: &dyn Fn(&str) -> Result<u32>,
) -> Result<()> {
    for (index, rule) in rules.rate.iter().take(MAX_RATES).enumerate() {
        let Some(keyed) = &rule.keyed else { continue };
        let id = attribute(&keyed.key)?;
        let numbers = numbers_of(rule, keyed, id, before.keyed[index].as_ref(), seed, index)?;
        let shape = numbers.shape().ok_or_else(|| unfit(rule, index))?;
        set_room(&mut compiled.extra, index, shape, &numbers);
        compiled.keyed[index] = Some(numbers);
    }
    Ok(())
}

fn set_room(extra: &mut Extra, index: usize, shape: Shape, numbers: &KeyedNumbers) {
    extra.set_table(OF_RATES + index, [0, shape.words() as u64]);
    extra.set_keyed(index, [0, (HEAD + OWN * numbers.own.len()) as u64]);
}

fn numbers_of(
    rule: &RateRule,
    keyed: &KeyedRule,
    attribute: u32,
    before: Option<&KeyedNumbers>,
    seed: Seed,
    index: usize,
) -> Result<KeyedNumbers> {
    let RateAlgorithm::TokenBucket { burst, .. } = rule.algorithm else { return Err(unfit(rule, index)) };
    let flow = Flow { limit: rule.limit.to_bits(), per_ns: rule.per_ns, burst };
    flow.pace().ok_or_else(|| unfit(rule, index))?;
    let mut numbers = KeyedNumbers {
        attribute,
        keys: keyed.keys,
        hottest: keyed.hottest,
        on_full: keyed.on_full,
        generation: 1,
        flows: [Flow::default(); FLOWS],
        own_generation: 1,
        own: Vec::new(),
    };
    numbers.flows[0] = flow;
    // Another table is an empty one.
    let before = before.filter(|before| before.shares_table_with(&numbers));
    if let Some(before) = before {
        numbers.follow(before);
    }
    numbers.set_own(keyed, before, seed, index)?;
    Ok(numbers)
}

impl KeyedNumbers {
    fn follow(&mut self, before: &KeyedNumbers) {
        (self.generation, self.own_generation) = (before.generation, before.own_generation);
        let mut flows = before.flows;
        if flows[0] != self.flows[0] {
            flows.rotate_right(1);
            flows[0] = self.flows[0];
            self.generation = next(before.generation);
        }
        self.flows = flows;
    }

    /// Sets the keys that have numbers of their own: those of which nothing changed stay in their generation.
    fn set_own(&mut self, rule: &KeyedRule, before: Option<&KeyedNumbers>, seed: Seed, index: usize) -> Result<()> {
        let known = before.map_or(Overrides::NONE, |before| Overrides::of(&before.own));
        let next = before.map_or(1, |before| next(before.own_generation));
        let mut list = Vec::with_capacity(rule.own.len());
        for (key, own) in &rule.own {
            let hash = seed.hash(key.as_bytes());
            let bucket = known.entries().find(|entry| entry.hash == hash).and_then(Entry::bucket);
            list.push((hash, what_of(own, bucket, next).ok_or_else(|| unfit_override(key, index))?));
        }
        let made = Overrides::new(&list, &known).ok_or_else(|| clash(index))?;
        self.own = made.entries().copied().collect();
        if before.is_some_and(|before| before.own != self.own) {
            self.own_generation = next;
        }
        Ok(())
    }
}

fn next(generation: u64) -> u64 {
    generation % 15 + 1
}

/// What holds for a key: its bucket before, where that is the same.
fn what_of(rule: &OwnRule, before: Option<Bucket>, generation: u64) -> Option<Override> {
    let (limit, per_ns, burst) = match *rule {
        OwnRule::Deny => return Some(Override::Deny),
        OwnRule::Allow => return Some(Override::Allow),
        OwnRule::Limit { limit, per_ns, burst } => (limit, per_ns, burst),
    };
    let bucket = |generation| Bucket::new(limit, per_ns, burst, generation);
    let same = before.filter(|before| bucket(before.generation) == Some(*before));
    same.or_else(|| bucket(generation)).map(Override::Limit)
}

fn unfit_override(key: &str, index: usize) -> Error {
    let what =
        format!("rate[{index}].overrides: the bucket of {key:?} takes over a year to fill; lower burst or raise limit");
    Error::new(ErrorKind::Invalid, what)
}

fn clash(index: usize) -> Error {
    let what = format!("rate[{index}]: two of its special keys have one hash in this segment; leave one of them out");
    Error::new(ErrorKind::Invalid, what)
}
