//! What handles the messages of one partition, one after another.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::handling::Handling;
use super::queue::Queue;
use crate::database::OutboxDatabase;

/// No message was handled yet.
const NONE: i64 = -1;

/// A worker, as the thread sees it that fills its queue.
pub(super) struct Worker {
    pub(super) queue: Arc<Queue>,
    next_offset: Arc<AtomicI64>,
    stop: CancellationToken,
    abort: AbortHandle,
    /// Nothing is ever sent; it closes when the task has ended, in whichever way.
    ended: mpsc::Receiver<()>,
}

impl Worker {
    pub(super) fn start<DB: OutboxDatabase>(handling: &Arc<Handling<DB>>, runtime: &Handle) -> Self {
        let config = &handling.config;
        let queue = Arc::new(Queue::new(config.max_queued_messages, config.max_queued_bytes));
        let next_offset = Arc::new(AtomicI64::new(NONE));
        let stop = CancellationToken::new();
        let (ends, ended) = mpsc::channel();
        let task = {
            let (handling, queue) = (Arc::clone(handling), Arc::clone(&queue));
            let (next_offset, stop) = (Arc::clone(&next_offset), stop.clone());
            runtime.spawn(async move {
                let _ends: mpsc::Sender<()> = ends;
                work(&handling, &queue, &next_offset, &stop).await;
            })
        };
        Self {
            queue,
            next_offset,
            stop,
            abort: task.abort_handle(),
            ended,
        }
    }

    /// The offset behind the last message that needs no more handling.
    pub(super) fn next_offset(&self) -> Option<i64> {
        Some(self.next_offset.load(Ordering::Acquire)).filter(|offset| *offset != NONE)
    }

    /// Takes no further message.
    pub(super) fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Drops the handler that runs; its transaction is rolled back.
    pub(super) fn abandon(&self) {
        self.abort.abort();
    }

    /// Waits for its end, and says whether that came in time. Blocks its thread.
    pub(super) fn wait_until(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        self.ended.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Disconnected)
    }

    /// Whether it ended though nobody asked for that.
    pub(super) fn died(&self) -> bool {
        !self.stop.is_cancelled() && self.abort.is_finished()
    }
}

async fn work<DB: OutboxDatabase>(
    handling: &Handling<DB>,
    queue: &Queue,
    next_offset: &AtomicI64,
    stop: &CancellationToken,
) {
    loop {
        let message = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            message = queue.next() => message,
        };
        if handling.handle(&message, stop).await.is_err() {
            return;
        }
        next_offset.store(message.offset() + 1, Ordering::Release);
    }
}
