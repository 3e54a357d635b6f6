//! A version as Rust.

use crate::model::{Field, Marks, TAGGINGS, Version};
use crate::types::Traits;

const DERIVES: &str = "#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]";

/// The items of one version's module.
pub(crate) fn version(version: &Version) -> String {
    let defaulted = version
        .fields
        .iter()
        .map(|field| format!("{}: {}, ", field.name, first(field)));
    let defaulted = format!(
        "impl Default for OF {{ fn default() -> Self {{ Self {{ id: 1, {} }} }} }}",
        defaulted.collect::<String>()
    );
    let raw = version
        .marks
        .iter()
        .any(|mark| ["try_from", "from", "into"].contains(mark));
    let attributes = of_event(version);
    let mut text = String::new();
    if uses(version, "Inner") || uses(version, "Kind") {
        text += &inner(&version.inner);
    }
    if uses(version, "Kind") {
        text += &kind(version);
    }
    if raw {
        let plain = of_container(version, &["default", "deny", "camel"]);
        let body = fields(version, By::Hand);
        text += &format!("{DERIVES} {plain} pub struct Raw {{ {body} }}\n");
        text += &defaulted.replace("OF", "Raw");
        let names = version.fields.iter().map(|field| field.name);
        let moved: String = std::iter::once("id")
            .chain(names)
            .map(|name| format!("{name}: it.{name}, "))
            .collect();
        text +=
            &format!("impl From<Event> for Raw {{ fn from(it: Event) -> Self {{ Self {{ {moved} }} }} }}\n");
        if version.marks.contains("try_from") {
            text += &format!(
                "impl TryFrom<Raw> for Event {{ type Error = String; fn try_from(it: Raw) -> Result<Self, String> {{ \
                 if it.id > 1_000 {{ return Err(\"too large\".into()) }} Ok(Self {{ {moved} }}) }} }}\n"
            );
        } else {
            text += &format!(
                "impl From<Raw> for Event {{ fn from(it: Raw) -> Self {{ Self {{ {moved} }} }} }}\n"
            );
        }
    }
    let body = fields(version, By::Derive);
    text += &format!(
        "{DERIVES} #[derive(OutboxEvent)] {attributes} #[outbox(topic = \"pairs\", aggregate = \"pair\", key = id, \
         schema)] pub struct Event {{ {body} }}\n"
    );
    text += &defaulted.replace("OF", "Event");
    text + &values(version)
}

/// The first value of each, with each value of one field, and one that `try_from` refuses.
fn values(version: &Version) -> String {
    let mut text = "pub fn values() -> Vec<Event> { let mut all = vec![Event::default()];\n".to_owned();
    text += "all.push(Event { id: 5_000, ..Event::default() });\n";
    for field in &version.fields {
        let list = match field.ty.name {
            "Inner" | "Kind" => format!("{}::values()", field.ty.name),
            _ => format!("vec![{}]", field.ty.values.join(", ")),
        };
        let name = field.name;
        text += &format!("for {name} in {list} {{ all.push(Event {{ {name}, ..Event::default() }}); }}\n");
    }
    text + "all }\n"
}

fn first(field: &Field) -> &'static str {
    match field.ty.name {
        "Inner" => "Inner::default()",
        "Kind" => "Kind::default()",
        _ => field.ty.values[0],
    }
}

/// What declares to the schema the functions between a type and the data.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Derive,
    Hand,
}

fn fields(version: &Version, by: By) -> String {
    let mut text = "pub id: u32, ".to_owned();
    for field in &version.fields {
        text += &format!("{} pub {}: {}, ", of_field(field, by), field.name, field.ty.name);
    }
    text
}

fn of_event(version: &Version) -> String {
    let marks = &version.marks;
    let mut text = of_container(version, &["default", "deny", "camel", "tag", "into"]);
    // Only one of both is taken.
    if marks.contains("try_from") {
        text += "#[serde(try_from = \"Raw\")]";
    } else if marks.contains("from") {
        text += "#[serde(from = \"Raw\")]";
    }
    text
}

