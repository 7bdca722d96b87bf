//! A handle to a limiter: resolved once, used by any thread.

use super::cell::{BUCKETS, Buckets, LimiterCell, Set};
use super::options::{Options, invalid};
use crate::error::{Error, ErrorKind, Result};
use crate::rate::Refusal;
use crate::rate::limiter::FOR_EVER;
use crate::rate::reserve::Reservation;
use crate::runtime::Shared;
use crate::segment::directory::Found;
use crate::word::Word;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Too little is there; it is worth another try after so many nanoseconds. [`FOR_EVER`]: never, as it costs more than the limiter
    /// ever holds.
    Refused(u64),
    /// Our trouble, not the caller's.
    Failed(ErrorKind),
}

/// What was reserved: the caller's plain data. All zeros hold nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Reserved {
    /// How long to wait before acting, in ns. Of a refusal, after how long to come back.
    pub wait_ns: u64,
    /// When to act, on the runtime's clock.
    pub act_at_ns: u64,
    /// The life of the limiter that it is of; 0: it holds nothing.
    life: u64,
    at: u64,
    words: [u64; 4],
}

/// The generation of a handle that has ended; no cell has it.
const ENDED: u32 = u32::MAX;
const LIVE: u64 = u64::from_le_bytes(*b"tg_limit");
/// Tries of a decision against numbers that change meanwhile; more are another process's garbage.
const MOST_TRIES: u32 = 1 << 16;

/// A limiter. Never unmapped.
#[repr(align(64))]
pub struct Limiter {
    shared: &'static Shared,
    cell: *const LimiterCell,
    /// The generation until the handle ends, then [`ENDED`].
    life: AtomicU32,
    generation: u32,
    /// [`LIVE`] until the handle ends, then 0: what is no limiter will hardly say so.
    mark: AtomicU64,
    /// Where it stands in the segment; None: it is the process's own.
    found: Option<Found>,
    /// The words of a sliding window that is the process's own.
    own_buckets: Box<[AtomicU64]>,
}

// SAFETY: the cell is reached only through atomics, and stays for ever.
unsafe impl Send for Limiter {}
// SAFETY: as above.
unsafe impl Sync for Limiter {}

