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
            let known: Vec<String> = properties.into_iter().flatten().map(|(key, _)| key.clone()).collect();
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
            let quoted = name.chars().any(|letter| !(letter.is_ascii_alphanumeric() || "_-".contains(letter)));
            let name = if quoted { format!("\"{name}\"") } else { name.to_owned() };
            let section = if section.is_empty() { name } else { format!("{section}.{name}") };
            look(table, inner, &section, found);
        }
    }
}

/// The name that may have been meant: Kafka's own spelling counts as close.
pub(crate) fn closest(given: &str, known: &[String]) -> Option<String> {
    let plain = |name: &str| name.to_lowercase().replace(['.', '-'], "_");
    let given = plain(given);
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&given, &plain(name)), name))
        .min_by_key(|(distance, _)| *distance)
        // One slip in a short name, one for each three letters in a long one.
        .filter(|(distance, name)| {
            *distance <= (given.chars().count() / 3).max(1)
                || (given.len() >= 3 && plain(name).starts_with(&given))
        })
        .map(|(_, name)| name.clone())
}
