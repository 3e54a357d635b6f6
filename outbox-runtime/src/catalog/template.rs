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

/// The template with its fields' names taken out: two that differ only in these lead to the same topics.
pub(super) fn shape(template: &str) -> String {
    let mut shape = String::new();
    let mut rest = template;
    while let Some((literal, field)) = rest.split_once('{') {
        shape.push_str(literal);
        shape.push_str("{}");
        rest = field.split_once('}').map_or("", |(_, after)| after);
    }
    shape + rest
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

    #[test]
    fn names_of_fields_are_no_part_of_the_shape() {
        assert_eq!(shape("orders"), "orders");
        assert_eq!(shape("{a}.x.{b.c}"), "{}.x.{}");
    }
}
