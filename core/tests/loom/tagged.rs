//! Numbers that stand twice beside a word, as a limiter's do: see `core/src/limiter/cell.rs`.

use super::*;
use loom::sync::atomic::fence;
use tidegate_core::tagged::{self, Tag};

struct LoomTag(AtomicU64);

impl Tag for LoomTag {
    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    fn fence(order: Ordering) {
        fence(order);
    }
}

/// Numbers of change n are n and 10 n.
struct Side {
    tag: LoomTag,
    numbers: [AtomicU64; 2],
}

/// The word: calls taken, times 16, and the change that it is of.
struct Cell {
    word: LoomWord,
    sides: [Side; 2],
}

impl Cell {
    fn new() -> Cell {
        let side =
            |n: u64| Side { tag: LoomTag(AtomicU64::new(n)), numbers: [AtomicU64::new(n), AtomicU64::new(10 * n)] };
        Cell { word: LoomWord(AtomicU64::new(1)), sides: [side(0), side(1)] }
    }

    fn side(&self, change: u64) -> &Side {
        &self.sides[(change & 1) as usize]
    }

    fn change_to(&self, change: u64) {
        let side = self.side(change);
        tagged::write(&side.tag, change, || {
            side.numbers[0].store(change, Ordering::Relaxed);
            side.numbers[1].store(10 * change, Ordering::Relaxed);
        });
        let mut seen = self.word.get();
        while let Err(now) = self.word.swap_if(seen, seen & !15 | change) {
            seen = now;
        }
    }

    /// Takes one by the numbers in force; None: they changed meanwhile.
    fn take(&self) -> Option<()> {
        let seen = self.word.get();
        let side = self.side(seen & 15);
        let numbers = tagged::read(
            &side.tag,
            |tag| tag == seen & 15,
            || Some(side.numbers.each_ref().map(|word| word.load(Ordering::Relaxed))),
        );
        let [change, ten] = numbers?;
        assert_eq!((change, ten), (seen & 15, 10 * (seen & 15)), "of one change, and of the word's");
        self.word.swap_if(seen, seen + 16).ok()
    }
}

#[test]
fn a_call_is_decided_by_whole_numbers_and_by_those_in_force() {
    model(|| {
        let cell = Arc::new(Cell::new());
        let in_threads = cell.clone();
        let took = on_threads(2, move |index| match index {
            0 => {
                (2..=3).for_each(|change| in_threads.change_to(change));
                0
            }
            _ => u64::from(in_threads.take().is_some()),
        });
        assert_eq!(cell.word.get(), took[1] * 16 + 3, "what was taken stays taken");
        assert!(cell.take().is_some(), "and goes on by the last numbers");
    });
}
