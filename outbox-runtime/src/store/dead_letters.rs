//! The dead letters as an operator sees them: listed, sent again, discarded.

use std::ops::ControlFlow;

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::TryStreamExt as _;
use serde::Serialize;
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::StoreError;
use super::reader::{NOT_STORABLE, UNREADABLE};
use crate::Tables;

/// The dead letters of one log.
///
/// A replay is only requested here: the active relay sends the records, because only it knows the records in
/// flight.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    pool: Pool,
    table: String,
}

#[derive(Debug, Clone)]
enum Pool {
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::SqlitePool),
}

/// Filter for dead letters. All conditions must hold; the default selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// Event ids; empty for any.
    pub ids: Vec<Uuid>,
    /// The topic.
    pub topic: Option<String>,
    /// The key.
    pub key: Option<String>,
    /// The event's type.
    pub event_type: Option<String>,
    /// Only dead letters that first failed at or after this time.
    pub since: Option<DateTime<Utc>>,
    /// Only dead letters that first failed before this time.
    pub until: Option<DateTime<Utc>>,
    /// Only dead letters in this state.
    pub state: Option<DeadLetterState>,
}

/// State of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterState {
    /// Failed permanently. An operator has to replay or discard it.
    Dead,
    /// Waiting until its topic or key accepts records.
    Parked,
}

/// A dead letter. Its JSON is a stable format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedDeadLetter {
    /// The event's id.
    pub id: String,
    /// The row's `seq` in the log.
    pub seq: i64,
    /// The topic.
    pub topic: String,
    /// The key.
    pub key: String,
    /// The event's type.
    pub event_type: String,
    /// The state.
    pub state: DeadLetterState,
    /// The error as text.
    pub error: String,
    /// The reason code.
    pub reason: String,
    /// Number of attempts.
    pub attempts: i64,
    /// RFC 3339 in UTC.
    pub first_failed_at: String,
    /// RFC 3339 in UTC.
    pub last_failed_at: String,
}

/// A dead letter with its headers and payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownDeadLetter {
    /// The fields that a list shows.
    #[serde(flatten)]
    pub listed: ListedDeadLetter,
    /// The payload's media type.
    pub content_type: String,
    /// The headers as the text of a JSON object.
    pub headers: String,
    /// A JSON payload as stored.
    pub payload: Option<String>,
    /// A binary payload in hexadecimal digits.
    pub payload_hex: Option<String>,
    /// Whether a replay is requested and not yet done.
    pub replay_requested: bool,
}

/// How a database writes what differs. All values are bound as text.
struct Words {
    ids: &'static str,
    time: &'static str,
    now: &'static str,
    listed: &'static str,
    shown: &'static str,
}

