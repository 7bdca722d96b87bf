//! Instruments: counters, gauges and histograms, each a family of series by labels.

pub mod histogram;
pub mod instrument;
pub mod name;
pub mod snapshot;
