//! How much may be sent: a bucket for the log and one for each topic that is throttled, which fill up as time goes by.
//!
//! A bucket may be overdrawn by the last record that is taken from it, so a record that is larger than a second's worth
//! goes too, and what follows waits for it. In the long run, exactly the rate is sent.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Rate, Throttles};

/// What a bucket holds at the most, in seconds' worth: so much is sent at once after a pause.
const BURST: f64 = 0.1;

/// What may be sent now, of the log and of each topic.
#[derive(Debug, Default)]
pub(super) struct Throttling {
    log: Option<Bucket>,
    topics: HashMap<String, Bucket>,
    /// When something that was held up may go.
    next: Option<Instant>,
}

/// Whether a record may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowance {
    Now,
    /// The log has to wait until then.
    LogWaits(Instant),
    /// Its topic has to wait until then.
    TopicWaits(Instant),
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    messages: f64,
    bytes: f64,
    filled: Instant,
}

impl Bucket {
    fn new(rate: Rate, now: Instant) -> Self {
        let mut bucket = Self {
            rate,
            messages: 0.0,
            bytes: 0.0,
            filled: now,
        };
        (bucket.messages, bucket.bytes) = bucket.most();
        bucket
    }

    /// What it holds at the most.
    fn most(&self) -> (f64, f64) {
        let most = |rate: Option<u64>| rate.map_or(f64::INFINITY, |rate| (rate as f64 * BURST).max(1.0));
        (
            most(self.rate.messages_per_second),
            most(self.rate.bytes_per_second),
        )
    }

    fn fill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        let (messages, bytes) = self.most();
        let filled = |there: f64, rate: Option<u64>, most: f64| {
            rate.map_or(f64::INFINITY, |rate| (there + rate as f64 * seconds).min(most))
        };
        self.messages = filled(self.messages, self.rate.messages_per_second, messages);
        self.bytes = filled(self.bytes, self.rate.bytes_per_second, bytes);
    }

    /// When something may be taken; `None` for now.
    fn waits_until(&mut self, now: Instant) -> Option<Instant> {
        self.fill(now);
        // A message counts as a whole.
        let wait = |missing: f64, rate: Option<u64>| match rate {
            Some(rate) if missing > 0.0 => missing / rate as f64,
            Some(_) | None => 0.0,
        };
        let messages = wait(1.0 - self.messages, self.rate.messages_per_second);
        let bytes = wait(1.0 - self.bytes, self.rate.bytes_per_second);
        let seconds = messages.max(bytes);
        // A sleep takes a millisecond at the least.
        (seconds > 0.0).then(|| now + Duration::from_secs_f64(seconds).max(Duration::from_millis(1)))
    }

    fn take(&mut self, bytes: usize) {
        self.messages -= 1.0;
        self.bytes -= bytes as f64;
    }

    /// Messages that may be taken at once, if they are small.
    fn messages(&mut self, now: Instant) -> usize {
        self.fill(now);
        self.messages.clamp(0.0, usize::MAX as f64) as usize
    }
}

impl Throttling {
    /// Follows what operators have decided. A bucket of which nothing has changed stays as it is.
    pub(super) fn follow(&mut self, throttles: &Throttles, now: Instant) {
        let log = Some(throttles.log()).filter(|rate| !rate.is_unlimited());
        if self.log.as_ref().map(|bucket| bucket.rate) != log {
            self.log = log.map(|rate| Bucket::new(rate, now));
        }
        let mut before = std::mem::take(&mut self.topics);
        for (topic, rate) in throttles.topics().filter(|(_, rate)| !rate.is_unlimited()) {
            let same = before.remove(topic).filter(|bucket| bucket.rate == rate);
            let bucket = same.unwrap_or_else(|| Bucket::new(rate, now));
            self.topics.insert(topic.to_owned(), bucket);
        }
    }

    /// Whether a record of this topic may go. One that may not is remembered, so that somebody wakes up for it.
    pub(super) fn allows(&mut self, topic: &str, now: Instant) -> Allowance {
        if self.log.is_none() && self.topics.is_empty() {
            return Allowance::Now;
        }
        let of_log = self.log.as_mut().and_then(|bucket| bucket.waits_until(now));
        if let Some(until) = of_log {
            self.wakes(until);
            return Allowance::LogWaits(until);
        }
        let of_topic = self.topics.get_mut(topic);
        match of_topic.and_then(|bucket| bucket.waits_until(now)) {
            Some(until) => {
                self.wakes(until);
                Allowance::TopicWaits(until)
            }
            None => Allowance::Now,
        }
    }

