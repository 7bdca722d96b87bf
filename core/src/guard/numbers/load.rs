//! The numbers of limits that follow the load: those that adapt or shed by criticality, and the protection of the process.

use super::mode;
use crate::concurrency::adapt::{self, Algorithm};
use crate::concurrency::adaptive::InForce;
use crate::concurrency::aimd::Aimd;
use crate::rules::{ConcurrencyRule, LimitAlgorithm, Mode, SystemRule};
use crate::system::gate;

const FIXED: u64 = 1;
const AIMD: u64 = 2;
const VEGAS: u64 = 3;
const GRADIENT2: u64 = 4;
const KIND_MASK: u64 = 0xFF;
const SHEDS: u64 = 1 << 8;

/// A concurrency limit that adapts, or sheds by criticality. Its words: kind (8 bits), sheds (bit 8) | lowest limit (32),
/// highest (32) | initial limit | AIMD's target in ns, 0: none. All zeros: there is no such limit.
#[derive(Clone, Copy)]
pub struct LiveLimit([u64; 4]);

impl LiveLimit {
    /// The words of a rule; zeros where a number alone says it all.
    pub fn words_of(rule: &ConcurrencyRule) -> [u64; 4] {
        let (kind, target) = match rule.algorithm {
            LimitAlgorithm::Fixed => (FIXED, 0),
            LimitAlgorithm::Aimd { target_ns } => (AIMD, target_ns.unwrap_or(0)),
            LimitAlgorithm::Vegas => (VEGAS, 0),
            LimitAlgorithm::Gradient2 => (GRADIENT2, 0),
        };
        if rule.mode == Mode::Off || kind == FIXED && !rule.sheds {
            return [0; 4];
        }
        let sheds = if rule.sheds { SHEDS } else { 0 };
        [kind | sheds, u64::from(rule.min) << 32 | u64::from(rule.max), rule.initial.into(), target]
    }

    /// Reads the words.
    #[inline(always)]
    pub fn of(words: [u64; 4]) -> LiveLimit {
        LiveLimit(words)
    }

    /// Whether there is such a limit.
    #[inline(always)]
    pub fn exists(self) -> bool {
        self.0[0] != 0
    }

    /// Whether the least critical calls are refused first.
    #[inline(always)]
    pub fn sheds(self) -> bool {
        self.0[0] & SHEDS != 0
    }

    /// Whether it adapts.
    #[inline(always)]
    pub fn adapts(self) -> bool {
        self.0[0] & KIND_MASK > FIXED
    }

    /// The limit in force, by the word of an adaptive one.
    #[inline(always)]
    pub fn in_force(self, word: u64) -> InForce {
        let word = if self.0[0] & KIND_MASK == FIXED { 0 } else { word };
        InForce::of(word, self.0[2] as u32)
    }

    /// How it adapts; None: it does not.
    pub fn numbers(self) -> Option<adapt::Numbers> {
        let algorithm = match self.0[0] & KIND_MASK {
            AIMD if self.0[3] == 0 => Algorithm::Aimd(Aimd { timeout_ns: u64::MAX }),
            AIMD => Algorithm::Aimd(Aimd { timeout_ns: self.0[3] }),
            VEGAS => Algorithm::Vegas(Default::default()),
            GRADIENT2 => Algorithm::Gradient2(Default::default()),
            _ => return None,
        };
        let (min, max, initial) = ((self.0[1] >> 32) as u32, self.0[1] as u32, self.0[2] as u32);
        Some(adapt::Numbers { min, max, initial, ..adapt::Numbers::new(algorithm) })
    }
}

/// Protection of the process. Its words: thresholds of the CPU and the memory (32 bits each) in thousandths, 0: not looked
/// at | mode. All zeros: there is none.
pub struct SystemNumbers;

impl SystemNumbers {
    /// The words of a rule.
    pub fn words_of(rule: &SystemRule) -> [u64; 2] {
        let permille = |share: Option<f64>| share.map_or(0, |share| ((share * 1000.0).round() as u64).max(1));
        match rule.mode {
            Mode::Off => [0; 2],
            mode => [permille(rule.cpu) << 32 | permille(rule.memory), mode as u64],
        }
    }

    /// Reads the words; None: there is no protection.
    #[inline(always)]
    pub fn of([thresholds, bits]: [u64; 2]) -> Option<(gate::Numbers, Mode)> {
        let (cpu, memory) = ((thresholds >> 32) as u32, thresholds as u32);
        (bits != 0).then(|| (gate::Numbers { cpu, memory, ..gate::Numbers::default() }, mode(bits)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: ConcurrencyRule = ConcurrencyRule {
        algorithm: LimitAlgorithm::Aimd { target_ns: Some(5_000_000) },
        min: 3,
        max: 16_000_000,
        initial: 40,
        sheds: true,
        mode: Mode::Enforce,
    };

    #[test]
    fn a_limit_comes_back_as_it_was() {
        for algorithm in [RULE.algorithm, LimitAlgorithm::Vegas, LimitAlgorithm::Gradient2] {
            let limit = LiveLimit::of(LiveLimit::words_of(&ConcurrencyRule { algorithm, ..RULE }));
            let numbers = limit.numbers().unwrap();
            assert!(limit.exists() && limit.sheds());
            assert_eq!((numbers.min, numbers.max, numbers.initial), (3, 16_000_000, 40));
            let same = matches!(
                (algorithm, numbers.algorithm),
                (LimitAlgorithm::Aimd { .. }, Algorithm::Aimd(Aimd { timeout_ns: 5_000_000 }))
                    | (LimitAlgorithm::Vegas, Algorithm::Vegas(_))
                    | (LimitAlgorithm::Gradient2, Algorithm::Gradient2(_))
            );
            assert!(same, "{algorithm:?} is {:?}", numbers.algorithm);
            assert_eq!(limit.in_force(7 << 24 | 5), InForce { critical: 7, others: 5 });
            assert_eq!(limit.in_force(0), InForce { critical: 40, others: 40 });
        }
    }

    #[test]
    fn a_fixed_limit_has_words_only_where_it_sheds_and_is_not_what_another_left() {
        let fixed = ConcurrencyRule { algorithm: LimitAlgorithm::Fixed, ..RULE };
        let limit = LiveLimit::of(LiveLimit::words_of(&fixed));
        assert_eq!((limit.in_force(7 << 24 | 5), limit.numbers()), (InForce { critical: 40, others: 40 }, None));
        assert_eq!(LiveLimit::words_of(&ConcurrencyRule { sheds: false, ..fixed.clone() }), [0; 4]);
        assert_eq!(LiveLimit::words_of(&ConcurrencyRule { mode: Mode::Off, ..RULE }), [0; 4]);
    }

    #[test]
    fn protection_comes_back_in_thousandths() {
        let rule = SystemRule { cpu: Some(0.8504), memory: None, mode: Mode::Shadow };
        let (numbers, mode) = SystemNumbers::of(SystemNumbers::words_of(&rule)).unwrap();
        assert_eq!((numbers.cpu, numbers.memory, mode), (850, 0, Mode::Shadow));
        let least = SystemRule { cpu: None, memory: Some(1e-9), ..rule.clone() };
        assert_eq!(SystemNumbers::of(SystemNumbers::words_of(&least)).unwrap().0.memory, 1, "not none");
        assert!(SystemNumbers::of(SystemNumbers::words_of(&SystemRule { mode: Mode::Off, ..rule })).is_none());
    }
}
