//! The document: a channel for each topic, a message for each event, an operation for each channel.

use std::collections::{BTreeMap, BTreeSet};

use outbox_runtime::catalog::{CatalogDocument, EventDescription};
use serde_json::{Map, Value, json};

use super::{example, headers, schemas};
use crate::artifact::generated_by;
use crate::failure::Failure;

/// The version of the Kafka bindings that are written.
const BINDINGS: &str = "0.5.0";

/// What the document says of the service itself.
pub(crate) struct Service<'a> {
    pub(crate) title: &'a str,
    pub(crate) version: &'a str,
}

/// The same catalog gives the same document.
pub(crate) fn document(catalog: &CatalogDocument, service: &Service<'_>) -> Result<Value, Failure> {
    let mut names = Names::default();
    let mut channels: BTreeMap<&str, Vec<(String, &EventDescription)>> = BTreeMap::new();
    let mut messages = Map::new();
    let mut components = Map::new();
    for event in &catalog.events {
        let name = names.of(&format!("{}.v{}", event.event_type, event.version));
        let payload = schemas::add(&name, event, &mut components);
        messages.insert(name.clone(), message(&name, event, payload)?);
        channels.entry(&event.topic).or_default().push((name, event));
    }
    let mut names = Names::default();
    let (mut sections, mut operations) = (Map::new(), Map::new());
    for (topic, events) in channels {
        // The braces of a template stand for a part of the name, which the name inside of them describes well enough.
        let id = names.of(&topic.replace(['{', '}'], ""));
        operations.insert(format!("send.{id}"), operation(&id, topic, &events));
        sections.insert(id, channel(topic, &events));
    }
    Ok(json!({
        "asyncapi": "3.1.0",
        "info": {
            "title": service.title,
            "version": service.version,
            "description": format!("What `{}` sends to Kafka through its transactional outbox.", catalog.package),
            "x-generated": generated_by("outbox generate asyncapi"),
        },
        "defaultContentType": "application/json",
        "channels": sections,
        "operations": operations,
        "components": {"messages": messages, "schemas": components},
    }))
}

fn channel(topic: &str, events: &[(String, &EventDescription)]) -> Value {
    let messages: Map<String, Value> = events
        .iter()
        .map(|(name, _)| {
            (
                name.clone(),
                json!({"$ref": format!("#/components/messages/{name}")}),
            )
        })
        .collect();
    let mut channel = json!({"address": topic, "messages": messages});
    let parameters: Map<String, Value> = parameters(topic)
        .map(|name| {
            (
                name.to_owned(),
                json!({"description": format!("The event's `{name}`.")}),
            )
        })
        .collect();
    if parameters.is_empty() {
        channel["bindings"] = json!({"kafka": {"topic": topic, "bindingVersion": BINDINGS}});
    } else {
        channel["parameters"] = Value::Object(parameters);
    }
    channel
}

/// The fields in a topic's template.
fn parameters(topic: &str) -> impl Iterator<Item = &str> {
    topic
        .split('{')
        .skip(1)
        .filter_map(|part| part.split_once('}').map(|(name, _)| name))
}

fn operation(channel: &str, topic: &str, events: &[(String, &EventDescription)]) -> Value {
    let messages: Vec<Value> = events
        .iter()
        .map(|(name, _)| json!({"$ref": format!("#/channels/{channel}/messages/{name}")}))
        .collect();
    json!({
        "action": "send",
        "summary": format!("Events that are sent to `{topic}`, each at least once and in the order of their key."),
        "channel": {"$ref": format!("#/channels/{channel}")},
        "messages": messages,
    })
}

fn message(name: &str, event: &EventDescription, payload: Option<Value>) -> Result<Value, Failure> {
    let key = format!(
        "`{}` of the event, the identity of the {}.",
        event.key, event.aggregate
    );
    let mut message = json!({
        "name": event.event_type,
        "title": format!("{} (version {})", event.event_type, event.version),
        "contentType": event.content_type,
        "headers": headers::schema(event),
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": BINDINGS}},
        "tags": [{"name": event.aggregate}],
    });
    if !event.doc.is_empty() {
        let first = event.doc.split("\n\n").next().unwrap_or_default();
        message["summary"] = first.replace('\n', " ").into();
        message["description"] = event.doc.clone().into();
    }
    if event.correlation_id.is_some() {
        message["correlationId"] = json!({"location": format!("$message.header#/{}", headers::CORRELATION)});
    }
    if let (Some(payload), Some(schema)) = (payload, &event.schema) {
        message["payload"] = payload;
        let examples: Vec<Value> = example::of(name, schema)?
            .into_iter()
            .map(|payload| json!({"headers": headers::example(event), "payload": payload}))
            .collect();
        if !examples.is_empty() {
            message["examples"] = Value::Array(examples);
        }
    }
    Ok(message)
}

/// Names that a reference can hold as they are, each given once.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn of(&mut self, text: &str) -> String {
        let plain: String = text
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let numbered = (2..).map(|number| format!("{plain}_{number}"));
        let mut candidates = std::iter::once(plain.clone()).chain(numbered);
        // There is always another number.
        let name = candidates
            .find(|name| !self.0.contains(name))
            .unwrap_or(plain.clone());
        self.0.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_given_once() {
        let mut names = Names::default();
        assert_eq!(names.of("a/b c.v1"), "a_b_c.v1");
        assert_eq!(names.of("a_b/c.v1"), "a_b_c.v1_2");
        assert_eq!(
            parameters("shop.{region}.{kind}").collect::<Vec<_>>(),
            ["region", "kind"]
        );
    }
}
