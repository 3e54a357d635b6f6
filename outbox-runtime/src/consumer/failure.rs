//! What a failed handler means for its message: wait, try again, or give up.

use std::error::Error as StdError;
use std::fmt;
use std::io::ErrorKind as Io;

use sqlx::error::DatabaseError;

use crate::ErrorChain;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::event::BoxError;
use crate::inbox::DeadLetterReason;
use crate::transaction::retry;

/// The error of a handler that can never process its message. The message is dead-lettered at once.
///
/// ```
/// use outbox_runtime::consumer::Poison;
///
/// fn check(words: usize) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     if words == 0 {
///         return Err(Poison::new("the essay is empty").into());
///     }
///     Ok(())
/// }
/// # assert!(check(0).is_err());
/// ```
///
/// It is also detected inside of the service's own error, as a source or behind `#[error(transparent)]`.
#[derive(Debug)]
pub struct Poison(Cause);

/// The error of a handler whose dependency is unavailable. The message is retried until the dependency is
/// available again, and is not dead-lettered.
///
/// An unavailable database or connection is detected without it. Use it for dependencies that answer but
/// cannot serve the request, such as a service with status 503.
#[derive(Debug)]
pub struct Unavailable(Cause);

/// What was said. `#[error(transparent)]` hides the outer error and shows its source, so that is what is looked
/// for, too.
#[derive(Debug)]
struct Cause {
    poison: bool,
    error: BoxError,
}

impl Poison {
    /// Creates the error with a reason, which is stored with the dead letter.
    pub fn new(reason: impl Into<BoxError>) -> Self {
        Self(Cause {
            poison: true,
            error: reason.into(),
        })
    }
}

impl Unavailable {
    /// Creates the error with a reason, which is logged.
    pub fn new(reason: impl Into<BoxError>) -> Self {
        Self(Cause {
            poison: false,
            error: reason.into(),
        })
    }
}

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the message can never be processed")
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a dependency of the handler is unavailable")
    }
}

impl StdError for Poison {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

impl StdError for Unavailable {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

/// A failed attempt at a message.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) verdict: Verdict,
    pub(super) text: String,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Wait. It says nothing about the message, so it counts as no attempt.
    Outage,
    /// Try again, some times.
    Failed,
    /// Give up now.
    Hopeless(DeadLetterReason),
}

impl Verdict {
    /// A word for spans.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::Failed => "failed",
            Self::Hopeless(reason) => reason.as_str(),
        }
    }
}

