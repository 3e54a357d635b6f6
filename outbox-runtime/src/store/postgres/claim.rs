//! Claiming the cursor, and finding out whether it still points at what it did when it was written.

use std::num::ParseIntError;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::connection::Connection;
use super::home::Home;
use super::progress::CursorRow;
use super::snapshot::{Snapshot, Xid};
use super::sql::Sql;
use super::window::Edge;
use crate::Tables;
use crate::store::{CursorChange, Fence, StoreError, StoreErrorKind};

/// Where the cursor was written; empty in one that never was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) system_identifier: Option<String>,
    pub(super) database_oid: Option<String>,
    pub(super) table_oid: Option<String>,
    pub(super) timeline: Option<String>,
}

impl Origin {
    /// From the four columns that begin here.
    pub(super) fn of(row: &PgRow, column: usize) -> Result<Self, StoreError> {
        let text = |offset| optional_text(row, column + offset);
        Ok(Self {
            system_identifier: text(0)?,
            database_oid: text(1)?,
            table_oid: text(2)?,
            timeline: text(3)?,
        })
    }

    /// Whether the cursor was written in another cluster, database or table. Transaction ids mean something in
    /// their own cluster only; and a copy beside its original must not be taken for it, nor a dump that was
    /// restored in the place of a later log for that.
    pub(super) fn is_elsewhere(&self, here: &Home) -> bool {
        let differs = |was: &Option<String>, is: Option<&String>| match (was, is) {
            (Some(was), Some(is)) => was != is,
            (None, _) | (_, None) => false,
        };
        differs(&self.system_identifier, here.system_identifier.as_ref())
            || differs(&self.database_oid, Some(&here.database_oid))
            || differs(&self.table_oid, Some(&here.table_oid))
    }
}

/// The cursor row, as its holder found it.
pub(super) struct Claimed {
    pub(super) row: CursorRow,
    pub(super) origin: Origin,
    pub(super) home: Home,
    pub(super) log_id: Uuid,
    /// Which of Kafka's cursors completes the row, in exactly-once delivery.
    pub(super) generation: Option<i64>,
    own_xid: Xid,
    pub(super) reader: Uuid,
    pub(super) change: CursorChange,
}

/// Characters of a reader's id, as text, that it shares with the one before it if nothing happened to the cursor in between.
pub(super) const LINEAGE: usize = 18;

/// The ids of a new reader, of which the claim writes one.
///
/// What happened to the cursor cannot simply be returned with the claim: if that answer is lost, the next claim finds the
/// cursor as this one left it. So it is part of the id. A reader's id begins as the one before it, unless the
/// cursor was moved or claimed by another relay between them.
struct ReaderIds {
    unchanged: Uuid,
    moved: Uuid,
    claimed: Uuid,
}

impl ReaderIds {
    fn new(earlier: Option<Uuid>) -> Self {
        let mut unchanged = Uuid::new_v4().into_bytes();
        if let Some(earlier) = earlier {
            unchanged[..8].copy_from_slice(&earlier.into_bytes()[..8]);
        }
        Self {
            unchanged: Uuid::from_bytes(unchanged),
            moved: Uuid::new_v4(),
            claimed: Uuid::new_v4(),
        }
    }

    /// What the id says that was written.
    fn change(&self, written: Uuid) -> CursorChange {
        if written == self.moved {
            CursorChange::Moved
        } else if written == self.claimed {
            CursorChange::Claimed
        } else {
            CursorChange::Unchanged
        }
    }
}

impl Claimed {
    /// `newest` is the transaction of a row that was there before the cursor was claimed.
    pub(super) fn check(&self, newest: Option<Xid>, tables: &Tables) -> Result<(), StoreError> {
        let from_the_future = newest.is_some_and(|newest| newest >= self.own_xid);
        if !from_the_future && !self.origin.is_elsewhere(&self.home) {
            return Ok(());
        }
        Err(elsewhere(tables))
    }
}

/// The cursor says nothing here.
pub(super) fn elsewhere(tables: &Tables) -> StoreError {
    let names = tables.as_arguments();
    StoreError::new(
        StoreErrorKind::ForeignCluster,
        format!(
            "the messages or their cursor were written in another database cluster, database or table (a restored \
                 dump, an upgraded cluster, a copy), and continuing would silently skip or repeat events, so nothing was sent: run `outbox adopt{names} --database-url <url>` if this is the log, moved, or \
                 `outbox fork{names} --database-url <url>` if it is a copy of one that lives on"
        ),
    )
}

