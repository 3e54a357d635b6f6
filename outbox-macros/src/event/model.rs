//! What the attributes mean: everything decided, nothing left to a default.

use syn::{Fields, Ident, LitStr, Member, Type};

use super::topic::Topic;
use super::value::Value;

/// The event: one case for a struct, one for each variant of an enum.
pub(super) struct Event<'a> {
    pub(super) cases: Vec<Case<'a>>,
}

/// A struct, or one variant of an enum.
pub(super) struct Case<'a> {
    /// The variant; none for a struct.
    pub(super) variant: Option<&'a Ident>,
    pub(super) fields: &'a Fields,
    pub(super) what: What<'a>,
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
    pub(super) aggregate: LitStr,
    pub(super) key: Value,
    pub(super) content_type: Option<LitStr>,
    pub(super) source: Option<LitStr>,
    pub(super) occurred_at: Option<Value>,
    pub(super) correlation_id: Option<Value>,
    pub(super) headers: Vec<(LitStr, HeaderValue)>,
}

pub(super) enum HeaderValue {
    Literal(String),
    Value(Value),
}
