//! Setting throttles.

use sqlx::AssertSqlSafe;

use super::decisions::{Controls, Decision, NewAuditEntry, Pool, in_transaction, record};
use super::throttles::{Rate, Throttle, ThrottleScope};
use crate::store::StoreError;

impl Controls {
    /// Limits the messages and bytes per second. A rate without limits removes the throttle. Running relays apply it
    /// within a second. Returns `false` and changes nothing if the rate is set already.
    ///
    /// Cancellation: it is one transaction, which happens as a whole or not at all.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn throttle(
        &self,
        scope: &ThrottleScope,
        rate: Rate,
        decision: &Decision,
    ) -> Result<bool, StoreError> {
        let failed = || StoreError::while_doing("setting a throttle");
        let all = self.throttles().await?;
        let before = all.into_iter().find(|throttle| throttle.scope == *scope);
        let before = before.map(|throttle| throttle.rate);
        let after = (!rate.is_unlimited()).then_some(rate);
        if before == after {
            return Ok(false);
        }
        self.write_throttle(scope, (before, after), decision)
            .await
            .map_err(failed())?;
        Ok(true)
    }

    async fn write_throttle(
        &self,
        scope: &ThrottleScope,
        (before, after): (Option<Rate>, Option<Rate>),
        decision: &Decision,
    ) -> Result<(), sqlx::Error> {
        let controls = self.tables().controls();
        let (word, name) = scope.stored();
        let remove =
            format!("DELETE FROM {controls} WHERE control = 'throttle' AND scope = $1 AND name = $2");
        let put = format!(
            "INSERT INTO {controls} (control, scope, name, value, changed_by, reason)
             VALUES ('throttle', $1, $2, $3, $4, $5)
             ON CONFLICT (control, scope, name) DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at,
               changed_by = excluded.changed_by, reason = excluded.reason"
        );
        let value = after.map(|rate| serde_json::json!(rate).to_string());
        let (before, after) = (
            before.map(|rate| rate.to_string()),
            after.map(|rate| rate.to_string()),
        );
        let entry = NewAuditEntry {
            action: "throttle",
            scope: word,
            name,
            before: before.as_deref(),
            after: after.as_deref(),
        };
        in_transaction!(self.pool(), |tx| {
            let query = sqlx::query(AssertSqlSafe(remove)).bind(word).bind(name);
            query.execute(&mut *tx).await?;
            if let Some(value) = value {
                let query = sqlx::query(AssertSqlSafe(put)).bind(word).bind(name).bind(value);
                let query = query.bind(decision.by()).bind(decision.reason());
                query.execute(&mut *tx).await?;
            }
            record!(self, tx, &entry, decision);
        });
        Ok(())
    }

    /// The throttles that are set, the log's first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn throttles(&self) -> Result<Vec<Throttle>, StoreError> {
        let rows = self.read_all().await?;
        Ok(rows.into_iter().filter_map(Throttle::of).collect())
    }
}
