//! `#[outbox(…)]` as in the source: every value with its span, nothing decided yet.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{Attribute, DeriveInput, Expr, ExprLit, Lit, LitStr, Meta, Path};

use super::forms::FormEntry;
use super::topic;
use super::value::{HeaderEntry, is_constant};
use crate::entries::{self, Entry, EntryValue, names, ungrouped};
use crate::errors::Errors;
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
    pub(super) given: Vec<(Name, Span)>,
}

names! {
    /// The attributes' names.
    Name {
        Topic = "topic",
        Aggregate = "aggregate",
        Key = "key",
        EventType = "event_type",
        Version = "version",
        Source = "source",
        ContentType = "content_type",
        OccurredAt = "occurred_at",
        CorrelationId = "correlation_id",
        Headers = "headers",
        Transparent = "transparent",
        Schema = "schema",
        Instances = "instances",
        Crate = "crate",
    }
}

/// Names that others use for the same.
const SYNONYMS: [(&str, Name); 15] = [
    ("aggregate_type", Name::Aggregate),
    ("aggregate_id", Name::Key),
    ("partition_key", Name::Key),
    ("id", Name::Key),
    ("type", Name::EventType),
    ("name", Name::EventType),
    ("rename", Name::EventType),
    ("timestamp", Name::OccurredAt),
    ("time", Name::OccurredAt),
    ("correlation", Name::CorrelationId),
    ("destination", Name::Topic),
    ("channel", Name::Topic),
    ("flatten", Name::Transparent),
    ("json_schema", Name::Schema),
    ("forms", Name::Instances),
];

/// The attributes of the struct or enum itself; what stands on its fields is an error.
pub(super) fn of_item(input: &DeriveInput, errors: &mut Errors) -> Attrs {
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
            errors.at(
                attribute,
                format!(
                    "`#[outbox(…)]` belongs on the struct or variant, not on a field: \
                     name the field there, for example `#[outbox(key = {name})]`"
                ),
            );
        }
    }
    let mut attrs = of(&input.attrs, errors);
    attrs.unreadable |= unreadable;
    attrs
}

/// The attributes in this list.
pub(super) fn of(attributes: &[Attribute], errors: &mut Errors) -> Attrs {
    let mut attrs = Attrs::default();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("outbox"))
    {
        match &attribute.meta {
            Meta::List(list) => {
                for entry in entries::read(list.tokens.clone(), errors) {
                    attrs.take(entry, errors);
                }
            }
            Meta::Path(_) | Meta::NameValue(_) => {
                attrs.unreadable = true;
                errors.at(
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
    pub(super) fn gives(&self, name: Name) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    /// The path of the runtime.
    pub(super) fn runtime(&self, errors: &mut Errors) -> Path {
        let default = || syn::parse_quote!(::outbox_runtime);
        let Some(given) = &self.krate else {
            return default();
        };
        given.parse_with(Path::parse_mod_style).unwrap_or_else(|_| {
            errors.at(
                given,
                "`crate` is the path of the runtime: write for example `crate = \"::my_outbox\"`",
            );
            default()
        })
    }

    fn take(&mut self, Entry { name: ident, value }: Entry, errors: &mut Errors) {
        let word = ident.to_string();
        let Some(name) = Name::of(&word) else {
            let meant = meant_by(&word);
            errors.at(&ident, unknown(&word, meant));
            // Not missing, only misspelt.
            self.given.extend(meant.map(|meant| (meant, ident.span())));
            return;
        };
        if self.gives(name) {
            errors.at(&ident, format!("`{word}` is given twice: leave one"));
            return;
        }
        self.given.push((name, ident.span()));
        if matches!(value, EntryValue::Broken) {
            return;
        }
        if let Err((at, says)) = self.set(name, ident.span(), value, errors) {
            match at {
                Some(expr) => errors.at(expr, says),
                None => errors.at(&ident, says),
            }
        }
    }

    fn set(&mut self, name: Name, span: Span, value: EntryValue, errors: &mut Errors) -> Result<(), Wrong> {
        match name {
            Name::Topic => self.topic = Some(topic_of(name, value)?),
            Name::Aggregate => self.aggregate = Some(text(name, value, "order")?),
            Name::EventType => self.event_type = Some(text(name, value, "OrderPlacedV1")?),
            Name::Source => self.source = Some(text(name, value, "/orders")?),
            Name::ContentType => self.content_type = Some(text(name, value, "application/json")?),
            Name::Crate => self.krate = Some(text(name, value, "::outbox_runtime")?),
            Name::Key => self.key = Some(value_of(name, value)?),
            Name::OccurredAt => self.occurred_at = Some(value_of(name, value)?),
            Name::CorrelationId => self.correlation_id = Some(value_of(name, value)?),
            Name::Version => self.version = Some(number(value)?),
            Name::Headers => {
                let says = "write `headers(\"x-tenant\" = tenant, \"x-kind\" = \"batch\")`";
                self.headers = entries::list(in_parentheses(value, says)?, |_| None, errors);
            }
            Name::Instances => {
                let says = "write `instances(Type<Argument>, …)`";
                self.instances = Some(entries::list(in_parentheses(value, says)?, |_| None, errors));
            }
            Name::Schema => {
                flag(name, value)?;
                self.schema = Some(span);
            }
            Name::Transparent => {
                flag(name, value)?;
                self.transparent = Some(span);
            }
        }
        Ok(())
    }
}

/// Where a value is wrong (none: at its name), and what to write instead.
type Wrong = (Option<Box<Expr>>, String);

fn meant_by(word: &str) -> Option<Name> {
    let synonym = SYNONYMS.iter().find(|(other, _)| *other == word);
    synonym
        .map(|(_, ours)| *ours)
        .or_else(|| closest(word, Name::TEXTS).and_then(Name::of))
}

fn unknown(word: &str, meant: Option<Name>) -> String {
    match meant {
        Some(ours) => format!("unknown attribute `{word}`: did you mean `{}`?", ours.as_str()),
        None => format!(
            "unknown attribute `{word}`: there are `{}`",
            Name::TEXTS.join("`, `")
        ),
    }
}

fn in_parentheses(value: EntryValue, says: &str) -> Result<TokenStream, Wrong> {
    match value {
        EntryValue::List(tokens) => Ok(tokens),
        EntryValue::Nothing | EntryValue::Expr(_) | EntryValue::Broken => Err((None, says.to_owned())),
    }
}

const TOPIC_EXAMPLE: &str = "orders.order.placed.v1";

/// A text, or a constant that is one.
fn topic_of(name: Name, value: EntryValue) -> Result<topic::Given, Wrong> {
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

fn text(name: Name, value: EntryValue, example: &str) -> Result<LitStr, Wrong> {
    let name = name.as_str();
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

fn flag(name: Name, value: EntryValue) -> Result<(), Wrong> {
    let name = name.as_str();
    match value {
        EntryValue::Nothing => Ok(()),
        EntryValue::Expr(_) | EntryValue::List(_) | EntryValue::Broken => {
            Err((None, format!("`{name}` takes no value: write just `{name}`")))
        }
    }
}

fn value_of(name: Name, value: EntryValue) -> Result<Expr, Wrong> {
    let name = name.as_str();
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
