//! The cursor row in exactly-once delivery: see [`Generations`].

use super::reader::PostgresReader;
use crate::store::{ClaimedCursor, Contradiction, Generations, StoreError, StoreErrorKind};

/// A window has to outlive a crash of the server before its first record may be sent.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
                       WHERE current_setting('synchronous_commit') = 'off'";

impl Generations for PostgresReader {
    fn claimed(&self) -> Option<ClaimedCursor> {
        Some(ClaimedCursor {
            log_id: self.log_id,
            generation: self.generation,
            open: self.progress.resumed(),
            went_back: self.went_back,
        })
    }

    async fn confirm(&mut self) -> Result<(), StoreError> {
        let doing = "looking whether the cursor is still this relay's";
        let (fence, text) = (self.writes, self.sql.is_held.text());
        let held: bool = self
            .connection
            .run(doing, async |pg| {
                sqlx::query(DURABLE).execute(&mut *pg).await?;
                sqlx::query_scalar(text)
                    .bind(fence.epoch)
                    .bind(fence.reader)
                    .fetch_one(pg)
                    .await
            })
            .await?;
        held.then_some(())
            .ok_or_else(|| StoreError::new(StoreErrorKind::Fenced, doing))
    }

    fn resume_behind(&mut self, seq: i64) {
        self.progress.resume_behind(seq);
    }

    async fn begin_generations(&mut self, generation: i64) -> Result<(), StoreError> {
        let doing = "writing down that Kafka has the cursor";
        let (fence, text) = (self.writes, self.sql.begin_generations.text());
        let held: Option<bool> = self
            .connection
            .run(doing, async |pg| {
                sqlx::query_scalar(text)
                    .bind(fence.epoch)
                    .bind(fence.reader)
                    .bind(generation)
                    .fetch_optional(pg)
                    .await
            })
            .await?;
        held.ok_or_else(|| StoreError::new(StoreErrorKind::Fenced, doing))?;
        self.generation = Some(generation);
        Ok(())
    }

    async fn begin_window(&mut self, window: u64, generation: i64) -> Result<(), StoreError> {
        self.generation = Some(generation);
        let row = self.progress.begin(window);
        self.write(row).await
    }

    async fn end_generations(&mut self) -> Result<(), StoreError> {
        self.generation = None;
        let row = self.progress.row();
        self.write(row).await
    }

    fn contradiction(&self, contradiction: Contradiction) -> StoreError {
        contradiction.into_error(&self.tables.as_arguments())
    }
}
