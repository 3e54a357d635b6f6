//! What events are called in code.

use std::collections::{BTreeMap, BTreeSet};

use outbox_runtime::catalog::{CatalogDocument, EventDescription};

use crate::failure::Failure;

/// An event, with a name that all languages take for a type.
#[derive(Debug)]
pub(super) struct Named<'c> {
    pub(super) event: &'c EventDescription,
    /// Such as `OrderPlacedV1`.
    pub(super) name: String,
    /// What all versions of the type have in common, such as `OrderPlaced`.
    pub(super) base: &'c str,
}

impl Named<'_> {
    /// The name as a file, such as `order_placed_v1`.
    pub(super) fn file(&self) -> String {
        let mut file = String::new();
        let mut before = '_';
        for letter in self.name.chars() {
            if letter.is_ascii_uppercase() && before != '_' && !before.is_ascii_uppercase() {
                file.push('_');
            }
            file.push(letter.to_ascii_lowercase());
            before = letter;
        }
        file
    }
}

/// The catalog's events by type, each once, in the catalog's order.
pub(super) fn named(catalog: &CatalogDocument) -> Result<Vec<Named<'_>>, Failure> {
    let mut versions: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    let mut events = Vec::new();
    for event in &catalog.events {
        let known = versions.entry(&event.event_type).or_default();
        known.insert(event.version);
        if let [one, other, ..] = known.iter().collect::<Vec<_>>()[..] {
            return Err(Failure::usage(format!(
                "records of {} of version {one} and {other} cannot be distinguished: both have the same ce_type",
                event.event_type
            ))
            .advise("give each version its own type, such as OrderPlacedV2"));
        }
        let name = identifier(&event.event_type);
        match taken.get(&name) {
            // One event of the wire, declared in two places.
            Some(same) if *same == event.event_type => continue,
            Some(other) => {
                return Err(Failure::usage(format!(
                    "the event types {other} and {} have the same name in generated code: {name}",
                    event.event_type
                )));
            }
            None => {}
        }
        taken.insert(name.clone(), &event.event_type);
        events.push(Named {
            event,
            name,
            base: base(&event.event_type),
        });
    }
    Ok(events)
}

/// A type without the `V<N>` at its end.
fn base(event_type: &str) -> &str {
    let digits = event_type.trim_end_matches(|letter: char| letter.is_ascii_digit());
    match digits.strip_suffix('V') {
        Some(base) if digits.len() < event_type.len() && !base.is_empty() => base,
        _ => event_type,
    }
}

/// A name for a type: `order.placed` becomes `OrderPlaced`.
pub(super) fn identifier(event_type: &str) -> String {
    let words = event_type.split(|letter: char| !letter.is_ascii_alphanumeric());
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    let name: String = words.filter_map(capital).collect();
    if name.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        name
    } else {
        format!("Event{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_become_names() {
        assert_eq!(identifier("OrderPlacedV1"), "OrderPlacedV1");
        assert_eq!(identifier("shop.order-placed"), "ShopOrderPlaced");
        assert_eq!(identifier("3d"), "Event3d");
        assert_eq!(
            (base("OrderPlacedV12"), base("OrderPlaced"), base("V2")),
            ("OrderPlaced", "OrderPlaced", "V2")
        );
    }
}
