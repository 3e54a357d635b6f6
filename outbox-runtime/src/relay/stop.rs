//! A stop that was asked for, and until when it may take.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) struct Stop {
    token: CancellationToken,
    may_take: Duration,
    asked_at: OnceLock<Instant>,
}

impl Stop {
    pub(super) fn new(token: CancellationToken, may_take: Duration) -> Self {
        Self {
            token,
            may_take,
            asked_at: OnceLock::new(),
        }
    }

    /// One that nobody asks for any more, because it was asked for already.
    pub(super) fn unheeded(deadline: Instant) -> Self {
        Self {
            token: CancellationToken::new(),
            may_take: Duration::ZERO,
            asked_at: OnceLock::from(deadline),
        }
    }

    /// Waits until a stop is asked for. Cancel safe.
    pub(super) async fn asked(&self) {
        self.token.cancelled().await;
        self.asked_at.get_or_init(Instant::now);
    }

    /// When everything has to have ended; counted from now if no stop was asked for.
    pub(super) fn deadline(&self) -> Instant {
        self.asked_at.get().copied().unwrap_or_else(Instant::now) + self.may_take
    }
}
