//! Results of transactional functions.

use crate::error::Error;

/// The error of a transactional function. It must be able to hold this library's error.
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot hold an `outbox_runtime::Error`",
    label = "`{Self}` has no `From<outbox_runtime::Error>`",
    note = "beginning and committing can fail too; with thiserror add a variant: `#[error(transparent)] Outbox(#[from] outbox_runtime::Error)`"
)]
pub trait TransactionError: From<Error> {}

#[diagnostic::do_not_recommend]
impl<E: From<Error>> TransactionError for E {}

/// The return type of a transactional function.
#[diagnostic::on_unimplemented(
    message = "a transactional function returns a `Result`, not `{Self}`",
    label = "`Ok` commits and `Err` rolls back: write `Result<{Self}, Error>`"
)]
pub trait TransactionResult {
    /// Whether to commit.
    fn commits(&self) -> bool;
    /// The failure of the transaction itself.
    fn from_error(error: Error) -> Self;
}

impl<T, E: TransactionError> TransactionResult for Result<T, E> {
    fn commits(&self) -> bool {
        self.is_ok()
    }
    fn from_error(error: Error) -> Self {
        Err(error.into())
    }
}
