//! An enum over the producer's own types: the consumer depends on the crate that declares them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use outbox_runtime::catalog::CatalogDocument;

use super::generated;
use super::names::Named;
use crate::artifact::Artifact;
use crate::config::Language;

pub(super) fn file(catalog: &CatalogDocument, events: &[Named<'_>]) -> Artifact {
    let package = &catalog.package;
    let (mut variants, mut arms) = (String::new(), String::new());
    for named in events {
        for line in named.event.doc.lines() {
            let _ = writeln!(
                variants,
                "    ///{}{line}",
                if line.is_empty() { "" } else { " " }
            );
        }
        if named.event.doc.is_empty() {
            let _ = writeln!(variants, "    /// `{}`", named.event.event_type);
        }
        let _ = writeln!(
            variants,
            "    {}({}),",
            named.name,
            path(catalog, &named.event.rust_type)
        );
        let _ = writeln!(
            arms,
            "            {:?} => Self::{}(serde_json::from_slice(value)?),",
            named.event.event_type, named.name
        );
    }
    let bases: BTreeSet<&str> = events.iter().map(|named| named.base).collect();
    let bases: Vec<String> = bases.iter().map(|base| format!("{base:?}")).collect();
    let contents = format!(
        "// {generated}
//! The events of `{package}`, as a consumer reads them. Needs that crate and `serde_json`.

/// The types that are known, without their versions.
const KNOWN: [&str; {count}] = [{bases}];

/// The event in a record, by its header `ce_type`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {{
{variants}    /// A record without a value: its key is deleted.
    Tombstone {{
        /// The header `ce_type`.
        event_type: String,
    }},
    /// A type that is known, in a version that is not.
    UnknownVersion {{
        /// The header `ce_type`.
        event_type: String,
        /// The version that it names.
        version: u32,
    }},
    /// A type that is not known.
    UnknownType {{
        /// The header `ce_type`.
        event_type: String,
    }},
}}

impl Event {{
    /// Reads a record's value as what its header `ce_type` says.
    ///
    /// # Errors
    /// The value is not what the type says. A type or version that is not known is no error.
    pub fn decode(event_type: &str, value: Option<&[u8]>) -> Result<Self, serde_json::Error> {{
        let Some(value) = value else {{
            return Ok(Self::Tombstone {{ event_type: event_type.to_owned() }});
        }};
        Ok(match event_type {{
{arms}            other => Self::unknown(other),
        }})
    }}

    fn unknown(event_type: &str) -> Self {{
        let base = event_type.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let number = event_type[base.len()..].parse().ok();
        let (base, version) = match (base.strip_suffix('V'), number) {{
            (Some(base), Some(version)) => (base, version),
            _ => (event_type, 1),
        }};
        let event_type = event_type.to_owned();
        if KNOWN.contains(&base) {{
            Self::UnknownVersion {{ event_type, version }}
        }} else {{
            Self::UnknownType {{ event_type }}
        }}
    }}
}}
",
        generated = generated(Language::Rust),
        count = bases.len(),
        bases = bases.join(", "),
    );
    Artifact {
        name: "events.rs".to_owned(),
        contents,
    }
}

/// The type to decode into. A variant is decoded as its enum; what is written in the angle brackets of a generic type is
/// looked up among the events, and else stands beside it.
fn path(catalog: &CatalogDocument, rust_type: &str) -> String {
    let (own, arguments) = match rust_type.split_once('<') {
        Some((own, rest)) => match rest.rsplit_once('>') {
            Some((arguments, variant)) if variant.is_empty() || variant.starts_with("::") => {
                (own, Some(arguments))
            }
            _ => (rust_type, None),
        },
        None => (rust_type, None),
    };
    let Some(arguments) = arguments else {
        return without_variant(own).to_owned();
    };
    let module = own.rsplit_once("::").map_or("", |(module, _)| module);
    let known: BTreeMap<&str, &str> = catalog
        .events
        .iter()
        .filter_map(|event| Some((event.rust_type.rsplit_once("::")?.1, event.rust_type.as_str())))
        .collect();
    let arguments: Vec<String> = arguments
        .split(',')
        .map(str::trim)
        .map(|argument| match known.get(argument) {
            Some(full) => (*full).to_owned(),
            None if is_own(argument) => format!("{module}::{argument}"),
            None => argument.to_owned(),
        })
        .collect();
    format!("{own}<{}>", arguments.join(", "))
}

/// A module is written in small letters, an enum is not: `shop::OrderEvent::Placed` is a variant.
fn without_variant(rust_type: &str) -> &str {
    match rust_type.rsplit_once("::") {
        Some((before, _)) => {
            let last = before.rsplit("::").next().unwrap_or(before);
            if last.starts_with(|letter: char| letter.is_uppercase()) {
                before
            } else {
                rust_type
            }
        }
        None => rust_type,
    }
}

/// A name without a path that is not one of the language's own types.
fn is_own(argument: &str) -> bool {
    let prelude = ["String", "Vec", "Option", "Box"];
    argument.starts_with(|letter: char| letter.is_uppercase())
        && argument
            .chars()
            .all(|letter| letter.is_alphanumeric() || letter == '_')
        && !prelude.contains(&argument)
}
