//! What serde writes and reads, as far as a JSON Schema describes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

/// What a JSON value may look like.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// Any value: `serde_json::Value`.
    Any,
    Null,
    Boolean,
    /// One value: a unit variant, a tag, a constant.
    Literal(Value),
    Integer(Integer),
    Number(Number),
    Text(Text),
    Array(Array),
    Object(Object),
    /// One of several; none at all for a type that has no values.
    Union(Vec<Shape>),
    /// What functions of the user's write and read, and the shape of its type.
    Custom(Box<Custom>),
    /// The definition at this place of the document.
    Reference(String),
    /// What we cannot judge, with all that it refers to: it is only known to be like its equal.
    Opaque(String),
}

/// `serialize_with`, `deserialize_with`, `try_from`: what they do is known to be like their equals only.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Custom {
    pub(super) written_with: Option<String>,
    pub(super) read_with: Option<String>,
    pub(super) shape: Shape,
}

/// Keywords that no rule here knows, with their values; equal ones are alike.
pub(super) type Unknown = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Integer {
    pub(super) lower: i128,
    pub(super) upper: u128,
    pub(super) format: Option<String>,
    pub(super) unknown: Unknown,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    /// `f32`: what is read into it loses digits.
    pub(super) single: bool,
    pub(super) unknown: Unknown,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Text {
    pub(super) format: Option<String>,
    pub(super) pattern: Option<String>,
    pub(super) shortest: u64,
    pub(super) longest: Option<u64>,
    pub(super) unknown: Unknown,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    /// The elements of a tuple.
    pub(super) first: Vec<Shape>,
    /// The elements behind those.
    pub(super) others: Box<Shape>,
    pub(super) shortest: u64,
    pub(super) longest: Option<u64>,
    pub(super) unknown: Unknown,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Object {
    pub(super) fields: BTreeMap<String, Field>,
    pub(super) rest: Rest,
    pub(super) unknown: Unknown,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) shape: Shape,
    /// A reader fails without it. A writer always writes it.
    pub(super) required: bool,
    /// Other names under which it is read.
    pub(super) aliases: BTreeSet<String>,
}

/// The fields that an object does not name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Rest {
    /// A struct's: never written, ignored when read.
    #[default]
    Ignored,
    /// Never written, and an error when read.
    Refused,
    /// A map's, or a flattened one's: of this shape, under any name.
    Values(Box<Shape>),
    /// A map's whose keys are no strings: by the pattern of the keys, and no others.
    Keyed(BTreeMap<String, Shape>),
}

impl Array {
    /// The shape of the element with this number.
    pub(super) fn element(&self, index: usize) -> &Shape {
        self.first.get(index).unwrap_or(&self.others)
    }
}

impl Object {
    /// What distinguishes this alternative from the others of an enum: the only field of an externally tagged variant,
    /// or the text of a tag.
    pub(super) fn label(&self) -> Option<&str> {
        let tag = self.fields.values().find_map(|field| match &field.shape {
            Shape::Literal(Value::String(tag)) if field.required => Some(tag.as_str()),
            _ => None,
        });
        let mut names = self.fields.iter();
        let only = || match (names.next(), names.next()) {
            (Some((name, field)), None) if field.required => Some(name.as_str()),
            _ => None,
        };
        tag.or_else(only)
    }
}

impl Custom {
    /// Whether the same functions write and read both.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        (&self.written_with, &self.read_with) == (&other.written_with, &other.read_with)
    }
}

impl Shape {
    /// Whether a function of the user's writes it.
    pub(super) fn is_written_otherwise(&self) -> bool {
        matches!(self, Self::Custom(custom) if custom.written_with.is_some())
    }

    /// Whether a function of the user's reads it.
    pub(super) fn is_read_otherwise(&self) -> bool {
        matches!(self, Self::Custom(custom) if custom.read_with.is_some())
    }

    /// The shape of its type.
    pub(super) fn typed(&self) -> &Self {
        match self {
            Self::Custom(custom) => &custom.shape,
            other => other,
        }
    }

