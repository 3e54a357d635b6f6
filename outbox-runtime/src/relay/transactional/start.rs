//! The start of a session: becoming the only one, and finding out where to go on.

use super::compare::{ResumePoint, compare};
use crate::failpoint::{self, Failpoint};
use crate::publisher::{BrokerCursor, PublishError, PublishErrorKind, Transactions, Uncommitted};
use crate::store::{ClaimedCursor, Reader, StoreError, StoreErrorKind};

/// Why a session could not start.
pub(in crate::relay) enum Failed {
    Store(StoreError),
    Broker(PublishError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<PublishError> for Failed {
    fn from(error: PublishError) -> Self {
        Self::Broker(error)
    }
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) struct LogPosition {
    pub(in crate::relay) generation: i64,
    /// The reader's number for the window of this generation, if it knows it.
    pub(in crate::relay) window: Option<u64>,
    /// Everything of the window up to this seq is settled.
    pub(in crate::relay) position: i64,
}

/// What the two cursors say.
pub(in crate::relay) struct Found {
    pub(in crate::relay) row: ClaimedCursor,
    pub(in crate::relay) broker: Option<BrokerCursor>,
    pub(super) resume_point: ResumePoint,
}

/// Makes this the only relay that can commit anything, and compares the cursors.
///
/// The order matters. The lease and the row were claimed before, so nobody writes a window any more. Then whoever
/// could commit is fenced; and only then the row is looked at once more: a relay that slept meanwhile finds that it
/// is not the holder, and believes no cursor that it cannot judge.
pub(in crate::relay) async fn find<R: Reader>(
    reader: &mut R,
    transactions: &mut dyn Transactions,
) -> Result<Found, Failed> {
    let row = reader.claimed().ok_or_else(|| {
        let what = "this store delivers at least once only";
        StoreError::new(StoreErrorKind::Undecided, what)
    })?;
    let broker = transactions.open(row.log_id, row.generation.is_none()).await?;
    failpoint::reach(Failpoint::BrokerCursorRead);
    reader.confirm().await?;
    let resume_point =
        compare(&row, broker.as_ref()).map_err(|contradiction| reader.contradiction(contradiction))?;
    // Sent in the broker's last transaction, whatever became of it here. The next one would forget their names.
    if let Some(delivered) = broker.as_ref().map(|cursor| &cursor.taken_out)
        && !delivered.is_empty()
    {
        reader.take_out(delivered).await?;
    }
    Ok(Found {
        row,
        broker,
        resume_point,
    })
}

/// Brings reader and broker to where the log goes on.
pub(in crate::relay) async fn start<R: Reader>(
    reader: &mut R,
    transactions: &mut dyn Transactions,
) -> Result<LogPosition, Failed> {
    let found = find(reader, transactions).await?;
    let open = found.row.open;
    let generation = match found.resume_point {
        ResumePoint::TakeUp { generation } => {
            take_up(reader, transactions, generation, open.map_or(0, |open| open.seq)).await?;
            generation
        }
        ResumePoint::AtTheRow | ResumePoint::Behind(_) => found.row.generation.unwrap_or_default(),
    };
    let position = match found.resume_point {
        ResumePoint::TakeUp { .. } | ResumePoint::AtTheRow => open.map_or(0, |open| open.seq),
        ResumePoint::Behind(position) => {
            reader.resume_behind(position);
            position
        }
    };
    let place = LogPosition {
        generation,
        window: open.map(|open| open.window),
        position,
    };
    tracing::info!(
        generation, position, row = ?found.row.generation, broker = ?found.broker.map(|cursor| cursor.generation),
        "delivering exactly once"
    );
    Ok(place)
}

/// From now on the broker's cursor counts. The broker learns it first: a row with a generation always finds one.
async fn take_up<R: Reader>(
    reader: &mut R,
    transactions: &mut dyn Transactions,
    generation: i64,
    position: i64,
) -> Result<(), Failed> {
    let cursor = BrokerCursor {
        generation,
        position,
        taken_out: Vec::new(),
    };
    transactions.begin()?;
    transactions.commit(&cursor).await.map_err(broken)?;
    failpoint::reach(Failpoint::TransactionCommitted);
    Ok(reader.begin_generations(generation).await?)
}

/// The error of a transaction that has to be given up.
fn broken(uncommitted: Uncommitted) -> PublishError {
    match uncommitted {
        Uncommitted::Broken(error) => error,
        Uncommitted::Records(settlements) => {
            let error = settlements
                .into_iter()
                .find_map(|settlement| settlement.result.err());
            error.map_or_else(
                || PublishError::new(PublishErrorKind::Unavailable, "a transaction failed"),
                |error| *error,
            )
        }
    }
}
