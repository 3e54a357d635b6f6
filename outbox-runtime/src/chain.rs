//! Errors as people read them.

use std::error::Error;
use std::fmt;

use sqlx::error::DatabaseError;

/// Displays an error and its causes on one line, without repetitions: `could not begin a transaction:
/// deadlock detected (40P01)`.
///
/// sqlx's errors repeat their source's text in their own, and their text of a PostgreSQL error ends with a line
/// number of the server's source code; here they are the server's message and its SQLSTATE.
///
/// ```
/// use outbox_runtime::ErrorChain;
///
/// let error = outbox_runtime::schema::SchemaError::from(sqlx::Error::PoolTimedOut);
/// let text = ErrorChain::new(&error).to_string();
/// assert!(text.ends_with(": pool timed out while waiting for an open connection"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ErrorChain<'a> {
    error: &'a (dyn Error + 'static),
}

impl<'a> ErrorChain<'a> {
    /// The error and its sources.
    pub fn new(error: &'a (dyn Error + 'static)) -> Self {
        Self { error }
    }

    /// The message of the error, followed by each cause that adds information.
    pub fn links(self) -> impl Iterator<Item = String> {
        let mut next = Some(self.error);
        let mut said = String::new();
        std::iter::from_fn(move || {
            loop {
                let error = next?;
                next = error.source();
                let text = text_of(error);
                // Some errors repeat their source's text in their own.
                if said.is_empty() || !(text.is_empty() || said.contains(&text)) {
                    said.push_str(&text);
                    // The text of the enclosing error may contain the driver's error.
                    said.push_str(&error.to_string());
                    return Some(text);
                }
            }
        })
    }
}

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, link) in self.links().enumerate() {
            if position > 0 {
                formatter.write_str(": ")?;
            }
            formatter.write_str(&link)?;
        }
        Ok(())
    }
}

fn text_of(error: &(dyn Error + 'static)) -> String {
    if let Some(answer) = error
        .downcast_ref::<sqlx::Error>()
        .and_then(sqlx::Error::as_database_error)
    {
        return text_of_database_error(answer);
    }
    if let Some(answer) = error.downcast_ref::<Box<dyn DatabaseError>>() {
        return text_of_database_error(&**answer);
    }
    #[cfg(feature = "postgres")]
    if let Some(answer) = error.downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        return text_of_database_error(answer);
    }
    error.to_string()
}

fn text_of_database_error(answer: &dyn DatabaseError) -> String {
    match answer.code() {
        // SQLite's code is a number, which its error's text begins with.
        Some(code) if code.len() == 5 => format!("{} ({code})", answer.message()),
        _ => answer.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{StoreError, StoreErrorKind};

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("middle: {0}")]
    struct Middle(#[source] std::io::Error);

    #[test]
    fn each_cause_is_printed_once() {
        let error = Outer(Middle(std::io::Error::other("gone")));
        assert_eq!(ErrorChain::new(&error).to_string(), "outer: middle: gone");
        let error = StoreError::new(StoreErrorKind::Unavailable, "reading a page")
            .with_source(sqlx::Error::Io(std::io::Error::other("gone")));
        assert_eq!(
            ErrorChain::new(&error).to_string(),
            "the database failed while reading a page: error communicating with database: gone"
        );
    }
}
