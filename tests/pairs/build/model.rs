//! One version of an event, and what may be changed in it.

use std::collections::BTreeSet;

use crate::random::Random;
use crate::types::{NEIGHBOURS, TYPES, Traits, Type, named};

/// An attribute that is there or not. Sorted, so that a version is written in one way only.
pub(crate) type Marks = BTreeSet<&'static str>;

#[derive(Clone, PartialEq)]
pub(crate) struct Version {
    /// Of the event.
    pub(crate) marks: Marks,
    /// The fields beside `id`.
    pub(crate) fields: Vec<Field>,
    /// Of the struct `Inner` and its field.
    pub(crate) inner: Marks,
    /// Of the enum `Kind` and its variants.
    pub(crate) kind: Marks,
    /// How `Kind` is tagged.
    pub(crate) tagging: usize,
}

#[derive(Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) ty: Type,
    pub(crate) marks: Marks,
}

pub(crate) const TAGGINGS: [&str; 4] = ["", "tag = \"t\"", "tag = \"t\", content = \"c\"", "untagged"];

const OF_EVENT: [&str; 7] = ["default", "deny", "camel", "tag", "try_from", "from", "into"];
const OF_FIELD: [&str; 16] = [
    "default",
    "default",
    "skip_if",
    "is_none",
    "serialize_with",
    "deserialize_with",
    "with",
    "lenient",
    "declared",
    "alias",
    "rename",
    "rename_read",
    "skip_serializing",
    "skip_deserializing",
    "flatten",
    "skip",
];
const OF_INNER: [&str; 9] = [
    "more",
    "option",
    "default",
    "container_default",
    "skip_if",
    "deny",
    "wide",
    "function",
    "no_field",
];
const OF_KIND: [&str; 10] = [
    "deny",
    "snake",
    "skip_deserializing",
    "skip_serializing",
    "renamed",
    "alias",
    "other",
    "no_unit",
    "no_newtype",
    "more",
];

/// A version, another one that differs from it, and a description of the difference.
pub(crate) fn pair(random: &mut Random) -> (Version, Version, String) {
    let ty = match random.below(6) {
        0 | 1 => named("Kind"),
        2 => named("Inner"),
        _ => *random.of(TYPES),
    };
    let first = Field {
        name: "a_field",
        ty,
        marks: Marks::new(),
    };
    let mut old = Version {
        marks: Marks::new(),
        fields: vec![first],
        inner: Marks::new(),
        kind: Marks::new(),
        tagging: random.below(TAGGINGS.len()),
    };
    for _ in 0..random.below(3) {
        change(&mut old, random);
    }
    let mut new = old.clone();
    let mut changes = Vec::new();
    while changes.is_empty() || random.one_in(4) {
        changes.push(change(&mut new, random));
    }
    let description = changes.join(", ");
    if random.one_in(2) {
        (old, new, description)
    } else {
        (new, old, format!("{description}, reversed"))
    }
}

fn change(version: &mut Version, random: &mut Random) -> String {
    let toggled = |marks: &mut Marks, of: &[&'static str], random: &mut Random| {
        let mark = *random.of(of);
        if !marks.remove(mark) {
            marks.insert(mark);
        }
        mark
    };
    let used = |name: &str| version.fields.iter().any(|field| field.ty.name.contains(name));
    let (inner, kind) = (used("Inner") || used("Kind"), used("Kind"));
    match random.below(12) {
        0 | 11 => format!("event {}", toggled(&mut version.marks, &OF_EVENT, random)),
        1 if version.fields.len() < 2 => {
            let field = Field {
                name: "more",
                ty: *random.of(TYPES),
                marks: Marks::new(),
            };
            version.fields.push(field);
            "field added".to_owned()
        }
        1 => {
            version.fields.pop();
            "field removed".to_owned()
        }
        2 if inner => format!("inner {}", toggled(&mut version.inner, &OF_INNER, random)),
        3 | 4 if kind => format!("kind {}", toggled(&mut version.kind, &OF_KIND, random)),
        5 if kind => {
            version.tagging = random.below(TAGGINGS.len());
            "kind tagged".to_owned()
        }
        6 => {
            let position = random.below(version.fields.len());
            let field = &mut version.fields[position];
            let near: Vec<&str> = NEIGHBOURS
                .iter()
                .filter_map(|(one, other)| match field.ty.name {
                    name if name == *one => Some(*other),
                    name if name == *other => Some(*one),
                    _ => None,
                })
                .collect();
            field.ty = if near.is_empty() {
                *random.of(TYPES)
            } else {
                named(near[random.below(near.len())])
            };
            "type".to_owned()
        }
        _ => {
            let position = random.below(version.fields.len());
            let field = &mut version.fields[position];
            format!("field {}", toggled(&mut field.marks, &OF_FIELD, random))
        }
    }
}

impl Field {
    pub(crate) fn has(&self, mark: &str) -> bool {
        self.marks.contains(mark)
    }

    pub(crate) fn is(&self, traits: Traits) -> bool {
        self.ty.traits == traits
    }
}
