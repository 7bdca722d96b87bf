//! Every loaded policy of the process, for the ticker.

use crate::entry::Entry;
use crate::thread;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

static ENTRIES: Mutex<Vec<Weak<Entry>>> = Mutex::new(Vec::new());

/// Makes a policy known; it is forgotten when it is gone.
pub(crate) fn add(entry: &Arc<Entry>) {
    let mut entries = ENTRIES.lock();
    entries.retain(|known| known.strong_count() > 0);
    entries.push(Arc::downgrade(entry));
}

/// Frees what swaps left over.
pub(crate) fn collect() {
    known().iter().for_each(|entry| entry.collect());
}

/// Frees the instances of threads that have ended.
pub(crate) fn trim() {
    let entries = known();
    thread::visit_free(|slot| entries.iter().for_each(|entry| entry.clear_slot(slot)));
}

fn known() -> Vec<Arc<Entry>> {
    let entries = ENTRIES.try_lock();
    entries.iter().flat_map(|entries| entries.iter()).filter_map(Weak::upgrade).collect()
}
