//! Protection of the whole process: calls are refused when the container's CPU (or memory) is used beyond a threshold
//! and more calls are in flight than it has lately been able to serve.
//!
//! A sampler outside the hot path reads the container's files ([`cpu`], [`memory`]) and stores one word; the decision
//! ([`gate`]) reads words only.

pub mod cgroup;
pub mod cpu;
pub mod gate;
pub mod memory;
