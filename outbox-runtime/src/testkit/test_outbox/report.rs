//! How events look in the report of a failed assertion.

use std::collections::BTreeMap;
use std::fmt;

use similar::TextDiff;

use crate::event::{BoxError, OutboxEvent, Payload};
use crate::message::OutboxMessage;

/// What is compared of an event.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    event_type: String,
    topic: String,
    key: String,
    headers: BTreeMap<String, String>,
    payload: Value,
}

#[derive(Debug, PartialEq)]
enum Value {
    Json(serde_json::Value),
    Other(Payload),
    /// The event cannot be written at all.
    Refused(String),
}

/// Headers that come from the surroundings of an event.
const CONTEXT: [&str; 3] = ["ce_correlationid", "traceparent", "tracestate"];

impl Entry {
    pub(super) fn of_event(event: &dyn OutboxEvent) -> Self {
        Self {
            event_type: event.event_type().into_owned(),
            topic: event.topic().into_owned(),
            key: event.key(),
            headers: event.headers().into_iter().collect(),
            payload: match event.payload() {
                Ok(payload) => Value::of(&payload),
                Err(error) => Value::refused(&error),
            },
        }
    }

    pub(super) fn of_message(message: &OutboxMessage) -> Self {
        let headers = message.headers().iter();
        Self {
            event_type: message.event_type().to_owned(),
            topic: message.topic().to_owned(),
            key: message.key().to_owned(),
            headers: headers
                .filter(|(name, _)| !CONTEXT.contains(&name.as_str()))
                .cloned()
                .collect(),
            payload: Value::of(message.payload()),
        }
    }
}

impl Value {
    fn of(payload: &Payload) -> Self {
        match payload {
            Payload::Json(text) => match serde_json::from_str(text) {
                Ok(value) => Self::Json(value),
                Err(_) => Self::Other(payload.clone()),
            },
            Payload::Binary(_) | Payload::Tombstone => Self::Other(payload.clone()),
        }
    }

    fn refused(error: &BoxError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            event_type,
            topic,
            key,
            ..
        } = self;
        writeln!(f, "{event_type} to {topic}, key {key}")?;
        for (name, value) in &self.headers {
            writeln!(f, "  {name}: {value}")?;
        }
        let payload = match &self.payload {
            Value::Json(value) => format!("{value:#}"),
            Value::Other(Payload::Binary(bytes)) => format!("{} bytes {bytes:02x?}", bytes.len()),
            Value::Other(Payload::Json(text)) => text.clone(),
            Value::Other(Payload::Tombstone) => "(tombstone)".to_owned(),
            Value::Refused(error) => format!("(cannot be written: {error})"),
        };
        payload.lines().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// A list of what was emitted; `true` marks what was asserted.
pub(super) fn list(entries: impl Iterator<Item = (bool, Entry)>) -> String {
    let lines: Vec<String> = entries
        .enumerate()
        .map(|(index, (asserted, entry))| {
            let mark = if asserted { " (asserted)" } else { "" };
            format!("{}.{mark} {entry}", index + 1)
        })
        .collect();
    match lines.is_empty() {
        true => "nothing was emitted".to_owned(),
        false => format!("emitted:\n{}", lines.concat()),
    }
}

/// How what was emitted differs from what was expected, if it does.
pub(super) fn difference(expected: &[Entry], emitted: &[Entry]) -> Option<String> {
    if expected == emitted {
        return None;
    }
    let text = |entries: &[Entry]| entries.iter().map(ToString::to_string).collect::<String>();
    let (expected, emitted) = (text(expected), text(emitted));
    let diff = TextDiff::from_lines(&expected, &emitted);
    let mut unified = diff.unified_diff();
    Some(
        unified
            .context_radius(usize::from(u8::MAX))
            .header("expected", "emitted")
            .to_string(),
    )
}

/// A type's name without its path.
pub(super) fn short_name<E>() -> &'static str {
    let name = std::any::type_name::<E>();
    let end = name.find('<').unwrap_or(name.len());
    let start = name[..end].rfind("::").map_or(0, |at| at + 2);
    &name[start..]
}
