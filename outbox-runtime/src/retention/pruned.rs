//! Result of a pruning round.

/// Numbers of deleted rows; in a dry run, of those that would be deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Delivered messages.
    pub messages: u64,
    /// Partitions that were emptied. Their messages are counted above.
    pub partitions_emptied: u64,
    /// Partitions that were dropped.
    pub partitions_dropped: u64,
    /// Partitions that could not be emptied or dropped because they are in use.
    pub partitions_busy: u64,
    /// Dead letters.
    pub dead_letters: u64,
}

impl Pruned {
    pub(crate) fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.partitions_emptied += other.partitions_emptied;
        self.partitions_dropped += other.partitions_dropped;
        self.partitions_busy += other.partitions_busy;
        self.dead_letters += other.dead_letters;
    }
}
