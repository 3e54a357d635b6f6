//! `#[outbox(…)]` as it was written: every value with its place, nothing decided yet.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{Attribute, DeriveInput, Expr, ExprLit, Lit, LitStr, Meta, Path};

use super::forms::FormEntry;
use super::topic;
use super::value::{HeaderEntry, is_constant};
use crate::entries::{self, Entry, EntryValue, ungrouped};
use crate::mistakes::Mistakes;
use crate::spelling::closest;

/// The attributes of a struct, an enum or a variant.
#[derive(Default)]
pub(super) struct Attrs {
    pub(super) topic: Option<topic::Given>,
    pub(super) aggregate: Option<LitStr>,
    pub(super) key: Option<Expr>,
    pub(super) event_type: Option<LitStr>,
    pub(super) version: Option<(u32, Span)>,
    pub(super) source: Option<LitStr>,
    pub(super) content_type: Option<LitStr>,
    pub(super) occurred_at: Option<Expr>,
    pub(super) correlation_id: Option<Expr>,
    pub(super) headers: Vec<HeaderEntry>,
    pub(super) transparent: Option<Span>,
    pub(super) schema: Option<Span>,
    /// None if they were not given, or could not be read.
    pub(super) instances: Option<Vec<FormEntry>>,
    pub(super) krate: Option<LitStr>,
    /// Whether some attributes could not be read at all: then nothing counts as missing.
    pub(super) unreadable: bool,
    /// The names that were given, read or not, so that what could not be read does not count as missing.
    pub(super) given: Vec<(String, Span)>,
}

const NAMES: [&str; 14] = [
    "topic",
    "aggregate",
    "key",
    "event_type",
    "version",
    "source",
    "content_type",
    "occurred_at",
    "correlation_id",
    "headers",
    "transparent",
    "schema",
    "instances",
    "crate",
];

/// Names that others use for the same.
const SYNONYMS: [(&str, &str); 15] = [
    ("aggregate_type", "aggregate"),
    ("aggregate_id", "key"),
    ("partition_key", "key"),
    ("id", "key"),
    ("type", "event_type"),
    ("name", "event_type"),
    ("rename", "event_type"),
    ("timestamp", "occurred_at"),
    ("time", "occurred_at"),
    ("correlation", "correlation_id"),
    ("destination", "topic"),
    ("channel", "topic"),
    ("flatten", "transparent"),
    ("json_schema", "schema"),
    ("forms", "instances"),
];

/// The attributes of the struct or enum itself; what stands on its fields is a mistake.
pub(super) fn of_item(input: &DeriveInput, mistakes: &mut Mistakes) -> Attrs {
    let fields: Vec<&syn::Field> = match &input.data {
        syn::Data::Struct(data) => data.fields.iter().collect(),
        syn::Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        syn::Data::Union(_) => Vec::new(),
    };
    let mut unreadable = false;
    for field in fields {
        for attribute in field
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("outbox"))
        {
            let name = field
                .ident
                .as_ref()
                .map_or("self.0".to_owned(), ToString::to_string);
            unreadable = true;
            mistakes.at(
                attribute,
                format!(
                    "`#[outbox(…)]` belongs on the struct or variant, not on a field: \
                     name the field there, for example `#[outbox(key = {name})]`"
                ),
            );
        }
    }
    let mut attrs = of(&input.attrs, mistakes);
    attrs.unreadable |= unreadable;
    attrs
}

/// The attributes in this list.
pub(super) fn of(attributes: &[Attribute], mistakes: &mut Mistakes) -> Attrs {
    let mut attrs = Attrs::default();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("outbox"))
    {
        match &attribute.meta {
            Meta::List(list) => {
                for entry in entries::read(list.tokens.clone(), mistakes) {
                    attrs.take(entry, mistakes);
                }
            }
            Meta::Path(_) | Meta::NameValue(_) => {
                attrs.unreadable = true;
                mistakes.at(
                    attribute,
                    "write the attributes in parentheses: `#[outbox(topic = \"…\", aggregate = \"…\", key = …)]`",
                );
            }
        }
    }
    attrs
}

