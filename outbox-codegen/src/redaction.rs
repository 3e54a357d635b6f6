//! Keeping passwords out of what is printed.

/// The argument as it may be printed: of what could be a URL with a user or parameters, only the scheme. A
/// malformed URL does not show where its password begins and ends, so nothing finer is safe.
pub(crate) fn redact(argument: &str) -> String {
    match argument.split_once(':') {
        Some((scheme, rest)) if rest.contains(['@', '?', '#']) => format!("{scheme}:***"),
        _ => argument.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn nothing_of_a_password_is_left() {
        for (argument, printed) in [
            ("postgres://user:secret@host/db", "postgres:***"),
            (
                "--database-url=postgres://user:sec@ret@host/db",
                "--database-url=postgres:***",
            ),
            ("postgres://u:p w/d#x?y@host:1/db", "postgres:***"),
            ("postgres:u:secret@host", "postgres:***"),
            ("postgres://host/db?user=u&password=sec@ret", "postgres:***"),
            ("postgres://host/db", "postgres://host/db"),
            ("sqlite:data.db", "sqlite:data.db"),
            ("status", "status"),
        ] {
            assert_eq!(redact(argument), printed);
        }
    }
}
