//! Which failures another attempt can cure, and when to make it.

use std::error::Error as StdError;
use std::ops::Deref;
use std::time::Duration;

use sqlx::error::DatabaseError;

/// An error that a retried transaction can end with, so that the database's verdict is found in it.
///
/// Every `std::error::Error` is one, and so is every type that dereferences to one, such as `anyhow::Error`,
/// `eyre::Report` and `Box<dyn std::error::Error + Send + Sync>`. The parameter only tells these two apart.
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

/// Whether the database gave up on the transaction for the sake of others.
///
/// Looks at the error and all its sources. A `#[error(transparent)]` wrapper shows neither itself nor what it
/// wraps, only the source of that; so each link is tried as sqlx's error and as the driver's.
pub(crate) fn is_transient(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(is_transient_link)
}

fn is_transient_link(error: &(dyn StdError + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<sqlx::Error>() {
        return error.as_database_error().is_some_and(is_transient_answer);
    }
    if let Some(error) = error.downcast_ref::<Box<dyn DatabaseError>>() {
        return is_transient_answer(&**error);
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = error.downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        return is_transient_answer(error);
    }
    #[cfg(feature = "sqlite")]
    if let Some(error) = error.downcast_ref::<sqlx::sqlite::SqliteError>() {
        return is_transient_answer(error);
    }
    false
}

fn is_transient_answer(error: &dyn DatabaseError) -> bool {
    let Some(code) = error.code() else { return false };
    #[cfg(feature = "sqlite")]
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        return is_sqlite_busy(&code);
    }
    matches!(&*code, "40001" | "40P01")
}

/// SQLITE_BUSY and SQLITE_LOCKED, in any of their extended forms.
#[cfg(feature = "sqlite")]
fn is_sqlite_busy(code: &str) -> bool {
    code.parse::<i32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
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

    #[cfg(feature = "sqlite")]
    #[test]
    fn busy_and_locked_in_any_form() {
        assert!(["5", "6", "261", "517", "262"].into_iter().all(is_sqlite_busy));
        assert!(!["1", "19", "2067", "x"].into_iter().any(is_sqlite_busy));
    }
}
