//! From attributes to the model: defaults applied, fields found, all mistakes told.

use syn::{Data, DeriveInput, Expr, ExprLit, ExprUnary, Ident, Lit, LitStr, UnOp};

use super::attrs::{self, Attrs};
use super::forms;
use super::model::{Case, Event, HeaderValue, Route, What};
use super::topic;
use super::validate;
use super::value::{Owner, Value};
use crate::mistakes::Mistakes;

/// Resolves the attributes of the whole item; none after a mistake.
pub(super) fn event<'a>(input: &'a DeriveInput, attrs: &Attrs, mistakes: &mut Mistakes) -> Option<Event<'a>> {
    let forms = forms::resolve(input, attrs, mistakes);
    match &input.data {
        Data::Struct(data) => {
            if let Some(span) = attrs.transparent {
                mistakes.at_span(
                    span,
                    "`transparent` is for an enum's variant that holds one event: leave it out",
                );
                return None;
            }
            let owner = Owner {
                name: input.ident.to_string(),
                fields: &data.fields,
                is_struct: true,
            };
            let none = Attrs::default();
            let route = resolve_route(&input.ident, attrs, &none, &owner, mistakes)?;
            let case = Case {
                variant: None,
                name: &input.ident,
                attributes: &input.attrs,
                fields: &data.fields,
                what: What::Routed(Box::new(route)),
            };
            Some(Event {
                cases: vec![case],
                forms,
            })
        }
        Data::Enum(data) => {
            check_enum_attrs(attrs, mistakes);
            if data.variants.is_empty() {
                mistakes.at(
                    &input.ident,
                    format!("`{}` has no variants, so there is no event to write", input.ident),
                );
            }
            let cases: Vec<_> = data
                .variants
                .iter()
                .map(|variant| resolve_variant(&input.ident, variant, attrs, mistakes))
                .collect();
            Some(Event {
                cases: cases.into_iter().collect::<Option<_>>()?,
                forms,
            })
        }
        Data::Union(data) => {
            mistakes.at(
                data.union_token,
                "a union cannot be an event: use a struct or an enum",
            );
            None
        }
    }
}

/// An enum's own attributes are defaults for its variants; some make no sense for all of them.
fn check_enum_attrs(attrs: &Attrs, mistakes: &mut Mistakes) {
    for (name, span) in &attrs.given {
        let says = match name.as_str() {
            "event_type" => "each variant is an event type of its own: write `event_type` on the variants",
            "version" => "each variant has a version of its own: write `version` on the variants",
            "transparent" => "`transparent` is for a variant that holds one event: write it there",
            _ => continue,
        };
        mistakes.at_span(*span, says);
    }
}

fn resolve_variant<'a>(
    parent: &Ident,
    variant: &'a syn::Variant,
    defaults: &Attrs,
    mistakes: &mut Mistakes,
) -> Option<Case<'a>> {
    let own = attrs::of(&variant.attrs, mistakes);
    if let Some(krate) = &own.krate {
        mistakes.at(krate, "`crate` is for the whole enum: write it there");
    }
    for (_, span) in own.given.iter().filter(|(name, _)| name == "instances") {
        mistakes.at_span(*span, "`instances` is for the whole enum: write it there");
    }
    let name = &variant.ident;
    let what = if own.gives("transparent") {
        resolve_transparent(variant, &own, mistakes)?
    } else {
        let owner = Owner {
            name: format!("{parent}::{name}"),
            fields: &variant.fields,
            is_struct: false,
        };
        What::Routed(Box::new(resolve_route(name, &own, defaults, &owner, mistakes)?))
    };
    Some(Case {
        variant: Some(name),
        name,
        attributes: &variant.attrs,
        fields: &variant.fields,
        what,
    })
}

fn resolve_transparent<'a>(
    variant: &'a syn::Variant,
    own: &Attrs,
    mistakes: &mut Mistakes,
) -> Option<What<'a>> {
    for (name, span) in own
        .given
        .iter()
        .filter(|(name, _)| !["transparent", "crate", "instances"].contains(&name.as_str()))
    {
        mistakes.at_span(
            *span,
            format!("a `transparent` variant is the event it holds: write `{name}` there, or leave out `transparent`"),
        );
    }
    let mut fields = variant.fields.members().zip(&variant.fields);
    match (fields.next(), fields.next()) {
        (Some((member, field)), None) => Some(What::Transparent {
            member,
            ty: &field.ty,
        }),
        _ => {
            let name = &variant.ident;
            mistakes.at(
                variant,
                format!("a `transparent` variant holds exactly one event: write `{name}(EventType)`, or give it a route"),
            );
            None
        }
    }
}

