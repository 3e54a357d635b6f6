//! From attributes to the model: defaults applied, fields found, all errors recorded.

use syn::{Data, DeriveInput, Expr, ExprLit, ExprUnary, Ident, Lit, LitStr, UnOp};

use super::attrs::{self, Attrs, Name};
use super::forms;
use super::model::{Case, Event, HeaderValue, Route, What};
use super::topic;
use super::validate;
use super::value::{Owner, Value};
use crate::errors::Errors;

/// Resolves the attributes of the whole item; none after an error.
pub(super) fn event<'a>(input: &'a DeriveInput, attrs: &Attrs, errors: &mut Errors) -> Option<Event<'a>> {
    let forms = forms::resolve(input, attrs, errors);
    match &input.data {
        Data::Struct(data) => {
            if let Some(span) = attrs.transparent {
                errors.at_span(
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
            let route = resolve_route(&input.ident, attrs, &none, &owner, errors)?;
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
            check_enum_attrs(attrs, errors);
            if data.variants.is_empty() {
                errors.at(
                    &input.ident,
                    format!("`{}` has no variants, so there is no event to write", input.ident),
                );
            }
            let cases: Vec<_> = data
                .variants
                .iter()
                .map(|variant| resolve_variant(&input.ident, variant, attrs, errors))
                .collect();
            Some(Event {
                cases: cases.into_iter().collect::<Option<_>>()?,
                forms,
            })
        }
        Data::Union(data) => {
            errors.at(
                data.union_token,
                "a union cannot be an event: use a struct or an enum",
            );
            None
        }
    }
}

/// An enum's own attributes are defaults for its variants; some make no sense for all of them.
fn check_enum_attrs(attrs: &Attrs, errors: &mut Errors) {
    for (name, span) in &attrs.given {
        let says = match name {
            Name::EventType => "each variant is an event type of its own: write `event_type` on the variants",
            Name::Version => "each variant has a version of its own: write `version` on the variants",
            Name::Transparent => "`transparent` is for a variant that holds one event: write it there",
            Name::Topic
            | Name::Aggregate
            | Name::Key
            | Name::Source
            | Name::ContentType
            | Name::OccurredAt
            | Name::CorrelationId
            | Name::Headers
            | Name::Schema
            | Name::Instances
            | Name::Crate => continue,
        };
        errors.at_span(*span, says);
    }
}

fn resolve_variant<'a>(
    parent: &Ident,
    variant: &'a syn::Variant,
    defaults: &Attrs,
    errors: &mut Errors,
) -> Option<Case<'a>> {
    let own = attrs::of(&variant.attrs, errors);
    if let Some(krate) = &own.krate {
        errors.at(krate, "`crate` is for the whole enum: write it there");
    }
    for (_, span) in own.given.iter().filter(|(name, _)| *name == Name::Instances) {
        errors.at_span(*span, "`instances` is for the whole enum: write it there");
    }
    let name = &variant.ident;
    let what = if own.gives(Name::Transparent) {
        resolve_transparent(variant, &own, errors)?
    } else {
        let owner = Owner {
            name: format!("{parent}::{name}"),
            fields: &variant.fields,
            is_struct: false,
        };
        What::Routed(Box::new(resolve_route(name, &own, defaults, &owner, errors)?))
    };
    Some(Case {
        variant: Some(name),
        name,
        attributes: &variant.attrs,
        fields: &variant.fields,
        what,
    })
}

