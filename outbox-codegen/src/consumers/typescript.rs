//! TypeScript types, by json-schema-to-typescript: a module for each event, and one that leads to them.

use std::fmt::Write;

use outbox_runtime::catalog::CatalogDocument;
use serde_json::Value;

use super::generated;
use super::names::Named;
use super::tool::{Tool, titled};
use crate::artifact::Artifact;
use crate::config::Language;
use crate::failure::Failure;

const TOOL: Tool = Tool {
    program: "json2ts",
    install: "npm install --save-dev json-schema-to-typescript",
    extension: "d.ts",
};

pub(super) fn files(
    catalog: &CatalogDocument,
    events: &[(&Named<'_>, &Value)],
) -> Result<Vec<Artifact>, Failure> {
    let arguments = |input: &str, output: &str| {
        [
            "--input",
            input,
            "--output",
            output,
            // Fields that a newer producer adds are there, and not of any type.
            "--no-additionalProperties",
            "--bannerComment",
            &format!("// {}", generated(Language::Typescript)),
        ]
        .map(str::to_owned)
        .to_vec()
    };
    let schemas: Vec<(String, Value)> = events
        .iter()
        .map(|(named, schema)| (named.file(), titled(schema, &named.name)))
        .collect();
    let modules = TOOL.run(&schemas, arguments)?;
    let module = |((name, _), contents): (&(String, Value), String)| Artifact {
        name: format!("{name}.ts"),
        contents,
    };
    let index = Artifact {
        name: "index.ts".to_owned(),
        contents: index(catalog, events),
    };
    Ok(std::iter::once(index)
        .chain(schemas.iter().zip(modules).map(module))
        .collect())
}

fn index(catalog: &CatalogDocument, events: &[(&Named<'_>, &Value)]) -> String {
    let (mut imports, mut union, mut versions) = (String::new(), String::new(), String::new());
    let mut bases: Vec<&str> = events.iter().map(|(named, _)| named.base).collect();
    bases.sort_unstable();
    bases.dedup();
    for (named, _) in events {
        let (name, event_type, version) = (&named.name, &named.event.event_type, named.event.version);
        let _ = writeln!(
            imports,
            "import type {{ {name} }} from \"./{}.js\";",
            named.file()
        );
        let _ = writeln!(
            union,
            "  | {{ type: {event_type:?}; version: {version}; value: {name} }}"
        );
        let _ = writeln!(versions, "  [{event_type:?}, {version}],");
    }
    let names: Vec<&str> = events.iter().map(|(named, _)| named.name.as_str()).collect();
    format!(
        "// {generated}
/** The events of `{package}`, as a consumer reads them. */
{imports}
export type {{ {names} }};

/** An event, by the header `ce_type`. The value is what JSON holds: it is not checked. */
export type Event =
{union}  | Unknown;

/** What is none of the events that are known. */
export type Unknown =
  /** A record without a value: its key is deleted. */
  | {{ type: \"tombstone\"; eventType: string }}
  /** A type that is known, in a version that is not. */
  | {{ type: \"unknownVersion\"; eventType: string; version: number }}
  /** A type that is not known. */
  | {{ type: \"unknownType\"; eventType: string }};

const versions = new Map<string, number>([
{versions}]);

const known = new Set<string>([{bases}]);

/** Reads a record's value as what its header `ce_type` says. Throws a SyntaxError where it is no JSON. */
export function decode(eventType: string, value: Uint8Array | string | null): Event {{
  if (value === null) {{
    return {{ type: \"tombstone\", eventType }};
  }}
  const version = versions.get(eventType);
  if (version !== undefined) {{
    const text = typeof value === \"string\" ? value : new TextDecoder().decode(value);
    return {{ type: eventType, version, value: JSON.parse(text) }} as Event;
  }}
  const parts = /^(.+)V([0-9]+)$/.exec(eventType);
  return known.has(parts?.[1] ?? eventType)
    ? {{ type: \"unknownVersion\", eventType, version: Number(parts?.[2] ?? 1) }}
    : {{ type: \"unknownType\", eventType }};
}}
",
        generated = generated(Language::Typescript),
        package = catalog.package,
        names = names.join(", "),
        bases = bases
            .iter()
            .map(|base| format!("{base:?}"))
            .collect::<Vec<_>>()
            .join(", "),
    )
}
