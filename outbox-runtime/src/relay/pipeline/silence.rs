//! A broker that does not acknowledge: when to say so, and when to stop believing the client.
//!
//! What counts is the oldest record in flight. That others are acknowledged says nothing of it: librdkafka can
//! be stuck with a single partition, as it is when a topic was deleted and made again with another leader, whose
//! epoch it takes for an outdated one.

use std::time::Duration;

use tokio::time::Instant;

use crate::publisher::{PublishError, PublishErrorKind, Publisher, Ticket};

/// Silence that is worth a word.
const WORTH_A_WORD: Duration = Duration::from_secs(10);

/// Silence after which a client whose broker answers other questions is taken for stuck. It is longer than any
/// request of a client waits for its answer before it is sent again.
const STUCK: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) struct Silence {
    /// Whose acknowledgement is waited for.
    oldest: Option<Ticket>,
    since: Instant,
    next_word: Instant,
}

impl Silence {
    pub(in crate::relay) fn new() -> Self {
        Self::about(None)
    }

    fn about(oldest: Option<Ticket>) -> Self {
        let now = Instant::now();
        Self {
            oldest,
            since: now,
            next_word: now + WORTH_A_WORD,
        }
    }

    /// Takes note of the oldest record in flight: a new one is waited for from now on.
    pub(in crate::relay) fn watch(&mut self, oldest: Option<Ticket>) {
        if self.oldest != oldest {
            *self = Self::about(oldest);
        }
    }

    /// When to look at it again, if records are in flight until then.
    pub(super) fn next_word(&self) -> Instant {
        self.next_word
    }

    /// Says how many records wait. `true` if it has lasted so long that the client has to be looked at.
    pub(in crate::relay) fn report(&mut self, records: usize) -> bool {
        let lasted = self.since.elapsed();
        self.next_word = Instant::now() + WORTH_A_WORD;
        tracing::debug!(
            records,
            seconds = lasted.as_secs(),
            "no acknowledgement from Kafka for the oldest record; waiting for it"
        );
        lasted >= STUCK
    }
}

/// The error of a client whose oldest record is not acknowledged for long, if the broker does answer.
pub(super) async fn stuck(publisher: &mut impl Publisher) -> Option<PublishError> {
    let stuck = "a record was not acknowledged for long, though the broker answers: the client is stuck";
    publisher
        .answers()
        .await
        .then(|| PublishError::new(PublishErrorKind::Fatal, stuck))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lasting(oldest: Option<Ticket>) -> Silence {
        Silence {
            since: Instant::now() - STUCK,
            ..Silence::about(oldest)
        }
    }

    #[test]
    fn silence_becomes_suspicious_when_it_lasts() {
        let mut silence = Silence::about(Some(7));
        assert!(!silence.report(1));
        silence.since = Instant::now() - STUCK;
        assert!(silence.report(1));
        silence.watch(Some(8));
        assert!(!silence.report(1));
    }

    #[test]
    fn a_record_that_waits_while_others_are_acknowledged_is_waited_for_no_longer() {
        let mut silence = lasting(Some(7));
        silence.watch(Some(7));
        assert!(silence.report(1));
    }

    #[test]
    fn a_record_behind_a_long_rest_is_not_suspicious() {
        let mut silence = lasting(None);
        silence.watch(Some(7));
        assert!(!silence.report(1) && silence.next_word() > Instant::now());
    }

    #[test]
    fn it_is_reported_now_and_then_only() {
        let mut silence = Silence::new();
        let first = silence.next_word();
        silence.report(1);
        assert!(silence.next_word() >= first && silence.next_word() > Instant::now() + WORTH_A_WORD / 2);
    }
}
