//! Rows at or below a window's lower bound on seq that no late transaction wrote.
//!
//! While the sequence only goes forward there are none: whoever takes a number after the bound was learned gets a
//! greater one. After `TRUNCATE … RESTART IDENTITY`, `setval` or `ALTER SEQUENCE … RESTART`, new rows lie below the
//! bound, and the search for late transactions, which ends at the bound on transaction ids, would not find them.
//! So the rest of the window's transactions is asked for such rows: the `(xid, seq)` index answers without
//! reading a row, about fifteen million entries a second. Where there are some, the window's rows up to its lower
//! bound are found by reading all rows that lie there, in pieces.

use sqlx::PgConnection;

use super::connection::Connection;
use super::pages::{first_unreadable, gather};
use super::progress::OpenWindow;
use super::snapshot::Xid;
use super::sql::Sql;
use super::window::{Window, XidRange};
use crate::Tables;
use crate::record::RecordPage;
use crate::store::unreadable::Unreadable;
use crate::store::{PageLimit, StoreError, StoreErrorKind};

/// Transaction ids that one statement asks about: some ten milliseconds where each has written a row or two.
const IDS_AT_A_TIME: Xid = 200_000;

/// Rows that one statement looks through.
const ROWS_AT_A_TIME: i64 = 50_000;

/// Transactions that should have no row in the window with a seq up to `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unasked {
    range: XidRange,
    high: i64,
}

/// What has to be asked about a window. Below `low_water_mark` no late row can lie, if the sequence went forward only.
pub(super) fn unasked(window: &Window, low_water_mark: i64) -> Vec<Unasked> {
    let (from, end) = (&window.from, window.to.snapshot.xmax());
    if from.high == 0 {
        return Vec::new();
    }
    let oldest = from.snapshot.xmin();
    let bound = from.xid_bound.unwrap_or(end).clamp(oldest, end.max(oldest));
    let below_the_mark = Unasked {
        range: XidRange {
            low: oldest,
            below: bound,
        },
        high: low_water_mark,
    };
    let above_the_bound = Unasked {
        range: XidRange {
            low: bound,
            below: end,
        },
        high: from.high,
    };
    [below_the_mark, above_the_bound]
        .into_iter()
        .filter(|unasked| unasked.high > 0 && unasked.range.low < unasked.range.below)
        .collect()
}

impl Unasked {
    /// Takes the first transactions out, as many as one statement may ask about; none if none are left.
    fn first(&mut self) -> Option<Self> {
        let low = self.range.low;
        self.range.low = low.saturating_add(IDS_AT_A_TIME).min(self.range.below);
        (low < self.range.low).then_some(Self {
            range: XidRange {
                low,
                below: self.range.low,
            },
            high: self.high,
        })
    }

    /// Takes the last transactions out.
    fn last(&mut self) -> Option<Self> {
        let below = self.range.below;
        self.range.below = below.saturating_sub(IDS_AT_A_TIME).max(self.range.low);
        (self.range.below < below).then_some(Self {
            range: XidRange {
                low: self.range.below,
                below,
            },
            high: self.high,
        })
    }

    /// Whether a row of this transaction with this seq would be found.
    #[cfg(test)]
    pub(super) fn asks_about(&self, xid: Xid, seq: i64) -> bool {
        (self.range.low..self.range.below).contains(&xid) && seq <= self.high
    }

    async fn has_rows(self, connection: &mut Connection, sql: &Sql) -> Result<bool, StoreError> {
        let text = sql.has_rows_below.text();
        connection
            .run("looking for rows below the cursor", async |pg| {
                sqlx::query_scalar(text)
                    .bind(self.range.low.to_string())
                    .bind(self.range.below.to_string())
                    .bind(self.high)
                    .fetch_one(pg)
                    .await
            })
            .await
    }
}

/// Asks about the oldest and the newest transactions, which answers for all that a window has in normal running, and
/// after a long outage finds all but the oddest cases. The others are left, to be asked about between pages.
pub(super) async fn at_the_ends(
    connection: &mut Connection,
    sql: &Sql,
    unasked: &mut Vec<Unasked>,
) -> Result<bool, StoreError> {
    for range in &mut *unasked {
        for piece in [range.first(), range.last()].into_iter().flatten() {
            if piece.has_rows(connection, sql).await? {
                return Ok(true);
            }
        }
    }
    unasked.retain(|range| range.range.low < range.range.below);
    Ok(false)
}

/// Asks about some more of those that are left.
pub(super) async fn in_between(
    connection: &mut Connection,
    sql: &Sql,
    unasked: &mut Vec<Unasked>,
) -> Result<bool, StoreError> {
    let Some(range) = unasked.last_mut() else {
        return Ok(false);
    };
    match range.first() {
        Some(piece) => piece.has_rows(connection, sql).await,
        None => {
            unasked.pop();
            Ok(false)
        }
    }
}

