//! Pauses after failures: longer each time, never in step with another relay's, short again after a success.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use crate::relay::config::RelayConfig;

pub(crate) struct Backoff {
    builder: ExponentialBuilder,
    pauses: ExponentialBackoff,
    longest: Duration,
}

impl Backoff {
    pub(super) fn new(config: &RelayConfig) -> Self {
        Self::between(config.backoff_min, config.backoff_max)
    }

    /// From the first pause to the longest.
    pub(crate) fn between(shortest: Duration, longest: Duration) -> Self {
        let builder = ExponentialBuilder::default()
            .with_min_delay(shortest)
            .with_max_delay(longest)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times();
        Self {
            builder,
            pauses: builder.build(),
            longest,
        }
    }

    /// The same pauses from their beginning.
    pub(super) fn fresh(&self) -> Self {
        Self {
            builder: self.builder,
            pauses: self.builder.build(),
            longest: self.longest,
        }
    }

    /// The next pause. There is always another one.
    pub(crate) fn next(&mut self) -> Duration {
        self.pauses.next().unwrap_or(self.longest).min(self.longest)
    }

    /// Something worked.
    pub(super) fn reset(&mut self) {
        self.pauses = self.builder.build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_start_again() {
        let config = RelayConfig::default();
        let mut backoff = Backoff::new(&config);
        let pauses: Vec<Duration> = (0..100).map(|_| backoff.next()).collect();
        assert!(
            pauses[0] < config.backoff_min * 3 && pauses[0] >= config.backoff_min,
            "{:?}",
            pauses[0]
        );
        assert!(
            pauses[20..]
                .iter()
                .all(|pause| *pause >= config.backoff_max / 2 && *pause <= config.backoff_max)
        );
        backoff.reset();
        assert!(backoff.next() < config.backoff_min * 3);
    }
}
