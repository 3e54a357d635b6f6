//! What waits for one partition's worker: bounded, filled by a thread, emptied by a task.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tracing::Span;

use crate::inbox::InboxMessage;

/// Messages of one partition in their order.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
    most_messages: usize,
    most_bytes: usize,
}

#[derive(Default)]
struct Waiting {
    /// With the span of the reception, which ends when the message is taken.
    messages: VecDeque<(InboxMessage, Span)>,
    bytes: usize,
}

impl Queue {
    pub(super) fn new(most_messages: usize, most_bytes: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            filled: Notify::new(),
            most_messages,
            most_bytes,
        }
    }

    /// Adds a message. There is room for one more than [`is_full`](Self::is_full) says.
    pub(super) fn push(&self, message: InboxMessage, reception: Span) {
        let mut waiting = self.lock();
        waiting.bytes += message.weight();
        waiting.messages.push_back((message, reception));
        drop(waiting);
        self.filled.notify_one();
    }

    /// The next message, as soon as there is one. Cancel safe.
    pub(super) async fn next(&self) -> InboxMessage {
        loop {
            if let Some(message) = self.pop() {
                return message;
            }
            self.filled.notified().await;
        }
    }

    fn pop(&self) -> Option<InboxMessage> {
        let mut waiting = self.lock();
        let (message, _) = waiting.messages.pop_front()?;
        waiting.bytes -= message.weight();
        Some(message)
    }

    /// Whether nothing more should be added now.
    pub(super) fn is_full(&self) -> bool {
        self.exceeds(&self.lock())
    }

    /// Whether it is worth adding again: half of the room is free.
    pub(super) fn has_room(&self) -> bool {
        let waiting = self.lock();
        waiting.messages.len() <= self.most_messages / 2 && waiting.bytes <= self.most_bytes / 2
    }

    fn exceeds(&self, waiting: &Waiting) -> bool {
        waiting.messages.len() >= self.most_messages || waiting.bytes >= self.most_bytes
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(offset: i64, bytes: usize) -> InboxMessage {
        InboxMessage::new("t", 0, offset).with_value(vec![0; bytes])
    }

    #[tokio::test]
    async fn messages_come_in_their_order() {
        let queue = Queue::new(10, 1 << 20);
        for offset in 0..3 {
            queue.push(message(offset, 1), Span::none());
        }
        for offset in 0..3 {
            assert_eq!(queue.next().await.offset(), offset);
        }
    }

    #[tokio::test]
    async fn it_is_full_by_number_or_by_bytes() {
        let by_number = Queue::new(2, 1 << 20);
        by_number.push(message(0, 1), Span::none());
        assert!(!by_number.is_full() && by_number.has_room());
        by_number.push(message(1, 1), Span::none());
        assert!(by_number.is_full() && !by_number.has_room());
        by_number.next().await;
        assert!(!by_number.is_full() && by_number.has_room());

        let by_bytes = Queue::new(100, 1_000);
        by_bytes.push(message(0, 5_000), Span::none());
        assert!(by_bytes.is_full());
        by_bytes.next().await;
        assert!(by_bytes.has_room());
    }
}
