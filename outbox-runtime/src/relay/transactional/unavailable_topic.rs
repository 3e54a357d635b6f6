//! Topics that take no records: waited for, or suspended once it is plain that others do take some.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use super::page_progress::PageProgress;
use super::run::{Ready, TransactionalRun};
use crate::publisher::{PublishError, PublishErrorKind};
use crate::relay::backoff::Backoff;
use crate::relay::config::RelayConfig;
use crate::relay::report::Server;
use crate::relay::run_end::RunEnd;

/// The topic that the first page waits for.
pub(in crate::relay) struct Trouble {
    waits_for: Option<WaitedForTopic>,
    backoff: Backoff,
}

struct WaitedForTopic {
    topic: String,
    since: Instant,
}

impl Trouble {
    pub(in crate::relay) fn new(config: &RelayConfig) -> Self {
        Self {
            waits_for: None,
            backoff: Backoff::new(config),
        }
    }

    /// Since when this topic is waited for.
    fn since(&mut self, topic: &str) -> Instant {
        match &self.waits_for {
            Some(waited_for) if waited_for.topic == topic => waited_for.since,
            _ => {
                let since = Instant::now();
                self.waits_for = Some(WaitedForTopic {
                    topic: topic.to_owned(),
                    since,
                });
                self.backoff.reset();
                since
            }
        }
    }
}

impl TransactionalRun<'_> {
    /// The next record's topic refuses it: pauses, and suspends the topic once another topic is known to take records.
    pub(super) async fn wait_for(&mut self, topic: String, error: PublishError) -> Result<(), RunEnd> {
        let since = self.trouble.since(&topic);
        if since.elapsed() >= self.config.suspend_after && self.others_take(&topic).await? {
            self.trouble.waits_for = None;
            self.redeliveries.suspend(&topic, error.to_string());
            return Ok(());
        }
        tracing::debug!(topic, %error, "waiting for a topic");
        self.telemetry.trouble(Server::Kafka, &error);
        let pause = self.trouble.backoff.next().min(self.config.suspend_after / 2);
        self.pause_until(Instant::now() + pause).await
    }

    /// Whether the broker takes records of another topic that are there to be sent: an outage is no reason to suspend a
    /// topic, and neither is a log of one topic. If no other topic's record is within reach, the broker's refusal is
    /// enough, because the records behind would never be reached.
    async fn others_take(&mut self, topic: &str) -> Result<bool, RunEnd> {
        let records = self.pages.iter().flat_map(|pending| pending.page.iter());
        let others: HashSet<String> = records
            .filter(|record| record.topic != topic && self.redeliveries.suspended(record.topic).is_none())
            .map(|record| record.topic.to_owned())
            .collect();
        if others.is_empty() {
            return Ok(self.has_read_enough());
        }
        for other in others {
            match self.prepare(&other).await? {
                Ready::Yes | Ready::OpenAgain => return Ok(true),
                Ready::No(_) => {}
            }
        }
        Ok(false)
    }

    /// Suspends those topics that took no record of a transaction of which other topics took all. `false` if there
    /// are none, and nobody is to blame.
    pub(super) fn blame_topics(&mut self, head: &PageProgress, failed: &[(usize, PublishError)]) -> bool {
        let mut of_topics: HashMap<&str, &PublishError> = HashMap::new();
        for (index, error) in failed {
            match error.kind() {
                PublishErrorKind::Topic | PublishErrorKind::Unavailable => {}
                // Fenced, closed, cut off: that is not a topic's fault.
                PublishErrorKind::Record(_)
                | PublishErrorKind::Withdrawn
                | PublishErrorKind::Full
                | PublishErrorKind::Unprepared
                | PublishErrorKind::Fatal
                | PublishErrorKind::Configuration => return false,
            }
            // Nor is the cursor's own topic suspended.
            let Some(record) = head.page.get(*index) else {
                return false;
            };
            of_topics.insert(record.topic, error);
        }
        let sent = (head.next..head.end()).filter_map(|index| head.page.get(index));
        let others = sent.filter(|record| {
            !of_topics.contains_key(record.topic) && self.redeliveries.suspended(record.topic).is_none()
        });
        if others.count() == 0 {
            return false;
        }
        let blamed: Vec<(String, String)> = of_topics
            .into_iter()
            .map(|(topic, error)| (topic.to_owned(), error.to_string()))
            .collect();
        for (topic, error) in &blamed {
            self.redeliveries.suspend(topic, error.clone());
        }
        !blamed.is_empty()
    }
}
