//! The values that every histogram here records, the same in Rust, C and Go.

/// How many there are; a power of two.
pub const COUNT: usize = 64;

/// Latencies from 0.1 ms to 0.67 s, each 15 % above the one before, so that recording them visits many
/// buckets and no branch predictor learns one place.
pub fn latencies() -> [f64; COUNT] {
    let mut values = [0.0001; COUNT];
    for i in 1..COUNT {
        values[i] = values[i - 1] * 1.15;
    }
    values
}

/// Hands the values out in turn.
pub struct Cycle {
    values: [f64; COUNT],
    next: usize,
}

impl Cycle {
    /// From the first value.
    pub fn new() -> Self {
        Self { values: latencies(), next: 0 }
    }

    /// The next value; steps of 37 visit all of them out of order.
    #[inline]
    pub fn next(&mut self) -> f64 {
        self.next = (self.next + 37) % COUNT;
        self.values[self.next]
    }
}
