//! Which message it is.

use std::borrow::Cow;

use uuid::Uuid;

use crate::error::{Error, ErrorKind};
use crate::event::EventContext;

/// The longest id, and the longest name of a consumer, in bytes: both are in one index.
pub(super) const LONGEST: usize = 512;

/// A message with an id, by which the inbox recognizes duplicates.
///
/// An [`InboxMessage`](crate::InboxMessage) contains its id. A text or a [`Uuid`] is an id itself, for
/// messages from other sources: the id of a webhook, of a job, of a retried request.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no id that the inbox could know it by",
    label = "this is no message",
    note = "pass an `InboxMessage`, or the message's id as text or `Uuid`; or implement `Identified`"
)]
pub trait Identified {
    /// The id: 1 to 512 bytes, without NUL. It is the same for all deliveries of a message, and different for
    /// different messages.
    fn message_id(&self) -> Cow<'_, str>;

    /// Correlation id and trace context of the handler's events; `None` keeps those of the surrounding code.
    fn event_context(&self) -> Option<EventContext> {
        None
    }
}

impl Identified for str {
    fn message_id(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl Identified for String {
    fn message_id(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl Identified for Uuid {
    fn message_id(&self) -> Cow<'_, str> {
        Cow::Owned(self.hyphenated().to_string())
    }
}

macro_rules! identified_through_pointer {
    ($($pointer:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl<M: Identified + ?Sized> Identified for $pointer {
            fn message_id(&self) -> Cow<'_, str> {
                (**self).message_id()
            }
            fn event_context(&self) -> Option<EventContext> {
                (**self).event_context()
            }
        }
    )*};
}

identified_through_pointer!(&M, Box<M>, std::sync::Arc<M>);

/// What a transaction has to know of its message, in a form without type parameters.
#[derive(Debug)]
pub struct Incoming<'m> {
    pub(crate) id: Cow<'m, str>,
    pub(crate) context: Option<EventContext>,
}

impl<'m> Incoming<'m> {
    pub(crate) fn of<M: Identified + ?Sized>(message: &'m M) -> Self {
        Self {
            id: message.message_id(),
            context: message.event_context(),
        }
    }

    /// Refuses what the inbox cannot hold.
    pub(crate) fn check(&self, consumer: &str) -> Result<(), Error> {
        check("consumer's name", consumer)?;
        check("message's id", &self.id)
    }
}

/// Refuses what the inbox cannot hold.
fn check(what: &str, text: &str) -> Result<(), Error> {
    let fault = if text.is_empty() {
        "is empty"
    } else if text.contains('\0') {
        "holds a NUL character, which PostgreSQL cannot store"
    } else if text.len() > LONGEST {
        "is longer than 512 bytes"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidText, format!("the {what} {fault}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_cannot_be_stored_is_refused() {
        for bad in ["", "a\0b", &"x".repeat(513)] {
            assert_eq!(
                check("message's id", bad).unwrap_err().kind(),
                ErrorKind::InvalidText
            );
        }
        assert!(check("message's id", &"x".repeat(512)).is_ok());
    }

    #[test]
    fn an_id_is_the_same_however_it_is_passed() {
        let id = Uuid::now_v7();
        let text = id.to_string();
        assert_eq!(id.message_id(), text.message_id());
        assert_eq!((&&text).message_id(), text.as_str().message_id());
    }
}
