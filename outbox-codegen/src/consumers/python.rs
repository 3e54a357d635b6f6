//! Pydantic models, by datamodel-code-generator: a module for each event, and one that leads to them.

use std::fmt::Write;

use outbox_runtime::catalog::CatalogDocument;
use serde_json::Value;

use super::names::Named;
use super::tool::Tool;
use super::{definitions, generated};
use crate::artifact::Artifact;
use crate::config::Language;
use crate::failure::Failure;

const TOOL: Tool = Tool {
    program: "datamodel-codegen",
    install: "pip install datamodel-code-generator black isort",
    extension: "py",
};

pub(super) fn files(
    catalog: &CatalogDocument,
    events: &[(&Named<'_>, &Value)],
) -> Result<Vec<Artifact>, Failure> {
    let arguments = |input: &str, output: &str| {
        let fixed = [
            "--input-file-type=jsonschema",
            "--output-model-type=pydantic_v2.BaseModel",
            "--target-python-version=3.11",
            "--disable-timestamp",
            "--use-schema-description",
            // Names are those of the schemas, and stay.
            "--use-title-as-name",
            "--keep-model-order",
            // Bounds and patterns stand beside the type, also of a map's keys, where type checkers can read it.
            "--field-constraints",
            "--use-annotated",
            // A field called `from` or `orderId` keeps that name on the wire, and can be read in Python's way.
            "--snake-case-field",
            // As a project's own formatter leaves it.
            "--use-double-quotes",
            "--formatters",
            "isort",
            "black",
        ];
        let own = [
            format!("--input={input}"),
            format!("--output={output}"),
            format!("--custom-file-header=# {}", generated(Language::Python)),
        ];
        fixed.map(str::to_owned).into_iter().chain(own).collect()
    };
    let schemas: Vec<(String, Value)> = events
        .iter()
        .map(|(named, schema)| (named.file(), definitions::named(schema, &named.name)))
        .collect();
    let modules = TOOL.run(&schemas, arguments)?;
    let module = |((name, _), contents): (&(String, Value), String)| Artifact {
        name: format!("{name}.py"),
        contents,
    };
    let package = Artifact {
        name: "__init__.py".to_owned(),
        contents: package(catalog, events),
    };
    Ok(std::iter::once(package)
        .chain(schemas.iter().zip(modules).map(module))
        .collect())
}

/// As long as a line may be.
const WIDTH: usize = 88;

/// An import on one line, or on three where that is too long.
fn import(named: &Named<'_>) -> String {
    let line = format!("from .{} import {}", named.file(), named.name);
    if line.len() <= WIDTH {
        return line + "\n";
    }
    format!("from .{} import (\n    {},\n)\n", named.file(), named.name)
}

/// All types as one.
fn union(names: &[&str]) -> String {
    let line = names.join(" | ");
    if line.len() + "Event = ".len() <= WIDTH {
        return line;
    }
    format!("(\n    {}\n)", names.join("\n    | "))
}

fn package(catalog: &CatalogDocument, events: &[(&Named<'_>, &Value)]) -> String {
    let (mut imports, mut known) = (String::new(), String::new());
    let mut bases: Vec<&str> = events.iter().map(|(named, _)| named.base).collect();
    bases.sort_unstable();
    bases.dedup();
    let mut sorted: Vec<&Named<'_>> = events.iter().map(|(named, _)| *named).collect();
    sorted.sort_by_key(|named| named.file());
    for named in sorted {
        imports += &import(named);
    }
    for (named, _) in events {
        let _ = writeln!(known, "    {:?}: {},", named.event.event_type, named.name);
    }
    let exported: String = events
        .iter()
        .map(|(named, _)| format!("    {:?},\n", named.name))
        .collect();
    let names: Vec<&str> = events.iter().map(|(named, _)| named.name.as_str()).collect();
    format!(
        "# {generated}
\"\"\"The events of `{package}`, as a consumer reads them. Needs pydantic.\"\"\"

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import BaseModel

{imports}
__all__ = [
    \"EVENTS\",
    \"Event\",
    \"Tombstone\",
    \"UnknownType\",
    \"UnknownVersion\",
    \"decode\",
{exported}]

EVENTS: dict[str, type[BaseModel]] = {{
{known}}}
\"\"\"The models by the header `ce_type`.\"\"\"

_KNOWN = {{
{bases}}}


@dataclass(frozen=True)
class Tombstone:
    \"\"\"A record without a value: its key is deleted.\"\"\"

    event_type: str


@dataclass(frozen=True)
class UnknownVersion:
    \"\"\"A type that is known, in a version that is not.\"\"\"

    event_type: str
    version: int


@dataclass(frozen=True)
class UnknownType:
    \"\"\"A type that is not known.\"\"\"

    event_type: str


Event = {union}


def decode(
    event_type: str,
    value: bytes | None,
) -> Event | Tombstone | UnknownVersion | UnknownType:
    \"\"\"Reads a record's value as what its header `ce_type` says.

    Raises pydantic.ValidationError where the value is not that; a type or version that is not known is no error.
    \"\"\"
    if value is None:
        return Tombstone(event_type)
    model = EVENTS.get(event_type)
    if model is not None:
        return model.model_validate_json(value)  # type: ignore[return-value]
    parts = re.fullmatch(r\"(.+)V([0-9]+)\", event_type)
    base, version = (parts[1], int(parts[2])) if parts else (event_type, 1)
    if base in _KNOWN:
        return UnknownVersion(event_type, version)
    return UnknownType(event_type)
",
        generated = generated(Language::Python),
        package = catalog.package,
        bases = bases.iter().map(|base| format!("    {base:?},\n")).collect::<String>(),
        union = if names.is_empty() { "BaseModel".to_owned() } else { union(&names) },
    )
}
