//! Which topic names Kafka takes.

/// The longest topic name that Kafka takes.
const MAX_LENGTH: usize = 249;

/// Why Kafka would refuse `topic`, if it would.
pub(crate) fn fault(topic: &str) -> Option<String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if topic.is_empty() {
        return Some("it is empty".to_owned());
    }
    if topic == "." || topic == ".." {
        return Some("Kafka does not take `.` and `..`".to_owned());
    }
    if let Some(bad) = topic.chars().find(|&c| !c.is_ascii() || !legal(c as u8)) {
        return Some(format!("{bad:?} is none of A-Z, a-z, 0-9, `.`, `_` and `-`"));
    }
    if topic.len() > MAX_LENGTH {
        return Some(format!(
            "it has {} characters, Kafka takes {MAX_LENGTH}",
            topic.len()
        ));
    }
    None
}

/// Ends the compilation if Kafka would refuse `topic`.
#[allow(clippy::panic, reason = "it runs in the compiler")]
pub(crate) const fn check_constant(topic: &str) {
    let bytes = topic.as_bytes();
    if bytes.is_empty() || bytes.len() > MAX_LENGTH {
        panic!("Kafka refuses this topic: it has 1 to 249 characters");
    }
    if matches!(bytes, b"." | b"..") {
        panic!("Kafka refuses this topic: `.` and `..` are no names");
    }
    let mut at = 0;
    while at < bytes.len() {
        if !(bytes[at].is_ascii_alphanumeric() || matches!(bytes[at], b'.' | b'_' | b'-')) {
            panic!("Kafka refuses this topic: it has other characters than A-Z, a-z, 0-9, `.`, `_` and `-`");
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn topics_that_kafka_takes() {
        for good in ["a", "huleedu.file.essay.v1", "A_b-9", "...", &"x".repeat(249)] {
            assert_eq!(fault(good), None, "{good}");
        }
    }

    #[test]
    fn topics_that_kafka_refuses() {
        for bad in ["", ".", "..", "a b", "a/b", "é", "a\0", &"x".repeat(250)] {
            assert!(fault(bad).is_some(), "{bad:?} was accepted");
        }
    }
}
