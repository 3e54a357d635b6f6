//! Checks of single values. Each reports an error at the value's span, and the others go on.

use proc_macro2::Span;
use syn::{LitStr, Type};

use super::value::{HeaderEntry, Owner, Value};
use crate::errors::Errors;

/// A text that must not be empty, nor hold what PostgreSQL cannot store.
pub(super) fn text(name: &str, given: &LitStr, errors: &mut Errors) {
    if given.value().trim().is_empty() {
        errors.at(given, format!("`{name}` is empty"));
    } else if given.value().contains(['{', '}']) {
        errors.at(
            given,
            format!("`{name}` is taken as it is written: `{{field}}` is for `topic` alone"),
        );
    } else if given.value().contains('\0') {
        errors.at(
            given,
            format!("`{name}` holds a NUL character, which PostgreSQL cannot store"),
        );
    }
}

/// The payload is what serde_json writes, so its media type is a JSON one.
pub(super) fn content_type(given: &LitStr, errors: &mut Errors) {
    let value = given.value();
    let essence = value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    // Receivers recognize it by its beginning.
    if essence.starts_with("application/cloudevents") {
        errors.at(
            given,
            format!(
                "with {value:?}, receivers would take the whole value for a structured CloudEvent, but the event's \
                 attributes are in headers and the value is its data alone: name the data's own type, or leave this \
                 out for \"application/json\""
            ),
        );
        return;
    }
    if essence != "application/json" && !(essence.contains('/') && essence.ends_with("+json")) {
        errors.at(
            given,
            format!(
                "the derive writes JSON, which {value:?} is not: write \"application/json\" or \"…/…+json\", \
                 or implement `OutboxEvent` by hand for another format"
            ),
        );
    }
}

/// The version is the number behind the last `V` of the event type, unless that has none.
pub(super) fn version(
    event_type: &str,
    type_span: Span,
    given: Option<(u32, Span)>,
    errors: &mut Errors,
) -> u32 {
    let Some((stem, digits)) = split_version(event_type) else {
        return given.map_or(1, |(version, _)| version);
    };
    let Ok(named) = digits.parse::<u32>() else {
        errors.at_span(
            type_span,
            format!("the version `V{digits}` of `{event_type}` is too large"),
        );
        return 1;
    };
    if let Some((version, span)) = given
        && version != named
    {
        errors.at_span(
            span,
            format!(
                "`version = {version}` contradicts the name `{event_type}`, which says {named}: \
                 leave it out, or call the event `{stem}V{version}`"
            ),
        );
    }
    named
}

/// `FooV12` is `Foo` and `12`.
fn split_version(event_type: &str) -> Option<(&str, &str)> {
    let (stem, digits) = event_type.rsplit_once('V')?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (all_digits && !stem.is_empty()).then_some((stem, digits))
}

/// A value that every event has to have.
pub(super) fn not_optional(what: &str, value: &Value, owner: &Owner<'_>, errors: &mut Errors) {
    let Some(member) = value.plain_field() else { return };
    if owner.field(member).is_some_and(is_option) {
        let name = super::value::member_name(member);
        errors.at_span(
            value.span(),
            format!(
                "`{name}` is an `Option`, and an event without it would have no {what}: \
                 name a field that is always there"
            ),
        );
    }
}

fn is_option(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "Option" && !last.arguments.is_empty()),
        Type::Reference(reference) => is_option(&reference.elem),
        Type::Paren(inner) => is_option(&inner.elem),
        Type::Group(inner) => is_option(&inner.elem),
        _ => false,
    }
}

/// Header names that Kafka, CloudEvents and the database take.
pub(super) fn header_names(headers: &[HeaderEntry], errors: &mut Errors) {
    for (position, HeaderEntry { name, .. }) in headers.iter().enumerate() {
        let value = name.value();
        let lower = value.to_ascii_lowercase();
        if value.is_empty() {
            errors.at(name, "a header needs a name");
        } else if value.contains('\0') {
            errors.at(
                name,
                "a header's name holds a NUL character, which PostgreSQL cannot store",
            );
        } else if lower == "ce_correlationid" {
            errors.at(
                name,
                "this header is written from `correlation_id = field`: use that",
            );
        } else if lower == "content-type" {
            errors.at(
                name,
                "this header is written from `content_type = \"…\"`: use that",
            );
        } else if lower.starts_with("ce_") {
            errors.at(
                name,
                "headers that start with `ce_` are written by the relay: choose another name",
            );
        } else if headers[..position]
            .iter()
            .any(|earlier| earlier.name.value() == value)
        {
            errors.at(name, format!("the header {value:?} is given twice: leave one"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number_of_errors(check: impl FnOnce(&mut Errors)) -> usize {
        let mut errors = Errors::default();
        check(&mut errors);
        errors
            .into_diagnostics()
            .map_or(0, |errors| errors.to_string().matches("compile_error").count())
    }

    #[test]
    fn the_name_says_the_version() {
        let version = |name, given: Option<u32>| {
            let given = given.map(|version| (version, Span::call_site()));
            let mut found = 0;
            let errors =
                number_of_errors(|errors| found = super::version(name, Span::call_site(), given, errors));
            (found, errors)
        };
        assert_eq!(version("EssayV1", None), (1, 0));
        assert_eq!(version("EssayV12", Some(12)), (12, 0));
        assert_eq!(version("EssayV1", Some(2)), (1, 1));
        assert_eq!(version("Registered", None), (1, 0));
        assert_eq!(version("Registered", Some(3)), (3, 0));
        assert_eq!(version("ValidatedV", Some(3)), (3, 0));
        assert_eq!(version("EssayV99999999999", None), (1, 1));
    }

    #[test]
    fn only_json_is_written() {
        let refused = |text: &str| {
            number_of_errors(|errors| content_type(&LitStr::new(text, Span::call_site()), errors)) == 1
        };
        for good in [
            "application/json",
            "application/json; charset=utf-8",
            "application/vnd.shop.order+json",
            "Application/JSON",
        ] {
            assert!(!refused(good), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "application/protobuf",
            "application/jsonx",
            "+json",
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
            " Application/CloudEvents+JSON; charset=utf-8",
            "application/cloudevents",
        ] {
            assert!(refused(bad), "{bad}");
        }
    }

    #[test]
    fn options_are_known_by_their_name() {
        for option in [
            "Option<u8>",
            "std::option::Option<u8>",
            "&'static Option<u8>",
            "(Option<u8>)",
        ] {
            assert!(is_option(&syn::parse_str(option).unwrap()), "{option}");
        }
        for other in ["u8", "Vec<Option<u8>>", "Option"] {
            assert!(!is_option(&syn::parse_str(other).unwrap()), "{other}");
        }
    }
}
