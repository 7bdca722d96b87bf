//! A call that cannot finish in the time left is refused at once: the callee's work would be for nobody.
//!
//! What a call usually takes is a live quantile ([`crate::retry::quantile`]) of those that were made, so a wrong estimate that
//! refused all would stay wrong for ever. Therefore one in [`LET_THROUGH`] of those that it would refuse passes, counted in a
//! word: exactly one in so many, under any interleaving.

use crate::word::{Word, update};
use std::convert::Infallible;

/// One in so many passes.
pub const LET_THROUGH: u64 = 16;
/// One in the factor's fixed point.
const ONE: f64 = 1024.0;

/// A rule's number: how much time is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enough {
    factor: u64,
}

/// What is said to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is time.
    Enough,
    /// There is hardly time, but it passes, so that the estimate learns.
    LetThrough,
    /// There is none.
    Refuse,
}

impl Enough {
    /// Refuses when less is left than `factor` × what a call usually takes. None when it is not above 0 and at most 1000.
    pub fn new(factor: f64) -> Option<Enough> {
        let factor = (factor > 0.0 && factor <= 1000.0).then(|| (factor * ONE).ceil() as u64)?;
        Some(Enough { factor })
    }

    /// As a plain word, for a block in the segment.
    pub fn word(&self) -> u64 {
        self.factor
    }

    /// From [`Enough::word`]; garbage gives some rule.
    pub fn of(factor: u64) -> Enough {
        Enough { factor }
    }

    /// Judges a call with `remaining_ns` left that usually takes `usual_ns` (None: not known). `word` counts, 0 at first. **Hot**:
    /// where there is time, it touches nothing.
    pub fn judge<W: Word>(&self, word: &W, remaining_ns: u64, usual_ns: Option<u64>) -> Verdict {
        if remaining_ns == 0 {
            return Verdict::Refuse;
        }
        let need = (u128::from(usual_ns.unwrap_or(0)) * u128::from(self.factor)) >> 10;
        if u128::from(remaining_ns) >= need {
            return Verdict::Enough;
        }
        let counted: Result<u64, Infallible> = update(word, |seen| Ok((seen.wrapping_add(1), seen)));
        match counted {
            Ok(number) if number % LET_THROUGH == LET_THROUGH - 1 => Verdict::LetThrough,
            _ => Verdict::Refuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    #[test]
    fn too_little_time_is_refused_but_for_one_in_sixteen() {
        let (rule, word) = (Enough::new(1.0).unwrap(), AtomicU64::new(0));
        let verdicts: Vec<_> = (0..32).map(|_| rule.judge(&word, 99, Some(100))).collect();
        for (i, verdict) in verdicts.iter().enumerate() {
            assert_eq!(*verdict, if i % 16 == 15 { Verdict::LetThrough } else { Verdict::Refuse }, "{i}");
        }
    }

    #[test]
    fn enough_time_touches_nothing() {
        let (rule, word) = (Enough::new(1.5).unwrap(), AtomicU64::new(3));
        for (left, usual) in [(150, Some(100)), (1, None), (u64::MAX, Some(1 << 60)), (1, Some(0))] {
            assert_eq!(rule.judge(&word, left, usual), Verdict::Enough);
        }
        assert_eq!(rule.judge(&word, 149, Some(100)), Verdict::Refuse);
        assert_eq!(Enough::of(u64::MAX).judge(&word, u64::MAX, Some(u64::MAX)), Verdict::Refuse);
        assert_eq!(word.load(Relaxed), 5);
    }

    #[test]
    fn no_time_at_all_never_passes() {
        let (rule, word) = (Enough::of(Enough::new(0.5).unwrap().word()), AtomicU64::new(15));
        for usual in [None, Some(0), Some(100)] {
            assert_eq!(rule.judge(&word, 0, usual), Verdict::Refuse);
        }
    }

    #[test]
    fn contradictions_are_refused() {
        for factor in [0.0, -1.0, 1000.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Enough::new(factor), None);
        }
    }

    #[test]
    fn a_storm_lets_exactly_one_in_sixteen_through() {
        let (rule, word) = (Enough::new(1.0).unwrap(), AtomicU64::new(u64::MAX - 15));
        let passed: usize = std::thread::scope(|scope| {
            let ask = || (0..800).filter(|_| rule.judge(&word, 1, Some(100)) == Verdict::LetThrough).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 200);
    }
}
