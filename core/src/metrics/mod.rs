//! Instruments: counters, gauges and histograms, each a family of series by labels.

pub mod histogram;
pub mod instrument;
pub(crate) mod known;
pub mod name;
pub mod snapshot;