    /// The name of an enum's variant, where it has one.
    pub(super) fn label(&self) -> Option<String> {
        match self {
            Self::Literal(Value::String(text)) => Some(text.clone()),
            Self::Literal(other) => Some(other.to_string()),
            Self::Object(object) => object.label().map(str::to_owned),
            _ => None,
        }
    }

    /// Whether an `Option` is of a type with a definition of its own, which says whether that may be null.
    pub(super) fn is_named(&self) -> bool {
        match self {
            Self::Union(alternatives) => {
                let mut values = alternatives.iter().filter(|shape| **shape != Self::Null);
                matches!((values.next(), values.next()), (Some(Self::Reference(_)), None))
            }
            Self::Custom(custom) => custom.shape.is_named(),
            _ => false,
        }
    }

    /// An `Option` that is never written as null.
    pub(super) fn without_null(self) -> Self {
        match self {
            Self::Union(alternatives) => Self::Union(
                alternatives
                    .into_iter()
                    .filter(|shape| *shape != Self::Null)
                    .collect(),
            ),
            Self::Custom(mut custom) => {
                custom.shape = custom.shape.without_null();
                Self::Custom(custom)
            }
            other => other,
        }
    }

    /// Whether both are of one kind, whatever their bounds and fields.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// As a person would call it, in a few words.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any value"),
            Self::Null => f.write_str("null"),
            Self::Boolean => f.write_str("a boolean"),
            Self::Literal(value) => write!(f, "`{value}`"),
            Self::Integer(integer) => integer.fmt(f),
            Self::Number(Number { single: true, .. }) => f.write_str("a number (float)"),
            Self::Number(_) => f.write_str("a number"),
            Self::Text(text) => text.fmt(f),
            Self::Array(array) => array.fmt(f),
            Self::Object(object) if object.fields.is_empty() && object.rest != Rest::Ignored => {
                f.write_str("a map")
            }
            Self::Object(_) => f.write_str("an object"),
            Self::Union(alternatives) if alternatives.is_empty() => f.write_str("nothing"),
            Self::Union(_) => f.write_str("one of several"),
            Self::Custom(custom) => custom.fmt(f),
            Self::Reference(name) => write!(f, "{}", name.rsplit('/').next().unwrap_or(name)),
            Self::Opaque(_) => f.write_str("a construct that is not known here"),
        }
    }
}

impl fmt::Display for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shape.fmt(f)?;
        if let Some(function) = &self.written_with {
            write!(f, ", written with `{function}`")?;
        }
        if let Some(function) = &self.read_with {
            write!(f, ", read with `{function}`")?;
        }
        Ok(())
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer (")?;
        if let Some(format) = &self.format {
            write!(f, "{format}, ")?;
        }
        match (self.lower, self.upper) {
            (i128::MIN, u128::MAX) => f.write_str("of any size)"),
            (i128::MIN, upper) => write!(f, "up to {upper})"),
            (lower, u128::MAX) => write!(f, "from {lower})"),
            (lower, upper) => write!(f, "{lower} to {upper})"),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")?;
        if let Some(format) = &self.format {
            write!(f, " ({format})")?;
        }
        if let Some(pattern) = &self.pattern {
            write!(f, " that matches `{pattern}`")?;
        }
        match (self.shortest, self.longest) {
            (0, None) => Ok(()),
            (shortest, None) => write!(f, " of at least {shortest} characters"),
            (shortest, Some(longest)) if shortest == longest => write!(f, " of {longest} characters"),
            (0, Some(longest)) => write!(f, " of at most {longest} characters"),
            (shortest, Some(longest)) => write!(f, " of {shortest} to {longest} characters"),
        }
    }
}

impl fmt::Display for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.shortest, self.longest) {
            (0, None) => f.write_str("an array"),
            (shortest, None) => write!(f, "an array of at least {shortest} elements"),
            (shortest, Some(longest)) if shortest == longest => write!(f, "an array of {longest} elements"),
            (0, Some(longest)) => write!(f, "an array of at most {longest} elements"),
            (shortest, Some(longest)) => write!(f, "an array of {shortest} to {longest} elements"),
        }
    }
}
