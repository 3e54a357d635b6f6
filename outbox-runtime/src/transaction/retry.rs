//! Which failures another attempt can cure, and when to make it.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::error::DatabaseError;

/// An error type of a retried transaction, in which the database's error can be found.
///
/// Every `std::error::Error` is one, and so is every type that dereferences to one, such as `anyhow::Error`,
/// `eyre::Report` and `Box<dyn std::error::Error + Send + Sync>`. The parameter only distinguishes the two.
/// [`#[transactional(retry = …)]`](crate::transactional) takes other errors too, and sees of them what their `Debug`
/// says.
#[diagnostic::on_unimplemented(
    message = "`retry` cannot look for a database error in `{Self}`",
    label = "this is neither a `std::error::Error` nor does it dereference to one",
    note = "derive `thiserror::Error` for `{Self}`, or use `anyhow::Error` or `Box<dyn std::error::Error + Send + Sync>`"
)]
pub trait RetryableError<M> {
    #[doc(hidden)]
    fn as_error(&self) -> &(dyn StdError + 'static);
}

/// An error by its own right.
#[doc(hidden)]
pub struct ByError;

/// An error behind a pointer.
#[doc(hidden)]
pub struct ByDeref;

impl<E: StdError + 'static> RetryableError<ByError> for E {
    fn as_error(&self) -> &(dyn StdError + 'static) {
        self
    }
}

impl<E> RetryableError<ByDeref> for E
where
    E: Deref,
    E::Target: AnyError,
{
    fn as_error(&self) -> &(dyn StdError + 'static) {
        (**self).as_any_error()
    }
}

/// The error types without a size.
#[doc(hidden)]
pub trait AnyError {
    fn as_any_error(&self) -> &(dyn StdError + 'static);
}

macro_rules! any_error {
    ($($error:ty),*) => {$(
        impl AnyError for $error {
            fn as_any_error(&self) -> &(dyn StdError + 'static) {
                self
            }
        }
    )*};
}

any_error!(
    dyn StdError + 'static,
    dyn StdError + Send + 'static,
    dyn StdError + Send + Sync + 'static
);

/// What can be asked of a failed function's error.
#[doc(hidden)]
pub struct Seen<'a> {
    error: Option<&'a (dyn StdError + 'static)>,
    debug: Option<&'a dyn fmt::Debug>,
    type_name: &'static str,
}

impl<'a> Seen<'a> {
    /// An error with its sources.
    pub(crate) fn error<E: RetryableError<M>, M>(error: &'a E) -> Self {
        Self {
            error: Some(error.as_error()),
            debug: None,
            type_name: std::any::type_name::<E>(),
        }
    }

    fn words(&self) -> String {
        match (self.error, self.debug) {
            (Some(error), _) => {
                let links: Vec<_> = links(error).map(ToString::to_string).collect();
                format!("{error:?} {}", links.join(" "))
            }
            (None, Some(debug)) => format!("{debug:?}"),
            (None, None) => String::new(),
        }
    }
}

/// How generated code looks at an error whose type it does not know. A method call takes the first of these traits
/// that the type allows, by the number of references: an error, something with `Debug`, or anything at all.
#[doc(hidden)]
pub mod seen {
    use super::{RetryableError, Seen, fmt};

    /// The error of a transactional function.
    pub struct Failed<'a, E>(pub &'a E);

    /// It is an error, or points to one.
    pub trait ByError<'a, M> {
        fn seen(&self) -> Seen<'a>;
    }

    impl<'a, E: RetryableError<M>, M> ByError<'a, M> for &&Failed<'a, E> {
        fn seen(&self) -> Seen<'a> {
            Seen::error(self.0)
        }
    }

    /// It can be written, and no more.
    pub trait ByDebug<'a> {
        fn seen(&self) -> Seen<'a>;
    }

    impl<'a, E: fmt::Debug> ByDebug<'a> for &Failed<'a, E> {
        fn seen(&self) -> Seen<'a> {
            Seen {
                error: None,
                debug: Some(self.0),
                type_name: std::any::type_name::<E>(),
            }
        }
    }

    /// Nothing is known of it.
    pub trait Unseen<'a> {
        fn seen(&self) -> Seen<'a>;
    }

    impl<'a, E> Unseen<'a> for Failed<'a, E> {
        fn seen(&self) -> Seen<'a> {
            Seen {
                error: None,
                debug: None,
                type_name: std::any::type_name::<E>(),
            }
        }
    }
}

