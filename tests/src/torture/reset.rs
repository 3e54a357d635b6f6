//! The log is emptied as an operator or a test suite would, with its numbers.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use super::scene::Scene;

/// How long the relays may take to deliver what there is, while writers wait.
const FOR_DELIVERY: Duration = Duration::from_secs(10);

/// Nobody else writes to the log from here on.
const WRITERS_WAIT: &str =
    "SET LOCAL lock_timeout = '5s'; LOCK TABLE outbox_messages IN SHARE ROW EXCLUSIVE MODE";

const UNDELIVERED: &str = "SELECT count(*) FROM outbox_messages m, outbox_cursor c \
                           WHERE NOT coalesce(pg_visible_in_snapshot(m.xid, c.from_snapshot), false)";

impl Scene {
    /// Empties the log and sets its sequence, once all that is in it is delivered. `false` if the relays did not come
    /// that far: then nothing was changed.
    pub(super) async fn reset_sequence(&self, last: Option<i64>) -> bool {
        self.try_reset_sequence(last).await.unwrap_or(false)
    }

    async fn try_reset_sequence(&self, last: Option<i64>) -> sqlx::Result<bool> {
        let mut transaction = self.pool.begin().await?;
        sqlx::raw_sql(WRITERS_WAIT).execute(&mut *transaction).await?;
        let started = Instant::now();
        loop {
            let undelivered: i64 = sqlx::query_scalar(UNDELIVERED)
                .fetch_one(&mut *transaction)
                .await?;
            if undelivered == 0 {
                break;
            }
            if started.elapsed() > FOR_DELIVERY {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let reset = match last {
            None => "TRUNCATE outbox_messages RESTART IDENTITY".to_owned(),
            Some(last) => format!(
                "DELETE FROM outbox_messages; SELECT setval(pg_get_serial_sequence('outbox_messages', 'seq'), {last})"
            ),
        };
        sqlx::raw_sql(AssertSqlSafe(reset))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}
