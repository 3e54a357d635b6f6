//! What became of a message.

/// Result of processing a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Processed<T> {
    /// The message was new: the handler ran and returned this value.
    Now(T),
    /// The message had been processed before: the handler did not run.
    Before,
}

impl<T> Processed<T> {
    /// Whether the message had been processed before.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Before)
    }

    /// The handler's result, if it ran.
    pub fn now(self) -> Option<T> {
        match self {
            Self::Now(value) => Some(value),
            Self::Before => None,
        }
    }
}

/// The type in the `Ok` of a function with `#[transactional(inbox = …)]`. The function must be able to return
/// it without running its body, if the message was processed before.
///
/// `()` means that the message is processed, now or before; [`Processed<T>`] distinguishes the two.
#[diagnostic::on_unimplemented(
    message = "with `inbox`, a function cannot return `{Self}`: there would be none for a message that comes again",
    label = "write `Result<(), …>`, or `Result<Processed<{Self}>, …>` and return `Ok(Processed::Now(value))`"
)]
pub trait Repeatable {
    #[doc(hidden)]
    fn repeated() -> Self;
}

impl Repeatable for () {
    fn repeated() -> Self {}
}

impl<T> Repeatable for Processed<T> {
    fn repeated() -> Self {
        Self::Before
    }
}
