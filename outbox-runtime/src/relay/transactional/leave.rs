//! The way back to at-least-once delivery, which an at-least-once relay goes when it finds a generation in the row.

use super::compare::ResumePoint;
use super::start::{Failed, find};
use crate::failpoint::{self, Failpoint};
use crate::publisher::{PublishError, PublishErrorKind, Transactions};
use crate::store::Reader;

/// Fences whoever delivered exactly once, moves the reader behind what it delivered, and writes down that the row alone
/// counts from now on.
pub(in crate::relay) async fn leave<R: Reader>(
    reader: &mut R,
    transactions: Option<&mut dyn Transactions>,
) -> Result<(), Failed> {
    let Some(transactions) = transactions else {
        let what = "exactly-once delivery was at work in this log, and this publisher has no transactions to find out \
                    how far it is";
        return Err(PublishError::new(PublishErrorKind::Configuration, what).into());
    };
    let found = find(reader, transactions).await?;
    if let ResumePoint::Behind(position) = found.resume_point {
        reader.resume_behind(position);
    }
    reader.end_generations().await?;
    failpoint::reach(Failpoint::CursorAfter);
    transactions.close().await;
    tracing::info!("the delivery mode was exactly once; from now on records are delivered at least once");
    Ok(())
}
