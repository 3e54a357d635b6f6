//! The end of librdkafka's clients, which must not hold up a stop.

use std::ops::Deref;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// A client that nothing is wrong with takes half a second at most.
const LONGEST: Duration = Duration::from_secs(3);

/// A client of any kind, to be dropped.
pub(super) type AnyClient = Box<dyn Send>;

/// Drops clients, all at the same time, and waits for that no longer than [`LONGEST`].
///
/// Dropping a client waits for its thread, which checks every 100 ms whether it has to end. In between, the thread
/// waits until a time of the wall clock (`cnd_timedwait_ms` in librdkafka). If that clock is set back by ten minutes,
/// it sleeps for ten minutes. All records are settled by then, so the thread is left behind.
pub(super) fn drop_in_time(clients: impl IntoIterator<Item = AnyClient>) {
    drop_within(LONGEST, clients);
}

fn drop_within(longest: Duration, clients: impl IntoIterator<Item = AnyClient>) {
    let (dropping, all_dropped) = mpsc::channel::<()>();
    for client in clients {
        let dropping = dropping.clone();
        let drop_it = move || {
            drop(client);
            drop(dropping);
        };
        // Where no thread is to be had, the client is dropped with the closure, here.
        let _ = thread::Builder::new()
            .name("kafka-close".to_owned())
            .spawn(drop_it);
    }
    drop(dropping);
    if all_dropped.recv_timeout(longest) == Err(RecvTimeoutError::Timeout) {
        tracing::warn!(
            "a Kafka client did not close in time, perhaps because the clock was set back; it is abandoned"
        );
    }
}

/// A client that ends on a thread of its own, so that whoever has used it does not wait for that.
pub(super) struct EndsInBackground<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> EndsInBackground<T> {
    pub(super) fn new(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send + 'static> Deref for EndsInBackground<T> {
    type Target = T;

    #[expect(clippy::expect_used, reason = "only the drop takes it out")]
    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: Send + 'static> Drop for EndsInBackground<T> {
    fn drop(&mut self) {
        let client = self.0.take();
        // Where no thread is to be had, it is dropped with the closure, here.
        let _ = thread::Builder::new()
            .name("kafka-close".to_owned())
            .spawn(move || drop(client));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Instant;

    use super::*;

    /// Ends when it is asked to.
    struct Slow(Receiver<()>, Sender<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.0.recv();
            let _ = self.1.send(());
        }
    }

    fn boxed(asked: Receiver<()>, ended: Sender<()>) -> AnyClient {
        Box::new(Slow(asked, ended))
    }

    #[test]
    fn a_client_that_does_not_end_is_left_behind() {
        let ((end, asked), (ended, has_ended)) = (channel(), channel());
        let started = Instant::now();
        drop_within(Duration::from_millis(50), [boxed(asked, ended)]);
        assert!(started.elapsed() < Duration::from_secs(20));
        assert!(has_ended.try_recv().is_err(), "it was not waited for");
        drop(end);
        has_ended.recv().expect("it ends in its own time");
    }

    #[test]
    fn a_client_that_ends_in_the_background_is_not_awaited() {
        let ((end, asked), (ended, has_ended)) = (channel(), channel());
        drop(EndsInBackground::new(Slow(asked, ended)));
        assert!(has_ended.try_recv().is_err(), "it was waited for");
        drop(end);
        has_ended.recv().expect("it ends in its own time");
    }

    #[test]
    fn one_that_ends_is_waited_for() {
        let ((end, asked), (ended, has_ended)) = (channel(), channel());
        drop(end);
        drop_within(Duration::from_secs(60), [boxed(asked, ended)]);
        has_ended.try_recv().expect("it has ended before");
    }

    /// The first one ends only once the second one has.
    #[test]
    fn several_end_at_the_same_time() {
        let (ended, has_ended) = channel();
        let ((other_end, other_asked), (other_ended, other_has_ended)) = (channel(), channel());
        drop(other_end);
        let waits_for_the_other = Box::new(Slow(other_has_ended, ended)) as AnyClient;
        let the_other = boxed(other_asked, other_ended);
        drop_within(Duration::from_secs(60), [waits_for_the_other, the_other]);
        has_ended.try_recv().expect("both have ended before");
    }
}
