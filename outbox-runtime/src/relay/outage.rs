//! Log lines about outages: one when it begins, some while it lasts, one at its end.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::report::{Server, Trouble};
use crate::store::Store;

/// The first line while an outage lasts comes after this time, and each later one after twice the time.
const FIRST: Duration = Duration::from_secs(60);

/// The pauses do not grow beyond this.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How long the log may be asked how many messages wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// Logs the outages that `troubles` reports, until its sender is dropped.
pub(super) async fn log<S: Store>(store: &S, mut troubles: watch::Receiver<Option<Trouble>>) {
    loop {
        let trouble = match troubles.wait_for(Option::is_some).await {
            Ok(trouble) => trouble.clone(),
            Err(_) => return,
        };
        let Some(trouble) = trouble else { continue };
        let outage = Outage::begin(trouble);
        outage.watch(store, &mut troubles).await;
    }
}

struct Outage {
    trouble: Trouble,
    pause: Duration,
    next: Instant,
}

impl Outage {
    fn begin(trouble: Trouble) -> Self {
        let Trouble { server, error, since } = &trouble;
        let (name, error) = (server.name(), error.as_str());
        match server {
            Server::Kafka => {
                tracing::warn!(event = "outage_began", server = name, error, "waiting for Kafka")
            }
            Server::Database => {
                tracing::warn!(
                    event = "outage_began",
                    server = name,
                    error,
                    "waiting for the database"
                );
            }
        }
        let next = *since + FIRST;
        Self {
            trouble,
            pause: FIRST,
            next,
        }
    }

    /// Until it is over.
    async fn watch<S: Store>(mut self, store: &S, troubles: &mut watch::Receiver<Option<Trouble>>) {
        loop {
            tokio::select! {
                changed = troubles.changed() => {
                    let now = troubles.borrow_and_update().clone();
                    match now {
                        // It may come again before this task sees that it was over.
                        Some(trouble) if changed.is_ok() && trouble.is_same_outage(&self.trouble) => self.trouble = trouble,
                        Some(trouble) if changed.is_ok() => {
                            self.end(store).await;
                            self = Self::begin(trouble);
                        }
                        None => return self.end(store).await,
                        Some(_) => return,
                    }
                }
                () = tokio::time::sleep_until(self.next.into()) => self.lasts(store).await,
            }
        }
    }

    async fn lasts<S: Store>(&mut self, store: &S) {
        (self.pause, self.next) = later(self.pause, self.next);
        let waiting = match self.trouble.server {
            Server::Kafka => waiting(store).await,
            Server::Database => None,
        };
        let Trouble { server, error, since } = &self.trouble;
        let (name, error, seconds) = (server.name(), error.as_str(), since.elapsed().as_secs());
        match server {
            Server::Kafka => tracing::warn!(
                event = "outage_lasts",
                server = name,
                seconds,
                waiting,
                error,
                "still waiting for Kafka"
            ),
            Server::Database => tracing::warn!(
                event = "outage_lasts",
                server = name,
                seconds,
                error,
                "still waiting for the database"
            ),
        }
    }

    async fn end<S: Store>(&self, store: &S) {
        let seconds = self.trouble.since.elapsed().as_secs_f64();
        let seconds = (seconds * 1_000.0).round() / 1_000.0;
        let (server, waiting) = (self.trouble.server.name(), waiting(store).await);
        match self.trouble.server {
            Server::Kafka => tracing::info!(
                event = "outage_ended",
                server,
                seconds,
                waiting,
                "Kafka accepts records again"
            ),
            Server::Database => tracing::info!(
                event = "outage_ended",
                server,
                seconds,
                waiting,
                "the database works again"
            ),
        }
    }
}

/// The pause after this one, and when it ends.
fn later(pause: Duration, next: Instant) -> (Duration, Instant) {
    let pause = (pause * 2).min(LONGEST);
    (pause, next + pause)
}

/// How many messages wait for delivery, if known.
async fn waiting<S: Store>(store: &S) -> Option<u64> {
    let status = tokio::time::timeout(PATIENCE, store.status()).await;
    status.ok()?.ok().map(|status| status.backlog.messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_one_outage_become_rare() {
        let began = Instant::now();
        let (mut pause, mut next) = (FIRST, began + FIRST);
        let mut minutes = Vec::new();
        for _ in 0..9 {
            minutes.push(next.duration_since(began).as_secs() / 60);
            (pause, next) = later(pause, next);
        }
        assert_eq!(minutes, [1, 3, 7, 15, 31, 63, 123, 183, 243]);
    }
}
