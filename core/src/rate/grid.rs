//! Time cut into equal windows, aligned to multiples of their width since the clock's zero; and the bits in which a word
//! holds a window's index.

use super::common::{GENERATION_BITS, GENERATION_MASK};

/// Windows of one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    /// In ns, at least 1.
    pub width: u64,
    /// 2⁶⁴ / width, rounded down: a multiplication is cheaper than a division.
    reciprocal: u64,
}

/// Where a moment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The window's absolute index.
    pub index: u64,
    /// Nanoseconds since it began, less than its width.
    pub since: u64,
}

impl Grid {
    /// None without a width.
    #[inline]
    pub fn new(width: u64) -> Option<Grid> {
        Some(Grid { width, reciprocal: u64::MAX.checked_div(width)? })
    }

    /// Reads both numbers back from a block, without a division. None for what no width gives.
    #[inline]
    pub fn of(width: u64, reciprocal: u64) -> Option<Grid> {
        let product = width.checked_mul(reciprocal)?;
        (u64::MAX - product < width).then_some(Grid { width, reciprocal })
    }

    /// Both, for a block of numbers.
    pub fn words(&self) -> [u64; 2] {
        [self.width, self.reciprocal]
    }

    /// Exact: the quotient by the reciprocal falls short by at most one, as `now` < 2⁶⁴.
    #[inline(always)]
    pub fn place(&self, now: u64) -> Place {
        let index = ((u128::from(now) * u128::from(self.reciprocal)) >> 64) as u64;
        let since = now.wrapping_sub(index.wrapping_mul(self.width));
        let short = since >= self.width;
        Place { index: index.wrapping_add(u64::from(short)), since: if short { since - self.width } else { since } }
    }
}

/// How the 60 bits above the generation are shared: index | counts of `count_bits` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub count_bits: u32,
    pub counts: u32,
}

impl Layout {
    /// The layout whose counts hold `limit`, if at least `index_bits` are left.
    #[inline]
    pub fn new(limit: u64, counts: u32, index_bits: u32) -> Option<Layout> {
        let count_bits = u64::BITS - limit.leading_zeros();
        let fits = limit > 0 && counts * count_bits + GENERATION_BITS + index_bits <= u64::BITS;
        fits.then_some(Layout { count_bits, counts })
    }

    /// The largest count.
    #[inline(always)]
    pub fn most(&self) -> u64 {
        (1 << self.count_bits) - 1
    }

    #[inline(always)]
    fn index_at(&self) -> u32 {
        // Masked, so that garbage in the numbers cannot make a shift overflow.
        (GENERATION_BITS + self.counts * self.count_bits) & 63
    }

    /// The word of these parts; the index is cut to the bits that it has. The first count is the lowest.
    #[inline(always)]
    pub fn word(&self, index: u64, counts: [u64; 2], generation: u64) -> u64 {
        let high = if self.counts > 1 { counts[1] << (GENERATION_BITS + self.count_bits) } else { 0 };
        index << self.index_at() | high | counts[0] << GENERATION_BITS | generation
    }

    /// A word's counts.
    #[inline(always)]
    pub fn counts(&self, word: u64) -> [u64; 2] {
        if self.counts == 1 {
            // By what tells the index too.
            return [(word & !(u64::MAX << self.index_at())) >> GENERATION_BITS, 0];
        }
        let low = word >> GENERATION_BITS & self.most();
        let high = word >> (GENERATION_BITS + self.count_bits) & self.most();
        [low, high]
    }

    /// How many windows the word lies behind `index`; negative when it lies ahead. Indices that are half the circle of
    /// their bits apart cannot be told from ones that lie ahead.
    #[inline(always)]
    pub fn behind(&self, word: u64, index: u64) -> i64 {
        let at = self.index_at();
        ((index << at).wrapping_sub(word >> at << at) as i64) >> at
    }

    /// Packed into one word of numbers.
    pub fn packed(&self, generation: u64) -> u64 {
        u64::from(self.count_bits) << 16 | u64::from(self.counts) << 8 | generation
    }

    /// Reads [`Layout::packed`]; garbage gives some layout that is safe to use.
    #[inline]
    pub fn unpacked(word: u64) -> (Layout, u64) {
        let counts = (word >> 8 & 3).clamp(1, 2) as u32;
        let count_bits = ((word >> 16 & 63) as u32).clamp(1, 58 / counts);
        (Layout { count_bits, counts }, word & GENERATION_MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges_of_time() {
        for (width, now) in
            [(1, 0), (1, u64::MAX), (u64::MAX, u64::MAX), (2, u64::MAX), (3, u64::MAX), (1 << 63, 1 << 63)]
        {
            let place = Grid::new(width).unwrap().place(now);
            assert_eq!((place.index, place.since), (now / width, now % width));
        }
        assert_eq!(
            (Grid::new(0), Grid::of(0, 0), Grid::of(0, 1), Grid::of(10, u64::MAX / 10 - 1)),
            (None, None, None, None)
        );
    }

    proptest! {
        #[test]
        fn places_are_exact(width in 1u64.., cut in 0u32..64, now: u64) {
            let width = (width >> cut).max(1);
            let grid = Grid::new(width).unwrap();
            let place = grid.place(now);
            prop_assert_eq!((place.index, place.since), (now / width, now % width));
            let [width, reciprocal] = grid.words();
            prop_assert_eq!(Grid::of(width, reciprocal), Some(grid));
        }

        #[test]
        fn a_layout_gives_back_what_it_holds(limit in 1u64..1 << 22, index in 0u64..1 << 40, apart in -20_000i64..20_000, a: u64, b: u64) {
            for counts in [1, 2] {
                let layout = Layout::new(limit, counts, 16).unwrap();
                let held = [a % (limit + 1), if counts > 1 { b % (limit + 1) } else { 0 }];
                let word = layout.word(index, held, 9);
                prop_assert_eq!(layout.counts(word), held);
                prop_assert_eq!(layout.behind(word, index.wrapping_add_signed(apart)), apart);
                prop_assert_eq!(Layout::unpacked(layout.packed(9)), (layout, 9));
            }
        }
    }
}
