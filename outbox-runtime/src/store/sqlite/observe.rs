//! What a health check looks at.

use std::time::Duration;

use sqlx::Sqlite;

use super::SqliteStore;
use crate::ErrorChain;
use crate::schema::SchemaDatabase as _;
use crate::store::controls::interventions::{Columns, Decided};
use crate::store::{Backlog, Counted, LeaseStatus, LogState, Observation, ParkedTopic, Pause, StoreError};

/// Counting messages stops here.
const MESSAGES_AT_MOST: i64 = 100_000;

/// Counting dead letters stops here.
const MAX_COUNTED_DEAD_LETTERS: i64 = 20_000;

/// So many topics are looked at.
const TOPICS_AT_MOST: i64 = 50;

/// Counting the parked records of a topic stops here.
const PARKED_AT_MOST: i64 = 1_000;

const DOING: &str = "reading the log's state";

impl SqliteStore {
    /// Everything that a health check looks at.
    pub(crate) async fn observe(&self) -> Result<Observation, StoreError> {
        let version = async {
            let mut connection = self.pool.acquire().await?;
            Sqlite::installed_version(&mut connection, &self.tables).await
        };
        let version = version.await.map_err(StoreError::while_doing(DOING))?;
        let log = match version {
            Some(found) if found.fit().is_good() => {
                let state = self.observe_log().await;
                Some(state.map_err(|error| ErrorChain::new(&error).to_string()))
            }
            _ => None,
        };
        Ok(Observation {
            version,
            read_only: false,
            log,
        })
    }

    async fn observe_log(&self) -> Result<LogState, StoreError> {
        let row: Option<Row> = sqlx::query_as(self.sql.observe.text())
            .bind(MESSAGES_AT_MOST)
            .bind(MAX_COUNTED_DEAD_LETTERS)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::while_doing(DOING))?;
        let Some(row) = row else {
            // The store's own look reports which row is lost.
            crate::store::Store::status(self).await?;
            return Err(StoreError::lost_lease(&self.tables));
        };
        let parked: Vec<(String, i64, i64)> = sqlx::query_as(self.sql.parked.text())
            .bind(TOPICS_AT_MOST)
            .bind(PARKED_AT_MOST)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::while_doing(DOING))?;
        let parked = parked.into_iter().map(|(topic, suspended, seen)| ParkedTopic {
            topic,
            suspended: rows(suspended),
            behind_dead: rows(seen - suspended),
            exact: seen < PARKED_AT_MOST,
        });
        let paused: Vec<Columns> = sqlx::query_as(self.sql.interventions.text())
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::while_doing(DOING))?;
        let (
            holder,
            epoch,
            silent,
            ttl_ms,
            cursor_age,
            counted,
            last,
            high,
            oldest,
            dead,
            dead_letters,
            bytes,
        ) = row;
        let lease = (holder, epoch, silent, ttl_ms, cursor_age);
        let counts = (counted, last, high, oldest, dead, dead_letters, bytes);
        Ok(LogState {
            paused: paused
                .into_iter()
                .map(Decided::from)
                .filter_map(Pause::of)
                .collect(),
            ..state(lease, counts, parked.collect())
        })
    }
}

type Lease = (Option<String>, i64, Option<f64>, i64, f64);
type Counts = (i64, i64, i64, Option<f64>, i64, i64, i64);
type Row = (
    Option<String>,
    i64,
    Option<f64>,
    i64,
    f64,
    i64,
    i64,
    i64,
    Option<f64>,
    i64,
    i64,
    i64,
);

fn state(
    (holder, epoch, silent, ttl_ms, cursor_age): Lease,
    counts: Counts,
    parked: Vec<ParkedTopic>,
) -> LogState {
    let (counted, last, high, oldest, dead, dead_letters, bytes) = counts;
    let silent = silent.map(seconds);
    let age = silent.unwrap_or_default();
    let alive = age <= Duration::from_millis(rows(ttl_ms));
    let exact = counted < MESSAGES_AT_MOST;
    LogState {
        backlog: Backlog {
            messages: rows(if exact { counted } else { last - high }),
            exact,
            oldest_age: oldest.map(seconds),
        },
        lease: holder
            .filter(|_| alive)
            .map(|holder| LeaseStatus { holder, epoch, age }),
        lease_silent: silent,
        cursor_age: seconds(cursor_age),
        written_to: rows(last.max(high)),
        delivered_to: rows(high),
        dead: Counted {
            rows: rows(dead),
            exact: dead_letters < MAX_COUNTED_DEAD_LETTERS,
        },
        parked,
        table_bytes: rows(bytes),
        longest_writer: None,
        paused: Vec::new(),
        partitions: None,
    }
}

fn rows(count: i64) -> u64 {
    count.max(0).unsigned_abs()
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}
