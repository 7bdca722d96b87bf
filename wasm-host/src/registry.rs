//! Every loaded policy of the process, for the ticker.

use crate::entry::Entry;
use crate::error::PolicyError;
use crate::lock::Table;
use crate::thread;
use std::sync::{Arc, Weak};

static ENTRIES: Table<Vec<Weak<Entry>>> = Table::new("the table of all policies");

/// Makes a policy known; it is forgotten when it is gone.
pub(crate) fn add(entry: &Arc<Entry>) -> Result<(), PolicyError> {
    ENTRIES.change(|entries| {
        entries.retain(|known| known.strong_count() > 0);
        entries.push(Arc::downgrade(entry));
    })
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

#[cfg(test)]
pub(crate) fn held() -> Option<impl Drop> {
    ENTRIES.held()
}

fn known() -> Vec<Arc<Entry>> {
    let entries = ENTRIES.get_now().unwrap_or_default();
    entries.iter().filter_map(Weak::upgrade).collect()
}
