//! Looks for messages in the log and in the dead letters, and says where they are.

use std::time::Duration;

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::SqliteStore;
use crate::store::inspected::Sought;
use crate::store::inspected::judgement::{DeadLetterRow, Found, Obstacles, Place, Row};
use crate::store::reader::{BEHIND_DEAD, KEY_PAUSED, TOPIC_THROTTLED};
use crate::store::{Inspect, Inspection, LeaseStatus, LogSearch, StoreError};

const DOING: &str = "looking for messages";

const TOPIC: &str = "($2 IS NULL OR m.topic = $2)";

/// What is there beside the messages that are looked for.
type Around = (i64, Option<String>, Option<f64>, i64, i64, Option<String>, i64);

impl SqliteStore {
    /// Searches for messages: see [`Outbox::inspect`](crate::Outbox::inspect).
    ///
    /// # Errors
    /// The database cannot be read, or has lost the row of its cursor or lease.
    pub async fn inspect(&self, wanted: &Inspect) -> Result<Inspection, StoreError> {
        let read = async {
            // All in one transaction: a message that moves meanwhile would be seen nowhere.
            let mut transaction = self.pool.begin().await?;
            let found = self.found(&mut transaction, wanted).await;
            transaction.rollback().await?;
            found
        };
        let found = read.await.map_err(StoreError::while_doing(DOING))?;
        let Some((found, high, obstacles)) = found else {
            crate::store::Store::status(self).await?;
            return Err(StoreError::lost_cursor(&self.tables));
        };
        let place = |row: &Row| match row.1 <= high {
            true => Place::Behind,
            false => Place::Ahead(Some((row.1 - high - 1).unsigned_abs())),
        };
        let obstacle = |topic: &str, key: &str| {
            let of = obstacles.iter().find(|((t, k), _)| t == topic && k == key);
            of.map(|(_, obstacles)| *obstacles).unwrap_or_default()
        };
        Ok(found.inspection(wanted.limit, place, obstacle))
    }

    async fn found(
        &self,
        connection: &mut SqliteConnection,
        wanted: &Inspect,
    ) -> Result<Option<(Found, i64, KeyObstacles)>, sqlx::Error> {
        let (messages, cursor, lease) = (self.tables.messages(), self.tables.cursor(), self.tables.lease());
        let around = format!(
            "SELECT c.high, l.holder, (julianday('now') - julianday(l.renewed_at)) * 86400.0, l.ttl_ms, l.epoch,
                    (SELECT occurred_at FROM {messages} ORDER BY seq LIMIT 1),
                    (SELECT count(*) FROM (SELECT 1 FROM {messages} LIMIT $1))
             FROM {cursor} c, {lease} l"
        );
        let scan = i64::try_from(wanted.scan).unwrap_or(i64::MAX);
        let around: Option<Around> = sqlx::query_as(AssertSqlSafe(around))
            .bind(scan.saturating_add(1))
            .fetch_optional(&mut *connection)
            .await?;
        let Some((high, holder, silent, ttl_ms, epoch, log_begins_at, there)) = around else {
            return Ok(None);
        };
        let rows = self.rows(connection, wanted, scan).await?;
        let dead_letters = self.dead_letters(connection, wanted, &rows).await?;
        let obstacles = self.obstacles(connection, &rows, &dead_letters).await?;
        let age = Duration::try_from_secs_f64(silent.unwrap_or_default()).unwrap_or_default();
        let alive = age <= Duration::from_millis(ttl_ms.max(0).unsigned_abs());
        let search = LogSearch {
            looked_at: there.min(scan).unsigned_abs(),
            complete: there <= scan && rows.len() < wanted.limit
                || matches!(wanted.sought, Sought::Id(_)) && !rows.is_empty(),
            log_begins_at,
            open_writers: Vec::new(),
            relay: holder
                .filter(|_| alive)
                .map(|holder| LeaseStatus { holder, epoch, age }),
        };
        let found = Found {
            rows,
            dead_letters,
            search,
        };
        Ok(Some((found, high, obstacles)))
    }

