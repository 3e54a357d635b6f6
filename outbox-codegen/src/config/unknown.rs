//! Keys of the file that its schema does not know.

use serde_json::Value;
use toml::de::DeTable;

/// A key that nothing reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownKey {
    /// Where it stands in the text, in bytes.
    pub(super) at: usize,
    pub(super) key: String,
    /// The section it stands in, as in its header; empty at the top.
    pub(super) section: String,
    /// The key that was meant, if one is close.
    pub(super) meant: Option<String>,
    /// The keys that could stand there.
    pub(super) known: Vec<String>,
}

/// Every key that its section does not have, in the order of the text.
pub(super) fn find(table: &DeTable<'_>, schema: &Value) -> Vec<UnknownKey> {
    let mut found = Vec::new();
    look(table, schema, "", &mut found);
    found.sort_by_key(|unknown| unknown.at);
    found
}

fn look(table: &DeTable<'_>, schema: &Value, section: &str, found: &mut Vec<UnknownKey>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    // `[topics]` takes any name; what is not a schema there is the word that nothing more is taken.
    let any = schema.get("additionalProperties").filter(|any| any.is_object());
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let Some(inner) = properties.and_then(|known| known.get(name)).or(any) else {
            let known: Vec<String> = properties
                .into_iter()
                .flatten()
                .map(|(key, _)| key.clone())
                .collect();
            found.push(UnknownKey {
                at: key.span().start,
                key: name.to_owned(),
                section: section.to_owned(),
                meant: closest(name, &known),
                known,
            });
            continue;
        };
        if let Some(table) = value.get_ref().as_table() {
            let quoted = name
                .chars()
                .any(|letter| !(letter.is_ascii_alphanumeric() || "_-".contains(letter)));
            let name = if quoted {
                format!("\"{name}\"")
            } else {
                name.to_owned()
            };
            let section = if section.is_empty() {
                name
            } else {
                format!("{section}.{name}")
            };
            look(table, inner, &section, found);
        }
    }
}

/// The name that may have been meant: Kafka's own spelling counts as close.
pub(crate) fn closest(given: &str, known: &[String]) -> Option<String> {
    let plain = |name: &str| name.to_lowercase().replace(['.', '-'], "_");
    let given = plain(given);
    let slips = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&given, &plain(name)), name))
        .min_by_key(|(slips, _)| *slips)
        // One typo in a short name, one for each three characters in a long one.
        .filter(|(slips, _)| *slips <= (given.chars().count() / 3).max(1))
        .map(|(_, name)| name);
    let begun = || {
        known
            .iter()
            .find(|name| given.len() >= 3 && plain(name).starts_with(&given))
    };
    slips.or_else(begun).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_close_is_suggested() {
        let names = [
            "partitions",
            "min_insync_replicas",
            "retention",
            "retention_bytes",
        ]
        .map(str::to_owned);
        let meant = |given| closest(given, &names);
        assert_eq!(meant("partitons").as_deref(), Some("partitions"));
        assert_eq!(
            meant("min.insync.replicas").as_deref(),
            Some("min_insync_replicas")
        );
        assert_eq!(meant("min").as_deref(), Some("min_insync_replicas"));
        assert_eq!(meant("retention-bytes").as_deref(), Some("retention_bytes"));
        assert_eq!(meant("color"), None);
        assert_eq!(closest("x", &[]), None);
    }
}