#[cfg(feature = "postgres")]
const POSTGRES: Words = Words {
    ids: "id IN (SELECT wanted.id::uuid FROM json_array_elements_text($#::json) AS wanted(id))",
    time: "$#::timestamptz",
    now: "now()",
    listed: r#"id::text, seq, topic, aggregate_id, event_type, state, error, reason, attempts::bigint,
        to_char(first_failed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        to_char(last_failed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"#,
    shown: "content_type, headers::text, payload::text, encode(payload_binary, 'hex'), replay_requested_at IS NOT NULL",
};

#[cfg(feature = "sqlite")]
const SQLITE: Words = Words {
    ids: "id IN (SELECT value FROM json_each($#))",
    time: "$#",
    now: "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    listed: "id, seq, topic, aggregate_id, event_type, state, error, reason, attempts, first_failed_at, last_failed_at",
    shown: "content_type, headers, payload, lower(CASE WHEN payload_binary IS NOT NULL THEN hex(payload_binary) END), \
            replay_requested_at IS NOT NULL",
};

/// A WHERE clause and the values bound in it.
struct Condition {
    text: String,
    values: Vec<String>,
}

/// Runs a query on whichever database it is.
macro_rules! on_either {
    ($pool:expr, $sql:expr, $values:expr, |$query:ident, $connected:ident| $run:expr) => {
        match $pool {
            #[cfg(feature = "postgres")]
            Pool::Postgres($connected) => {
                let mut $query = sqlx::query(AssertSqlSafe($sql));
                for value in $values {
                    $query = $query.bind(value);
                }
                $run
            }
            #[cfg(feature = "sqlite")]
            Pool::Sqlite($connected) => {
                let mut $query = sqlx::query(AssertSqlSafe($sql));
                for value in $values {
                    $query = $query.bind(value);
                }
                $run
            }
        }
    };
}

/// Reads the columns of `listed`.
macro_rules! listed {
    ($row:expr) => {{
        let row = &$row;
        let state: String = row.try_get(5)?;
        ListedDeadLetter {
            id: row.try_get(0)?,
            seq: row.try_get(1)?,
            topic: row.try_get(2)?,
            key: row.try_get(3)?,
            event_type: row.try_get(4)?,
            state: match state.as_str() {
                "parked" => DeadLetterState::Parked,
                _ => DeadLetterState::Dead,
            },
            error: row.try_get(6)?,
            reason: row.try_get(7)?,
            attempts: row.try_get(8)?,
            first_failed_at: row.try_get(9)?,
            last_failed_at: row.try_get(10)?,
        }
    }};
}

impl DeadLetters {
    /// Dead letters in a PostgreSQL database.
    #[cfg(feature = "postgres")]
    pub fn in_postgres(pool: &sqlx::PgPool, tables: &Tables) -> Self {
        Self {
            pool: Pool::Postgres(pool.clone()),
            table: tables.dead_letters(),
        }
    }

    /// Dead letters in a SQLite database.
    #[cfg(feature = "sqlite")]
    pub fn in_sqlite(pool: &sqlx::SqlitePool, tables: &Tables) -> Self {
        Self {
            pool: Pool::Sqlite(pool.clone()),
            table: tables.dead_letters(),
        }
    }

    fn words(&self) -> Words {
        match self.pool {
            #[cfg(feature = "postgres")]
            Pool::Postgres(_) => POSTGRES,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => SQLITE,
        }
    }

    /// Calls `each` with the selected dead letters in the order in which they were stored, at most `limit`
    /// times, until it returns `Break`. The rows are streamed.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn list(
        &self,
        filter: &DeadLetterFilter,
        limit: Option<u64>,
        mut each: impl FnMut(ListedDeadLetter) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let condition = self.condition(filter);
        let limit = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        let (table, listed) = (&self.table, self.words().listed);
        let sql = format!(
            "SELECT {listed} FROM {table} WHERE {} ORDER BY position{limit}",
            condition.text
        );
        let listing: Result<(), sqlx::Error> = async {
            on_either!(&self.pool, sql, &condition.values, |query, pool| {
                let mut rows = query.fetch(pool);
                while let Some(row) = rows.try_next().await? {
                    if each(listed!(row)).is_break() {
                        break;
                    }
                }
                Ok(())
            })
        }
        .await;
        listing.map_err(StoreError::while_doing("listing dead letters"))
    }

    /// Shows the dead letters of one event, usually one.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn show(&self, id: Uuid) -> Result<Vec<ShownDeadLetter>, StoreError> {
        let filter = DeadLetterFilter {
            ids: vec![id],
            ..DeadLetterFilter::default()
        };
        let condition = self.condition(&filter);
        let Words { listed, shown, .. } = self.words();
        let (table, text) = (&self.table, &condition.text);
        let sql = format!("SELECT {listed}, {shown} FROM {table} WHERE {text} ORDER BY position");
        let mut shown = Vec::new();
        let showing: Result<(), sqlx::Error> = async {
            on_either!(&self.pool, sql, &condition.values, |query, pool| {
                for row in query.fetch_all(pool).await? {
                    shown.push(ShownDeadLetter {
                        listed: listed!(row),
                        content_type: row.try_get(11)?,
                        headers: row.try_get(12)?,
                        payload: row.try_get(13)?,
                        payload_hex: row.try_get(14)?,
                        replay_requested: row.try_get(15)?,
                    });
                }
                Ok(())
            })
        }
        .await;
        showing.map_err(StoreError::while_doing("reading a dead letter"))?;
        Ok(shown)
    }

    /// Counts the selected dead letters.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn count(&self, filter: &DeadLetterFilter) -> Result<u64, StoreError> {
        self.counted(filter, "").await
    }

    /// Counts the selected dead letters with a requested replay.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn waiting_for_replay(&self, filter: &DeadLetterFilter) -> Result<u64, StoreError> {
        self.counted(filter, " AND replay_requested_at IS NOT NULL").await
    }

    /// Requests that the active relay sends the selected dead messages again, and returns how many. Parked
    /// messages are sent automatically. Rows that are stored as JSON because they could not be read
    /// (`unreadable`) or stored (`not_storable`) are not replayed: correct them and insert them into the log
    /// again.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn request_replay(&self, filter: &DeadLetterFilter) -> Result<u64, StoreError> {
        let (table, now) = (&self.table, self.words().now);
        self.changed(
            "asking for a replay",
            filter,
            &format!("UPDATE {table} SET replay_requested_at = {now}"),
            // What is not the record itself is never sent.
            &format!("state = 'dead' AND reason NOT IN ('{UNREADABLE}', '{NOT_STORABLE}')"),
        )
        .await
    }

    /// Permanently deletes the selected dead letters in `state` and returns how many. Dead letters that are
    /// about to be replayed are kept.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn discard(
        &self,
        filter: &DeadLetterFilter,
        state: DeadLetterState,
    ) -> Result<u64, StoreError> {
        let only = match state {
            DeadLetterState::Dead => "state = 'dead' AND replay_requested_at IS NULL",
            DeadLetterState::Parked => "state = 'parked'",
        };
        let delete = format!("DELETE FROM {}", self.table);
        self.changed("discarding dead letters", filter, &delete, only)
            .await
    }

    async fn changed(
        &self,
        doing: &'static str,
        filter: &DeadLetterFilter,
        change: &str,
        only: &str,
    ) -> Result<u64, StoreError> {
        let condition = self.condition(filter);
        let sql = format!("{change} WHERE {only} AND {}", condition.text);
        on_either!(&self.pool, sql, &condition.values, |query, pool| query
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))
        .map_err(StoreError::while_doing(doing))
    }

    async fn counted(&self, filter: &DeadLetterFilter, and: &str) -> Result<u64, StoreError> {
        let condition = self.condition(filter);
        let sql = format!(
            "SELECT count(*) FROM {} WHERE {}{and}",
            self.table, condition.text
        );
        let counted: Result<i64, sqlx::Error> = async {
            on_either!(&self.pool, sql, &condition.values, |query, pool| {
                query.fetch_one(pool).await?.try_get(0)
            })
        }
        .await;
        let counted = counted.map_err(StoreError::while_doing("counting dead letters"))?;
        Ok(counted.unsigned_abs())
    }

    fn condition(&self, filter: &DeadLetterFilter) -> Condition {
        let Words { ids, time, .. } = self.words();
        let DeadLetterFilter {
            ids: wanted,
            topic,
            key,
            event_type,
            since,
            until,
            state,
        } = filter;
        let rfc3339 = |time: &DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let wanted = (!wanted.is_empty()).then(|| {
            let texts: Vec<String> = wanted.iter().map(Uuid::to_string).collect();
            serde_json::Value::from(texts).to_string()
        });
        let state = state.map(|state| match state {
            DeadLetterState::Dead => "dead".to_owned(),
            DeadLetterState::Parked => "parked".to_owned(),
        });
        let conditions = [
            (ids.to_owned(), wanted),
            ("topic = $#".to_owned(), topic.clone()),
            ("aggregate_id = $#".to_owned(), key.clone()),
            ("event_type = $#".to_owned(), event_type.clone()),
            (format!("first_failed_at >= {time}"), since.as_ref().map(rfc3339)),
            (format!("first_failed_at < {time}"), until.as_ref().map(rfc3339)),
            ("state = $#".to_owned(), state),
        ];
        let mut condition = Condition {
            text: "1 = 1".to_owned(),
            values: Vec::new(),
        };
        for (text, value) in conditions {
            if let Some(value) = value {
                condition.values.push(value);
                let place = format!("${}", condition.values.len());
                condition.text += " AND ";
                condition.text += &text.replace("$#", &place);
            }
        }
        condition
    }
}
