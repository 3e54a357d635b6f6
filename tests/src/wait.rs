//! Waiting for a state: the one place where tests let time pass.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const PACE: Duration = Duration::from_millis(10);

/// Looks at `condition` every 10 ms until it gives a value, and returns that.
///
/// ```
/// # use std::time::Duration;
/// # async fn example(counter: &std::sync::atomic::AtomicU64) {
/// use std::sync::atomic::Ordering;
/// let seen = outbox_tests::wait_until("ten deliveries", Duration::from_secs(5), async || {
///     let count = counter.load(Ordering::SeqCst);
///     (count >= 10).then_some(count)
/// })
/// .await;
/// # let _ = seen;
/// # }
/// ```
///
/// # Panics
/// When `limit` has passed, saying `what` was waited for.
pub async fn wait_until<T, F, Fut>(what: &str, limit: Duration, mut condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let started = Instant::now();
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} in vain for {what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_value_is_returned_as_soon_as_it_is_there() {
        let mut left = 3;
        let value = wait_until("three looks", Duration::from_secs(5), || {
            left -= 1;
            std::future::ready((left == 0).then_some("there"))
        })
        .await;
        assert_eq!(value, "there");
    }

    #[tokio::test]
    #[should_panic(expected = "in vain for what never comes")]
    async fn a_deadline_ends_it() {
        wait_until("what never comes", Duration::from_millis(30), async || None::<()>).await;
    }
}