impl Attrs {
    /// Whether a name was given, with a right value or a wrong one.
    pub(super) fn gives(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| given == name)
    }

    /// The path of the runtime.
    pub(super) fn runtime(&self, mistakes: &mut Mistakes) -> Path {
        let default = || syn::parse_quote!(::outbox_runtime);
        let Some(given) = &self.krate else {
            return default();
        };
        given.parse_with(Path::parse_mod_style).unwrap_or_else(|_| {
            mistakes.at(
                given,
                "`crate` is the path of the runtime: write for example `crate = \"::my_outbox\"`",
            );
            default()
        })
    }

    fn take(&mut self, Entry { name, value }: Entry, mistakes: &mut Mistakes) {
        let word = name.to_string();
        if !NAMES.contains(&word.as_str()) {
            let meant = meant_by(&word);
            mistakes.at(&name, unknown(&word, meant));
            // Not missing, only misspelt.
            self.given
                .extend(meant.map(|meant| (meant.to_owned(), name.span())));
            return;
        }
        if self.gives(&word) {
            mistakes.at(&name, format!("`{word}` is given twice: leave one"));
            return;
        }
        self.given.push((word.clone(), name.span()));
        if matches!(value, EntryValue::Broken) {
            return;
        }
        let read = match word.as_str() {
            "topic" => topic_of(&word, value).map(|topic| self.topic = Some(topic)),
            "aggregate" => text(&word, value, "order").map(|text| self.aggregate = Some(text)),
            "event_type" => text(&word, value, "OrderPlacedV1").map(|text| self.event_type = Some(text)),
            "source" => text(&word, value, "/orders").map(|text| self.source = Some(text)),
            "content_type" => {
                text(&word, value, "application/json").map(|text| self.content_type = Some(text))
            }
            "crate" => text(&word, value, "::outbox_runtime").map(|text| self.krate = Some(text)),
            "key" => value_of(&word, value).map(|value| self.key = Some(value)),
            "occurred_at" => value_of(&word, value).map(|value| self.occurred_at = Some(value)),
            "correlation_id" => value_of(&word, value).map(|value| self.correlation_id = Some(value)),
            "version" => number(value).map(|version| self.version = Some(version)),
            "headers" => match value {
                EntryValue::List(tokens) => {
                    self.headers = entries::list(tokens, |_| None, mistakes);
                    Ok(())
                }
                _ => Err(None),
            }
            .map_err(|at| {
                (
                    at,
                    "write `headers(\"x-tenant\" = tenant, \"x-kind\" = \"batch\")`".to_owned(),
                )
            }),
            "instances" => match value {
                EntryValue::List(tokens) => {
                    self.instances = Some(entries::list(tokens, |_| None, mistakes));
                    Ok(())
                }
                _ => Err((None, "write `instances(Type<Argument>, …)`".to_owned())),
            },
            "schema" => flag(&word, value).map(|()| self.schema = Some(name.span())),
            _ => flag(&word, value).map(|()| self.transparent = Some(name.span())),
        };
        if let Err((at, says)) = read {
            match at {
                Some(expr) => mistakes.at(expr, says),
                None => mistakes.at(&name, says),
            }
        }
    }
}

/// Where a value is wrong (none: at its name), and what to write instead.
type Wrong = (Option<Box<Expr>>, String);

fn meant_by(word: &str) -> Option<&'static str> {
    let synonym = SYNONYMS
        .iter()
        .find(|(other, _)| *other == word)
        .map(|(_, ours)| *ours);
    synonym.or_else(|| closest(word, NAMES))
}

fn unknown(word: &str, meant: Option<&str>) -> String {
    match meant {
        Some(ours) => format!("unknown attribute `{word}`: did you mean `{ours}`?"),
        None => format!("unknown attribute `{word}`: there are `{}`", NAMES.join("`, `")),
    }
}

const TOPIC_EXAMPLE: &str = "orders.order.placed.v1";

/// A text, or a constant that is one.
fn topic_of(name: &str, value: EntryValue) -> Result<topic::Given, Wrong> {
    match value {
        EntryValue::Expr(expr) => match ungrouped(*expr) {
            constant if is_constant(&constant) => Ok(topic::Given::Constant(constant)),
            plain @ (Expr::Lit(_) | Expr::Path(_)) => {
                text(name, EntryValue::Expr(Box::new(plain)), TOPIC_EXAMPLE).map(topic::Given::Text)
            }
            other => Err((
                Some(Box::new(other)),
                "`topic` takes a text in quotes, with fields in braces, or a constant: write \
                 `topic = \"orders.{field}.v1\"` or `topic = TOPIC`"
                    .to_owned(),
            )),
        },
        other => text(name, other, TOPIC_EXAMPLE).map(topic::Given::Text),
    }
}

fn text(name: &str, value: EntryValue, example: &str) -> Result<LitStr, Wrong> {
    let says = format!("`{name}` takes a text in quotes: write `{name} = \"{example}\"`");
    match value {
        EntryValue::Expr(expr) => match ungrouped(*expr) {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => Ok(text),
            Expr::Path(path) if path.path.get_ident().is_some() => {
                let says = format!(
                    "`{name}` takes a text in quotes: write `{name} = \"{}\"`",
                    path.to_token_stream()
                );
                Err((Some(Box::new(Expr::Path(path))), says))
            }
            other => Err((Some(Box::new(other)), says)),
        },
        EntryValue::Nothing | EntryValue::List(_) | EntryValue::Broken => Err((None, says)),
    }
}

fn flag(name: &str, value: EntryValue) -> Result<(), Wrong> {
    match value {
        EntryValue::Nothing => Ok(()),
        _ => Err((None, format!("`{name}` takes no value: write just `{name}`"))),
    }
}

fn value_of(name: &str, value: EntryValue) -> Result<Expr, Wrong> {
    match value {
        EntryValue::Expr(expr) => Ok(ungrouped(*expr)),
        EntryValue::Nothing | EntryValue::List(_) | EntryValue::Broken => Err((
            None,
            format!("`{name}` takes a field or an expression of `self`: write `{name} = field`"),
        )),
    }
}

fn number(value: EntryValue) -> Result<(u32, Span), Wrong> {
    let says = "`version` takes a number: write `version = 1`".to_owned();
    let EntryValue::Expr(expr) = value else {
        return Err((None, says));
    };
    match ungrouped(*expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            attrs,
        }) => match number.base10_parse() {
            Ok(version) => Ok((version, number.span())),
            Err(_) => Err((
                Some(Box::new(Expr::Lit(ExprLit {
                    lit: Lit::Int(number),
                    attrs,
                }))),
                says,
            )),
        },
        other => Err((Some(Box::new(other)), says)),
    }
}
