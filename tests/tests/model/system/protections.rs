//! What the promises rest on, each to be taken out.

/// What can be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Protections {
    /// Writes of an earlier epoch find nothing to write.
    pub(crate) fencing: bool,
    /// The cursor goes up to the lowest unsettled record, and not to the highest settled one.
    pub(crate) watermark: bool,
    /// Rows below `high` whose transaction was listed as running are looked for.
    pub(crate) late_listed: bool,
    /// A snapshot lists also the transactions that began after the last one that finished.
    pub(crate) lists_all: bool,
    /// Which of them there are is read after the sequence, and not before.
    pub(crate) next_after_high: bool,
    /// Rows below `high` are looked for also if no transaction that was listed wrote them.
    pub(crate) below: bool,
    /// When the lease is over, what has not left the process is taken back.
    pub(crate) purge_at_loss: bool,
    /// When a record fails, what has not left the process is taken back.
    pub(crate) purge_at_failure: bool,
    /// A pass begins only once the fate of what is on its way is known.
    pub(crate) settle_first: bool,
    /// A record counts as settled when the broker has it, and not when it has left the process.
    pub(crate) acknowledged: bool,
    /// What was acknowledged above the cursor is not sent again by a new pass.
    pub(crate) remembers: bool,
    /// A claim of the cursor says whether somebody else had it or moved it.
    pub(crate) notices_moves: bool,
    /// It still says so when earlier claims were not answered.
    pub(crate) moves_outlive_claims: bool,
}

impl Protections {
    pub(crate) const ALL: Self = Self {
        fencing: true,
        watermark: true,
        late_listed: true,
        lists_all: true,
        next_after_high: true,
        below: true,
        purge_at_loss: true,
        purge_at_failure: true,
        settle_first: true,
        acknowledged: true,
        remembers: true,
        notices_moves: true,
        moves_outlive_claims: true,
    };
}
