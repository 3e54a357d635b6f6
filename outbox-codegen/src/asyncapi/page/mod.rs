//! The document as one page: nothing is fetched, no script runs.

mod fields;
mod html;

use serde_json::{Map, Value};

use crate::artifact::generated_by;
use fields::fields;
use html::{code, escape, prose};

/// The page's text.
pub(crate) fn page(document: &Value) -> String {
    let view = View { document };
    let title = view.text(&["info", "title"]);
    let version = view.text(&["info", "version"]);
    let channels = view.section("channels");
    let menu: String = channels
        .iter()
        .map(|(id, channel)| view.menu(id, channel))
        .collect();
    let body: String = channels
        .iter()
        .map(|(id, channel)| view.channel(id, channel))
        .collect();
    format!(
        "<!DOCTYPE html>\n<!-- {generated} -->\n<html lang=\"en\">\n<head>\n\
         <meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} {version}</title>\n<style>\n{style}</style>\n</head>\n<body>\n\
         <nav>\n<p class=\"service\">{title} <small>{version}</small></p>\n<ul>\n{menu}</ul>\n</nav>\n\
         <main>\n<h1>{title} <small>{version}</small></h1>\n{about}{body}</main>\n</body>\n</html>\n",
        generated = generated_by("outbox generate asyncapi"),
        title = escape(title),
        version = escape(version),
        style = include_str!("style.css"),
        about = prose(view.text(&["info", "description"])),
    )
}

struct View<'a> {
    document: &'a Value,
}

impl<'a> View<'a> {
    fn text(&self, path: &[&str]) -> &'a str {
        let place = path.iter().try_fold(self.document, |value, key| value.get(key));
        place.and_then(Value::as_str).unwrap_or_default()
    }

    fn section(&self, name: &str) -> &'a Map<String, Value> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.document
            .get(name)
            .and_then(Value::as_object)
            .unwrap_or(&EMPTY)
    }

    /// A channel's messages, by the names of their components.
    fn messages(&self, channel: &'a Value) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let names = channel
            .get("messages")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let messages = self.document.pointer("/components/messages");
        names.filter_map(move |(name, _)| Some((name, messages?.get(name)?)))
    }

    fn menu(&self, id: &str, channel: &'a Value) -> String {
        let topic = channel.get("address").and_then(Value::as_str).unwrap_or(id);
        let messages: String = self
            .messages(channel)
            .map(|(name, message)| {
                let title = message.get("name").and_then(Value::as_str).unwrap_or(name);
                format!(
                    "<li><a href=\"#message-{}\">{}</a></li>\n",
                    escape(name),
                    escape(title)
                )
            })
            .collect();
        let (id, topic) = (escape(id), escape(topic));
        format!("<li><a class=\"topic\" href=\"#channel-{id}\">{topic}</a>\n<ul>\n{messages}</ul></li>\n")
    }

    fn channel(&self, id: &str, channel: &'a Value) -> String {
        let topic = channel.get("address").and_then(Value::as_str).unwrap_or(id);
        let parameters: String = channel
            .get("parameters")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, parameter)| {
                let about = parameter
                    .get("description")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                format!(
                    "<p class=\"parameter\"><code>{{{}}}</code> {}</p>\n",
                    escape(name),
                    code(about)
                )
            })
            .collect();
        let messages: String = self
            .messages(channel)
            .map(|(name, message)| self.message(name, message))
            .collect();
        format!(
            "<section id=\"channel-{}\">\n<h2><span class=\"kind\">topic</span> {}</h2>\n{parameters}{messages}</section>\n",
            escape(id),
            escape(topic)
        )
    }

    fn message(&self, id: &str, message: &'a Value) -> String {
        let text = |path: &str| message.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let payload = message.get("payload").map_or_else(
            || "<p class=\"none\">The payload has no schema.</p>\n".to_owned(),
            |schema| fields(self.document, schema),
        );
        let headers = message
            .get("headers")
            .map(|schema| fields(self.document, schema))
            .unwrap_or_default();
        let example = message
            .pointer("/examples/0/payload")
            .map_or_else(String::new, |example| {
                format!(
                    "<h4>Example</h4>\n<pre>{}</pre>\n",
                    escape(&format!("{example:#}"))
                )
            });
        format!(
            "<article id=\"message-{id}\">\n<h3>{title}</h3>\n{about}\
             <dl>\n<dt>Key</dt><dd>{key}</dd>\n<dt>Content type</dt><dd><code>{content_type}</code></dd>\n</dl>\n\
             <h4>Payload</h4>\n{payload}{example}\
             <details>\n<summary>Headers</summary>\n{headers}</details>\n</article>\n",
            id = escape(id),
            title = escape(text("/title")),
            about = prose(text("/description")),
            key = code(text("/bindings/kafka/key/description")),
            content_type = escape(text("/contentType")),
        )
    }
}