    fn wakes(&mut self, until: Instant) {
        self.next = Some(self.next.map_or(until, |next| next.min(until)));
    }

    /// When something that was held up may go, since it was asked last.
    pub(super) fn take_next(&mut self) -> Option<Instant> {
        self.next.take()
    }

    /// How many records of a topic may go at once, or when the next one may; `None` for any topic.
    pub(super) fn room(&mut self, topic: Option<&str>, now: Instant) -> Result<usize, Instant> {
        let of_topic = topic.and_then(|topic| self.topics.get_mut(topic));
        let mut room = usize::MAX;
        for bucket in self.log.iter_mut().chain(of_topic) {
            if let Some(until) = bucket.waits_until(now) {
                return Err(until);
            }
            room = room.min(bucket.messages(now).max(1));
        }
        Ok(room)
    }

    /// A record was handed over.
    pub(super) fn sent(&mut self, topic: &str, bytes: usize) {
        if let Some(bucket) = &mut self.log {
            bucket.take(bytes);
        }
        if let Some(bucket) = self.topics.get_mut(topic) {
            bucket.take(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ThrottleScope;

    fn rate(messages: Option<u64>, bytes: Option<u64>) -> Rate {
        Rate {
            messages_per_second: messages,
            bytes_per_second: bytes,
        }
    }

    fn throttling(throttles: impl IntoIterator<Item = (ThrottleScope, Rate)>, now: Instant) -> Throttling {
        let mut throttling = Throttling::default();
        throttling.follow(&throttles.into_iter().collect(), now);
        throttling
    }

    /// How many records of this size go in a minute.
    fn sent_in_a_minute(throttling: &mut Throttling, bytes: usize, begin: Instant) -> usize {
        let (mut now, mut sent) = (begin, 0);
        while now < begin + Duration::from_secs(60) {
            match throttling.allows("orders", now) {
                Allowance::Now => {
                    throttling.sent("orders", bytes);
                    sent += 1;
                }
                Allowance::LogWaits(until) | Allowance::TopicWaits(until) => now = until,
            }
        }
        sent
    }

    #[test]
    fn a_rate_is_kept_in_messages_and_in_bytes() {
        let now = Instant::now();
        for (rate, bytes, expected) in [
            (rate(Some(10), None), 1_000_000, 600.0),
            (rate(None, Some(1_000)), 100, 600.0),
            (rate(Some(7), Some(1_000)), 100, 420.0),
            (rate(None, Some(1_000)), 6_000, 10.0),
            (rate(Some(1), None), 1, 60.0),
            (rate(Some(5_000), None), 1, 300_000.0),
        ] {
            let mut throttling = throttling([(ThrottleScope::Log, rate)], now);
            let sent = sent_in_a_minute(&mut throttling, bytes, now) as f64;
            assert!((sent - expected).abs() <= expected * 0.02 + 1.0, "{rate}: {sent}");
        }
    }

    #[test]
    fn topics_have_buckets_of_their_own() {
        let now = Instant::now();
        let orders = ThrottleScope::Topic("orders".to_owned());
        let mut throttling = throttling([(orders, rate(Some(1), None))], now);
        throttling.sent("orders", 1);
        assert!(matches!(
            throttling.allows("orders", now),
            Allowance::TopicWaits(_)
        ));
        assert_eq!(throttling.allows("others", now), Allowance::Now);
        assert!(throttling.take_next().is_some() && throttling.take_next().is_none());
        assert!(throttling.room(Some("orders"), now).is_err());
        assert_eq!(throttling.room(Some("others"), now), Ok(usize::MAX));
        throttling.follow(&Throttles::default(), now);
        assert_eq!(throttling.allows("orders", now), Allowance::Now);
    }

    #[test]
    fn what_stays_as_it_is_is_not_filled_again() {
        let now = Instant::now();
        let throttles: Throttles = [(ThrottleScope::Log, rate(Some(1), None))].into_iter().collect();
        let mut throttling = Throttling::default();
        throttling.follow(&throttles, now);
        throttling.sent("orders", 1);
        throttling.follow(&throttles, now);
        assert!(matches!(throttling.allows("orders", now), Allowance::LogWaits(_)));
    }
}
