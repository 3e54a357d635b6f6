//! The types that a field may have, each with values at its edges.

/// A type, as it is written in Rust.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Type {
    pub(crate) name: &'static str,
    pub(crate) values: &'static [&'static str],
    pub(crate) traits: Traits,
}

/// Which attributes a type can have.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Traits {
    /// `Display` and `FromStr`.
    Text,
    /// `Option::is_none`.
    Optional,
    /// `flatten`.
    Fields,
    Other,
}

const fn of(name: &'static str, values: &'static [&'static str], traits: Traits) -> Type {
    Type { name, values, traits }
}

/// `Inner`, `Kind`, `Wide`, `Id` and `Clear` are declared beside the event; `Decimal` is one for all.
pub(crate) const TYPES: &[Type] = &[
    of("bool", &["true", "false"], Traits::Text),
    of("u8", &["0", "255"], Traits::Text),
    of("u32", &["0", "70_000"], Traits::Text),
    of("i64", &["-1", "0", "i64::MAX"], Traits::Text),
    of("f64", &["0.0", "1.5", "-1e20"], Traits::Text),
    of("f32", &["0.0", "1.5"], Traits::Text),
    of(
        "String",
        &["String::new()", "\"12\".into()", "\"text\".into()"],
        Traits::Text,
    ),
    of("char", &["'a'", "'1'"], Traits::Text),
    of("Decimal", &["Decimal::default()", "Decimal(12.5)"], Traits::Other),
    of("Option<u8>", &["None", "Some(0)", "Some(255)"], Traits::Optional),
    of(
        "Option<String>",
        &["None", "Some(String::new())"],
        Traits::Optional,
    ),
    of(
        "Option<Option<u8>>",
        &["None", "Some(None)", "Some(Some(1))"],
        Traits::Optional,
    ),
    of(
        "Option<Inner>",
        &["None", "Some(Inner::values()[0].clone())"],
        Traits::Optional,
    ),
    of(
        "Option<Kind>",
        &["None", "Some(Kind::values()[0].clone())"],
        Traits::Optional,
    ),
    of(
        "Option<Maybe>",
        &["None", "Some(Maybe(None))", "Some(Maybe(Some(1)))"],
        Traits::Optional,
    ),
    of(
        "Option<Clear<Option<u8>>>",
        &["None", "Some(Clear(None))", "Some(Clear(Some(1)))"],
        Traits::Optional,
    ),
    of("Maybe", &["Maybe(None)", "Maybe(Some(1))"], Traits::Other),
    of("Vec<u8>", &["vec![]", "vec![0, 255]"], Traits::Other),
    of(
        "Vec<Option<u8>>",
        &["vec![]", "vec![None, Some(1)]"],
        Traits::Other,
    ),
    of("Vec<Inner>", &["vec![]", "Inner::values()"], Traits::Other),
    of("Vec<Kind>", &["vec![]", "Kind::values()"], Traits::Other),
    of("(u8, u8)", &["(0, 255)"], Traits::Other),
    of("[u8; 2]", &["[0, 255]"], Traits::Other),
    of(
        "BTreeMap<String, u8>",
        &[
            "BTreeMap::new()",
            "[(\"x\".into(), 1)].into()",
            "[(\"other\".into(), 1)].into()",
        ],
        Traits::Fields,
    ),
    of(
        "Value",
        &["Value::Null", "json!(1)", "json!(\"text\")", "json!({\"x\": 1})"],
        Traits::Other,
    ),
    of("Id<u8>", &["Id(0)", "Id(255)"], Traits::Other),
    of("Id<Inner>", &["Id(Inner::values()[0].clone())"], Traits::Other),
    of("Clear<u32>", &["Clear(0)", "Clear(70_000)"], Traits::Other),
    of(
        "Box<Inner>",
        &["Box::new(Inner::values()[0].clone())"],
        Traits::Fields,
    ),
    of("Inner", &[], Traits::Fields),
    of("Kind", &[], Traits::Other),
];

/// Types between which a reader and a writer may understand each other, and so worth drawing together.
pub(crate) const NEIGHBOURS: &[(&str, &str)] = &[
    ("u8", "u32"),
    ("u8", "i64"),
    ("u32", "f64"),
    ("i64", "f64"),
    ("f32", "f64"),
    ("f64", "Decimal"),
    ("u32", "Decimal"),
    ("String", "Decimal"),
    ("u8", "Option<u8>"),
    ("String", "Option<String>"),
    ("Option<u8>", "Option<Option<u8>>"),
    ("Option<u8>", "Maybe"),
    ("Option<u8>", "Option<Maybe>"),
    ("Option<u8>", "Option<Clear<Option<u8>>>"),
    ("Inner", "Option<Inner>"),
    ("Kind", "Option<Kind>"),
    ("char", "String"),
    ("Vec<u8>", "Vec<Option<u8>>"),
    ("[u8; 2]", "(u8, u8)"),
    ("[u8; 2]", "Vec<u8>"),
    ("u8", "Id<u8>"),
    ("u32", "Clear<u32>"),
    ("Inner", "Id<Inner>"),
    ("Inner", "Box<Inner>"),
    ("Inner", "BTreeMap<String, u8>"),
    ("Inner", "Kind"),
    ("Vec<Inner>", "Vec<Kind>"),
    ("u8", "Value"),
    ("Option<u8>", "Value"),
    ("Kind", "String"),
];

pub(crate) fn named(name: &str) -> Type {
    let found = TYPES.iter().find(|ty| ty.name == name);
    *found.unwrap_or_else(|| panic!("no type is called {name}"))
}
