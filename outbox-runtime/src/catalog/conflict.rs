//! Events that contradict each other. What may be meant so is in `warning`.

use std::fmt;

use super::descriptor::EventDescriptor;
use super::field_order;
use super::registry::FormlessEvent;
use super::template;

/// Contradictions between the events of a program, each with its source locations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogError {
    wrong: Vec<String>,
}

impl CatalogError {
    pub(super) fn unless_none(mut wrong: Vec<String>) -> Result<(), Self> {
        if wrong.is_empty() {
            return Ok(());
        }
        wrong.sort();
        wrong.dedup();
        Err(Self { wrong })
    }

    /// One sentence for each contradiction.
    pub fn faults(&self) -> impl ExactSizeIterator<Item = &str> {
        self.wrong.iter().map(String::as_str)
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.wrong.join("\n"))
    }
}

impl std::error::Error for CatalogError {}

/// All that is wrong among `events`, which are sorted.
pub(super) fn all(events: &[&'static EventDescriptor]) -> Vec<String> {
    let same = |a: &&EventDescriptor, b: &&EventDescriptor| {
        (a.event_type(), a.version()) == (b.event_type(), b.version())
    };
    let mut wrong = Vec::new();
    for events in events.chunk_by(same) {
        let Some((first, others)) = events.split_first() else {
            continue;
        };
        wrong.extend(others.iter().filter_map(|other| two_shapes(first, other)));
    }
    wrong
}

/// A generic event that the catalog cannot hold.
pub(super) fn formless(event: &FormlessEvent) -> String {
    let name = event.rust_type.rsplit("::").next().unwrap_or_default();
    format!(
        "the event `{}` ({}) is generic, and the catalog does not know its forms: name them with \
         `#[outbox(instances({name}<…>, …))]`",
        event.rust_type,
        event.location()
    )
}

/// One name for two things: a consumer could not distinguish them.
fn two_shapes(one: &EventDescriptor, other: &EventDescriptor) -> Option<String> {
    let route = [
        ("topic", fixed(one.topic(), other), fixed(other.topic(), one)),
        ("aggregate", one.aggregate(), other.aggregate()),
        ("content type", one.content_type(), other.content_type()),
        (
            "source",
            one.source().unwrap_or_default(),
            other.source().unwrap_or_default(),
        ),
    ];
    let difference = match route.into_iter().find(|(_, one, other)| one != other) {
        Some((what, one, other)) => format!("the {what} is `{one}` in the first and `{other}` in the second"),
        None => {
            let schema = |event: &EventDescriptor| event.schema().map(field_order::without);
            let differ = matches!((schema(one), schema(other)), (Some(one), Some(other)) if one != other);
            differ.then(|| "their schemas differ".to_owned())?
        }
    };
    let advice = if one.location() == other.location() {
        "give each form an event type of its own: `instances(\"…V1\" = …, \"…V1\" = …)`"
    } else {
        "give one of them another event type or version"
    };
    Some(format!(
        "two events are `{}` version {}: {} and {}; {difference}: {advice}",
        one.event_type(),
        one.version(),
        place(one),
        place(other),
    ))
}

/// A topic, unless one of two is a template: what that leads to is known when the program runs.
fn fixed<'a>(topic: &'a str, other: &EventDescriptor) -> &'a str {
    match template::is_template(topic) || template::is_template(other.topic()) {
        true => "",
        false => topic,
    }
}

fn place(event: &EventDescriptor) -> String {
    format!("`{}` ({})", event.rust_type(), event.location())
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;

    use super::super::descriptor::{Declaration, DeclaredHeader};
    use super::*;

    const PLACED: Declaration = Declaration {
        event_type: "PlacedV1",
        version: 1,
        topic: "orders",
        aggregate: "order",
        key: "order_id",
        content_type: "application/json",
        source: None,
        occurred_at: None,
        correlation_id: None,
        headers: &[],
        rust_type: "shop::PlacedV1",
        file: "src/a.rs",
        line: 3,
        doc: "",
        type_id: TypeId::of::<()>(),
        schema: None,
    };

    /// The faults of `PLACED` and another one, which stands in `src/b.rs`.
    fn faults(change: impl FnOnce(&mut Declaration)) -> Vec<String> {
        let mut other = Declaration {
            rust_type: "shop::other::PlacedV1",
            file: "src/b.rs",
            line: 7,
            ..PLACED
        };
        change(&mut other);
        let events =
            [PLACED, other].map(|declaration| &*Box::leak(Box::new(EventDescriptor::new(declaration))));
        all(&events)
    }

    fn has_one(faults: &[String], words: &[&str]) {
        let [fault] = faults else { panic!("{faults:?}") };
        for word in words.iter().chain(&["src/a.rs:3", "src/b.rs:7"]) {
            assert!(fault.contains(word), "no {word:?} in {fault}");
        }
    }

    #[test]
    fn a_copy_is_no_fault() {
        assert_eq!(faults(|_| {}), [""; 0]);
        assert_eq!(faults(|other| other.key = "self.order_id()"), [""; 0]);
        assert_eq!(
            faults(|other| other.schema = Some(|| serde_json::json!({}))),
            [""; 0]
        );
    }

    #[test]
    fn one_type_and_version_has_one_shape() {
        has_one(
            &faults(|other| other.topic = "order"),
            &["PlacedV1", "topic", "`orders`", "`order`"],
        );
        has_one(
            &faults(|other| {
                other.topic = "order";
                other.version = 1;
                other.source = Some("/shop");
            }),
            &["version 1"],
        );
        has_one(
            &faults(|other| other.content_type = "application/x+json"),
            &["content type", "application/x+json"],
        );
        has_one(&faults(|other| other.source = Some("/shop")), &["source"]);
        assert_eq!(
            faults(|other| (other.topic, other.version) = ("order", 2)),
            [""; 0]
        );
        assert_eq!(
            faults(|other| (other.topic, other.event_type) = ("order", "SentV1")),
            [""; 0]
        );
    }

    #[test]
    fn schemas_are_compared_where_there_are_two() {
        let schema = |shape: fn() -> serde_json::Value| Declaration {
            schema: Some(shape),
            ..PLACED
        };
        let object = || serde_json::json!({"type": "object"});
        let with = |one: Declaration, other: Declaration| {
            all(&[one, other].map(|declaration| &*Box::leak(Box::new(EventDescriptor::new(declaration)))))
        };
        assert_eq!(with(schema(object), schema(object)), [""; 0]);
        let two = with(schema(object), schema(|| serde_json::json!({"type": "string"})));
        // From one place, so these are two forms of a generic event.
        assert!(
            two.len() == 1 && two[0].contains("schemas") && two[0].contains("instances"),
            "{two:?}"
        );
    }

    #[test]
    fn nothing_is_concluded_from_templates_and_spellings() {
        assert_eq!(faults(|other| other.topic = "{topic}"), [""; 0]);
        assert_eq!(faults(|other| other.key = "customer_id"), [""; 0]);
        assert_eq!(
            faults(|other| other.headers = &[DeclaredHeader::Literal("x", "y")]),
            [""; 0]
        );
        assert_eq!(
            faults(|other| (other.event_type, other.aggregate) = ("SentV1", "parcel")),
            [""; 0]
        );
    }
}
