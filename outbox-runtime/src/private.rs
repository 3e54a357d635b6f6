//! What generated code calls. Not for people: it changes without notice.

use std::future::Future;
use std::pin::Pin;

use crate::database::OutboxDatabase;
use crate::event::fields::{EventTime, HeaderText, TopicPart};
use crate::outbox::Outbox;
use crate::received::identity::{Identified, Incoming};
use crate::received::processed::Repeatable;
use crate::transaction::{OutboxTx, TransactionSource};

pub use crate::transaction::{TransactionError, TransactionResult};

pub use std::borrow::Cow;
pub use std::boxed::Box;
pub use std::fmt::Display;
pub use std::option::Option::{self, None, Some};
pub use std::primitive::{str, u32};
pub use std::result::Result;
pub use std::string::String;

pub use std::marker::PhantomData;
pub use std::{concat, module_path};

pub use inventory;
#[cfg(feature = "schema")]
pub use schemars;
pub use serde::Serialize;
pub use serde_json::Value as JsonValue;

pub use crate::catalog::descriptor::{Declaration, DeclaredHeader};
pub use crate::catalog::registry::{FormlessEvent, Registration};
pub use crate::{__again as again, __noted_schema as noted_schema, __variant_schema as variant_schema};

pub use crate::event::fields::EventKey;
pub use crate::event::{BoxError, Payload};
pub use crate::transaction::{Attempts, Begun, Body, Judged, Running, Source, seen};

/// When an event happened.
pub type Time = chrono::DateTime<chrono::Utc>;
/// The headers of an event.
pub type Headers = Vec<(String, String)>;

/// JSON Schemas of payloads.
pub mod json_schema {
    pub use crate::catalog::json_schema::of;
    #[cfg(feature = "schema")]
    pub use crate::catalog::json_schema::{of_variant, with_notes};
}

/// An event for the catalog.
pub const fn event(declaration: Declaration) -> Registration {
    Registration::Event(crate::catalog::EventDescriptor::new(declaration))
}

/// Selects types that are events.
pub const fn event_id<E: crate::event::OutboxEvent + 'static>() -> std::any::TypeId {
    std::any::TypeId::of::<E>()
}

/// The events of these crates on one line of JSON, as `outbox catalog` reads it: `{"document": …, "others": {…}}`, where
/// `others` counts the events of each other crate in the program, or `{"faults": […]}`.
pub fn catalog_report(package: &str, crates: &[&str]) -> String {
    let catalog = crate::catalog::Catalog::global();
    let report = match catalog.of_crates(crates).document_of(package, crates) {
        Ok(document) => serde_json::json!({ "document": document, "others": catalog.others(crates) }),
        Err(error) => serde_json::json!({ "faults": error.faults().collect::<Vec<_>>() }),
    };
    report.to_string()
}

/// A key from a field.
pub fn key<T: EventKey + ?Sized>(value: &T) -> String {
    value.to_key()
}

/// A topic from its parts.
pub fn topic(parts: &[&dyn Display]) -> Cow<'static, str> {
    Cow::Owned(parts.iter().map(ToString::to_string).collect())
}

/// A topic that is a constant, checked when the program is compiled.
pub const fn constant_topic(topic: &'static str) -> &'static str {
    crate::event::topic::check_constant(topic);
    topic
}

/// A part of a topic from a field.
pub fn topic_part<T: TopicPart>(value: &T) -> &dyn Display {
    value.as_part()
}

/// A correlation id, or a header, from a field.
pub fn text<T: HeaderText<M> + ?Sized, M>(value: &T) -> Option<String> {
    value.to_text()
}

/// A header from a literal.
pub fn literal(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// The headers that have a value.
pub fn headers<const N: usize>(pairs: [(&str, Option<String>); N]) -> Headers {
    pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// A time from a field.
pub fn time<T: EventTime + ?Sized>(value: &T) -> Option<Time> {
    value.to_time()
}

/// The database of a transaction's type, also behind an alias.
#[diagnostic::on_unimplemented(
    message = "the first argument of a transactional function is the transaction, not `&mut {Self}`",
    label = "write `&mut OutboxTx<'_, Postgres>` (or `Sqlite`) here"
)]
pub trait TransactionType {
    /// The database.
    type Database: OutboxDatabase;
}

impl<DB: OutboxDatabase> TransactionType for OutboxTx<'_, DB> {
    type Database = DB;
}

