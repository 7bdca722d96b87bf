//! What all limits have in common that count in windows: their numbers, and a word that holds a window's index and counts.

use super::common::{is_generation, untouched};
use super::grid::{Grid, Layout};
use crate::word::Word;

/// The numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub limit: u64,
    pub grid: Grid,
    pub layout: Layout,
    /// Which change of the rule they are of.
    pub generation: u64,
}

impl Counted {
    /// None where the word has no room for so many counts of `limit` beside `index_bits`, or the generation is none of 1 to 15.
    #[inline]
    pub fn new(limit: u64, grid: Grid, counts: u32, index_bits: u32, generation: u64) -> Option<Counted> {
        let layout = Layout::new(limit, counts, index_bits)?;
        is_generation(generation).then_some(Counted { limit, grid, layout, generation })
    }

    /// As words for a block of numbers.
    pub fn words(&self) -> [u64; 4] {
        let [width, reciprocal] = self.grid.words();
        [self.limit, width, reciprocal, self.layout.packed(self.generation)]
    }

    /// Reads [`Counted::words`].
    #[inline]
    pub fn of([limit, width, reciprocal, packed]: [u64; 4], counts: u32, index_bits: u32) -> Option<Counted> {
        Counted::new(limit, Grid::of(width, reciprocal)?, counts, index_bits, Layout::unpacked(packed).1)
    }

    /// The word of a window.
    #[inline(always)]
    pub fn word(&self, index: u64, counts: [u64; 2]) -> u64 {
        self.layout.word(index, counts, self.generation)
    }

    /// Brings a word that lies ahead of the present, because time went back, into the window of the present, with what `kept` leaves of its counts.
    /// `clock` is read after the word, or a late thread would open a window again that is over.
    pub fn rebase<W: Word>(&self, word: &W, clock: impl Fn() -> u64, kept: impl FnOnce([u64; 2]) -> [u64; 2]) {
        let (seen, index) = (word.get(), self.grid.place(clock()).index);
        if untouched(seen, self.generation) == Ok(false) && self.layout.behind(seen, index) < 0 {
            // Failing means that another did it, or time went on.
            let _ = word.swap_if(seen, self.word(index, kept(self.layout.counts(seen))));
        }
    }
}
