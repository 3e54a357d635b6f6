//! A topic: a literal, or a template with `{field}`.

use syn::{Expr, LitStr};

use super::value::{Owner, Value};
use crate::errors::Errors;

/// The longest topic name that Kafka takes.
const MAX_LENGTH: usize = 249;

/// The parts of a topic, in their order.
pub(super) type Topic = Vec<Part>;

#[derive(Clone)]
pub(super) enum Part {
    Literal(String),
    Value(Box<Value>),
    /// A constant, which the compiler checks as soon as it knows its value. It is the only part then.
    Constant(Box<Expr>),
}

/// A topic as it was given.
#[derive(Clone)]
pub(super) enum Given {
    Text(LitStr),
    Constant(Expr),
}

impl Given {
    /// The text, if it is one.
    pub(super) fn template(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.value()),
            Self::Constant(_) => None,
        }
    }
}

/// Reads a topic of either kind.
pub(super) fn read_given(given: &Given, owner: &Owner<'_>, errors: &mut Errors) -> Option<Topic> {
    match given {
        Given::Text(text) => read(text, owner, errors),
        Given::Constant(constant) => Some(vec![Part::Constant(Box::new(constant.clone()))]),
    }
}

/// Reads a topic and checks all of it that is known before the program runs.
fn read(given: &LitStr, owner: &Owner<'_>, errors: &mut Errors) -> Option<Topic> {
    let text = given.value();
    let pieces = match split(&text) {
        Ok(pieces) => pieces,
        Err(says) => {
            errors.at(given, says);
            return None;
        }
    };
    let mut sound = true;
    let fault = fault(&pieces);
    if let Some(fault) = fault {
        errors.at(given, format!("Kafka refuses the topic {text:?}: {fault}"));
        sound = false;
    }
    let mut topic = Topic::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => topic.push(Part::Literal(literal.to_owned())),
            Piece::Field(name) => match read_field(name, given, owner, errors) {
                Some(value) => topic.push(Part::Value(Box::new(value))),
                None => sound = false,
            },
        }
    }
    sound.then_some(topic)
}

fn read_field(name: &str, given: &LitStr, owner: &Owner<'_>, errors: &mut Errors) -> Option<Value> {
    // Parsed with the span of the whole text, as spans inside of it are unknown. A field may be called like
    // a keyword, which a template need not know.
    let raw = |segment: &str| match syn::parse_str::<syn::Ident>(&format!("r#{segment}")) {
        Ok(_) if syn::parse_str::<syn::Ident>(segment).is_err() => format!("r#{segment}"),
        _ => segment.to_owned(),
    };
    let parse = |text: &str| LitStr::new(text, given.span()).parse::<Expr>();
    let segments: Vec<_> = name.split('.').map(|segment| raw(segment.trim())).collect();
    let expr = parse(name).or_else(|_| parse(&segments.join(".")));
    let expr = expr.ok().filter(Value::is_of_fields);
    let Some(expr) = expr else {
        errors.at(
            given,
            format!("`{{{name}}}` in the topic is not a field: write `{{field}}`, `{{field.inner}}` or, in tuples, `{{0}}`"),
        );
        return None;
    };
    Value::read("topic", &expr, owner, errors)
}

#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    Literal(&'t str),
    Field(&'t str),
}

/// Splits a template at its braces.
fn split(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (literal, behind) = rest.split_at(at);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let inside = behind
            .strip_prefix('{')
            .ok_or("a `}` in the topic has no `{` before it: write `{field}`")?;
        let (field, after) = inside
            .split_once('}')
            .ok_or("a `{` in the topic has no `}`: write `{field}`")?;
        let field = field.trim();
        if field.is_empty() {
            return Err("`{}` in the topic names no field: write `{field}`".to_owned());
        }
        if field.contains('{') {
            return Err(
                "`{{` in the topic: Kafka takes no braces, and a field is written `{field}`".to_owned(),
            );
        }
        pieces.push(Piece::Field(field));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    Ok(pieces)
}

/// Why Kafka would refuse the topic, as far as its literal parts show.
fn fault(pieces: &[Piece<'_>]) -> Option<String> {
    if pieces.is_empty() {
        return Some("it is empty".to_owned());
    }
    if let [Piece::Literal(whole @ ("." | ".."))] = pieces {
        return Some(format!("`{whole}` is no name"));
    }
    let literals = || {
        pieces.iter().filter_map(|piece| {
            if let Piece::Literal(text) = piece {
                Some(*text)
            } else {
                None
            }
        })
    };
    let legal = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(bad) = literals().flat_map(str::chars).find(|c| !legal(c)) {
        return Some(format!("{bad:?} is none of A-Z, a-z, 0-9, `.`, `_` and `-`"));
    }
    let length: usize = literals().map(str::len).sum();
    (length > MAX_LENGTH).then(|| format!("it has {length} characters, and Kafka takes {MAX_LENGTH}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_split_at_their_braces() {
        assert_eq!(split("a.b"), Ok(vec![Piece::Literal("a.b")]));
        let pieces = split("a.{ x }.{y.z}").unwrap();
        assert_eq!(
            pieces,
            [
                Piece::Literal("a."),
                Piece::Field("x"),
                Piece::Literal("."),
                Piece::Field("y.z")
            ]
        );
        for bad in ["{", "}", "a}b", "a{b", "{}", "{ }", "{{a}}", "{a{b}}"] {
            assert!(split(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn literal_parts_are_what_kafka_takes() {
        let refused = |text: &str| fault(&split(text).unwrap()).is_some();
        for good in ["a", "A_b-9.c", "...", "{x}", "..{x}", &"x".repeat(249)] {
            assert!(!refused(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a b",
            "ä",
            "a/{x}",
            &"x".repeat(250),
            &format!("{}{{x}}", "x".repeat(250)),
        ] {
            assert!(refused(bad), "{bad}");
        }
    }
}