pub(super) async fn claim_cursor(
    connection: &mut Connection,
    sql: &Sql,
    tables: &Tables,
    fence: Fence,
    earlier: Option<Uuid>,
) -> Result<Claimed, StoreError> {
    let ids = ReaderIds::new(earlier);
    let text = sql.claim_cursor.text();
    let claimed = connection
        .run("claiming the cursor", async |pg| {
            sqlx::query(text)
                .bind(fence.epoch)
                .bind(fence.token)
                .bind(ids.unchanged)
                .bind(ids.moved)
                .bind(ids.claimed)
                .bind(earlier)
                .fetch_optional(pg)
                .await
        })
        .await?;
    let Some(row) = claimed else {
        return Err(not_claimed(connection, sql, tables).await?);
    };
    let text = |column: usize| optional_text(&row, column);
    let reader = row.try_get(13).map_err(undecodable)?;
    // Behind the claim: a standby that was promoted in the meantime is on another timeline than before.
    let home = connection
        .run("finding out which database this is", async |pg| {
            Home::ask(pg, &sql.home).await
        })
        .await?;
    Ok(Claimed {
        row: cursor_row(&row)?,
        origin: Origin::of(&row, 6)?,
        home,
        own_xid: number(&text(10)?.unwrap_or_default())?,
        log_id: row.try_get(11).map_err(undecodable)?,
        generation: row.try_get(12).map_err(undecodable)?,
        reader,
        change: match earlier {
            Some(_) => ids.change(reader),
            None => CursorChange::Unchanged,
        },
    })
}

/// Either a later holder has the cursor, or there is none.
async fn not_claimed(
    connection: &mut Connection,
    sql: &Sql,
    tables: &Tables,
) -> Result<StoreError, StoreError> {
    let text = sql.cursor.text();
    let there = connection
        .run("looking for the cursor", async |pg: &mut PgConnection| {
            sqlx::query(text).fetch_optional(pg).await
        })
        .await?
        .is_some();
    Ok(if there {
        StoreError::new(StoreErrorKind::Fenced, "claiming the cursor")
    } else {
        StoreError::lost_cursor(tables)
    })
}

/// The first six columns of the cursor: where it is.
pub(super) fn cursor_row(row: &PgRow) -> Result<CursorRow, StoreError> {
    let text = |column: usize| optional_text(row, column);
    let integer = |column: usize| row.try_get::<Option<i64>, _>(column).map_err(undecodable);
    let from = match text(0)? {
        Some(snapshot) => Edge::new(
            parsed(&snapshot)?,
            row.try_get(1).map_err(undecodable)?,
            text(2)?.as_deref().map(number).transpose()?,
        ),
        None => Edge::before_everything(),
    };
    let open = match text(3)? {
        Some(snapshot) => Some((
            Edge::new(parsed(&snapshot)?, integer(4)?.unwrap_or(from.high), None),
            integer(5)?.unwrap_or(0),
        )),
        None => None,
    };
    Ok(CursorRow { from, open })
}

pub(super) fn optional_text(row: &PgRow, column: usize) -> Result<Option<String>, StoreError> {
    row.try_get(column).map_err(undecodable)
}

pub(super) fn undecodable(error: sqlx::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "reading the cursor").with_source(error)
}

pub(super) fn parsed(snapshot: &str) -> Result<Snapshot, StoreError> {
    snapshot.parse().map_err(|error| {
        StoreError::new(StoreErrorKind::Unavailable, "reading a snapshot").with_source(error)
    })
}

pub(super) fn number(xid: &str) -> Result<Xid, StoreError> {
    xid.parse().map_err(|error: ParseIntError| {
        StoreError::new(StoreErrorKind::Unavailable, "reading a transaction id").with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_at_home_where_it_was_written() {
        let home = |system: &str, database: &str, table: &str| Home {
            system_identifier: Some(system.to_owned()),
            database_oid: database.to_owned(),
            table_oid: table.to_owned(),
            timeline: Some("00000002".to_owned()),
        };
        let origin = Origin {
            system_identifier: Some("7".to_owned()),
            database_oid: Some("5".to_owned()),
            table_oid: Some("16".to_owned()),
            timeline: Some("00000001".to_owned()),
        };
        assert!(
            !origin.is_elsewhere(&home("7", "5", "16")),
            "a timeline is no other place"
        );
        for (elsewhere, what) in [
            (home("8", "5", "16"), "another cluster"),
            (home("7", "6", "16"), "a copy in the same cluster"),
            (home("7", "5", "17"), "a dump in the place of the log"),
        ] {
            assert!(origin.is_elsewhere(&elsewhere), "{what}");
        }
        let unnamed = Home {
            system_identifier: None,
            ..home("7", "5", "16")
        };
        assert!(
            !origin.is_elsewhere(&unnamed),
            "a cluster that does not report its name"
        );
        assert!(
            !Origin::default().is_elsewhere(&home("7", "5", "16")),
            "never written"
        );
    }
}
