//! How hard a guard is pressed, for the rates that follow it.

use super::cell::GuardCell;
use super::handle::Guard;
use super::known::Facts;
use super::load_stage::limit_in_force;
use super::numbers::{Block, ExtraBlock};
use crate::breaker::state::{Breaker, State, is_closed};
use crate::concurrency::fixed::Held;
use crate::rate::follow::Follow;
use crate::segment::{Offset, View};
use std::sync::atomic::Ordering::*;

/// Words of a rate limit's `follow`: place and generation of the guard, then the numbers.
pub(super) const WORDS: usize = 2;

/// The words of a follow.
pub(crate) fn words_of(follow: &Follow, at: Offset, generation: u32) -> [u64; WORDS] {
    let [from, to, floor, ..] = follow.words();
    [u64::from(at) | u64::from(generation) << 32, from | to << 16 | floor << 32]
}

impl Guard {
    /// Whether the guard that a rate limit follows is so little pressed that calls cost what they cost. A limit that follows none
    /// is at ease too.
    #[inline(always)]
    pub(super) fn follows_at_ease(&self, facts: &Facts, index: usize) -> bool {
        let Some(further) = facts.further() else { return true };
        let [place, packed] = further.numbers.follow_of(index);
        packed == 0 || !pressed_beyond(&self.view, (place as Offset, (place >> 32) as u32), packed & 0xFFFF)
    }
}

/// Whether the pressure of the guard at a place exceeds so many thousandths: as [`pressure_at`], without a division.
#[inline(always)]
fn pressed_beyond(view: &View, (at, generation): (Offset, u32), most: u64) -> bool {
    let followed = view.at::<GuardCell>(at).filter(|guard| guard.cell.generation.load(Acquire) == generation);
    let Some(guard) = followed else { return false };
    if !is_closed(guard.hot.breaker.load(Relaxed)) {
        return pressure_of(view, guard) as u64 > most;
    }
    let inflight = Held::of(guard.hot.concurrency.load(Relaxed)).inflight();
    let limit = if inflight == 0 { 0 } else { limit_of(view, guard) };
    limit != 0 && inflight * 1000 >= (most + 1).saturating_mul(limit)
}

/// What a cost becomes by the follow of a rate limit, if it has one.
pub(super) fn cost(view: &View, numbers: &Block, index: usize, cost: u64, most: impl Fn() -> u64) -> u64 {
    let Some(extra) = view.at::<ExtraBlock>(numbers.extra()) else { return cost };
    let [place, packed] = extra.follow_of(index);
    let Some(follow) = Follow::of([packed & 0xFFFF, packed >> 16 & 0xFFFF, packed >> 32, 0, 0, 0, 0, 0]) else {
        return cost;
    };
    follow.cost(cost, pressure_at(view, place as Offset, (place >> 32) as u32), most())
}

/// The pressure of the guard at a place, in thousandths; 0 when another or none lives there by now.
fn pressure_at(view: &View, at: Offset, generation: u32) -> u32 {
    let followed = view.at::<GuardCell>(at).filter(|guard| guard.cell.generation.load(Acquire) == generation);
    followed.map_or(0, |guard| pressure_of(view, guard))
}

fn pressure_of(view: &View, guard: &GuardCell) -> u32 {
    let refuses =
        matches!(Breaker::of(guard.hot.breaker.load(Relaxed)).state, State::Open | State::HalfOpen | State::ForcedOpen);
    if refuses {
        return 1000;
    }
    let inflight = Held::of(guard.hot.concurrency.load(Relaxed)).inflight();
    (inflight * 1000).checked_div(limit_of(view, guard)).unwrap_or(0).min(1000) as u32
}

/// The concurrency limit in force of a guard; 0: it has none.
#[inline(always)]
fn limit_of(view: &View, guard: &GuardCell) -> u64 {
    let turn = view.header().rules_turn.load(Acquire);
    let numbers = view.at::<Block>(guard.cell.words[(turn & 1) as usize].load(Acquire) as Offset);
    let extra = |numbers: &Block| view.at(numbers.extra()).zip(view.at(guard.extra.load(Acquire)));
    numbers.map_or(0, |numbers| limit_in_force(numbers, extra(numbers)))
}