    async fn rows(
        &self,
        connection: &mut SqliteConnection,
        wanted: &Inspect,
        scan: i64,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let (matches, value) = condition(&wanted.sought);
        let text = format!(
            "SELECT m.id, m.seq, m.topic, m.aggregate_id, m.event_type, json_extract(m.headers, '$.ce_correlationid'),
                    m.occurred_at, NULL
             FROM (SELECT * FROM {} ORDER BY seq DESC LIMIT $3) m
             WHERE {matches} AND {TOPIC} ORDER BY m.seq DESC LIMIT $4",
            self.tables.messages()
        );
        sqlx::query_as(AssertSqlSafe(text))
            .bind(value)
            .bind(wanted.topic.clone())
            .bind(scan)
            .bind(i64::try_from(wanted.limit).unwrap_or(i64::MAX))
            .fetch_all(connection)
            .await
    }

    async fn dead_letters(
        &self,
        connection: &mut SqliteConnection,
        wanted: &Inspect,
        rows: &[Row],
    ) -> Result<Vec<DeadLetterRow>, sqlx::Error> {
        let (matches, value) = condition(&wanted.sought);
        let text = format!(
            "SELECT m.id, m.seq, m.topic, m.aggregate_id, m.event_type, json_extract(m.headers, '$.ce_correlationid'),
                    m.occurred_at, m.state, m.reason, m.error, m.attempts, m.first_failed_at, m.last_failed_at,
                    m.replay_requested_at
             FROM {} m WHERE ({matches} AND {TOPIC}) OR m.id IN (SELECT value FROM json_each($3))
             ORDER BY m.position DESC LIMIT $4",
            self.tables.dead_letters()
        );
        let ids: Vec<&str> = rows.iter().map(|row| row.0.as_str()).collect();
        sqlx::query_as(AssertSqlSafe(text))
            .bind(value)
            .bind(wanted.topic.clone())
            .bind(serde_json::Value::from(ids).to_string())
            .bind(i64::try_from(wanted.limit + rows.len()).unwrap_or(i64::MAX))
            .fetch_all(connection)
            .await
    }

    /// What holds up the topics and keys of what was found.
    async fn obstacles(
        &self,
        connection: &mut SqliteConnection,
        rows: &[Row],
        dead_letters: &[DeadLetterRow],
    ) -> Result<KeyObstacles, sqlx::Error> {
        let of_rows = rows.iter().map(|row| (row.2.clone(), row.3.clone()));
        let of_dead_letters = dead_letters
            .iter()
            .map(|dead_letter| (dead_letter.2.clone(), dead_letter.3.clone()));
        let mut keys: Vec<(String, String)> = of_rows.chain(of_dead_letters).collect();
        keys.sort();
        keys.dedup();
        let dead_letters = self.tables.dead_letters();
        let text = format!(
            "SELECT EXISTS (SELECT 1 FROM {dead_letters} WHERE state = 'parked' AND topic = $1 AND reason NOT IN ('{BEHIND_DEAD}', '{KEY_PAUSED}', '{TOPIC_THROTTLED}')),
                    EXISTS (SELECT 1 FROM {dead_letters} WHERE topic = $1 AND aggregate_id = $2)"
        );
        let mut found = Vec::with_capacity(keys.len());
        for (topic, key) in keys {
            let (of_topic, of_key) = sqlx::query_as(AssertSqlSafe(text.clone()))
                .bind(topic.clone())
                .bind(key.clone())
                .fetch_one(&mut *connection)
                .await?;
            let obstacles = Obstacles {
                topic: of_topic,
                key: of_key,
                operator: false,
                throttle: false,
            };
            found.push(((topic, key), obstacles));
        }
        Ok(found)
    }
}

type KeyObstacles = Vec<((String, String), Obstacles)>;

fn condition(sought: &Sought) -> (&'static str, String) {
    match sought {
        Sought::Id(id) => ("m.id = $1", id.to_string()),
        Sought::Key(key) => ("m.aggregate_id = $1", key.clone()),
        Sought::CorrelationId(id) => ("json_extract(m.headers, '$.ce_correlationid') = $1", id.clone()),
    }
}
