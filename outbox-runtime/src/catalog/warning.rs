//! Events that share a topic and may not be meant to.

use std::collections::BTreeMap;

use super::descriptor::EventDescriptor;
use super::document::EventDescription;
use super::template;

/// What there is to know of an event's place in a topic.
struct Routed<'a> {
    topic: &'a str,
    aggregate: &'a str,
    key: &'a str,
    rust_type: &'a str,
    location: String,
}

/// The warnings about the events of a program.
pub(super) fn of_program(events: &[&'static EventDescriptor]) -> Vec<String> {
    let routed = events.iter().map(|event| Routed {
        topic: event.topic(),
        aggregate: event.aggregate(),
        key: event.key(),
        rust_type: event.rust_type(),
        location: event.location().to_string(),
    });
    all(routed)
}

/// The warnings about the events of a catalog that was written down.
pub(super) fn of_document(events: &[EventDescription]) -> Vec<String> {
    let routed = events.iter().map(|event| Routed {
        topic: &event.topic,
        aggregate: &event.aggregate,
        key: &event.key,
        rust_type: &event.rust_type,
        location: event.location.to_string(),
    });
    all(routed)
}

/// Each topic's events are compared with its first one. What a template leads to is known when the program runs, so
/// nothing is concluded from it.
fn all<'a>(events: impl Iterator<Item = Routed<'a>>) -> Vec<String> {
    let mut topics: BTreeMap<&str, Vec<Routed<'_>>> = BTreeMap::new();
    for event in events.filter(|event| !template::is_template(event.topic)) {
        topics.entry(event.topic).or_default().push(event);
    }
    let mut warnings: Vec<_> = topics
        .values()
        .filter_map(|events| events.split_first())
        .flat_map(|(first, others)| others.iter().filter_map(|other| about(first, other)))
        .collect();
    warnings.sort();
    warnings.dedup();
    warnings
}

fn about(one: &Routed<'_>, other: &Routed<'_>) -> Option<String> {
    let (what, first, second, means) = if one.aggregate != other.aggregate {
        (
            "aggregates",
            one.aggregate,
            other.aggregate,
            "a key stands for one thing in a topic, so two of these whose keys are equal share one order, and in a \
             compacted topic one deletes the other: that is fine if their keys are never equal",
        )
    } else if !may_be_one_key(one.key, other.key) {
        (
            "keys",
            one.key,
            other.key,
            "events are in order where their keys are equal: that is fine if both are the same thing, only named \
             differently",
        )
    } else {
        return None;
    };
    Some(format!(
        "the topic `{}` has two {what}: `{first}` by `{}` ({}) and `{second}` by `{}` ({}); {means}",
        one.topic, one.rust_type, one.location, other.rust_type, other.location,
    ))
}

/// Whether two spellings may mean one key: `order_id`, `order.id`, `self.order.order_id`, `self.order_id()` and
/// `&self.r#order_id` do.
fn may_be_one_key(one: &str, other: &str) -> bool {
    let (one, other) = (plain(one), plain(other));
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    one == other || one.replace('.', "_") == other.replace('.', "_") || {
        let (last, other_last) = (last(&one), last(&other));
        last == other_last && last != "id" && !last.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// A key without what is only Rust's about it.
fn plain(key: &str) -> String {
    const CONVERSIONS: [&str; 6] = [
        ".clone()",
        ".to_string()",
        ".to_owned()",
        ".as_str()",
        ".as_ref()",
        ".into()",
    ];
    let mut key: String = key.split_whitespace().collect::<String>().replace("r#", "");
    while let Some(shorter) = CONVERSIONS
        .iter()
        .find_map(|conversion| key.strip_suffix(conversion))
    {
        key = shorter.to_owned();
    }
    let key = key.trim_start_matches(['&', '*']);
    key.strip_prefix("self.").unwrap_or(key).replace("()", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event<'a>(topic: &'a str, aggregate: &'a str, key: &'a str, rust_type: &'a str) -> Routed<'a> {
        Routed {
            topic,
            aggregate,
            key,
            rust_type,
            location: format!("src/{rust_type}.rs:3"),
        }
    }

    fn warnings<const N: usize>(events: [Routed<'_>; N]) -> Vec<String> {
        all(events.into_iter())
    }

    #[test]
    fn two_aggregates_or_keys_are_reported_with_both_locations() {
        let two = warnings([
            event("shop.events", "order", "order_id", "Placed"),
            event("shop.events", "customer", "customer_id", "Moved"),
            event("orders", "order", "order_id", "A"),
            event("orders", "order", "id", "B"),
        ]);
        for (warning, words) in two.iter().zip([
            [
                "`orders` has two keys",
                "`order_id` by `A` (src/A.rs:3)",
                "`id` by `B` (src/B.rs:3)",
            ],
            [
                "`shop.events` has two aggregates",
                "`order` by `Placed` (src/Placed.rs:3)",
                "`customer` by `Moved` (src/Moved.rs:3)",
            ],
        ]) {
            for words in words {
                assert!(warning.contains(words), "no {words:?} in {warning}");
            }
        }
        assert_eq!(two.len(), 2);
    }

    #[test]
    fn nothing_is_concluded_from_templates() {
        for (one, other) in [
            ("{topic}", "{topic}"),
            ("orders.{a}", "orders.{b}"),
            ("orders.{a}", "orders.eu"),
        ] {
            let none = warnings([event(one, "x", "id", "A"), event(other, "y", "key", "B")]);
            assert_eq!(none, [""; 0], "{one} {other}");
        }
    }

    #[test]
    fn keys_may_be_one_by_what_they_name() {
        for (one, other) in [
            ("order_id", "self.order_id"),
            ("order_id", "self.order_id()"),
            ("order.id", "order_id"),
            ("order.id", "self.order.id"),
            ("order.order_id", "order_id"),
            ("r#type", "self.r#type"),
            ("r#type", "type"),
            ("self.order.r#type", "order.r#type"),
            ("order_id", "self.order_id.clone()"),
            ("order_id", "&self.order_id.to_string()"),
            ("format!(\"{}\", self.a)", "format!(\"{}\",self.a)"),
        ] {
            assert!(
                may_be_one_key(one, other) && may_be_one_key(other, one),
                "{one} {other}"
            );
        }
        for (one, other) in [
            ("order_id", "customer_id"),
            ("order.id", "customer.id"),
            ("id", "order.id"),
            ("0", "pair.0"),
            ("format!(\"{}\", self.a)", "format!(\"{}\", self.b)"),
        ] {
            assert!(!may_be_one_key(one, other), "{one} {other}");
        }
    }
}
