//! Places at which a fault test ends or stops this process.
//!
//! In a release build, or without the feature `failpoints`, [`reach`] is empty and nothing else of this is compiled.
//! Otherwise `OUTBOX_FAILPOINT=<place>=<kill | stop>:<n>` sends SIGKILL or SIGSTOP to the process when it gets to
//! that place for the `n`th time, and `OUTBOX_POISON=<key>` ends the process when it sends a record of that key; without
//! the variables nothing happens.

/// A step of the relay that a fault may fall on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failpoint {
    /// A record was handed to the producer.
    Produced,
    /// Acknowledgements are there, and nobody has taken note of them.
    Acknowledged,
    /// Records are settled, and the cursor is about to be written.
    CursorBefore,
    /// The cursor is written, and nobody has taken note of it.
    CursorAfter,
    /// The lease is taken, and nothing else.
    LeaseTaken,
    /// The lease is taken, and with it the cursor.
    CursorClaimed,
    /// The lease is about to be given back.
    LeaseReleased,
    /// Exactly once: whoever could commit is fenced, and Kafka's cursor is read.
    BrokerCursorRead,
    /// Exactly once: a window is written down, and nothing of it is sent.
    WindowBegun,
    /// Exactly once: what the transaction leaves out is written to the dead letters.
    DeadLettersWritten,
    /// Exactly once: the records of a transaction are handed over, and it is about to be committed.
    TransactionSent,
    /// Exactly once: a transaction is committed, and the database does not know.
    TransactionCommitted,
    /// Mode `direct`: a transaction is committed, and none of its events is handed over.
    DirectCommitted,
}

/// The process has come to this place.
#[cfg(not(all(feature = "failpoints", debug_assertions)))]
#[inline(always)]
pub(crate) fn reach(_: Failpoint) {}

/// A record of this key is about to be sent.
#[cfg(all(feature = "kafka", not(all(feature = "failpoints", debug_assertions))))]
#[inline(always)]
pub(crate) fn send(_: &str) {}

#[cfg(all(feature = "failpoints", debug_assertions))]
pub(crate) use armed::{reach, send};

#[cfg(all(feature = "failpoints", debug_assertions))]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    use super::Failpoint;

    struct Fault {
        place: Failpoint,
        signal: Signal,
        left: AtomicU64,
    }

    static FAULT: LazyLock<Option<Fault>> = LazyLock::new(|| {
        let text = std::env::var("OUTBOX_FAILPOINT").ok()?;
        let fault = parse(&text);
        if fault.is_none() {
            tracing::error!(text, "OUTBOX_FAILPOINT is not <place>=<kill | stop>:<n>");
        }
        fault
    });

    fn parse(text: &str) -> Option<Fault> {
        let (place, what) = text.split_once('=')?;
        let (signal, count) = what.split_once(':')?;
        Some(Fault {
            place: match place {
                "produced" => Failpoint::Produced,
                "acknowledged" => Failpoint::Acknowledged,
                "cursor_before" => Failpoint::CursorBefore,
                "cursor_after" => Failpoint::CursorAfter,
                "lease_taken" => Failpoint::LeaseTaken,
                "cursor_claimed" => Failpoint::CursorClaimed,
                "lease_released" => Failpoint::LeaseReleased,
                "broker_cursor_read" => Failpoint::BrokerCursorRead,
                "window_begun" => Failpoint::WindowBegun,
                "dead_letters_written" => Failpoint::DeadLettersWritten,
                "transaction_sent" => Failpoint::TransactionSent,
                "transaction_committed" => Failpoint::TransactionCommitted,
                "direct_committed" => Failpoint::DirectCommitted,
                _ => return None,
            },
            signal: match signal {
                "kill" => Signal::KILL,
                "stop" => Signal::STOP,
                _ => return None,
            },
            left: AtomicU64::new(count.parse().ok()?),
        })
    }

    pub(crate) fn reach(place: Failpoint) {
        let Some(fault) = FAULT.as_ref().filter(|fault| fault.place == place) else {
            return;
        };
        // Past zero it wraps around, and is not one again.
        if fault.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let _ = kill_process(getpid(), fault.signal);
        }
    }

    static POISON: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("OUTBOX_POISON").ok());

    /// The process dies of the records whose key `OUTBOX_POISON` names.
    pub(crate) fn send(key: &str) {
        if POISON.as_deref() == Some(key) {
            std::process::abort();
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_place_an_action_and_a_count_are_asked_for() {
            let fault = parse("cursor_after=stop:3").unwrap();
            assert_eq!(
                (fault.place, fault.signal),
                (Failpoint::CursorAfter, Signal::STOP)
            );
            assert_eq!(fault.left.into_inner(), 3);
            for wrong in [
                "",
                "produced",
                "produced=kill",
                "produced=burn:1",
                "nowhere=kill:1",
                "produced=kill:x",
            ] {
                assert!(parse(wrong).is_none(), "{wrong}");
            }
        }
    }
}
