//! One look at the log after the other, and what changed between two of them.

use std::time::{Duration, Instant};

use chrono::Local;
use outbox_runtime::health::HealthDatabase;
use outbox_runtime::store::LogState;
use outbox_runtime::{Health, HealthConfig, Outbox};
use tokio::sync::mpsc;

/// What is shown.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// The log's name.
    pub(super) log: String,
    /// The time of day.
    pub(super) time: String,
    pub(super) health: Health,
    /// Between this look and the one before it.
    pub(super) rates: Option<Rates>,
}

/// Messages in a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    pub(super) written: f64,
    pub(super) delivered: f64,
}

/// Remembers what was seen last.
#[derive(Debug)]
pub(super) struct Looks {
    log: String,
    last: Option<(Instant, u64, u64)>,
}

impl Looks {
    pub(super) fn of(log: String) -> Self {
        Self { log, last: None }
    }

    /// The look that has this result.
    pub(super) fn at(&mut self, health: Health) -> Look {
        let rates = health
            .log
            .as_ref()
            .and_then(|log| self.rates(log, Instant::now()));
        Look {
            log: self.log.clone(),
            time: Local::now().format("%H:%M:%S").to_string(),
            health,
            rates,
        }
    }

    fn rates(&mut self, log: &LogState, now: Instant) -> Option<Rates> {
        let last = self.last.replace((now, log.written_to, log.delivered_to));
        let (then, written, delivered) = last?;
        let seconds = now.duration_since(then).as_secs_f64();
        // Both may go back, with a restored database.
        let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds.max(0.001);
        Some(Rates {
            written: rate(written, log.written_to),
            delivered: rate(delivered, log.delivered_to),
        })
    }

    /// Looks again and again, until nobody wants to know.
    pub(super) async fn go_on<DB: HealthDatabase>(
        mut self,
        outbox: Outbox<DB>,
        config: HealthConfig,
        interval: Duration,
        sender: mpsc::Sender<Look>,
    ) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let look = self.at(outbox.health_with(&config).await);
            if sender.send(look).await.is_err() {
                return;
            }
        }
    }
}
