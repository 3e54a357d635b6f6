//! What a field has to be to become a key, a part of a topic, a header or a time.

use std::fmt::Display;
use std::time::SystemTime;

use chrono::{DateTime, TimeZone, Utc};

/// A value that can be a Kafka key: anything `Display`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an event's key",
    label = "a key is anything that implements `Display`, and no `Option`",
    note = "name a field that is always there, or write an expression: `key = self.key_text()`"
)]
pub trait EventKey {
    #[doc(hidden)]
    fn to_key(&self) -> String;
}

#[diagnostic::do_not_recommend]
impl<T: Display + ?Sized> EventKey for T {
    fn to_key(&self) -> String {
        self.to_string()
    }
}

/// A value that can be a part of a topic: anything `Display`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a part of an event's topic",
    label = "a field in a topic is anything that implements `Display`, and no `Option`"
)]
pub trait TopicPart {
    #[doc(hidden)]
    fn as_part(&self) -> &dyn Display;
}

#[diagnostic::do_not_recommend]
impl<T: Display> TopicPart for T {
    fn as_part(&self) -> &dyn Display {
        self
    }
}

/// A value that can be a header or a correlation id: anything `Display`, or an `Option` of it. The parameter
/// only distinguishes the two.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a header or a correlation id",
    label = "this is anything that implements `Display`, or an `Option` of it"
)]
pub trait HeaderText<M> {
    #[doc(hidden)]
    fn to_text(&self) -> Option<String>;
}

#[doc(hidden)]
pub struct Always;

#[doc(hidden)]
pub struct Sometimes;

impl<T: Display + ?Sized> HeaderText<Always> for T {
    fn to_text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl<T: Display> HeaderText<Sometimes> for Option<T> {
    fn to_text(&self) -> Option<String> {
        self.as_ref().map(ToString::to_string)
    }
}

/// A value that says when an event happened: a `chrono::DateTime`, a `SystemTime`, or an `Option` of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say when an event happened",
    label = "this is a `chrono::DateTime`, a `std::time::SystemTime`, or an `Option` of one"
)]
pub trait EventTime {
    #[doc(hidden)]
    fn to_time(&self) -> Option<DateTime<Utc>>;
}

impl<Z: TimeZone> EventTime for DateTime<Z> {
    fn to_time(&self) -> Option<DateTime<Utc>> {
        Some(self.with_timezone(&Utc))
    }
}

impl EventTime for SystemTime {
    fn to_time(&self) -> Option<DateTime<Utc>> {
        Some((*self).into())
    }
}

impl<T: EventTime> EventTime for Option<T> {
    fn to_time(&self) -> Option<DateTime<Utc>> {
        self.as_ref().and_then(EventTime::to_time)
    }
}

impl<T: EventTime + ?Sized> EventTime for &T {
    fn to_time(&self) -> Option<DateTime<Utc>> {
        (**self).to_time()
    }
}
