//! A small Rust: types with the schema that schemars makes of them, the values that they write, and whether they read
//! a value. Compared with real types by `derives`, and here for any number of random ones.

mod decode;
mod random;
mod schema;
mod write;

pub(super) use decode::reads;
pub(super) use random::{program, varied};
pub(super) use schema::schema;
pub(super) use write::value;

/// Types that refer to each other by their place; the first one is the event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Program {
    pub(super) types: Vec<Type>,
    /// Before each definition's name, so that names may differ.
    pub(super) prefix: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Boolean,
    Integer(Width),
    Float,
    Text,
    Character,
    Uuid,
    Option(Box<Type>),
    List(Box<Type>),
    Tuple(Vec<Type>),
    Map(Box<Type>),
    Struct(Struct),
    Enum(Tagging, Vec<Variant>),
    Named(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Width {
    U8,
    U32,
    U64,
    I8,
    I32,
    I64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Struct {
    pub(super) fields: Vec<Field>,
    /// `deny_unknown_fields`
    pub(super) strict: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) of: Type,
    /// `#[serde(default)]`
    pub(super) default: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Tagging {
    External,
    Internal,
    Adjacent,
    Untagged,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) body: Body,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Unit,
    Newtype(Type),
    Struct(Struct),
}

pub(super) const TAG: &str = "t";
pub(super) const CONTENT: &str = "c";

impl Field {
    pub(super) fn is_required(&self) -> bool {
        !self.default && !matches!(self.of, Type::Option(_))
    }
}

impl Width {
    pub(super) const ALL: [Self; 6] = [Self::U8, Self::U32, Self::U64, Self::I8, Self::I32, Self::I64];

    pub(super) fn range(self) -> (i128, i128) {
        match self {
            Self::U8 => (0, u8::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
            Self::I8 => (i8::MIN.into(), i8::MAX.into()),
            Self::I32 => (i32::MIN.into(), i32::MAX.into()),
            Self::I64 => (i64::MIN.into(), i64::MAX.into()),
        }
    }
}