fn resolve_transparent<'a>(variant: &'a syn::Variant, own: &Attrs, errors: &mut Errors) -> Option<What<'a>> {
    for (name, span) in own
        .given
        .iter()
        .filter(|(name, _)| !matches!(name, Name::Transparent | Name::Crate | Name::Instances))
    {
        let name = name.as_str();
        errors.at_span(
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
            errors.at(
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
    errors: &mut Errors,
) -> Option<Route> {
    report_missing(name, own, defaults, owner, errors);

    let given = own.topic.as_ref().or(defaults.topic.as_ref());
    let topic = given.and_then(|topic| topic::read_given(topic, owner, errors));
    for part in topic.iter().flatten() {
        if let topic::Part::Value(value) = part {
            validate::not_optional("topic", value, owner, errors);
        }
    }

    let key = read("key", &own.key, &defaults.key, owner, errors);
    for part in key.iter().flat_map(Value::parts) {
        validate::not_optional("key", part, owner, errors);
    }

    let (event_type, version) = resolve_type(name, own, errors);
    let (aggregate, source, content_type) = resolve_texts(own, defaults, errors);

    let occurred_at = read(
        "occurred_at",
        &own.occurred_at,
        &defaults.occurred_at,
        owner,
        errors,
    );
    let correlation_id = read(
        "correlation_id",
        &own.correlation_id,
        &defaults.correlation_id,
        owner,
        errors,
    );
    let headers = resolve_headers(
        if own.gives(Name::Headers) { own } else { defaults },
        owner,
        errors,
    );

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

/// Aggregate, source and content type.
fn resolve_texts(
    own: &Attrs,
    defaults: &Attrs,
    errors: &mut Errors,
) -> (Option<LitStr>, Option<LitStr>, Option<LitStr>) {
    let aggregate = own.aggregate.as_ref().or(defaults.aggregate.as_ref());
    let source = own.source.as_ref().or(defaults.source.as_ref());
    for (name, given) in [("aggregate", aggregate), ("source", source)] {
        if let Some(given) = given {
            validate::text(name, given, errors);
        }
    }
    let content_type = own.content_type.as_ref().or(defaults.content_type.as_ref());
    if let Some(given) = content_type {
        validate::content_type(given, errors);
    }
    (aggregate.cloned(), source.cloned(), content_type.cloned())
}

/// The event's type and version.
fn resolve_type(name: &Ident, own: &Attrs, errors: &mut Errors) -> (String, u32) {
    let event_type = match &own.event_type {
        Some(given) => {
            validate::text("event_type", given, errors);
            given.value()
        }
        None => syn::ext::IdentExt::unraw(name).to_string(),
    };
    let type_span = own.event_type.as_ref().map_or(name.span(), LitStr::span);
    let version = validate::version(&event_type, type_span, own.version, errors);
    (event_type, version)
}

/// The three that every event needs; all that are missing in one sentence.
fn report_missing(name: &Ident, own: &Attrs, defaults: &Attrs, owner: &Owner<'_>, errors: &mut Errors) {
    let field = owner
        .names()
        .into_iter()
        .next()
        .unwrap_or_else(|| "self.key()".to_owned());
    let wanted = [
        (Name::Topic, "topic = \"…\"".to_owned()),
        (Name::Aggregate, "aggregate = \"…\"".to_owned()),
        (Name::Key, format!("key = {field}")),
    ];
    let missing: Vec<_> = wanted
        .into_iter()
        .filter(|(name, _)| !own.gives(*name) && !defaults.gives(*name))
        .collect();
    if missing.is_empty() || own.unreadable || defaults.unreadable {
        return;
    }
    let words = missing
        .iter()
        .map(|(name, _)| format!("`{}`", name.as_str()))
        .collect::<Vec<_>>()
        .join(", ");
    let examples = missing
        .iter()
        .map(|(_, example)| example.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let kind = if owner.is_struct { "struct" } else { "variant" };
    errors.at(
        name,
        format!("the event has no {words}: add `#[outbox({examples})]` to the {kind}"),
    );
}

fn read(
    what: &str,
    own: &Option<Expr>,
    default: &Option<Expr>,
    owner: &Owner<'_>,
    errors: &mut Errors,
) -> Option<Value> {
    let given = own.as_ref().or(default.as_ref())?;
    Value::read(what, given, owner, errors)
}

fn resolve_headers(attrs: &Attrs, owner: &Owner<'_>, errors: &mut Errors) -> Vec<(LitStr, HeaderValue)> {
    validate::header_names(&attrs.headers, errors);
    let mut headers = Vec::new();
    for entry in &attrs.headers {
        let value = match literal(&entry.value, owner) {
            Some(text) => {
                if text.contains('\0') {
                    errors.at(
                        &entry.value,
                        "a header holds a NUL character, which PostgreSQL cannot store",
                    );
                }
                Some(HeaderValue::Literal(text))
            }
            None => Value::read(&format!("{:?}", entry.name.value()), &entry.value, owner, errors)
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