impl Failure {
    /// What an error of a handler means.
    pub(super) fn of(error: &(dyn StdError + 'static)) -> Self {
        Self {
            verdict: verdict(error),
            text: ErrorChain::new(error).to_string(),
        }
    }

    pub(super) fn undecodable(error: &(dyn StdError + 'static)) -> Self {
        Self {
            verdict: Verdict::Hopeless(DeadLetterReason::Undecodable),
            text: ErrorChain::new(error).to_string(),
        }
    }

    pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> Self {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Self {
            verdict: Verdict::Failed,
            text: format!("the handler panicked: {}", said.unwrap_or("without a word")),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn verdict(error: &(dyn StdError + 'static)) -> Verdict {
    for link in chain(error) {
        if let Some(cause) = link.downcast_ref::<Cause>() {
            return match cause.poison {
                true => Verdict::Hopeless(DeadLetterReason::Refused),
                false => Verdict::Outage,
            };
        }
    }
    match retry::is_transient(error) || chain(error).any(is_outage) || says_away(error) {
        true => Verdict::Outage,
        false => Verdict::Failed,
    }
}

/// `#[error(transparent)]` around an error without a source leaves nothing to look at but its words.
fn says_away(error: &(dyn StdError + 'static)) -> bool {
    let said = error.to_string();
    [
        sqlx::Error::PoolTimedOut,
        sqlx::Error::PoolClosed,
        sqlx::Error::WorkerCrashed,
    ]
    .iter()
    .any(|away| away.to_string() == said)
}

/// Whether this says something about servers, and nothing about the message. What is not known says something
/// about the message: it is tried some times and then kept, where a wait would hold up all that is behind it.
fn is_outage(link: &(dyn StdError + 'static)) -> bool {
    if let Some(error) = link.downcast_ref::<sqlx::Error>() {
        return is_outage_of_sqlx(error);
    }
    if let Some(error) = link.downcast_ref::<Box<dyn DatabaseError>>() {
        return is_outage_answer(&**error);
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = link.downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        return is_outage_answer(error);
    }
    #[cfg(feature = "sqlite")]
    if let Some(error) = link.downcast_ref::<sqlx::sqlite::SqliteError>() {
        return is_outage_answer(error);
    }
    if let Some(error) = link.downcast_ref::<Error>() {
        // At the next attempt, the inbox shows whether it was committed.
        return matches!(error.kind(), ErrorKind::CommitOutcomeUnknown { .. });
    }
    link.downcast_ref::<std::io::Error>()
        .is_some_and(|error| is_network(error.kind()))
}

fn is_outage_of_sqlx(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(answer) => is_outage_answer(&**answer),
        _ => false,
    }
}

fn is_outage_answer(answer: &dyn DatabaseError) -> bool {
    let Some(code) = answer.code() else { return false };
    #[cfg(feature = "sqlite")]
    if answer.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        // READONLY, BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN, PROTOCOL
        const OUTAGES: [i32; 8] = [8, 5, 6, 7, 10, 13, 14, 15];
        return code
            .parse::<i32>()
            .is_ok_and(|code| OUTAGES.contains(&(code & 0xff)));
    }
    is_outage_state(&code)
}

/// Of PostgreSQL's states: connections, resources, operators, system errors; a standby; a lock that is not to be
/// had; and a database that is not as the service expects it (rights, tables, columns), where every message would
/// fail alike.
fn is_outage_state(state: &str) -> bool {
    const CLASSES: [&str; 6] = ["08", "53", "57P", "58", "28", "3D"];
    const STATES: [&str; 7] = ["25006", "55P03", "42501", "42P01", "42703", "42883", "3F000"];
    CLASSES.iter().any(|class| state.starts_with(class)) || STATES.contains(&state)
}

fn is_network(kind: Io) -> bool {
    matches!(
        kind,
        Io::ConnectionRefused
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::NotConnected
            | Io::BrokenPipe
            | Io::TimedOut
            | Io::HostUnreachable
            | Io::NetworkUnreachable
            | Io::NetworkDown
            | Io::UnexpectedEof
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Service {
        #[error(transparent)]
        Poison(#[from] Poison),
        #[error("wrapped")]
        Wrapped(#[from] Unavailable),
        #[error(transparent)]
        Database(#[from] sqlx::Error),
    }

    #[test]
    fn a_handlers_word_is_found_wherever_it_is() {
        let hopeless = Verdict::Hopeless(DeadLetterReason::Refused);
        assert_eq!(verdict(&Poison::new("x")), hopeless);
        assert_eq!(verdict(&Service::from(Poison::new("x"))), hopeless);
        assert_eq!(verdict(&Service::from(Unavailable::new("x"))), Verdict::Outage);
    }

    #[test]
    fn servers_that_are_away_say_nothing_about_a_message() {
        let refused = || std::io::Error::from(Io::ConnectionRefused);
        assert_eq!(verdict(&refused()), Verdict::Outage);
        assert_eq!(verdict(&sqlx::Error::Io(refused())), Verdict::Outage);
        assert_eq!(
            verdict(&Service::from(sqlx::Error::PoolTimedOut)),
            Verdict::Outage
        );
        let ours = Error::database("commit", sqlx::Error::PoolTimedOut);
        assert_eq!(verdict(&ours), Verdict::Outage);
        let unknown = Error::new(ErrorKind::CommitOutcomeUnknown { xid: None }, "x");
        assert_eq!(verdict(&unknown), Verdict::Outage);
        for state in ["08006", "57P01", "53300", "25006", "42P01"] {
            assert!(is_outage_state(state), "{state}");
        }
    }

    #[test]
    fn everything_else_is_tried_some_times() {
        assert_eq!(verdict(&sqlx::Error::RowNotFound), Verdict::Failed);
        assert_eq!(verdict(&std::fmt::Error), Verdict::Failed);
        assert_eq!(verdict(&std::io::Error::from(Io::NotFound)), Verdict::Failed);
        for state in ["23505", "22P02", "57014", "P0001"] {
            assert!(!is_outage_state(state), "{state}");
        }
    }

    #[test]
    fn an_error_is_reported_with_its_sources_and_without_repetitions() {
        let text = Failure::of(&Service::from(Poison::new("the essay is empty"))).text;
        assert_eq!(text, "the message can never be processed: the essay is empty");
    }
}