fn resolve_route(
    name: &Ident,
    own: &Attrs,
    defaults: &Attrs,
    owner: &Owner<'_>,
    mistakes: &mut Mistakes,
) -> Option<Route> {
    tell_missing(name, own, defaults, owner, mistakes);

    let given = own.topic.as_ref().or(defaults.topic.as_ref());
    let topic = given.and_then(|topic| topic::read_given(topic, owner, mistakes));
    for part in topic.iter().flatten() {
        if let topic::Part::Value(value) = part {
            validate::not_optional("topic", value, owner, mistakes);
        }
    }

    let key = read("key", &own.key, &defaults.key, owner, mistakes);
    for part in key.iter().flat_map(Value::parts) {
        validate::not_optional("key", part, owner, mistakes);
    }

    let event_type = match &own.event_type {
        Some(given) => {
            validate::text("event_type", given, mistakes);
            given.value()
        }
        None => syn::ext::IdentExt::unraw(name).to_string(),
    };
    let type_span = own.event_type.as_ref().map_or(name.span(), LitStr::span);
    let version = validate::version(&event_type, type_span, own.version, mistakes);

    let aggregate = own.aggregate.as_ref().or(defaults.aggregate.as_ref()).cloned();
    let source = own.source.as_ref().or(defaults.source.as_ref()).cloned();
    for (name, given) in [("aggregate", &aggregate), ("source", &source)] {
        if let Some(given) = given {
            validate::text(name, given, mistakes);
        }
    }
    let content_type = own
        .content_type
        .as_ref()
        .or(defaults.content_type.as_ref())
        .cloned();
    if let Some(given) = &content_type {
        validate::content_type(given, mistakes);
    }

    let occurred_at = read(
        "occurred_at",
        &own.occurred_at,
        &defaults.occurred_at,
        owner,
        mistakes,
    );
    let correlation_id = read(
        "correlation_id",
        &own.correlation_id,
        &defaults.correlation_id,
        owner,
        mistakes,
    );
    let headers = resolve_headers(if own.gives("headers") { own } else { defaults }, owner, mistakes);

    Some(Route {
        event_type,
        version,
        topic: topic?,
        template: given?.template(),
        aggregate: aggregate?,
        key: key?,
        content_type,
        source,
        occurred_at,
        correlation_id,
        headers,
        schema: own.schema.or(defaults.schema),
    })
}

/// The three that every event needs; all that are missing in one sentence.
fn tell_missing(name: &Ident, own: &Attrs, defaults: &Attrs, owner: &Owner<'_>, mistakes: &mut Mistakes) {
    let field = owner
        .names()
        .into_iter()
        .next()
        .unwrap_or_else(|| "self.key()".to_owned());
    let example = |wanted: &str| match wanted {
        "key" => format!("key = {field}"),
        _ => format!("{wanted} = \"…\""),
    };
    let missing: Vec<_> = ["topic", "aggregate", "key"]
        .into_iter()
        .filter(|wanted| !own.gives(wanted) && !defaults.gives(wanted))
        .collect();
    if missing.is_empty() || own.unreadable || defaults.unreadable {
        return;
    }
    let words = missing
        .iter()
        .map(|wanted| format!("`{wanted}`"))
        .collect::<Vec<_>>()
        .join(", ");
    let examples = missing
        .iter()
        .map(|wanted| example(wanted))
        .collect::<Vec<_>>()
        .join(", ");
    let kind = if owner.is_struct { "struct" } else { "variant" };
    mistakes.at(
        name,
        format!("the event has no {words}: add `#[outbox({examples})]` to the {kind}"),
    );
}

fn read(
    what: &str,
    own: &Option<Expr>,
    default: &Option<Expr>,
    owner: &Owner<'_>,
    mistakes: &mut Mistakes,
) -> Option<Value> {
    let given = own.as_ref().or(default.as_ref())?;
    Value::read(what, given, owner, mistakes)
}

fn resolve_headers(attrs: &Attrs, owner: &Owner<'_>, mistakes: &mut Mistakes) -> Vec<(LitStr, HeaderValue)> {
    validate::header_names(&attrs.headers, mistakes);
    let mut headers = Vec::new();
    for entry in &attrs.headers {
        let value = match literal(&entry.value, owner) {
            Some(text) => {
                if text.contains('\0') {
                    mistakes.at(
                        &entry.value,
                        "a header holds a NUL character, which PostgreSQL cannot store",
                    );
                }
                Some(HeaderValue::Literal(text))
            }
            None => Value::read(
                &format!("{:?}", entry.name.value()),
                &entry.value,
                owner,
                mistakes,
            )
            .map(HeaderValue::Value),
        };
        headers.extend(value.map(|value| (entry.name.clone(), value)));
    }
    headers
}

/// A text, number or truth value, as text.
fn literal(expr: &Expr, owner: &Owner<'_>) -> Option<String> {
    if let Expr::Unary(ExprUnary {
        op: UnOp::Neg(_),
        expr,
        ..
    }) = expr
        && let Expr::Lit(ExprLit {
            lit: lit @ (Lit::Int(_) | Lit::Float(_)),
            ..
        }) = &**expr
    {
        return Some(format!("-{}", number(lit)?));
    }
    // The number of a field is the field.
    if owner.has_field_at(expr) {
        return None;
    }
    let Expr::Lit(ExprLit { lit, .. }) = expr else {
        return None;
    };
    match lit {
        Lit::Str(text) => Some(text.value()),
        Lit::Bool(truth) => Some(truth.value.to_string()),
        Lit::Char(char) => Some(char.value().to_string()),
        other => number(other),
    }
}

fn number(literal: &Lit) -> Option<String> {
    match literal {
        Lit::Int(number) => Some(number.base10_digits().to_owned()),
        Lit::Float(number) => Some(number.base10_digits().to_owned()),
        _ => None,
    }
}
