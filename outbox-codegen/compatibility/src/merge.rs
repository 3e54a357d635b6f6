//! Schemas that hold together: a flattened struct or enum, a tag beside the struct that it is of.

use super::parse::Parser;
use super::shape::{Object, Rest, Shape};

/// Flattened enums multiply: what has more alternatives than this is not taken apart.
const MOST: usize = 256;

/// The values that are of every part; `None` if that cannot be said.
pub(super) fn all(parser: &Parser<'_>, parts: Vec<Shape>, open: &mut Vec<String>) -> Option<Shape> {
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else {
        return Some(Shape::Any);
    };
    parts.try_fold(first, |merged, part| both(parser, merged, part, open))
}

fn both(parser: &Parser<'_>, one: Shape, other: Shape, open: &mut Vec<String>) -> Option<Shape> {
    match (one, other) {
        (Shape::Any, shape) | (shape, Shape::Any) => Some(shape),
        (one, other) if one == other => Some(one),
        (Shape::Reference(place), other) => both(parser, parser.follow(&place, open)?, other, open),
        (one, Shape::Reference(place)) => both(parser, one, parser.follow(&place, open)?, open),
        (Shape::Union(alternatives), other) => {
            each(alternatives, |one| both(parser, one, other.clone(), open))
        }
        (one, Shape::Union(alternatives)) => {
            each(alternatives, |other| both(parser, one.clone(), other, open))
        }
        (Shape::Object(one), Shape::Object(other)) => objects(parser, one, other, open),
        (Shape::Literal(_), Shape::Literal(_)) => Some(Shape::Union(Vec::new())),
        _ => None,
    }
}

/// Alternatives without a value are dropped.
fn each(alternatives: Vec<Shape>, mut with: impl FnMut(Shape) -> Option<Shape>) -> Option<Shape> {
    let mut merged = Vec::new();
    for alternative in alternatives {
        match with(alternative)? {
            Shape::Union(several) => merged.extend(several),
            one => merged.push(one),
        }
        if merged.len() > MOST {
            return None;
        }
    }
    Some(Shape::Union(merged))
}

fn objects(parser: &Parser<'_>, one: Object, other: Object, open: &mut Vec<String>) -> Option<Shape> {
    let names = |object: &Object| object.fields.keys().cloned().collect::<Vec<_>>();
    let covers = |by: &Object, names: &[String]| names.iter().all(|name| by.fields.contains_key(name));
    // `additionalProperties` sees the fields beside it only, and so would judge those of the other part.
    let rest = match (&one.rest, &other.rest) {
        (Rest::Ignored, Rest::Ignored) => Rest::Ignored,
        (rest, Rest::Ignored) if covers(&one, &names(&other)) => rest.clone(),
        (Rest::Ignored, rest) if covers(&other, &names(&one)) => rest.clone(),
        _ => return None,
    };
    let mut fields = one.fields;
    for (name, field) in other.fields {
        let Some(there) = fields.get_mut(&name) else {
            fields.insert(name, field);
            continue;
        };
        let shape = both(parser, there.shape.clone(), field.shape, open)?;
        if shape == Shape::Union(Vec::new()) && (there.required || field.required) {
            return Some(shape);
        }
        there.shape = shape;
        there.required |= field.required;
        there.aliases.extend(field.aliases);
    }
    let mut unknown = one.unknown;
    for (keyword, text) in other.unknown {
        if unknown
            .insert(keyword, text.clone())
            .is_some_and(|before| before != text)
        {
            return None;
        }
    }
    Some(Shape::Object(Object {
        fields,
        rest,
        unknown,
    }))
}

/// Says what becomes of the fields that no part has named.
pub(super) fn close(parser: &Parser<'_>, shape: Shape, rest: &Rest, open: &mut Vec<String>) -> Option<Shape> {
    match shape {
        Shape::Any => Some(Shape::Object(Object {
            rest: rest.clone(),
            ..Object::default()
        })),
        Shape::Reference(place) => close(parser, parser.follow(&place, open)?, rest, open),
        Shape::Union(alternatives) => each(alternatives, |shape| close(parser, shape, rest, open)),
        Shape::Object(object) if object.rest == Rest::Ignored => Some(Shape::Object(Object {
            rest: rest.clone(),
            ..object
        })),
        _ => None,
    }
}