/// serde refuses `deny_unknown_fields` beside `flatten`.
fn of_container(version: &Version, taken: &[&str]) -> String {
    let text = attributes(&version.marks, taken);
    if version.fields.iter().any(is_flattened) {
        text.replace("#[serde(deny_unknown_fields)]", "")
    } else {
        text
    }
}

fn attributes(marks: &Marks, taken: &[&str]) -> String {
    let taken = marks.iter().filter(|mark| taken.contains(mark));
    let written = taken.map(|mark| match *mark {
        "default" | "container_default" => "#[serde(default)]",
        "deny" => "#[serde(deny_unknown_fields)]",
        "camel" => "#[serde(rename_all = \"camelCase\")]",
        "snake" => "#[serde(rename_all = \"snake_case\")]",
        "tag" => "#[serde(tag = \"type\")]",
        _ => "#[serde(into = \"Raw\")]",
    });
    written.collect()
}

fn is_flattened(field: &Field) -> bool {
    field.has("flatten") && field.is(Traits::Fields) && field.name == "a_field"
}

fn of_field(field: &Field, by: By) -> String {
    if is_flattened(field) {
        return "#[serde(flatten)]".to_owned();
    }
    if field.has("skip") {
        return "#[serde(skip)]".to_owned();
    }
    let mut said = Said::default();
    if field.has("default") {
        said.to_serde.push("default".to_owned());
    }
    said.names(field);
    said.skips(field);
    said.functions(field);
    said.written(field, by)
}

/// What the attributes of a field say.
#[derive(Default)]
struct Said {
    to_serde: Vec<String>,
    /// What the derive adds to the schema; `By::Hand` is where no derive does.
    notes: Vec<String>,
}

impl Said {
    fn names(&mut self, field: &Field) {
        let name = field.name;
        let other = if field.has("rename") {
            name.to_owned()
        } else {
            format!("other_{name}")
        };
        if field.has("alias") {
            self.to_serde.push(format!("alias = {other:?}"));
            self.notes.push(format!("\"x-serde-alias\" = [{other:?}]"));
        }
        if field.has("rename") {
            self.to_serde.push(format!("rename = \"other_{name}\""));
        } else if field.has("rename_read") {
            self.to_serde.push(format!(
                "rename(serialize = \"written_{name}\", deserialize = \"read_{name}\")"
            ));
        }
    }

    fn skips(&mut self, field: &Field) {
        if field.has("skip_serializing") {
            self.to_serde.push("skip_serializing".to_owned());
        } else if field.has("is_none") && field.is(Traits::Optional) {
            self.to_serde
                .push("skip_serializing_if = \"Option::is_none\"".to_owned());
        } else if field.has("skip_if") {
            self.to_serde
                .push("skip_serializing_if = \"is_default\"".to_owned());
        }
        if field.has("skip_deserializing") {
            self.to_serde.push("skip_deserializing".to_owned());
        }
    }

    fn functions(&mut self, field: &Field) {
        let text = field.is(Traits::Text);
        for (attribute, function, is_there) in [
            (
                "serialize_with",
                "as_text",
                text && (field.has("with") || field.has("serialize_with")),
            ),
            (
                "deserialize_with",
                "from_text",
                text && (field.has("with") || field.has("deserialize_with")),
            ),
            (
                "deserialize_with",
                "or_default",
                field.has("lenient") && !self.to_serde.iter().any(|it| it.contains("from_text")),
            ),
        ] {
            let again = self.to_serde.iter().any(|it| it.starts_with("deserialize_with"))
                && attribute == "deserialize_with";
            if is_there && !again {
                self.to_serde.push(format!("{attribute} = \"{function}\""));
                self.notes.push(format!(
                    "\"x-serde-{}\" = \"{function}\"",
                    attribute.replace('_', "-")
                ));
            }
        }
    }

    fn written(mut self, field: &Field, by: By) -> String {
        let mut schemars = String::new();
        if field.is(Traits::Text) && field.has("with") && field.has("declared") {
            let ty = field.ty.name;
            schemars = format!("#[schemars(schema_with = \"text_of::<{ty}>\")]");
            self.notes.retain(|note| note.contains("alias"));
        }
        if by == By::Hand && !self.notes.is_empty() {
            schemars += &format!("#[schemars(extend({}))]", self.notes.join(", "));
        }
        if self.to_serde.is_empty() {
            schemars
        } else {
            format!("#[serde({})] {schemars}", self.to_serde.join(", "))
        }
    }
}

