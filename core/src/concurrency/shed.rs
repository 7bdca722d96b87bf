//! Who is refused first: each class of calls has a ceiling, a share of the limit; a call passes while fewer than that
//! are in flight.
//!
//! Critical calls have the whole limit. The ceilings of the default and the sheddable ones adapt: each time that a more
//! critical call is refused in a window in which less critical ones were admitted, the least critical of those lose
//! 1/32 of their ceiling, at once, so that a spike is answered within its first calls; a window without such a refusal gives
//! back 1/400 of the limit. So room is kept for the critical calls as far as they need it, and the others fill the
//! rest. Within a class a call of level 0 has 7/8 of the ceiling of one of level 99, and those between them a share between.
//!
//! The word: flags of this window (refused: critical, default; admitted: default, sheddable; 4 bits) | spare (12) | cut of
//! the default ceiling (24) | further cut of the sheddable one (24), in 2⁻²⁰ of the limit.
//!
//! Sources: trunk reservation in telephony (R. Akinpelu, *The overload performance of engineered networks with
//! nonhierarchical and hierarchical routing*, 1984), with the reservation adapted in the manner of
//! WeChat's DAGOR (H. Zhou et al., *Overload control for scaling WeChat microservices*, 2018).

use super::adaptive::InForce;
use crate::guard::Criticality;
use crate::word::{Word, update};

/// The highest level within a class.
pub const MAX_LEVEL: u8 = 99;
const SHARE_BITS: u32 = 20;
const ONE: u64 = 1 << SHARE_BITS;
/// No ceiling is taken below this share of the limit.
const LOWEST: u64 = ONE / 64;
const CUT_MASK: u64 = (1 << 24) - 1;
const CUTS_MASK: u64 = (1 << 48) - 1;

const REFUSED_CRITICAL: u64 = 1 << 63;
const REFUSED_DEFAULT: u64 = 1 << 62;
const ADMITTED_DEFAULT: u64 = 1 << 61;
const ADMITTED_SHEDDABLE: u64 = 1 << 60;

/// How much a call matters: its class, and the level within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// The class.
    pub class: Criticality,
    /// 0 to [`MAX_LEVEL`]; higher matters more, what is over it counts as that.
    pub level: u8,
}

/// The ceilings of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Cuts {
    /// What default calls lack to the limit.
    default: u64,
    /// What sheddable ones lack to that.
    sheddable: u64,
}

impl Cuts {
    #[inline(always)]
    fn of(word: u64) -> Cuts {
        Cuts { default: (word >> 24 & CUT_MASK).min(ONE), sheddable: (word & CUT_MASK).min(ONE) }
    }

    fn word(self) -> u64 {
        self.default << 24 | self.sheddable
    }

    #[inline(always)]
    fn share(self, class: Criticality) -> u64 {
        let cut = match class {
            Criticality::Critical => 0,
            Criticality::Default => self.default,
            Criticality::Sheddable => self.default + self.sheddable,
        };
        ONE.saturating_sub(cut).max(LOWEST)
    }

    /// The cuts after a call of this class was refused, in a window with these flags.
    fn after_refusal(self, class: Criticality, flags: u64) -> Cuts {
        let more = |class| (self.share(class) / 32).min(self.share(class) - LOWEST);
        let (sheddable, default) = (more(Criticality::Sheddable), more(Criticality::Default));
        if flags & ADMITTED_SHEDDABLE != 0 && sheddable > 0 {
            return Cuts { sheddable: self.sheddable + sheddable, ..self };
        }
        let at_fault = matches!(class, Criticality::Critical) && flags & ADMITTED_DEFAULT != 0;
        if at_fault { Cuts { default: self.default + default, ..self } } else { self }
    }

    /// The cuts after a window with these flags.
    fn after_window(self, flags: u64) -> Cuts {
        let give = |cut: u64| cut.saturating_sub(ONE / 400);
        match (flags & REFUSED_CRITICAL != 0, flags & REFUSED_DEFAULT != 0) {
            (true, _) => self,
            (false, true) => Cuts { default: give(self.default), ..self },
            (false, false) => Cuts { default: give(self.default), sheddable: give(self.sheddable) },
        }
    }
}

/// How many may be in flight for a call of this priority to pass: 1 to the limit in force, by a priority word. **Hot.**
#[inline(always)]
pub fn ceiling(word: u64, limit: InForce, priority: Priority) -> u32 {
    let whole = if matches!(priority.class, Criticality::Critical) { limit.critical } else { limit.others };
    if word & CUTS_MASK == 0 && priority.level >= MAX_LEVEL {
        return whole.max(1);
    }
    let share = Cuts::of(word).share(priority.class);
    let below = u64::from(MAX_LEVEL - priority.level.min(MAX_LEVEL));
    let share = share - share * below / (u64::from(MAX_LEVEL) * 8);
    (((u64::from(whole) * share) >> SHARE_BITS) as u32).max(1)
}

/// Notes what became of a call at its ceiling. **Hot** where the call was admitted: a read, but for the first of a window.
#[inline(always)]
pub fn note<W: Word>(word: &W, class: Criticality, admitted: bool) {
    match (class, admitted) {
        (Criticality::Default, true) => set(word, ADMITTED_DEFAULT),
        (Criticality::Sheddable, true) => set(word, ADMITTED_SHEDDABLE),
        (Criticality::Critical, false) => refused(word, class, REFUSED_CRITICAL),
        (Criticality::Default, false) => refused(word, class, REFUSED_DEFAULT),
        (Criticality::Critical, true) | (Criticality::Sheddable, false) => {}
    }
}

