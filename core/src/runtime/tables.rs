//! Tables: blocks of words that many threads write into, sized by the rules. Whoever is late, with numbers that were replaced
//! meanwhile, still writes into the table that it knew; so a table that is given back becomes a table again and
//! nothing else.

use super::shared::Shared;
use crate::guard::numbers::{Extra, TABLES};
use crate::segment::alloc::class_of;
use crate::segment::{self, Offset, Segment};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// What keeps a table that nobody uses: its place, and the next one.
#[repr(C, align(64))]
struct Spare([AtomicU64; 2]);

// SAFETY: repr(C), atomics only.
unsafe impl segment::Shared for Spare {}

impl Shared {
    /// Gives each table that is wanted a place: that of `before` where it has one of the same size. False: there is no room, and
    /// nothing was taken.
    pub(super) fn place_tables(&self, wanted: &mut Extra, before: &Extra) -> bool {
        for number in 0..TABLES {
            let ([_, words], had) = (wanted.table(number), before.table(number));
            let at = match words {
                0 => 0,
                _ if had[0] != 0 && had[1] == words => had[0] as Offset,
                _ => match take(self.segment(), words as usize) {
                    Some(at) => at,
                    None => {
                        self.give_back_tables(wanted, &[*before]);
                        return false;
                    }
                },
            };
            wanted.set_table(number, [at.into(), words]);
        }
        true
    }

    /// A zeroed table of so many words. None: there is no room. Under the cold lock.
    pub(super) fn take_table(&self, words: usize) -> Option<Offset> {
        take(self.segment(), words)
    }

    /// Gives it back. Under the cold lock.
    pub(super) fn give_back_table(&self, at: Offset, words: usize) {
        give_back(self.segment(), at, words);
    }

    /// Gives back the tables that stand in `gone` and in none of `kept`.
    pub(super) fn give_back_tables(&self, gone: &Extra, kept: &[Extra]) {
        let placed = |extra: &Extra| (0..TABLES).map(|number| extra.table(number)).filter(|[at, _]| *at != 0).collect();
        let kept: Vec<[u64; 2]> = kept.iter().flat_map(|extra| -> Vec<_> { placed(extra) }).collect();
        let gone: Vec<[u64; 2]> = placed(gone);
        for [at, words] in gone.into_iter().filter(|table| !kept.contains(table)) {
            give_back(self.segment(), at as Offset, words as usize);
        }
    }
}

/// A zeroed table of so many words. To be called under the cold lock, as is [`give_back`].
fn take(segment: &Segment, words: usize) -> Option<Offset> {
    let class = class_of(words * 8)?;
    let spares = &segment.header().spare_tables[class];
    let first = spares.load(Acquire);
    let Some(spare) = segment.at::<Spare>(first) else { return segment.alloc(words * 8) };
    let table = spare.0[0].load(Relaxed) as Offset;
    spares.store(spare.0[1].load(Relaxed) as Offset, Release);
    segment.free(first, size_of::<Spare>());
    segment.view().words(table, words)?.iter().for_each(|word| word.store(0, Relaxed));
    Some(table)
}

fn give_back(segment: &Segment, table: Offset, words: usize) {
    let (Some(class), Some(at)) = (class_of(words * 8), segment.alloc(size_of::<Spare>())) else { return };
    let Some(spare) = segment.at::<Spare>(at) else { return };
    let spares = &segment.header().spare_tables[class];
    spare.0[0].store(table.into(), Relaxed);
    spare.0[1].store(spares.load(Relaxed).into(), Relaxed);
    spares.store(at, Release);
}
