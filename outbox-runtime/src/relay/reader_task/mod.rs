//! Reads ahead: a task that owns the reader, so that reading, decoding and publishing overlap.

pub(super) mod cluster;
mod pages;
mod requests;
mod rests;
mod worker;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::pages::Demand;
pub(in crate::relay) use self::pages::Pages;
pub(in crate::relay) use self::requests::{Done, Question, Read, Request, Write};
use self::worker::{Channels, Worker};
use crate::RelayWaker;
use crate::relay::config::RelayConfig;
use crate::relay::dead_letters::lookup::DeadLetterLookup;
use crate::store::{DeadLetterPage, PageLimit, Reader, Released, RowId, StoreError, TopicKey, Waiting};

/// Pages that wait for the publisher. One more is being read, one more handed over.
const PAGES_AHEAD: usize = 2;

/// The handle of a reading task. Dropping it ends the task.
pub(in crate::relay) struct ReaderHandle {
    pub(in crate::relay) pages: Pages,
    pub(in crate::relay) done: mpsc::UnboundedReceiver<Done>,
    requests: mpsc::UnboundedSender<Request>,
    task: JoinHandle<StoreError>,
}

impl ReaderHandle {
    pub(in crate::relay) fn start<R: Reader>(
        reader: R,
        config: &RelayConfig,
        waker: RelayWaker,
        lookup: DeadLetterLookup,
    ) -> Self {
        let (pages_tx, pages) = mpsc::channel(PAGES_AHEAD);
        let demand = Arc::<Demand>::default();
        let (done_tx, done) = mpsc::unbounded_channel();
        let (requests, requests_rx) = mpsc::unbounded_channel();
        let channels = Channels {
            pages: pages_tx,
            demand: Arc::clone(&demand),
            done: done_tx,
            requests: requests_rx,
        };
        let worker = Worker::new(reader, config, waker, lookup, channels);
        Self {
            pages: Pages::new(pages, demand),
            done,
            requests,
            task: tokio::spawn(worker.run()),
        }
    }

    /// Asks for something. If the task has ended, its error is what [`failed`](Self::failed) returns.
    pub(in crate::relay) fn ask(&self, request: Request) {
        let _ = self.requests.send(request);
    }

    /// Writes something, and returns when it is written.
    pub(in crate::relay) async fn write(&mut self, what: Write) -> Result<(), StoreError> {
        self.answer(|answer| Question::Write { what, answer }).await
    }

    /// Writes a window down before its first record is sent.
    pub(in crate::relay) async fn begin_window(
        &mut self,
        window: u64,
        generation: i64,
    ) -> Result<(), StoreError> {
        self.answer(|answer| Question::BeginWindow {
            window,
            generation,
            answer,
        })
        .await
    }

    /// Which of these rows stand in the dead letters.
    pub(in crate::relay) async fn in_dead_letters(
        &mut self,
        rows: Vec<RowId>,
    ) -> Result<Vec<RowId>, StoreError> {
        self.answer(|answer| Question::InDeadLetters { rows, answer })
            .await
    }

    /// For each of these keys, whether it has rows in the dead letters.
    pub(in crate::relay) async fn blocked_keys(
        &mut self,
        keys: Vec<TopicKey>,
    ) -> Result<Vec<bool>, StoreError> {
        self.answer(|answer| Question::BlockedKeys { keys, answer }).await
    }

    /// Rows of the dead letters to send.
    pub(in crate::relay) async fn dead_letters(
        &mut self,
        which: Waiting,
        limit: PageLimit,
    ) -> Result<DeadLetterPage, StoreError> {
        self.answer(|answer| Question::DeadLetters { which, limit, answer })
            .await
    }

    /// Rows of the dead letters of a topic that blocks, as far as they may go.
    pub(in crate::relay) async fn released(
        &mut self,
        topic: String,
        from: Option<String>,
        limit: PageLimit,
    ) -> Result<Released, StoreError> {
        self.answer(|answer| Question::Released {
            topic,
            from,
            limit,
            answer,
        })
        .await
    }

    async fn answer<T>(
        &mut self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Question(question(answer)));
        match answered.await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(self.failed().await),
        }
    }

    /// Why the task ended. Only to be called when a channel of it is closed.
    pub(in crate::relay) async fn failed(&mut self) -> StoreError {
        match (&mut self.task).await {
            Ok(error) => error,
            Err(panicked) => StoreError::timed_out("reading ahead").with_source(panicked),
        }
    }
}

impl Drop for ReaderHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