fn inner(marks: &Marks) -> String {
    let has = |mark| marks.contains(mark);
    let mut fields: Vec<(&str, String, &str)> = Vec::new();
    let ty = if has("wide") { "u32" } else { "u8" };
    let mut of_x = String::new();
    if has("default") {
        of_x += "#[serde(default)]";
    }
    if has("skip_if") {
        of_x += "#[serde(skip_serializing_if = \"is_default\")]";
    }
    if has("function") {
        of_x += "#[serde(serialize_with = \"as_text\", deserialize_with = \"from_text\")]";
        of_x += "#[schemars(extend(\"x-serde-serialize-with\" = \"as_text\", \"x-serde-deserialize-with\" = \"from_text\"))]";
    }
    if !has("no_field") {
        fields.push(("x", format!("{of_x} x: {ty}"), "0"));
    }
    if has("more") {
        fields.push(("y", "y: String".to_owned(), "String::new()"));
    }
    if has("option") {
        fields.push(("z", "z: Option<u8>".to_owned(), "None"));
    }
    let declared: String = fields.iter().map(|(_, field, _)| format!("{field}, ")).collect();
    let filled: String = fields
        .iter()
        .map(|(name, _, value)| format!("{name}: {value}, "))
        .collect();
    let mut values = format!("Self {{ {filled} }}");
    if !has("no_field") {
        values += &format!(
            ", Self {{ {} }}",
            filled.replace("x: 0", if has("wide") { "x: 70_000" } else { "x: 255" })
        );
    }
    if has("option") {
        values += &format!(", Self {{ {} }}", filled.replace("z: None", "z: Some(1)"));
    }
    format!(
        "{DERIVES} {} pub struct Inner {{ {declared} }}\n\
         impl Default for Inner {{ fn default() -> Self {{ Self::values().remove(0) }} }}\n\
         impl Inner {{ fn values() -> Vec<Self> {{ vec![{values}] }} }}\n",
        attributes(marks, &["container_default", "deny"])
    )
}

fn kind(version: &Version) -> String {
    let has = |mark| version.kind.contains(mark);
    let tagging = TAGGINGS[version.tagging];
    let mut variants = Vec::new();
    let mut values = Vec::new();
    let mut of_second = String::new();
    for (mark, attribute) in [
        ("skip_deserializing", "#[serde(skip_deserializing)]"),
        ("skip_serializing", "#[serde(skip_serializing)]"),
        ("renamed", "#[serde(rename = \"other\")]"),
        ("alias", "#[serde(alias = \"second_too\")]"),
    ] {
        if has(mark) {
            of_second += attribute;
        }
    }
    if !has("no_unit") {
        variants.push("First".to_owned());
        values.push("Self::First");
    }
    variants.push(format!("{of_second} Second {{ x: u8, y: Option<u8> }}"));
    values.extend([
        "Self::Second { x: 255, y: None }",
        "Self::Second { x: 0, y: Some(1) }",
    ]);
    if !has("no_newtype") {
        variants.push("Third(Inner)".to_owned());
        values.push("Self::Third(Inner::default())");
    }
    if has("more") {
        variants.push("Fourth {}".to_owned());
        values.push("Self::Fourth {}");
    }
    if has("other") && tagging.starts_with("tag") {
        variants.push("#[serde(other)] Unknown".to_owned());
        values.push("Self::Unknown");
    }
    let tagging = if tagging.is_empty() {
        String::new()
    } else {
        format!("#[serde({tagging})]")
    };
    format!(
        "{DERIVES} {tagging} {} pub enum Kind {{ {} }}\n\
         impl Default for Kind {{ fn default() -> Self {{ Self::values().remove(0) }} }}\n\
         impl Kind {{ fn values() -> Vec<Self> {{ vec![{}] }} }}\n",
        attributes(&version.kind, &["deny", "snake"]),
        variants.join(", "),
        values.join(", ")
    )
}

/// Whether a field's type is made with this one.
fn uses(version: &Version, name: &str) -> bool {
    version.fields.iter().any(|field| field.ty.name.contains(name))
}