/// What a failure says about the database's verdict on its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It gave up on the transaction for the sake of others.
    Transient,
    /// It said something else.
    Other,
    /// The error does not say.
    Unclear,
}

/// Whether another attempt can cure a failure. `aborted`: the database had aborted the transaction.
///
/// An error that hides why a statement failed is judged by its words, as far as sqlx's own are in them. Where these
/// are missing too, and a statement did fail, the transaction is tried again: one attempt in vain is better than none
/// that was asked for.
pub(crate) fn is_cured_by_another(failure: &Seen<'_>, aborted: bool) -> bool {
    let verdict = match failure.error.map_or(Verdict::Unclear, verdict_of_chain) {
        Verdict::Unclear => verdict_of_words(&failure.words()),
        verdict => verdict,
    };
    if verdict == Verdict::Unclear && aborted {
        warn_of_hidden_cause(failure.type_name);
    }
    verdict == Verdict::Transient || (verdict == Verdict::Unclear && aborted)
}

/// Once for each type of error in a process.
fn warn_of_hidden_cause(error_type: &'static str) {
    static LOGGED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    if LOGGED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(error_type)
    {
        tracing::warn!(
            error_type,
            "a transactional function failed after PostgreSQL had aborted its transaction, and its error does not say \
             why: `retry` tries it again, whatever the cause. Keep the database's error as the source, with `#[from]` \
             or `#[source]`; then only serialization failures and deadlocks are tried again"
        );
    }
}

