//! What a transactional function can be called with.

use std::fmt::Debug;
use std::sync::Arc;

use super::{Handle, Open, OutboxTx};
use crate::database::OutboxDatabase;
use crate::outbox::Outbox;

/// The first argument of a [`#[transactional]`](crate::transactional) function:
///
/// - `&outbox`, an `Outbox` or an `Arc` of one: a new transaction, which the call commits or rolls back;
/// - `&mut *tx`, where `tx` is the [`OutboxTx`] of another function: the call joins that transaction, which
///   commits or rolls back.
///
/// Sealed.
#[diagnostic::on_unimplemented(
    message = "a transactional function cannot be called with `{Self}`",
    label = "pass `&outbox` for a new transaction, or `&mut *tx` to join the one that you are in",
    note = "`outbox` is an `Outbox` and `tx` an `OutboxTx` of the database `{DB}`, the one that the function names"
)]
pub trait TransactionSource<'t, DB: OutboxDatabase>: Debug + Send + Sized + sealed::Sealed {
    #[doc(hidden)]
    fn into_source(self) -> Source<'t, DB>;
}

/// A [`TransactionSource`] as a value of one type.
#[doc(hidden)]
pub struct Source<'t, DB: OutboxDatabase>(pub(super) Origin<'t, DB>);

impl<DB: OutboxDatabase> Source<'_, DB> {
    pub(crate) fn begin(outbox: Outbox<DB>) -> Self {
        Self(Origin::Begin(outbox))
    }
}

pub(super) enum Origin<'t, DB: OutboxDatabase> {
    Begin(Outbox<DB>),
    Join(&'t mut Open<DB>),
}

impl<'t, DB: OutboxDatabase> TransactionSource<'t, DB> for &'t Outbox<DB> {
    fn into_source(self) -> Source<'t, DB> {
        Source(Origin::Begin(self.clone()))
    }
}

#[diagnostic::do_not_recommend]
impl<'t, DB: OutboxDatabase> TransactionSource<'t, DB> for &'t Arc<Outbox<DB>> {
    fn into_source(self) -> Source<'t, DB> {
        Source(Origin::Begin(Outbox::clone(self)))
    }
}

impl<'t, DB: OutboxDatabase> TransactionSource<'t, DB> for &'t mut OutboxTx<'_, DB> {
    fn into_source(self) -> Source<'t, DB> {
        Source(Origin::Join(match &mut self.handle {
            Handle::Owned(open) => open,
            Handle::Joined(open) => open,
        }))
    }
}

mod sealed {
    pub trait Sealed {}
    impl<DB: super::OutboxDatabase> Sealed for &super::Outbox<DB> {}
    impl<DB: super::OutboxDatabase> Sealed for &std::sync::Arc<super::Outbox<DB>> {}
    impl<DB: super::OutboxDatabase> Sealed for &mut super::OutboxTx<'_, DB> {}
}
