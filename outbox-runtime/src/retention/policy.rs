//! What is kept, and for how long.

use std::time::Duration;

/// Longer is for ever.
const AT_MOST: Duration = Duration::from_secs(100 * 366 * 86_400);

/// The delivered messages to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Keep {
    /// All of them.
    #[default]
    Forever,
    /// No messages: each is deleted once it is settled.
    UntilAcknowledged,
    /// Messages that occurred less than this long ago, by their record's timestamp, as for Kafka's
    /// `retention.ms`.
    For(Duration),
}

/// Retention of messages and dead letters in the database. By default, nothing is deleted.
///
/// Only settled messages are deleted: Kafka has acknowledged them, or the dead letters contain a complete
/// copy, and the cursor in the database records this. In exactly-once delivery, their transaction is
/// committed. Therefore even the shortest retention loses nothing. With a longer one, operators can inspect
/// messages, and send them again to a Kafka cluster that lost its data.
///
/// ```
/// use std::time::Duration;
/// use outbox_runtime::RelayConfig;
/// use outbox_runtime::retention::{Keep, Retention};
///
/// let week = Duration::from_secs(7 * 86_400);
/// let config = RelayConfig::new().retention(Retention::off().keep(Keep::For(week)).max_bytes(Some(10 << 30)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    pub(super) keep: Keep,
    pub(super) max_bytes: Option<u64>,
    pub(super) dead_letters: Option<Duration>,
    pub(super) batch: u32,
    pub(super) interval: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self::off()
    }
}

/// An invalid setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("retention: `{name}` {fault}")]
pub struct InvalidRetention {
    name: &'static str,
    fault: &'static str,
}

impl Retention {
    /// Creates a retention that deletes nothing.
    pub fn off() -> Self {
        Self {
            keep: Keep::Forever,
            max_bytes: None,
            dead_letters: None,
            batch: 1_000,
            interval: Duration::from_secs(10),
        }
    }

    /// Sets the delivered messages to keep. Default: all.
    #[must_use]
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Size of the log above which the oldest delivered messages are deleted, regardless of
    /// [`keep`](Self::keep). For partitions, this is their size on disk. For one table, it is the sum of the
    /// sizes of messages, rows and index entries, because a table's file does not shrink. Default: no limit.
    #[must_use]
    pub fn max_bytes(mut self, bytes: Option<u64>) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Age at which dead letters are deleted, counted from their last failure. Parked messages stay, because
    /// they are still to be delivered. Dead letters that they wait for, and those with a requested replay,
    /// also stay. Each deletion is logged, because the message is lost. Default: never.
    #[must_use]
    pub fn dead_letters(mut self, older_than: Option<Duration>) -> Self {
        self.dead_letters = older_than;
        self
    }

    /// Maximum number of rows per transaction. Default: 1,000.
    #[must_use]
    pub fn batch(mut self, rows: u32) -> Self {
        self.batch = rows;
        self
    }

    /// Interval between two rounds. Each round deletes all messages that are no longer kept. Default: 10 s.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Whether rows are deleted at all.
    pub fn is_on(&self) -> bool {
        self.keep != Keep::Forever || self.max_bytes.is_some() || self.dead_letters.is_some()
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// The first invalid one.
    pub fn check(&self) -> Result<(), InvalidRetention> {
        let wrong = |name, fault| Err(InvalidRetention { name, fault });
        if let Keep::For(age) = self.keep {
            if age.is_zero() {
                return wrong("keep", "is for no time: use `Keep::UntilAcknowledged`");
            }
            if age > AT_MOST {
                return wrong("keep", "is for more than 100 years: use `Keep::Forever`");
            }
        }
        if self.max_bytes == Some(0) {
            return wrong("max_bytes", "is 0: use `Keep::UntilAcknowledged`");
        }
        match self.dead_letters {
            Some(age) if age < Duration::from_secs(60) => {
                return wrong("dead_letters", "is below a minute: nobody could look at them");
            }
            Some(age) if age > AT_MOST => return wrong("dead_letters", "is above 100 years: use `None`"),
            Some(_) | None => {}
        }
        if self.batch == 0 || self.batch > 100_000 {
            return wrong("batch", "must be from 1 to 100,000 rows");
        }
        if self.interval.is_zero() {
            return wrong("interval", "is 0: there would be no pause");
        }
        Ok(())
    }

    /// The age at which settled messages go, whatever the log's size; none if they stay.
    pub(super) fn age(&self) -> Option<Age> {
        match self.keep {
            Keep::Forever => None,
            Keep::UntilAcknowledged => Some(Age(None)),
            Keep::For(age) => Some(Age(Some(age))),
        }
    }
}

/// The age at which settled messages go: any, or above this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Age(pub(super) Option<Duration>);

impl Age {
    pub(super) const ANY: Self = Self(None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_cannot_work_is_refused_by_name() {
        assert_eq!(Retention::default().check(), Ok(()));
        let off = Retention::off;
        let (no_time, for_ever) = (Duration::ZERO, Duration::MAX);
        for (name, wrong) in [
            ("keep", off().keep(Keep::For(no_time))),
            ("keep", off().keep(Keep::For(for_ever))),
            ("max_bytes", off().max_bytes(Some(0))),
            ("dead_letters", off().dead_letters(Some(no_time))),
            ("dead_letters", off().dead_letters(Some(for_ever))),
            ("batch", off().batch(0)),
            ("batch", off().batch(100_001)),
            ("interval", off().interval(no_time)),
        ] {
            let message = wrong.check().unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn it_is_off_unless_something_may_go() {
        assert!(!Retention::default().is_on());
        assert!(!Retention::off().batch(7).is_on());
        assert!(Retention::off().keep(Keep::UntilAcknowledged).is_on());
        assert!(Retention::off().max_bytes(Some(1)).is_on());
        assert!(
            Retention::off()
                .dead_letters(Some(Duration::from_secs(60)))
                .is_on()
        );
    }
}