impl Limiter {
    pub(super) fn leak(
        shared: &'static Shared,
        cell: *const LimiterCell,
        generation: u32,
        found: Option<Found>,
    ) -> &'static Limiter {
        let own = if found.is_some() { 0 } else { BUCKETS };
        Box::leak(Box::new(Limiter {
            shared,
            cell,
            life: AtomicU32::new(generation),
            generation,
            mark: AtomicU64::new(LIVE),
            found,
            own_buckets: (0..own).map(|_| AtomicU64::new(0)).collect(),
        }))
    }

    /// Takes `cost` at `at` (ns of the runtime's clock; 0: now) and tells how long to wait before acting, at most the options' `max_wait`. Cost
    /// 0 takes nothing. **Hot.**
    #[inline]
    pub fn take(&self, cost: u64, at: u64) -> std::result::Result<u64, NotTaken> {
        self.alive().map_err(NotTaken::Failed)?;
        match self.cell().take_at_once(self.time(at), cost) {
            Ok(wait_ns) => Ok(wait_ns),
            Err(Refusal::Stale) => self.take_with_care(cost, at),
            Err(refusal) => Err(self.counted(self.refusal_told(refusal, at))),
        }
    }

    #[inline(never)]
    fn take_with_care(&self, cost: u64, at: u64) -> std::result::Result<u64, NotTaken> {
        let taken = self.decide(at, |set, now| self.try_take(set, now, cost, set.max_wait));
        taken.map(|(_, taken)| taken.wait_ns).map_err(|why| self.counted(why))
    }

    /// The same with a wait of at most `max_wait_ns` ([`FOR_EVER`] also takes a wait without end), for callers who may cancel. A token
    /// bucket goes into debt for it. **Hot.**
    #[inline]
    pub fn reserve(&self, cost: u64, at: u64, max_wait_ns: u64) -> std::result::Result<Reserved, NotTaken> {
        self.alive().map_err(NotTaken::Failed)?;
        let now = self.time(at);
        let word = &self.cell().word;
        let at_once = self.cell().flowing().and_then(|bucket| bucket.reserve(word, now, cost, max_wait_ns).ok());
        let (now, taken) = match at_once {
            Some(taken) => (now, taken),
            None => self.reserve_with_care(cost, at, max_wait_ns)?,
        };
        let words = taken.words();
        let (wait_ns, act_at_ns) = (taken.wait_ns, taken.act_at);
        Ok(Reserved { wait_ns, act_at_ns, life: self.number(), at: now, words })
    }

    #[inline(never)]
    fn reserve_with_care(
        &self,
        cost: u64,
        at: u64,
        max_wait_ns: u64,
    ) -> std::result::Result<(u64, Reservation), NotTaken> {
        self.decide(at, |set, now| self.try_take(set, now, cost, max_wait_ns)).map_err(|why| self.counted(why))
    }

    /// Cancels what was reserved, once: see [`crate::rate::reserve`] for what a token bucket gives back, and of the others
    /// their modules. One that was made before two changes of the numbers gives back nothing. **Hot.**
    pub fn cancel(&self, reserved: &mut Reserved, at: u64) -> std::result::Result<(), ErrorKind> {
        self.alive()?;
        if reserved.life == 0 {
            return Err(ErrorKind::NotHeld);
        }
        if reserved.life != self.number() {
            return Err(ErrorKind::Invalid);
        }
        reserved.life = 0;
        let (now, reservation) = (self.time(at), Reservation::of(reserved.words));
        let bucket = self.cell().flowing().filter(|bucket| bucket.generation() == reservation.generation());
        match bucket.map(|bucket| bucket.cancel(&self.cell().word, now, &reservation)) {
            Some(Ok(())) => Ok(()),
            _ => self.cancel_with_care(reserved, at),
        }
    }

    #[inline(never)]
    fn cancel_with_care(&self, taken: &Reserved, at: u64) -> std::result::Result<(), ErrorKind> {
        match self.decide(at, |set, now| self.try_cancel(set, now, taken)) {
            Err(NotTaken::Failed(kind)) => Err(kind),
            _ => Ok(()),
        }
    }

    /// What could be taken at `at`: of a token bucket exactly, negative in debt; of the others the largest whole cost.
    pub fn tokens(&self, at: u64) -> std::result::Result<f64, ErrorKind> {
        let told = self.decide(at, |set, now| set.numbers.tokens(&self.cell().word, self.buckets(set), now));
        match told {
            Ok((_, tokens)) => Ok(tokens),
            Err(NotTaken::Failed(kind)) => Err(kind),
            Err(NotTaken::Refused(_)) => Ok(0.0),
        }
    }

    /// The options in force. **Cold.**
    pub fn options(&self) -> Result<Options> {
        self.alive().map_err(gone)?;
        let tries = (0..MOST_TRIES).find_map(|_| self.cell().options());
        tries.ok_or_else(|| invalid("limiter: its cell is spoiled"))
    }

    /// Puts other numbers in force at `at` (0: now) and keeps the tokens, as many as the new burst holds; debts stay debts. Another
    /// algorithm begins afresh. **Cold.**
    pub fn set(&self, options: &Options, at: u64) -> Result<()> {
        let numbers = options.numbers(1)?;
        self.alive().map_err(gone)?;
        let _locked = self.shared.lock_directory()?;
        self.alive().map_err(gone)?;
        if numbers.buckets() > 0 && self.found.is_some() {
            self.shared.place_buckets(self.cell())?;
        }
        self.cell().change(options, self.all_buckets(), self.time(at))
    }

    /// Takes the limiter out; its room is used again, and its handles answer `Closed`. **Cold.**
    pub fn retire(&self) -> Result<()> {
        self.alive().map_err(gone)?;
        self.shared.retire_limiter(self)
    }

    /// Its cell, for bindings that decide on it by themselves, and the generation that the cell has as long as it is this limiter's.
    pub fn place(&self) -> std::result::Result<(&LimiterCell, u32), ErrorKind> {
        self.alive().map(|()| (self.cell(), self.generation))
    }

    pub(crate) fn mark_dead(&self) {
        self.life.store(ENDED, Release);
        self.mark.store(0, Release);
    }

    pub(super) fn found(&self) -> Option<Found> {
        self.found
    }

    #[inline(always)]
    pub(super) fn cell(&self) -> &LimiterCell {
        // SAFETY: checked when the handle was made; never unmapped, only replaced by zeros.
        unsafe { &*self.cell }
    }

    #[inline(always)]
    pub(super) fn alive(&self) -> std::result::Result<(), ErrorKind> {
        // The mark first: what is no limiter has no cell to look at.
        if self.mark.load(Acquire) != LIVE {
            return Err(ErrorKind::Closed);
        }
        let stands = self.cell().cell.generation.load(Acquire) == self.life.load(Acquire);
        // What is the process's own does not vanish with the segment, and a forked child's closing does not know it.
        let open = self.found.is_some() || !self.shared.is_closed();
        if stands && open { Ok(()) } else { Err(ErrorKind::Closed) }
    }

    /// Tells lives of limiters apart.
    #[inline]
    fn number(&self) -> u64 {
        u64::from(self.generation) | u64::from(self.found.is_none()) << 32
    }

    #[inline(always)]
    fn time(&self, at: u64) -> u64 {
        if at == 0 { self.shared.clock().now() } else { at }
    }

    /// Decides by the numbers in force, as often as they change meanwhile.
    #[inline(always)]
    fn decide<T>(
        &self,
        at: u64,
        step: impl Fn(&Set, u64) -> std::result::Result<T, Refusal>,
    ) -> std::result::Result<(u64, T), NotTaken> {
        self.alive().map_err(NotTaken::Failed)?;
        let now = self.time(at);
        for _ in 0..MOST_TRIES {
            let Some(set) = self.cell().set_of(self.cell().word.get()) else { continue };
            match step(&set, now) {
                Ok(done) => return Ok((now, done)),
                Err(Refusal::Stale) => {}
                Err(refusal) => return Err(self.refusal_told(refusal, at)),
            }
        }
        // A runtime that was closed meanwhile leaves zeros, which are no numbers.
        Err(NotTaken::Failed(self.alive().err().unwrap_or(ErrorKind::Internal)))
    }

    #[inline(always)]
    fn try_take(&self, set: &Set, now: u64, cost: u64, max_wait: u64) -> std::result::Result<Reservation, Refusal> {
        let word = &self.cell().word;
        set.numbers.reserve(word, self.buckets(set), now, cost, max_wait, set.generation)
    }

    /// What a caller is told of a refusal.
    fn refusal_told(&self, refusal: Refusal, at: u64) -> NotTaken {
        if let Refusal::Empty(ns) = refusal {
            self.refused(at);
            return NotTaken::Refused(ns);
        }
        NotTaken::Refused(FOR_EVER)
    }

    /// Counts what is a refusal.
    fn counted(&self, why: NotTaken) -> NotTaken {
        if matches!(why, NotTaken::Refused(_)) {
            self.cell().rejected().fetch_add(1, Relaxed);
        }
        why
    }

    /// Refusals are where it shows that our clock went back. Of a caller's own times nobody knows which is now.
    #[cold]
    fn refused(&self, at: u64) {
        if let (0, Some(set)) = (at, self.cell().set_of(self.cell().word.get())) {
            set.numbers.rebase(&self.cell().word, || self.time(0));
        }
    }

    fn try_cancel(&self, set: &Set, now: u64, taken: &Reserved) -> std::result::Result<(), Refusal> {
        let reservation = Reservation::of(taken.words);
        if reservation.generation() == set.generation {
            return set.numbers.cancel(&self.cell().word, now, taken.at, &reservation);
        }
        let old = self.cell().set_of_generation(reservation.generation());
        let moved = old.and_then(|old| set.numbers.moved(&old.numbers, &reservation, set.since));
        moved.map_or(Ok(()), |moved| set.numbers.cancel(&self.cell().word, now, taken.at, &moved))
    }

    #[inline(always)]
    fn buckets(&self, set: &Set) -> &[AtomicU64] {
        if set.numbers.buckets() == 0 { &[] } else { self.all_buckets() }
    }

    fn all_buckets(&self) -> &[AtomicU64] {
        if self.found.is_none() {
            return &self.own_buckets;
        }
        let table = self.shared.segment().at::<Buckets>(self.cell().buckets.load(Acquire));
        table.and_then(|table| table.0.get(..BUCKETS)).unwrap_or(&[])
    }
}

pub(super) fn gone(kind: ErrorKind) -> Error {
    Error::new(kind, "the runtime was closed or the limiter retired")
}
