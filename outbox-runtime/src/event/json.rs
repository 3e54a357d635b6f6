//! Which JSON texts every reader takes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// How deep arrays and objects may be nested: what serde_json reads, as consumers in Rust do. PostgreSQL and
/// SQLite take more, each another number.
const DEEPEST: usize = 127;

/// What is wrong with a JSON payload, if it is more than consumers read.
pub(crate) fn fault(text: &str) -> Option<String> {
    let wrong = serde_json::from_str::<Readable>(text).err()?;
    if depth(text) > DEEPEST {
        return Some(format!(
            "has a payload that is nested more than {DEEPEST} deep, and many readers of JSON take no more"
        ));
    }
    if wrong.to_string().contains("number out of range") {
        return Some(format!(
            "has a number in its payload that is too large for a reader: {wrong}"
        ));
    }
    Some(format!("has a payload that is not JSON: {wrong}"))
}

/// How deep the arrays and objects of a text are nested, which need not be correct.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let mut quoted = false;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if quoted => {
                bytes.next();
            }
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' if !quoted => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A value that was read to its end and not kept: with its strings, whose escapes have to be characters, and its
/// numbers. `IgnoredAny` looks at neither, nor at how deep it is.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(deep: usize) -> String {
        let pairs: Vec<_> = (0..deep).map(|level| ["[]", "{}"][level % 2]).collect();
        let open: String = pairs
            .iter()
            .map(|pair| if *pair == "[]" { "[" } else { "{\"a\":" })
            .collect();
        let close: String = pairs.iter().rev().map(|pair| &pair[1..]).collect();
        format!("{open}\"]}}\\\"[{{\"{close}")
    }

    #[test]
    fn what_serde_json_reads_is_readable() {
        for good in [
            "null",
            "-0.0",
            "1e308",
            "\"\\u0000\\ud83d\\ude00\"",
            "{\"a\":1,\"a\":[]}",
            " [ ] ",
            &nested(127),
        ] {
            assert_eq!(fault(good), None, "{good}");
            assert!(serde_json::from_str::<serde_json::Value>(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_it_does_not_read_has_a_fault_that_says_why() {
        for (bad, says) in [
            ("", "not JSON"),
            ("{", "not JSON"),
            ("[1,]", "not JSON"),
            ("{} {}", "not JSON"),
            ("NaN", "not JSON"),
            ("\"\\ud800\"", "not JSON"),
            ("\"\\ud800\\u0041\"", "not JSON"),
            ("[1e999]", "too large"),
            (&nested(128), "127 deep"),
            (&nested(2_000), "127 deep"),
            (&nested(200_000), "127 deep"),
        ] {
            let fault = fault(bad).unwrap_or_default();
            assert!(fault.contains(says), "{bad:.40}: {fault}");
            assert!(
                serde_json::from_str::<serde_json::Value>(bad).is_err(),
                "{bad:.40}"
            );
        }
    }
}
