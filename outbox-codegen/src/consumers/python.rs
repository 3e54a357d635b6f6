//! Pydantic models, by datamodel-code-generator: a module for each event, and one that leads to them.

use std::fmt::Write;

use outbox_runtime::catalog::CatalogDocument;
use serde_json::Value;

use super::generated;
use super::names::Named;
use super::tool::{Tool, titled};
use crate::artifact::Artifact;
use crate::failure::Failure;

const TOOL: Tool = Tool {
    program: "datamodel-codegen",
    install: "pip install datamodel-code-generator",
};

pub(super) fn files(
    catalog: &CatalogDocument,
    events: &[(&Named<'_>, &Value)],
) -> Result<Vec<Artifact>, Failure> {
    let mut files = vec![Artifact {
        name: "__init__.py".to_owned(),
        contents: package(catalog, events),
    }];
    for (named, schema) in events {
        let arguments = |input: &str, output: &str| {
            let fixed = [
                "--input-file-type=jsonschema",
                "--output-model-type=pydantic_v2.BaseModel",
                "--target-python-version=3.11",
                "--formatters=builtin",
                "--disable-timestamp",
                "--use-schema-description",
                // Bounds stand beside the type, where type checkers can read it.
                "--field-constraints",
                // A field called `from` or `orderId` keeps that name on the wire, and can be read in Python's way.
                "--snake-case-field",
            ];
            let own = [
                format!("--input={input}"),
                format!("--output={output}"),
                format!("--class-name={}", named.name),
                format!("--custom-file-header=# {}", generated("python")),
            ];
            fixed.map(str::to_owned).into_iter().chain(own).collect()
        };
        let contents = TOOL.run(&named.name, "py", &titled(schema, &named.name), arguments)?;
        files.push(Artifact {
            name: format!("{}.py", named.file()),
            contents,
        });
    }
    Ok(files)
}

fn package(catalog: &CatalogDocument, events: &[(&Named<'_>, &Value)]) -> String {
    let (mut imports, mut known) = (String::new(), String::new());
    let mut bases: Vec<&str> = events.iter().map(|(named, _)| named.base).collect();
    bases.sort_unstable();
    bases.dedup();
    for (named, _) in events {
        let _ = writeln!(imports, "from .{} import {}", named.file(), named.name);
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

_KNOWN = {{{bases}}}


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


def decode(event_type: str, value: bytes | None) -> Event | Tombstone | UnknownVersion | UnknownType:
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
    return UnknownVersion(event_type, version) if base in _KNOWN else UnknownType(event_type)
",
        generated = generated("python"),
        package = catalog.package,
        bases = bases.iter().map(|base| format!("{base:?}")).collect::<Vec<_>>().join(", "),
        union = if names.is_empty() { "BaseModel".to_owned() } else { names.join(" | ") },
    )
}
