//! Topics with `{field}` in them.

/// Whether `topic` can be what comes of `template`: each field is at least one character.
pub(super) fn matches(template: &str, topic: &str) -> bool {
    let Some((literal, rest)) = template.split_once('{') else {
        return template == topic;
    };
    let Some(behind) = topic.strip_prefix(literal) else {
        return false;
    };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    // Topics are ASCII, so each index is a boundary; a topic that is not matches nothing anyway.
    (1..=behind.len())
        .filter_map(|taken| behind.get(taken..))
        .any(|left| matches(after, left))
}

/// Whether a topic has fields in it.
pub(super) fn is_template(topic: &str) -> bool {
    topic.contains('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_any_text_but_none() {
        for (template, topic) in [
            ("orders", "orders"),
            ("orders.{region}", "orders.eu"),
            ("orders.{region}.v1", "orders.eu.north.v1"),
            ("{a}", "x"),
            ("{a}.{b.c}", "x.y"),
            ("{a}{b}", "xy"),
            ("x{a}x{b}x", "xxxxx"),
        ] {
            assert!(matches(template, topic), "{template} {topic}");
        }
        for (template, topic) in [
            ("orders", "orders.eu"),
            ("orders.{region}", "orders."),
            ("orders.{region}", "order.eu"),
            ("orders.{region}.v1", "orders.eu.v2"),
            ("{a}{b}", "x"),
            ("x{a}x{b}x", "xxxx"),
            ("{a}", ""),
        ] {
            assert!(!matches(template, topic), "{template} {topic}");
        }
    }
}
