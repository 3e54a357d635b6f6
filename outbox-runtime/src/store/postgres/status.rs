//! The log's state for people, counted where that is quick and estimated where it is not.

use std::time::Duration;

use super::behind;
use super::claim::{Origin, cursor_row, elsewhere};
use super::connection::Connection;
use super::home::Home;
use super::late::LateSearch;
use super::look::look;
use super::progress::CursorRow;
use super::snapshot::Xid;
use super::sql::Sql;
use super::window::Window;
use crate::Tables;
use crate::delivery_mode::DeliveryMode;
use crate::store::{Backlog, LeaseStatus, StoreError, StoreStatus};

/// Counting stops here, so that the answer comes in milliseconds however long the log is.
const COUNT_AT_MOST: i64 = 100_000;

/// So many steps are made to find late transactions that the cursor does not list.
const SEARCH_AT_MOST: u32 = 5;

pub(super) async fn read(
    connection: &mut Connection,
    sql: &Sql,
    tables: &Tables,
) -> Result<StoreStatus, StoreError> {
    let text = sql.status.text();
    type Row = (Option<String>, i64, Option<f64>, i64, i64, i64, bool);
    let status: Row = connection
        .run("reading the lease and the dead letters", async |pg| {
            sqlx::query_as(text).fetch_optional(pg).await
        })
        .await?
        .ok_or_else(|| StoreError::lost_lease(tables))?;
    let (holder, epoch, silent_for, ttl_ms, dead, parked, exactly_once) = status;
    let silent_for = Duration::try_from_secs_f64(silent_for.unwrap_or(0.0)).unwrap_or_default();
    let alive = silent_for <= Duration::from_millis(ttl_ms.max(0).unsigned_abs());
    Ok(StoreStatus {
        backlog: backlog(connection, sql, tables).await?,
        lease: holder.filter(|_| alive).map(|holder| LeaseStatus {
            holder,
            epoch,
            age: silent_for,
        }),
        dead: dead.max(0).unsigned_abs(),
        parked: parked.max(0).unsigned_abs(),
        delivery: match exactly_once {
            true => DeliveryMode::ExactlyOnce,
            false => DeliveryMode::AtLeastOnce,
        },
    })
}

/// What a relay that started now would still have to send: the rest of the window it left open, and a window
/// from there until now.
pub(super) async fn backlog(
    connection: &mut Connection,
    sql: &Sql,
    tables: &Tables,
) -> Result<Backlog, StoreError> {
    let now = look(connection, sql, 0, tables).await?.edge();
    let cursor_text = sql.cursor.text();
    let (row, home) = connection
        .run("reading the cursor", async |pg| {
            let row = sqlx::query(cursor_text).fetch_optional(&mut *pg).await?;
            Ok((row, Home::ask(pg, &sql.home).await?))
        })
        .await?;
    let CursorRow { from, open } = match row {
        Some(row) if Origin::of(&row, 6)?.is_elsewhere(&home) => {
            return Err(elsewhere(tables));
        }
        Some(row) => cursor_row(&row)?,
        None => return Err(StoreError::lost_cursor(tables)),
    };
    let mut counted = Counted::default();
    let rest = match open {
        Some((to, position)) => {
            let open = Window { from, to: to.clone() };
            counted.add(count(connection, sql, &open, position).await?);
            Window { from: to, to: now }
        }
        None => Window { from, to: now },
    };
    counted.add(count(connection, sql, &rest, 0).await?);
    Ok(counted.backlog())
}

/// Rows of a window behind `position`.
async fn count(
    connection: &mut Connection,
    sql: &Sql,
    window: &Window,
    position: i64,
) -> Result<Counted, StoreError> {
    if behind::anywhere(connection, sql, behind::unasked(window, 0)).await? {
        return count_below(connection, sql, window, position).await;
    }
    let mut late: Vec<Xid> = window.late_listed().collect();
    let mut search = LateSearch::new(&window.from);
    for _ in 0..SEARCH_AT_MOST {
        search.step(connection, sql, window, 0).await?;
    }
    late.extend(search.found(window));
    let mut counted = Counted {
        exact: search.is_done(window),
        ..Counted::default()
    };
    if !late.is_empty() {
        let late: Vec<String> = late.iter().map(Xid::to_string).collect();
        let text = sql.undelivered_late.text();
        let (messages, age): (i64, Option<f64>) = connection
            .run("counting late messages", async |pg| {
                sqlx::query_as(text)
                    .bind(late)
                    .bind(position)
                    .bind(window.from.high)
                    .bind(COUNT_AT_MOST)
                    .fetch_one(pg)
                    .await
            })
            .await?;
        counted.add(Counted {
            messages,
            exact: messages < COUNT_AT_MOST,
            oldest_age: age,
        });
    }
    counted.add(count_new(connection, sql, window, position).await?);
    Ok(counted)
}

/// Rows at or below the lower bound on seq, after the sequence went back.
async fn count_below(
    connection: &mut Connection,
    sql: &Sql,
    window: &Window,
    position: i64,
) -> Result<Counted, StoreError> {
    let text = sql.undelivered_below.text();
    let (messages, age): (i64, Option<f64>) = connection
        .run("counting messages below the cursor", async |pg| {
            sqlx::query_as(text)
                .bind(position)
                .bind(window.from.high)
                .bind(window.to.snapshot.to_string())
                .bind(COUNT_AT_MOST)
                .bind(window.from.snapshot.to_string())
                .fetch_one(pg)
                .await
        })
        .await?;
    let mut counted = Counted {
        messages,
        exact: messages < COUNT_AT_MOST,
        oldest_age: age,
    };
    counted.add(count_new(connection, sql, window, position).await?);
    Ok(counted)
}

/// Rows above the lower bound on seq.
async fn count_new(
    connection: &mut Connection,
    sql: &Sql,
    window: &Window,
    position: i64,
) -> Result<Counted, StoreError> {
    let mut counted = Counted::default();
    let after = position.max(window.from.high);
    if after < window.to.high {
        let text = sql.undelivered_new.text();
        let (messages, age): (i64, Option<f64>) = connection
            .run("counting new messages", async |pg| {
                sqlx::query_as(text)
                    .bind(after)
                    .bind(window.to.high)
                    .bind(window.to.snapshot.to_string())
                    .bind(COUNT_AT_MOST)
                    .fetch_one(pg)
                    .await
            })
            .await?;
        let exact = messages < COUNT_AT_MOST;
        let messages = if exact { messages } else { window.to.high - after };
        counted.add(Counted {
            messages,
            exact,
            oldest_age: age,
        });
    }
    Ok(counted)
}

struct Counted {
    messages: i64,
    exact: bool,
    oldest_age: Option<f64>,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            messages: 0,
            exact: true,
            oldest_age: None,
        }
    }
}

impl Counted {
    fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.exact &= other.exact;
        self.oldest_age = match (self.oldest_age, other.oldest_age) {
            (Some(one), Some(two)) => Some(one.max(two)),
            (one, two) => one.or(two),
        };
    }

    fn backlog(self) -> Backlog {
        Backlog {
            messages: self.messages.max(0).unsigned_abs(),
            exact: self.exact,
            oldest_age: self
                .oldest_age
                .map(|age| Duration::try_from_secs_f64(age).unwrap_or_default()),
        }
    }
}