#[inline(always)]
fn set<W: Word>(word: &W, flag: u64) {
    if word.get() & flag == 0 {
        let _ = update(word, |seen| Ok::<_, ()>((seen | flag, ())));
    }
}

/// Makes room where less critical calls take it; writes nothing where none do.
fn refused<W: Word>(word: &W, class: Criticality, flag: u64) {
    let step = |seen: u64| {
        let cuts = Cuts::of(seen).after_refusal(class, seen);
        Ok::<_, ()>((seen & !CUTS_MASK | cuts.word() | flag, ()))
    };
    let _ = update(word, step);
}

/// Gives room back when a window is turned, and tells whether others than critical calls were admitted in it. **Cold.**
pub fn turn<W: Word>(word: &W) -> bool {
    let seen = update(word, |seen| Ok::<_, ()>((Cuts::of(seen).after_window(seen).word(), seen))).unwrap_or(0);
    seen & (ADMITTED_DEFAULT | ADMITTED_SHEDDABLE) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    const CLASSES: [Criticality; 3] = [Criticality::Sheddable, Criticality::Default, Criticality::Critical];
    const LIMIT: InForce = InForce { critical: 1000, others: 1000 };

    fn ceilings(word: u64, level: u8) -> [u32; 3] {
        CLASSES.map(|class| ceiling(word, LIMIT, Priority { class, level }))
    }

    #[test]
    fn begins_with_the_whole_limit_for_all() {
        assert_eq!(ceilings(0, 99), [1000; 3]);
        assert_eq!(ceilings(0, 0), [875; 3]);
        assert_eq!(ceilings(0, 255), [1000; 3]);
    }

    #[test]
    fn the_least_critical_make_room_first() {
        let word = AtomicU64::new(0);
        for class in CLASSES {
            note(&word, class, true);
        }
        note(&word, Criticality::Critical, false);
        assert!(turn(&word));
        assert_eq!(ceilings(word.load(Relaxed), 99), [968, 1000, 1000]);
        for _ in 0..2 {
            note(&word, Criticality::Default, true);
            note(&word, Criticality::Critical, false);
            turn(&word);
        }
        assert_eq!(ceilings(word.load(Relaxed), 99), [907, 938, 1000], "none but default calls were there");
    }

    #[test]
    fn what_was_taken_is_won_back() {
        let word = AtomicU64::new(Cuts { default: ONE / 2, sheddable: ONE / 4 }.word());
        assert!(!turn(&word));
        assert_eq!(ceilings(word.load(Relaxed), 99), [254, 502, 1000]);
        for _ in 0..400 {
            turn(&word);
        }
        assert_eq!(ceilings(word.load(Relaxed), 99), [1000; 3]);
    }

    #[test]
    fn refusals_that_no_lower_class_is_to_blame_for_take_nothing() {
        let word = AtomicU64::new(0);
        note(&word, Criticality::Critical, false);
        note(&word, Criticality::Default, false);
        turn(&word);
        assert_eq!(ceilings(word.load(Relaxed), 99), [1000; 3]);
    }

    #[test]
    fn nobody_is_shut_out_for_good() {
        let word = AtomicU64::new(0);
        for _ in 0..500 {
            note(&word, Criticality::Default, true);
            note(&word, Criticality::Sheddable, true);
            note(&word, Criticality::Critical, false);
            turn(&word);
        }
        assert_eq!(ceilings(word.load(Relaxed), 99), [15, 15, 1000]);
        let smallest = InForce { critical: 1, others: 1 };
        assert_eq!(ceiling(word.load(Relaxed), smallest, Priority { class: Criticality::Sheddable, level: 0 }), 1);
    }

    #[test]
    fn a_probe_spares_the_critical() {
        let halved = InForce { critical: 100, others: 50 };
        let of = |class| ceiling(0, halved, Priority { class, level: 99 });
        assert_eq!((of(Criticality::Critical), of(Criticality::Default)), (100, 50));
    }

    proptest! {
        #[test]
        fn a_ceiling_is_within_the_limit_and_rises_with_the_priority(word in any::<u64>(), limit in 1u32..16_000_000, level in any::<u8>()) {
            let limit = InForce { critical: limit, others: limit };
            let of = |class, level| ceiling(word, limit, Priority { class, level });
            let mut last = 0;
            for class in CLASSES {
                let here = of(class, level);
                prop_assert!(here >= last && here >= 1 && here <= limit.critical);
                prop_assert!(of(class, level.saturating_add(1)) >= here);
                last = here;
            }
        }

        #[test]
        fn cuts_stay_in_their_bits(start in any::<u64>(), windows in prop::collection::vec(0u64..16, 1..300)) {
            let word = AtomicU64::new(start);
            for flags in windows {
                word.fetch_or(flags << 60, Relaxed);
                note(&word, Criticality::Critical, flags & 1 == 0);
                note(&word, Criticality::Default, flags & 2 == 0);
                turn(&word);
                let cuts = Cuts::of(word.load(Relaxed));
                prop_assert_eq!(cuts.word(), word.load(Relaxed));
            }
        }
    }
}
