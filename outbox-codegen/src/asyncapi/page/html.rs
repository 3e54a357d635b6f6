//! Text as HTML.

/// Text that stands for itself, also inside of quotes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// One line, with what stands between backticks as code.
pub(super) fn code(text: &str) -> String {
    let mut parts = text.split('`').enumerate().peekable();
    let mut html = String::new();
    while let Some((index, part)) = parts.next() {
        match (index % 2, parts.peek()) {
            (1, Some(_)) => html.push_str(&format!("<code>{}</code>", escape(part))),
            // The last backtick has no partner.
            (1, None) => html.push_str(&format!("`{}", escape(part))),
            _ => html.push_str(&escape(part)),
        }
    }
    html
}

/// Paragraphs.
pub(super) fn prose(text: &str) -> String {
    let paragraphs = text
        .split("\n\n")
        .map(str::trim)
        .filter(|paragraph| !paragraph.is_empty());
    paragraphs
        .map(|paragraph| format!("<p>{}</p>\n", code(paragraph)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_becomes_markup() {
        assert_eq!(escape("<a href=\"'&\">"), "&lt;a href=&quot;&#39;&amp;&quot;&gt;");
        assert_eq!(code("a `b<c>` d`e"), "a <code>b&lt;c&gt;</code> d`e");
        assert_eq!(
            prose("one\ntwo\n\n\n<three>"),
            "<p>one\ntwo</p>\n<p>&lt;three&gt;</p>\n"
        );
    }
}