/// What a caller passed, as a value of one type.
pub fn source<'t, DB: OutboxDatabase>(given: impl TransactionSource<'t, DB>) -> Source<'t, DB> {
    given.into_source()
}

/// What `outbox = …` can be.
#[diagnostic::on_unimplemented(
    message = "`outbox = …` is an `Outbox<{DB}>` here, and not `{Self}`",
    label = "this is no `Outbox<{DB}>`",
    note = "an `Outbox`, a reference to one, and a `Box` or `Arc` of one will do"
)]
pub trait HasOutbox<DB: OutboxDatabase> {
    /// The outbox itself.
    fn outbox(&self) -> &Outbox<DB>;
}

impl<DB: OutboxDatabase> HasOutbox<DB> for Outbox<DB> {
    fn outbox(&self) -> &Outbox<DB> {
        self
    }
}

macro_rules! has_outbox {
    ($($pointer:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl<DB: OutboxDatabase, T: HasOutbox<DB> + ?Sized> HasOutbox<DB> for $pointer {
            fn outbox(&self) -> &Outbox<DB> {
                (**self).outbox()
            }
        }
    )*};
}

has_outbox!(&T, Box<T>, std::sync::Arc<T>);

/// A new transaction on the outbox that the function names.
pub fn begin_on<'t, DB: OutboxDatabase, O: HasOutbox<DB> + ?Sized>(outbox: &O) -> Source<'t, DB> {
    Source::begin(outbox.outbox().clone())
}

/// A body, to be put on the heap.
///
/// Where it is known to be `Send`, as what all such bodies are: then a caller's future does not hold the types
/// of all that it calls, which the compiler follows only so far. Otherwise as what it is. That choice is made
/// by the resolution of methods, which prefers the inherent one where its bounds hold.
pub struct Unboxed<F>(pub F);

impl<'f, F: Future + Send + 'f> Unboxed<F> {
    /// As any body.
    pub fn boxed(self) -> Pin<Box<dyn Future<Output = F::Output> + Send + 'f>> {
        Box::pin(self.0)
    }
}

/// A body that may not be `Send`.
pub trait BoxedAsItIs: Sized {
    /// The body.
    type Body;
    /// As this body.
    fn boxed(self) -> Pin<Box<Self::Body>>;
}

impl<F: Future> BoxedAsItIs for Unboxed<F> {
    type Body = F;
    fn boxed(self) -> Pin<Box<F>> {
        Box::pin(self.0)
    }
}

/// What the body returned, in a form that asks nothing of its type any more. `outcome` is none if there was no
/// transaction to run in.
pub fn judge<R: TransactionResult>(outcome: Option<R>) -> Judged<R> {
    Judged::new(outcome)
}

/// What `inbox = …` names.
pub fn incoming<M: Identified + ?Sized>(message: &M) -> Incoming<'_> {
    Incoming::of(message)
}

/// As [`judge`], for a function that processes a message.
pub fn judge_message<T: Repeatable, E: TransactionError>(
    outcome: Option<Result<T, E>>,
) -> Judged<Result<T, E>> {
    Judged::of_message(outcome)
}

/// The pause before another attempt, if there is to be one after this result.
#[doc(hidden)]
#[macro_export]
macro_rules! __again {
    ($attempts:expr, $result:expr) => {
        match $result {
            $crate::__private::Result::Ok(_) => $crate::__private::None,
            $crate::__private::Result::Err(error) => {
                #[allow(unused_imports)]
                use $crate::__private::seen::{ByDebug as _, ByError as _, Failed, Unseen as _};
                let seen = (&&&Failed(error)).seen();
                let pause = $attempts.again(&seen);
                pause
            }
        }
    };
}

/// An argument that each attempt needs a copy of.
#[diagnostic::on_unimplemented(
    message = "with `retry`, an argument has to be `Clone`, and `{Self}` is not",
    label = "each attempt needs its own copy of this",
    note = "derive `Clone` for it, pass it by `&`, or leave out `retry`"
)]
pub trait AttemptArgument: Clone {}

#[diagnostic::do_not_recommend]
impl<T: Clone> AttemptArgument for T {}

/// A copy for one attempt.
pub fn clone_for_attempt<T: AttemptArgument>(argument: &T) -> T {
    argument.clone()
}

/// Stands where no code comes.
pub fn never<T>() -> T {
    loop {
        std::hint::spin_loop();
    }
}