/// Whether the window has such rows at all.
pub(super) async fn anywhere(
    connection: &mut Connection,
    sql: &Sql,
    mut unasked: Vec<Unasked>,
) -> Result<bool, StoreError> {
    if at_the_ends(connection, sql, &mut unasked).await? {
        return Ok(true);
    }
    while !unasked.is_empty() {
        if in_between(connection, sql, &mut unasked).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The window's next rows up to its lower bound, found among all rows that lie there. An empty page before
/// `open.read_to` has come to the bound says nothing: more may follow.
pub(super) async fn next_rows(
    pg: &mut PgConnection,
    sql: &Sql,
    open: &mut OpenWindow,
    limit: PageLimit,
    page: &mut RecordPage,
    unreadable: &mut Unreadable,
) -> Result<(), sqlx::Error> {
    let (after, high) = (open.read_to, open.window.from.high);
    let to: Option<i64> = sqlx::query_scalar(sql.end_of_piece.text())
        .bind(after)
        .bind(high)
        .bind(ROWS_AT_A_TIME)
        .fetch_one(&mut *pg)
        .await?;
    let to = to.unwrap_or(high);
    let (from, until) = (
        open.window.from.snapshot.to_string(),
        open.window.to.snapshot.to_string(),
    );
    let found = sqlx::query(sql.page_below.text())
        .bind(limit.rows as i64)
        .bind(limit.bytes as i64)
        .bind(&until)
        .bind(after)
        .bind(to)
        .bind(&from)
        .fetch(&mut *pg);
    if let Some(error) = gather(found, page, unreadable).await? {
        let next: Option<i64> = sqlx::query_scalar(sql.next_below.text())
            .bind(until)
            .bind(after)
            .bind(to)
            .bind(from)
            .fetch_optional(&mut *pg)
            .await?;
        return match next {
            Some(next) => first_unreadable(pg, sql, next, &error, page, unreadable).await,
            None => Err(error),
        };
    }
    if page.is_empty() {
        open.read_to = to;
    }
    Ok(())
}

/// Rows below the bound were found after rows above it had been sent, so their place in the window is gone.
pub(super) fn found_too_late(tables: &Tables, high: i64) -> StoreError {
    let (messages, names) = (tables.messages(), tables.as_arguments());
    StoreError::new(
        StoreErrorKind::Undecided,
        format!(
            "the sequence behind {messages}.seq went back and passed {high} again: messages were written below the \
             cursor, which were found only after later ones had been sent, and what is delivered is not known any \
             more, so the relay stopped: run `outbox adopt{names} --without-cursor send` to send all that is in the \
             log, delivered before or not, or `… --without-cursor skip` to send none of it"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::window::Edge;
    use super::*;

    fn window(from: &str, high: i64, bound: Option<Xid>, to: &str) -> Window {
        let edge = |snapshot: &str, high, xid_bound| Edge {
            snapshot: snapshot.parse().unwrap(),
            high,
            xid_bound,
        };
        Window {
            from: edge(from, high, bound),
            to: edge(to, high, None),
        }
    }

    fn ranges(window: &Window, low_water_mark: i64) -> Vec<(Xid, Xid, i64)> {
        let unasked = unasked(window, low_water_mark);
        unasked
            .iter()
            .map(|one| (one.range.low, one.range.below, one.high))
            .collect()
    }

    #[test]
    fn only_what_the_search_for_late_rows_leaves_out_is_asked_about() {
        assert_eq!(ranges(&window("10:12:10", 50, None, "20:30:"), 0), []);
        assert_eq!(
            ranges(&window("10:12:10", 50, Some(14), "20:30:"), 0),
            [(14, 30, 50)]
        );
        assert_eq!(ranges(&window("10:12:10", 50, Some(40), "20:30:"), 0), []);
        assert_eq!(
            ranges(&window("10:12:10", 50, Some(14), "20:30:"), 7),
            [(10, 14, 7), (14, 30, 50)]
        );
        assert_eq!(ranges(&window("10:12:10", 50, None, "20:30:"), 7), [(10, 30, 7)]);
        assert_eq!(ranges(&window("3:3:", 0, Some(5), "20:30:"), 0), [], "all is new");
    }

    #[test]
    fn every_transaction_is_asked_about_once() {
        for total in [1, 2, IDS_AT_A_TIME, 2 * IDS_AT_A_TIME + 1, 5 * IDS_AT_A_TIME] {
            let mut rest = Unasked {
                range: XidRange {
                    low: 100,
                    below: 100 + total,
                },
                high: 9,
            };
            let mut pieces: Vec<XidRange> = [rest.first(), rest.last()]
                .into_iter()
                .flatten()
                .map(|piece| piece.range)
                .collect();
            while let Some(piece) = rest.first() {
                pieces.push(piece.range);
            }
            pieces.sort_by_key(|piece| piece.low);
            let mut next = 100;
            for piece in pieces {
                assert_eq!(piece.low, next);
                assert!(piece.below - piece.low <= IDS_AT_A_TIME);
                next = piece.below;
            }
            assert_eq!(next, 100 + total);
        }
    }
}
