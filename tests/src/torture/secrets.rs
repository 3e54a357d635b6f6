//! What no relay may log: keys and payloads of messages, and passwords.

/// The password that relays log in with; the servers ask for none.
pub(super) const PASSWORD: &str = "password-marker";

/// In every JSON payload that writers make up, however it is escaped.
const PAYLOAD: &str = "[ 1.0 , null]";

/// The first line of a log that contains something of a message or a login.
pub(super) fn reported(log: &str) -> Option<&str> {
    log.lines()
        .find(|line| line.contains(PASSWORD) || line.contains(PAYLOAD) || has_key(line))
}

/// Keys are `key-` and a number.
fn has_key(line: &str) -> bool {
    let mut behind = line.split("key-").skip(1);
    behind.any(|text| text.starts_with(|next: char| next.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::writers::Event;

    #[test]
    fn keys_payloads_and_passwords_are_found() {
        let mut random = StdRng::seed_from_u64(1);
        let event = (0..100)
            .map(|_| Event::random(&mut random, &["t".to_owned()], 9))
            .find(|event| event.value.json().is_some());
        let event = event.expect("most payloads are JSON");
        let payload = event.value.json().expect("it is JSON");
        for line in [
            event.key.clone(),
            payload.to_owned(),
            format!("{payload:?}"),
            format!("postgres://postgres:{PASSWORD}@localhost"),
        ] {
            assert!(reported(&format!("INFO a\nWARN b {line}\n")).is_some(), "{line}");
        }
        assert_eq!(
            reported("INFO a record cannot be delivered seq=1 key-order"),
            None
        );
    }
}
