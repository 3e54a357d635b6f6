//! What one event says about itself, as the derive compiled it in.

use std::any::TypeId;
use std::fmt;

use super::document::{EventDescription, FieldSource, HeaderDescription, SourceLocation};

/// One event of the program: type, version, route, place in the source.
///
/// `#[derive(OutboxEvent)]` makes one for each struct, each variant with a route, and each form of a generic event that
/// `instances(…)` names. [`Catalog::global`](super::Catalog::global) has them all.
pub struct EventDescriptor {
    declaration: Declaration,
}

/// What the derive writes down. Constant, so that it costs no code.
#[doc(hidden)]
pub struct Declaration {
    pub event_type: &'static str,
    pub version: u32,
    pub topic: &'static str,
    pub aggregate: &'static str,
    pub key: &'static str,
    pub content_type: &'static str,
    pub source: Option<&'static str>,
    pub occurred_at: Option<&'static str>,
    pub correlation_id: Option<&'static str>,
    pub headers: &'static [DeclaredHeader],
    pub rust_type: &'static str,
    pub file: &'static str,
    pub line: u32,
    pub doc: &'static str,
    pub type_id: TypeId,
    pub schema: Option<fn() -> serde_json::Value>,
}

/// A header, from a literal or from what is written there.
#[doc(hidden)]
pub enum DeclaredHeader {
    Literal(&'static str, &'static str),
    Field(&'static str, &'static str),
}

impl EventDescriptor {
    #[doc(hidden)]
    pub const fn new(declaration: Declaration) -> Self {
        Self { declaration }
    }

    /// The type, sent as `ce_type`, such as `OrderPlacedV1`.
    pub fn event_type(&self) -> &'static str {
        self.declaration.event_type
    }

    /// The version of the type.
    pub fn version(&self) -> u32 {
        self.declaration.version
    }

    /// The topic: a name, or a template with `{field}` in it.
    pub fn topic(&self) -> &'static str {
        self.declaration.topic
    }

    /// The type of the thing that the event is about.
    pub fn aggregate(&self) -> &'static str {
        self.declaration.aggregate
    }

    /// What the key is made of, as written in the derive.
    pub fn key(&self) -> &'static str {
        self.declaration.key
    }

    /// The payload's media type.
    pub fn content_type(&self) -> &'static str {
        self.declaration.content_type
    }

    /// The CloudEvents source, where the event fixes one.
    pub fn source(&self) -> Option<&'static str> {
        self.declaration.source
    }

    /// The type's path, such as `shop::events::OrderPlacedV1`; a variant stands behind its enum.
    pub fn rust_type(&self) -> &'static str {
        self.declaration.rust_type
    }

    /// The doc comment, without its markers; empty if there is none.
    pub fn doc(&self) -> &'static str {
        self.declaration.doc
    }

    /// Where it is declared.
    pub fn location(&self) -> SourceLocation {
        SourceLocation {
            file: self.declaration.file.to_owned(),
            line: self.declaration.line,
        }
    }

    /// The payload's JSON Schema (2020-12), if the event has `#[outbox(schema)]`. Made anew by each call.
    pub fn schema(&self) -> Option<serde_json::Value> {
        self.declaration.schema.map(|make| make())
    }

    /// All of it, as data.
    pub fn describe(&self) -> EventDescription {
        let text = |given: Option<&'static str>| given.map(str::to_owned);
        let declared = &self.declaration;
        EventDescription {
            event_type: declared.event_type.to_owned(),
            version: declared.version,
            topic: declared.topic.to_owned(),
            aggregate: declared.aggregate.to_owned(),
            key: declared.key.to_owned(),
            content_type: declared.content_type.to_owned(),
            source: text(declared.source),
            occurred_at: text(declared.occurred_at),
            correlation_id: text(declared.correlation_id),
            headers: self.headers(),
            rust_type: declared.rust_type.to_owned(),
            location: self.location(),
            doc: declared.doc.to_owned(),
            schema: self.schema(),
        }
    }

    pub(super) fn headers(&self) -> Vec<HeaderDescription> {
        let described = |(name, value): (&str, FieldSource)| HeaderDescription {
            name: name.to_owned(),
            value,
        };
        let headers = self.declaration.headers.iter().map(|header| match *header {
            DeclaredHeader::Literal(name, text) => (name, FieldSource::Literal(text.to_owned())),
            DeclaredHeader::Field(name, field) => (name, FieldSource::Field(field.to_owned())),
        });
        headers.map(described).collect()
    }

    /// Whether it is this Rust type, or one of its variants.
    pub(super) fn is_of(&self, rust_type: TypeId) -> bool {
        self.declaration.type_id == rust_type
    }
}

impl fmt::Debug for EventDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventDescriptor")
            .field("event_type", &self.event_type())
            .field("version", &self.version())
            .field("topic", &self.topic())
            .field("rust_type", &self.rust_type())
            .finish_non_exhaustive()
    }
}
