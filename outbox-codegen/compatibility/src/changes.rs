//! What has changed, in words and without a judgement.

use std::collections::{BTreeMap, BTreeSet};

use super::parse::Document;
use super::path::Path;
use super::reading::is_enum;
use super::shape::{Array, Object, Rest, Shape};

/// The changes by their paths, which are those of the findings.
pub(super) fn changes(old: &Document, new: &Document) -> BTreeMap<String, String> {
    let mut walk = Walk {
        old,
        new,
        seen: BTreeSet::new(),
        changes: BTreeMap::new(),
    };
    walk.compare(&old.root, &new.root, &Path::root());
    walk.changes
}

struct Walk<'a> {
    old: &'a Document,
    new: &'a Document,
    /// A type is walked through where it is met first.
    seen: BTreeSet<(*const Shape, *const Shape)>,
    changes: BTreeMap<String, String>,
}

impl<'a> Walk<'a> {
    fn compare(&mut self, old: &'a Shape, new: &'a Shape, at: &Path) {
        let old = self.old.alternatives(old);
        let new = self.new.alternatives(new);
        match (old.contains(&&Shape::Null), new.contains(&&Shape::Null)) {
            (false, true) if !old.is_empty() => self.note(at, "may be null now".to_owned()),
            (true, false) => self.note(at, "is not null any more".to_owned()),
            _ => {}
        }
        if is_enum(&old) || is_enum(&new) {
            return self.variants(&old, &new, at);
        }
        let value = |shapes: &[&'a Shape]| shapes.iter().copied().find(|shape| **shape != Shape::Null);
        match (value(&old), value(&new)) {
            (Some(old), Some(new)) => self.one(old, new, at),
            (None, Some(new)) => self.note(at, format!("became {new}")),
            (Some(old), None) => self.note(at, format!("was {old}")),
            (None, None) => {}
        }
    }

    fn variants(&mut self, old: &[&'a Shape], new: &[&'a Shape], at: &Path) {
        let partner = |shape: &Shape, others: &[&'a Shape]| {
            let label = shape.label();
            let mut alike = others.iter().copied().filter(|other| match &label {
                Some(_) => other.label() == label,
                None => other.is_like(shape),
            });
            alike.next().filter(|_| label.is_some() || alike.next().is_none())
        };
        for shape in old.iter().copied().filter(|shape| **shape != Shape::Null) {
            let place = shape
                .label()
                .map_or_else(|| at.clone(), |label| at.variant(&label));
            match partner(shape, new) {
                Some(now) => self.one(shape, now, &place),
                None if new.contains(&shape) => {}
                None => self.note(&place, format!("{} was removed", named(shape))),
            }
        }
        for shape in new.iter().copied().filter(|shape| **shape != Shape::Null) {
            let place = shape
                .label()
                .map_or_else(|| at.clone(), |label| at.variant(&label));
            if partner(shape, old).is_none() && !old.contains(&shape) {
                self.note(&place, format!("{} was added", named(shape)));
            }
        }
    }

    fn one(&mut self, old: &'a Shape, new: &'a Shape, at: &Path) {
        if !self.seen.insert((old, new)) {
            return;
        }
        match (old, new) {
            (Shape::Object(old), Shape::Object(new)) => self.objects(old, new, at),
            (Shape::Array(before), Shape::Array(now)) => {
                if (before.shortest, before.longest) != (now.shortest, now.longest) {
                    self.note(at, format!("was {old}, is {new}"));
                }
                self.elements(before, now, at);
            }
            (Shape::Custom(before), Shape::Custom(now))
                if (&before.written_with, &before.read_with) == (&now.written_with, &now.read_with) =>
            {
                self.compare(&before.shape, &now.shape, at)
            }
            (Shape::Opaque(before), Shape::Opaque(now)) if before != now => {
                self.note(at, "changed".to_owned())
            }
            (old, new) if old != new => self.note(at, format!("was {old}, is {new}")),
            _ => {}
        }
    }

    fn elements(&mut self, old: &'a Array, new: &'a Array, at: &Path) {
        let single = old.first.len().max(new.first.len());
        for index in 0..single {
            let there = |array: &Array| array.longest.is_none_or(|longest| (index as u64) < longest);
            if there(old) && there(new) {
                self.compare(old.element(index), new.element(index), &at.element(index));
            }
        }
        self.compare(&old.others, &new.others, &at.elements());
    }

    fn objects(&mut self, old: &'a Object, new: &'a Object, at: &Path) {
        if old.unknown != new.unknown {
            self.note(at, "changed in keywords that are not known here".to_owned());
        }
        for (name, field) in &old.fields {
            let place = at.field(name);
            let Some(now) = new.fields.get(name) else {
                self.note(&place, format!("the {} field was removed", kind(field.required)));
                continue;
            };
            self.compare(&field.shape, &now.shape, &place);
            match (field.required, now.required) {
                (true, false) => self.note(&place, "became optional".to_owned()),
                (false, true) => self.note(&place, "became required".to_owned()),
                _ => {}
            }
        }
        for (name, field) in &new.fields {
            if !old.fields.contains_key(name) {
                let other = field.aliases.iter().find(|alias| old.fields.contains_key(*alias));
                self.note(
                    &at.field(name),
                    match other {
                        Some(alias) => format!("was renamed from `{alias}`, under which it is read as well"),
                        None => format!("the {} field was added", kind(field.required)),
                    },
                );
            }
        }
        match (&old.rest, &new.rest) {
            (Rest::Values(old), Rest::Values(new)) => self.compare(old, new, &at.values()),
            (old, new) if old != new => self.note(
                &at.values(),
                format!("{}, {}", unnamed(old, "were"), unnamed(new, "are")),
            ),
            _ => {}
        }
    }

    fn note(&mut self, at: &Path, change: String) {
        self.changes
            .entry(at.to_string())
            .and_modify(|before| *before = format!("{before}; {change}"))
            .or_insert(change);
    }
}

fn kind(required: bool) -> &'static str {
    if required { "required" } else { "optional" }
}

fn named(shape: &Shape) -> String {
    shape.label().map_or_else(
        || format!("the alternative of {shape}"),
        |label| format!("the variant `{label}`"),
    )
}

fn unnamed(rest: &Rest, verb: &str) -> String {
    let what = match rest {
        Rest::Ignored => "ignored",
        Rest::Refused => "refused",
        Rest::Values(_) => "kept",
        Rest::Keyed(_) => "kept by the pattern of their names",
    };
    format!("unknown fields {verb} {what}")
}
