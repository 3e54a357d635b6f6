//! What happens to an upload after it was taken: its text is read, checked and stored.
//!
//! Workers take uploads from the table, so nothing is lost with a process: what it had not finished waits there
//! for the next one. They are notified of new uploads, and look by themselves now and then for those of others.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use outbox_runtime::{EventContext, Outbox};
use sqlx::Postgres;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::content_store::{ContentStore, Kind};
use crate::extraction::extract_text;
use crate::uploads::{
    ClaimedUpload, UploadError, claim_upload, complete_upload, fail_upload, release_upload,
};
use crate::validation::{Refusal, TextLength, ValidationErrorCode};

/// How often workers look for uploads without a notification.
const POLL: Duration = Duration::from_secs(1);

/// Pauses after a failed attempt: this one, then twice as long each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// After so many attempts, some three minutes, an upload is failed: none is tried for ever.
const MAX_ATTEMPTS: i32 = 10;

/// How uploads are processed.
#[derive(Debug, Clone)]
pub struct Processor {
    outbox: Outbox<Postgres>,
    store: ContentStore,
    length: TextLength,
    claim: Duration,
    arrived: Arc<Notify>,
}

/// What keeps an upload from being finished now, though maybe not the next time.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error("the content store failed")]
    Store(#[from] io::Error),
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error("the processing was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Processor {
    /// A processor for texts of this length. An attempt is taken for dead after `claim`.
    pub fn new(outbox: Outbox<Postgres>, store: ContentStore, length: TextLength, claim: Duration) -> Self {
        Self {
            outbox,
            store,
            length,
            claim,
            arrived: Arc::default(),
        }
    }

    /// Says that there may be something to do.
    pub fn notify(&self) {
        self.arrived.notify_one();
    }

    /// Works with so many workers until `stop`; uploads that are at work are finished first.
    pub async fn run(self, workers: usize, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        for _ in 0..workers {
            tasks.spawn(self.clone().work(stop.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                // Uploads are processed in tasks of their own, so this is no upload's fault.
                tracing::error!(%error, "a worker ended");
            }
        }
    }

    async fn work(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match claim_upload(self.outbox.pool(), self.claim).await {
                Ok(Some(upload)) => {
                    // There may be more: the next worker looks, and notifies the one after it.
                    self.notify();
                    let context = upload.context();
                    EventContext::scope(context, self.attempt(upload)).await;
                }
                Ok(None) => self.pause(&stop).await,
                Err(error) => {
                    tracing::warn!(%error, "cannot look for uploads");
                    self.pause(&stop).await;
                }
            }
        }
    }

    async fn pause(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.arrived.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }

    async fn attempt(&self, upload: ClaimedUpload) {
        let Err(obstacle) = self.process(&upload).await else {
            return;
        };
        tracing::warn!(upload = %upload.id, attempt = upload.attempts, error = &obstacle as &dyn std::error::Error, "processing failed");
        let doublings = upload.attempts.clamp(1, MAX_ATTEMPTS).unsigned_abs() - 1;
        let pause = (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
        if let Err(error) = release_upload(self.outbox.pool(), &upload, pause).await {
            tracing::warn!(upload = %upload.id, %error, "the claim has to run out");
        }
    }

    async fn process(&self, upload: &ClaimedUpload) -> Result<(), Obstacle> {
        let finished = match self.text(upload).await? {
            Ok(text) => {
                let stored = self.store.write(Kind::Text, text.as_bytes()).await?;
                complete_upload(&self.outbox, upload, &stored.id).await?
            }
            Err(refusal) => fail_upload(&self.outbox, upload, &refusal).await?,
        };
        if finished {
            tracing::info!(upload = %upload.id, "processed");
        } else {
            tracing::info!(upload = %upload.id, "somebody else was faster, or it was removed meanwhile");
        }
        Ok(())
    }

    /// The upload's text, or why it has none that is taken.
    async fn text(&self, upload: &ClaimedUpload) -> Result<Result<String, Refusal>, Obstacle> {
        use ValidationErrorCode::{RawStorageFailed, UnknownValidationError};
        if upload.attempts > MAX_ATTEMPTS {
            let message = format!("processing was given up after {MAX_ATTEMPTS} attempts");
            return Ok(Err(Refusal::new(UnknownValidationError, message)));
        }
        let Some(id) = &upload.raw_storage_id else {
            return Ok(Err(Refusal::new(
                RawStorageFailed,
                "the file could not be stored",
            )));
        };
        let bytes = match self.store.read(id).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err(Refusal::new(RawStorageFailed, "the stored file is gone")));
            }
            Err(error) => return Err(error.into()),
        };
        let length = self.length;
        // Some milliseconds of computing for a large file; and whatever a strange one does, it does there.
        let checked = tokio::task::spawn_blocking(move || {
            let text = extract_text(&bytes)?;
            length.check(&text).map(|()| text)
        });
        Ok(checked.await?)
    }
}
