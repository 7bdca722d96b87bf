//! What a policy did, as the policy host counts it.

/// The figures of one policy since its first load. All counts only go up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFigures {
    /// The policy's name.
    pub name: String,
    /// The generation that serves; 0: none.
    pub generation: u64,
    /// Answered calls, by action ("allow", "deny", ...), each action once.
    pub calls: Vec<(&'static str, u64)>,
    /// Calls without an answer, by cause ("trap", "deadline", ...), each cause once.
    pub failures: Vec<(&'static str, u64)>,
    /// Published loads.
    pub swaps: u64,
    /// Returns to an earlier generation, by hand or by themselves.
    pub rollbacks: u64,
    /// Generations that failed too often.
    pub quarantined: u64,
    /// The guest's own counters; of two of the same name the first counts.
    pub counters: Vec<(String, u64)>,
}
