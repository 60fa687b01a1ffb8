//! Work beside the writer that follows its commits: outbox, dispatcher, search feed, a provider in the same process.

use storage::Timestamp;

/// Something that the test clock must wait for before time jumps on.
pub trait Background: Send + Sync {
    /// For logs and the overview.
    fn name(&self) -> &'static str;
    /// Whether everything up to `seq` has been seen and nothing is in flight.
    fn is_idle(&self, seq: u64) -> bool;
    /// When it will do something by itself although nothing commits.
    fn next_due(&self) -> Option<Timestamp>;
}