/// Whether the database gave up on the transaction for the sake of others, as far as the error's sources show.
pub(crate) fn is_transient(error: &(dyn StdError + 'static)) -> bool {
    verdict_of_chain(error) == Verdict::Transient
}

fn links<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Looks at the error and all its sources. A `#[error(transparent)]` wrapper shows neither itself nor what it
/// wraps, only the source of that; so each link is tried as sqlx's error and as the driver's.
fn verdict_of_chain(error: &(dyn StdError + 'static)) -> Verdict {
    let mut whole = Verdict::Unclear;
    for link in links(error) {
        match verdict_of_link(link) {
            Verdict::Transient => return Verdict::Transient,
            Verdict::Other => whole = Verdict::Other,
            Verdict::Unclear => {}
        }
    }
    whole
}

fn verdict_of_link(error: &(dyn StdError + 'static)) -> Verdict {
    if let Some(error) = error.downcast_ref::<sqlx::Error>() {
        return error
            .as_database_error()
            .map_or(Verdict::Other, verdict_of_answer);
    }
    if let Some(error) = error.downcast_ref::<Box<dyn DatabaseError>>() {
        return verdict_of_answer(&**error);
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = error.downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        return verdict_of_answer(error);
    }
    #[cfg(feature = "sqlite")]
    if let Some(error) = error.downcast_ref::<sqlx::sqlite::SqliteError>() {
        return verdict_of_answer(error);
    }
    Verdict::Unclear
}

fn verdict_of_answer(error: &dyn DatabaseError) -> Verdict {
    let Some(code) = error.code() else {
        return Verdict::Other;
    };
    #[cfg(feature = "sqlite")]
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        return verdict_of_sqlite(&code);
    }
    verdict_of_sqlstate(&code)
}

fn verdict_of_sqlstate(code: &str) -> Verdict {
    match code {
        "40001" | "40P01" => Verdict::Transient,
        // An earlier statement had failed, and this does not say how.
        "25P02" => Verdict::Unclear,
        _ => Verdict::Other,
    }
}

/// SQLITE_BUSY and SQLITE_LOCKED, in any of their extended forms.
fn verdict_of_sqlite(code: &str) -> Verdict {
    match code.parse::<i32>() {
        Ok(code) if matches!(code & 0xff, 5 | 6) => Verdict::Transient,
        _ => Verdict::Other,
    }
}

/// What sqlx's errors write of themselves, in an error's text: `{:?}` of a `PgDatabaseError` and of a `SqliteError`,
/// `{}` of a `SqliteError`, and PostgreSQL's messages in English.
fn verdict_of_words(words: &str) -> Verdict {
    let between = |before: &str, after: char| {
        let (_, rest) = words.split_once(before)?;
        rest.split_once(after).map(|(found, _)| found)
    };
    if let Some(code) = between("PgDatabaseError {", '}').and_then(|fields| fields.split_once("code: \"")) {
        return verdict_of_sqlstate(code.1.get(..5).unwrap_or_default());
    }
    let code = between("SqliteError { code: ", ',').or_else(|| between("(code: ", ')'));
    if let Some(code) = code.filter(|code| code.parse::<i32>().is_ok()) {
        return verdict_of_sqlite(code);
    }
    let gave_up = ["could not serialize access", "deadlock detected"];
    match gave_up.iter().any(|message| words.contains(message)) {
        true => Verdict::Transient,
        false => Verdict::Unclear,
    }
}

/// The pause before the attempt after number `made`; `random` is in 0..1.
pub(crate) fn pause(made: u32, random: f64) -> Duration {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(1);
    let longest = FIRST
        .saturating_mul(1 << made.saturating_sub(1).min(16))
        .min(LONGEST);
    // Half of it at least: two that collided should not both come back at once.
    longest.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second() {
        assert_eq!(pause(1, 1.0), Duration::from_millis(10));
        assert_eq!(pause(1, 0.0), Duration::from_millis(5));
        assert_eq!(pause(3, 1.0), Duration::from_millis(40));
        assert_eq!(pause(1_000, 1.0), Duration::from_secs(1));
    }

    #[test]
    fn errors_are_seen_through_pointers() {
        fn seen<M>(error: impl RetryableError<M>) -> String {
            error.as_error().to_string()
        }
        assert_eq!(seen(std::fmt::Error), std::fmt::Error.to_string());
        assert_eq!(seen(Box::<dyn StdError + Send + Sync>::from("boxed")), "boxed");
        assert_eq!(seen(Box::<dyn StdError>::from("boxed")), "boxed");
        assert!(!is_transient(&sqlx::Error::PoolTimedOut));
    }

    #[test]
    fn busy_and_locked_in_any_form() {
        for code in ["5", "6", "261", "517", "262"] {
            assert_eq!(verdict_of_sqlite(code), Verdict::Transient, "{code}");
        }
        for code in ["1", "19", "2067", "x"] {
            assert_eq!(verdict_of_sqlite(code), Verdict::Other, "{code}");
        }
    }

    #[test]
    fn the_words_of_sqlx_are_understood() {
        let pg = |code: &str| {
            format!("Db(Database(PgDatabaseError {{ severity: Error, code: \"{code}\", message: \"m\" }}))")
        };
        for (words, verdict) in [
            (pg("40001").as_str(), Verdict::Transient),
            (&pg("40P01"), Verdict::Transient),
            (&pg("23505"), Verdict::Other),
            (&pg("25P02"), Verdict::Unclear),
            (
                "Db(Database(SqliteError { code: 517, message: \"m\" }))",
                Verdict::Transient,
            ),
            (
                "Db(Database(SqliteError { code: 19, message: \"m\" }))",
                Verdict::Other,
            ),
            (
                "db: error returned from database: (code: 5) database is locked",
                Verdict::Transient,
            ),
            ("db: (code: 2067) UNIQUE constraint failed: a.b", Verdict::Other),
            (
                "AppError(could not serialize access due to concurrent update at line 1)",
                Verdict::Transient,
            ),
            ("request refused (code: E7)", Verdict::Unclear),
            ("OutOfStock { code: \"40001\" }", Verdict::Unclear),
            ("", Verdict::Unclear),
        ] {
            assert_eq!(verdict_of_words(words), verdict, "{words}");
        }
    }

    #[test]
    fn an_error_is_seen_as_far_as_its_type_allows() {
        use seen::{ByDebug as _, ByError as _, Failed, Unseen as _};
        #[derive(Debug)]
        struct Written(#[expect(dead_code, reason = "it is written")] &'static str);
        struct Hidden;
        let error = std::io::Error::other("an error");
        let boxed = Box::<dyn StdError + Send + Sync>::from("boxed");
        assert!((&&&Failed(&error)).seen().words().contains("an error"));
        assert!((&&&Failed(&boxed)).seen().words().contains("boxed"));
        let written = Written("deadlock detected");
        let seen = (&&Failed(&written)).seen();
        assert!(seen.error.is_none() && is_cured_by_another(&seen, false));
        let seen = Failed(&Hidden).seen();
        assert!(!is_cured_by_another(&seen, false) && is_cured_by_another(&seen, true));
    }
}
