//! A text that a regular expression takes.

use regex_syntax::hir::{Class, Hir, HirKind};

/// As often as anything is repeated to reach a length.
const OFTEN: u32 = 64;

/// The plainest text of at least this length; none where no plain repetition reaches it, or the pattern cannot be read.
pub(super) fn example(pattern: &str, shortest: usize) -> Option<String> {
    let parsed = regex_syntax::parse(pattern).ok()?;
    (1..=OFTEN)
        .map(|times| text(&parsed, times))
        .collect::<Option<Vec<String>>>()?
        .into_iter()
        .find(|text| text.chars().count() >= shortest)
}

/// A text with each part that has to be there, and what may be repeated repeated so often.
fn text(pattern: &Hir, times: u32) -> Option<String> {
    Some(match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => String::new(),
        HirKind::Literal(literal) => String::from_utf8(literal.0.to_vec()).ok()?,
        HirKind::Class(class) => letter(class)?.to_string(),
        HirKind::Repetition(repeated) => {
            let least = if repeated.min == 0 {
                0
            } else {
                repeated.min.max(times)
            };
            let count = repeated.max.map_or(least, |most| least.min(most));
            text(&repeated.sub, times)?.repeat(usize::try_from(count).ok()?)
        }
        HirKind::Capture(capture) => text(&capture.sub, times)?,
        HirKind::Concat(parts) => parts
            .iter()
            .map(|part| text(part, times))
            .collect::<Option<_>>()?,
        HirKind::Alternation(parts) => text(parts.first()?, times)?,
    })
}

/// A letter or digit if the class has one.
fn letter(class: &Class) -> Option<char> {
    let has = |wanted: &char| match class {
        Class::Unicode(class) => class
            .iter()
            .any(|range| (range.start()..=range.end()).contains(wanted)),
        Class::Bytes(class) => u8::try_from(*wanted).is_ok_and(|byte| {
            class
                .iter()
                .any(|range| (range.start()..=range.end()).contains(&byte))
        }),
    };
    let first = || match class {
        Class::Unicode(class) => class.iter().next().map(|range| range.start()),
        Class::Bytes(class) => class.iter().next().map(|range| char::from(range.start())),
    };
    ['1', 'a', 'A', '0'].into_iter().find(has).or_else(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_plain_as_it_can_be() {
        for (pattern, shortest, expected) in [
            (r"^-?\d+(\.\d+)?$", 0, Some("1")),
            ("^[A-Z]{3}-(north|south)$", 0, Some("AAA-north")),
            ("^a+$", 5, Some("aaaaa")),
            ("^a{3}$", 5, None),
            ("(", 0, None),
        ] {
            assert_eq!(example(pattern, shortest).as_deref(), expected, "{pattern}");
        }
    }
}
