//! A look at the log: its snapshot, and the highest seq that the snapshot sees.

use super::claim::parsed;
use super::connection::Connection;
use super::snapshot::Snapshot;
use super::sql::Sql;
use super::window::Edge;
use crate::Tables;
use crate::store::StoreError;

/// What one look found.
pub(super) struct Look {
    snapshot: Snapshot,
    pub(super) in_recovery: bool,
    /// No row that the snapshot sees has a greater seq.
    high: i64,
    /// How many transaction ids there were at or above the snapshot's `xmax` when all rows up to `high` had theirs.
    pub(super) started_since: u64,
    /// The sequence's oid.
    pub(super) sequence: Option<String>,
}

impl Look {
    pub(super) fn edge(&self) -> Edge {
        let next = self.snapshot.xmax() + self.started_since;
        Edge::new(self.snapshot.listing_all_below(next), self.high, None)
    }
}

/// Looks at the log; `tip` is the highest seq known of.
pub(super) async fn look(
    connection: &mut Connection,
    sql: &Sql,
    tip: i64,
    tables: &Tables,
) -> Result<Look, StoreError> {
    let doing = "taking a snapshot";
    let text = sql.edge.text();
    type Row = (String, bool, i64, Option<i64>, Option<bool>, i32, Option<String>);
    let (snapshot, in_recovery, last, above, counts_up, started_since, sequence): Row = connection
        .run(doing, async |pg| {
            sqlx::query_as(text).bind(tip).fetch_one(pg).await
        })
        .await?;
    if counts_up == Some(false) {
        // The check knows what is wrong, and what to run.
        connection.check_schema(tables).await?;
    }
    let above: Option<i64> = match last < tip {
        // The sequence went back. What lies between the two was not asked about.
        true => {
            let (text, snapshot) = (sql.highest.text(), &snapshot);
            connection
                .run(doing, async |pg| {
                    sqlx::query_scalar(text).bind(snapshot).fetch_one(pg).await
                })
                .await?
        }
        false => above,
    };
    Ok(Look {
        snapshot: parsed(&snapshot)?,
        in_recovery,
        high: above.map_or(last, |above| above.max(last)),
        started_since: u64::try_from(started_since).unwrap_or_default(),
        sequence,
    })
}
