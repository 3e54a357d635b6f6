//! What the attributes mean: everything decided, nothing left to a default.

use proc_macro2::Span;
use syn::{Attribute, Fields, Ident, LitStr, Member, Type};

use super::topic::{Part, Topic};
use super::value::Value;

/// The event: one case for a struct, one for each variant of an enum.
pub(super) struct Event<'a> {
    pub(super) cases: Vec<Case<'a>>,
    pub(super) forms: Forms,
}

/// The types that the item is the event of.
pub(super) enum Forms {
    /// The item itself: it has no type parameters.
    Item,
    /// Any, of a generic item that names none.
    Any,
    /// These, all called as the item says.
    Alike(Vec<Type>),
    /// These, each an event type of its own.
    Named(Vec<NamedForm>),
}

/// A form of a generic struct with a name of its own.
pub(super) struct NamedForm {
    pub(super) event_type: String,
    pub(super) version: u32,
    pub(super) ty: Type,
}

/// A struct, or one variant of an enum.
pub(super) struct Case<'a> {
    /// The variant; none for a struct.
    pub(super) variant: Option<&'a Ident>,
    /// The name of the struct or the variant.
    pub(super) name: &'a Ident,
    pub(super) attributes: &'a [Attribute],
    pub(super) fields: &'a Fields,
    pub(super) what: What<'a>,
}

impl Case<'_> {
    /// The case with its route, if it has one of its own.
    pub(super) fn routed(&self) -> Option<(&Self, &Route)> {
        match &self.what {
            What::Routed(route) => Some((self, route)),
            What::Transparent { .. } => None,
        }
    }
}

pub(super) enum What<'a> {
    /// An event with a route of its own.
    Routed(Box<Route>),
    /// A variant that is the event it holds.
    Transparent { member: Member, ty: &'a Type },
}

/// All that an event says about itself.
pub(super) struct Route {
    pub(super) event_type: String,
    pub(super) version: u32,
    pub(super) topic: Topic,
    /// The topic as in the source; none for a constant.
    pub(super) template: Option<String>,
    pub(super) aggregate: LitStr,
    pub(super) key: Value,
    pub(super) content_type: Option<LitStr>,
    pub(super) source: Option<LitStr>,
    pub(super) occurred_at: Option<Value>,
    pub(super) correlation_id: Option<Value>,
    pub(super) headers: Vec<(LitStr, HeaderValue)>,
    /// Where a JSON Schema is asked for.
    pub(super) schema: Option<Span>,
}

impl Route {
    /// The values that become text beside the key: parts of the topic, headers, the correlation id.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Value> {
        let topic = self.topic.iter().filter_map(|part| match part {
            Part::Value(value) => Some(&**value),
            Part::Literal(_) | Part::Constant(_) => None,
        });
        let headers = self.headers.iter().filter_map(|(_, value)| match value {
            HeaderValue::Value(value) => Some(value),
            HeaderValue::Literal(_) => None,
        });
        topic.chain(headers).chain(&self.correlation_id)
    }
}

pub(super) enum HeaderValue {
    Literal(String),
    Value(Value),
}
