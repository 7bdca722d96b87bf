//! Locks of cold paths: waited for, but not for ever.

use crate::error::PolicyError;
use parking_lot::{Mutex, MutexGuard};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Takes a lock that only cold paths take. After ten seconds (a fork in the middle of another
/// thread's cold path leaves a lock that nobody gives back) it is an error instead of a hang.
pub(crate) fn cold<'a, T>(mutex: &'a Mutex<T>, what: &'static str) -> Result<MutexGuard<'a, T>, PolicyError> {
    mutex.try_lock_for(PATIENCE).ok_or(PolicyError::Busy { what })
}
