//! Events: topic, key, type and payload.

mod context;
pub(crate) mod fields;
mod finite;
pub(crate) mod json;
mod payload;
pub(crate) mod topic;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use context::EventContext;
pub use payload::{BoxError, Payload};

/// An event with its topic, key, type and payload.
///
/// Most services derive this trait:
///
/// ```
/// use outbox_runtime::OutboxEvent;
///
/// #[derive(serde::Serialize, OutboxEvent)]
/// #[outbox(topic = "shop.order.placed.v1", aggregate = "order", key = order_id)]
/// struct OrderPlacedV1 {
///     order_id: u64,
///     total_cents: i64,
/// }
///
/// let event = OrderPlacedV1 { order_id: 7, total_cents: 1_250 };
/// assert_eq!(event.key(), "7");
/// assert_eq!(event.event_type(), "OrderPlacedV1");
/// assert_eq!(event.version(), 1);
/// ```
///
/// Implement it by hand for events that the derive does not support, such as a payload that is not JSON:
///
/// ```
/// use std::borrow::Cow;
/// use outbox_runtime::{BoxError, OutboxEvent, Payload};
///
/// struct Thumbnail { file: String, png: Vec<u8> }
///
/// impl OutboxEvent for Thumbnail {
///     fn event_type(&self) -> Cow<'static, str> { "ThumbnailMadeV1".into() }
///     fn topic(&self) -> Cow<'_, str> { "files.thumbnails".into() }
///     fn aggregate_type(&self) -> Cow<'static, str> { "file".into() }
///     fn key(&self) -> String { self.file.clone() }
///     fn content_type(&self) -> Cow<'static, str> { "image/png".into() }
///     fn payload(&self) -> Result<Payload, BoxError> { Ok(Payload::Binary(self.png.clone())) }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "this has no `#[derive(OutboxEvent)]`",
    note = "put `#[derive(serde::Serialize, OutboxEvent)]` and `#[outbox(topic = \"…\", aggregate = \"…\", key = …)]` on the type"
)]
pub trait OutboxEvent {
    /// The event's type, stored and sent as `ce_type`; must not be empty.
    fn event_type(&self) -> Cow<'static, str>;

    /// The Kafka topic: 1 to 249 of `[A-Za-z0-9._-]`, not `.` and not `..`.
    fn topic(&self) -> Cow<'_, str>;

    /// The type of the entity that the event is about, such as `order`; must not be empty.
    fn aggregate_type(&self) -> Cow<'static, str>;

    /// The Kafka key, usually the id of that entity. Events with the same key stay in order. Must not be empty.
    fn key(&self) -> String;

    /// The record's value.
    ///
    /// # Errors
    /// Any reason why the value cannot be serialized. Emitting the event then fails with this source.
    fn payload(&self) -> Result<Payload, BoxError>;

    /// The version of the event's type, for catalogs. Default: the trailing `V<N>` of the type, or 1.
    fn version(&self) -> u32 {
        trailing_version(&self.event_type()).unwrap_or(1)
    }

    /// The payload's media type, sent as `content-type`.
    fn content_type(&self) -> Cow<'static, str> {
        Cow::Borrowed("application/json")
    }

    /// The CloudEvents source. Default: the relay's.
    fn source(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// The time of the event, which becomes the record's timestamp. Default: the time of emitting.
    fn occurred_at(&self) -> Option<DateTime<Utc>> {
        None
    }

    /// The correlation id, sent as `ce_correlationid`. Default: that of the [`EventContext`].
    fn correlation_id(&self) -> Option<String> {
        None
    }

    /// Further Kafka headers, name and value. Names that begin with `ce_`, and `content-type`, are reserved.
    fn headers(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// The number behind the last `V` of a name that ends in `V` and digits.
fn trailing_version(event_type: &str) -> Option<u32> {
    let (name, digits) = event_type.rsplit_once('V')?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (all_digits && !name.is_empty())
        .then(|| digits.parse().ok())
        .flatten()
}

macro_rules! event_through_pointer {
    ($($pointer:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl<E: OutboxEvent + ?Sized> OutboxEvent for $pointer {
            fn event_type(&self) -> Cow<'static, str> {
                (**self).event_type()
            }
            fn topic(&self) -> Cow<'_, str> {
                (**self).topic()
            }
            fn aggregate_type(&self) -> Cow<'static, str> {
                (**self).aggregate_type()
            }
            fn key(&self) -> String {
                (**self).key()
            }
            fn payload(&self) -> Result<Payload, BoxError> {
                (**self).payload()
            }
            fn version(&self) -> u32 {
                (**self).version()
            }
            fn content_type(&self) -> Cow<'static, str> {
                (**self).content_type()
            }
            fn source(&self) -> Option<Cow<'_, str>> {
                (**self).source()
            }
            fn occurred_at(&self) -> Option<DateTime<Utc>> {
                (**self).occurred_at()
            }
            fn correlation_id(&self) -> Option<String> {
                (**self).correlation_id()
            }
            fn headers(&self) -> Vec<(String, String)> {
                (**self).headers()
            }
        }
    )*};
}

event_through_pointer!(&E, Box<E>, Rc<E>, Arc<E>);

#[cfg(test)]
mod tests {
    use super::trailing_version;

    #[test]
    fn the_version_is_behind_the_last_v() {
        assert_eq!(trailing_version("EssayContentProvisionedV1"), Some(1));
        assert_eq!(trailing_version("DVDAddedV12"), Some(12));
        assert_eq!(trailing_version("BatchEssaysRegistered"), None);
        assert_eq!(trailing_version("ValidatedV"), None);
        assert_eq!(trailing_version("V2"), None);
        assert_eq!(trailing_version("FooV1b"), None);
        assert_eq!(trailing_version("FooV99999999999"), None);
    }
}
