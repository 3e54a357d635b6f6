//! A broker that does not acknowledge: when to say so, and when to stop believing the client.

use std::time::Duration;

use tokio::time::Instant;

/// Silence that is worth a word.
const WORTH_A_WORD: Duration = Duration::from_secs(10);

/// Silence after which a client whose broker answers other questions is taken for stuck. It is longer than any
/// request of a client waits for its answer before it is sent again.
const STUCK: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) struct Silence {
    since: Instant,
    next_word: Instant,
}

impl Silence {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            since: now,
            next_word: now + WORTH_A_WORD,
        }
    }

    /// An acknowledgement came.
    pub(super) fn broken(&mut self) {
        *self = Self::new();
    }

    /// When to look at it again, if records are on their way until then.
    pub(super) fn next_word(&self) -> Instant {
        self.next_word
    }

    /// Says how many records wait. `true` if it has lasted so long that the client has to be looked at.
    pub(super) fn tell(&mut self, records: usize) -> bool {
        let lasted = self.since.elapsed();
        self.next_word = Instant::now() + WORTH_A_WORD;
        tracing::warn!(
            records,
            seconds = lasted.as_secs(),
            "no acknowledgement from Kafka; waiting for it"
        );
        lasted >= STUCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_becomes_suspicious_when_it_lasts() {
        let mut silence = Silence::new();
        assert!(!silence.tell(1));
        silence.since = Instant::now() - STUCK;
        assert!(silence.tell(1));
        silence.broken();
        assert!(!silence.tell(1));
    }

    #[test]
    fn it_is_told_now_and_then_only() {
        let mut silence = Silence::new();
        let first = silence.next_word();
        silence.tell(1);
        assert!(silence.next_word() >= first && silence.next_word() > Instant::now() + WORTH_A_WORD / 2);
    }
}
