//! Events that do not go together.

use std::collections::BTreeMap;
use std::fmt;

use super::descriptor::EventDescriptor;
use super::field_order;
use super::registry::FormlessEvent;
use super::template;

/// What is wrong with the events of a program; each sentence names the places.
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

    /// One sentence for each fault.
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
    let mut wrong = Vec::new();
    let same = |a: &&EventDescriptor, b: &&EventDescriptor| {
        (a.event_type(), a.version()) == (b.event_type(), b.version())
    };
    for events in events.chunk_by(same) {
        wrong.extend(against_first(events, two_shapes));
    }
    let mut topics: BTreeMap<String, Vec<&'static EventDescriptor>> = BTreeMap::new();
    for &event in events {
        topics
            .entry(template::shape(event.topic()))
            .or_default()
            .push(event);
    }
    for events in topics.values() {
        wrong.extend(against_first(events, two_orders));
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

fn against_first(
    events: &[&'static EventDescriptor],
    conflict: fn(&EventDescriptor, &EventDescriptor) -> Option<String>,
) -> Vec<String> {
    let Some((first, others)) = events.split_first() else {
        return Vec::new();
    };
    others.iter().filter_map(|other| conflict(first, other)).collect()
}

/// One name for two things: a consumer could not tell them apart.
fn two_shapes(one: &EventDescriptor, other: &EventDescriptor) -> Option<String> {
    let (headers, other_headers) = (one.headers(), other.headers());
    let route = [
        ("topic", one.topic(), other.topic()),
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
        None if !same_key(one.key(), other.key()) => {
            format!(
                "the key is `{}` in the first and `{}` in the second",
                one.key(),
                other.key()
            )
        }
        None if headers != other_headers => "their headers differ".to_owned(),
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

/// One topic with two orders: what is kept in order is a key, and each topic has one kind of key.
fn two_orders(one: &EventDescriptor, other: &EventDescriptor) -> Option<String> {
    let (what, first, second) = if one.aggregate() != other.aggregate() {
        ("aggregates", one.aggregate(), other.aggregate())
    } else if !same_key(one.key(), other.key()) {
        ("keys", one.key(), other.key())
    } else {
        return None;
    };
    Some(format!(
        "the topic `{}` has two {what}: `{first}` by {} and `{second}` by {}; use one, or two topics",
        one.topic(),
        place(one),
        place(other),
    ))
}

/// Whether two keys are the same thing: `order_id`, `order.id`, `order.order_id` and `self.order_id()` are.
fn same_key(one: &str, other: &str) -> bool {
    let plain = |key: &str| {
        let key = key.strip_prefix("self.").unwrap_or(key);
        key.replace("()", "")
    };
    let (one, other) = (plain(one), plain(other));
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    one == other || one.replace('.', "_") == other.replace('.', "_") || {
        let (last, other_last) = (last(&one), last(&other));
        last == other_last && last != "id" && !last.bytes().all(|byte| byte.is_ascii_digit())
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
        has_one(
            &faults(|other| other.headers = &[DeclaredHeader::Literal("x", "y")]),
            &["headers"],
        );
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
    fn one_topic_has_one_key_and_one_aggregate() {
        let sent = |key, aggregate| {
            faults(|other| {
                (other.event_type, other.key, other.aggregate) = ("SentV1", key, aggregate);
            })
        };
        assert_eq!(sent("order.order_id", "order"), [""; 0]);
        has_one(
            &sent("customer_id", "order"),
            &["`orders`", "keys", "`customer_id`", "`order_id`"],
        );
        has_one(
            &sent("order_id", "parcel"),
            &["`orders`", "aggregates", "`parcel`", "`order`"],
        );
    }

    #[test]
    fn a_template_is_one_topic_whatever_its_fields_are_called() {
        let topics = |one, other| {
            let first = Declaration { topic: one, ..PLACED };
            let second = Declaration {
                topic: other,
                event_type: "SentV1",
                key: "customer_id",
                ..PLACED
            };
            all(&[first, second].map(|declaration| &*Box::leak(Box::new(EventDescriptor::new(declaration)))))
                .len()
        };
        assert_eq!(topics("orders.{region}", "orders.{area}"), 1);
        assert_eq!(topics("orders.{region}", "orders.eu"), 0);
    }

    #[test]
    fn keys_are_the_same_by_what_they_name() {
        for (one, other) in [
            ("order_id", "self.order_id"),
            ("order_id", "self.order_id()"),
            ("order.id", "order_id"),
            ("order.order_id", "order_id"),
            ("format!(\"{}\", self.a)", "format!(\"{}\", self.a)"),
        ] {
            assert!(same_key(one, other) && same_key(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("order_id", "customer_id"),
            ("order.id", "customer.id"),
            ("id", "order.id"),
            ("0", "pair.0"),
            ("format!(\"{}\", self.a)", "format!(\"{}\", self.b)"),
        ] {
            assert!(!same_key(one, other), "{one} {other}");
        }
    }
}
