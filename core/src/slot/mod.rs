//! Slots: a process's, and in it a thread's, own place in the segment.

pub mod lane;
pub mod process;
pub mod thread;
