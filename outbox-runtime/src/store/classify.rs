//! From the database's errors to what a relay does about them.

use super::StoreErrorKind as Kind;

/// What an error means. One that a later sqlx adds is waited for, like all that nothing is known of.
pub(super) fn kind_of(error: &sqlx::Error) -> Kind {
    known(error).unwrap_or(Kind::Unavailable)
}

/// Whether a statement failed because of what one row holds: data that cannot be converted, a constraint, a limit on sizes.
/// Trying again fails again.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn is_about_content(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| match code.len() {
        5 => matches!(code.get(..2), Some("22" | "23" | "54")),
        // TOOBIG, CONSTRAINT, MISMATCH
        _ => matches!(code.parse::<u32>().map(|code| code & 0xff), Ok(18..=20)),
    })
}

/// What each error means that there is.
fn known(error: &sqlx::Error) -> Option<Kind> {
    use sqlx::Error;
    Some(match error {
        Error::Database(error) => match error.code() {
            // PostgreSQL's have five characters, those of SQLite are numbers of at most four digits.
            Some(code) if code.len() == 5 => kind_of_sqlstate(&code),
            Some(code) => kind_of_sqlite(&code),
            None => Kind::Unavailable,
        },
        // The server or the way to it.
        Error::Io(_)
        | Error::Tls(_)
        | Error::Protocol(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed
        | Error::BeginFailed => Kind::Unavailable,
        // A table that is another than ours would be found by its version. So these are answers that were cut
        // off or mixed up, and a new connection mends them.
        Error::RowNotFound
        | Error::TypeNotFound { .. }
        | Error::ColumnIndexOutOfBounds { .. }
        | Error::ColumnNotFound(_)
        | Error::ColumnDecode { .. }
        | Error::Encode(_)
        | Error::Decode(_)
        | Error::AnyDriverError(_)
        | Error::InvalidSavePointStatement
        | Error::InvalidArgument(_) => Kind::Unavailable,
        // Of the address. Parsing it reports what is wrong with it; files of certificates may appear later.
        Error::Configuration(_) | Error::ConfigFile(_) => Kind::Unavailable,
        // The list grows with sqlx, and with its features.
        _ => return None,
    })
}

/// What an SQLSTATE means: its class decides, but for some.
fn kind_of_sqlstate(code: &str) -> Kind {
    match code {
        // read_only_sql_transaction
        "25006" => return Kind::ReadOnly,
        // undefined_table, undefined_column, undefined_function, insufficient_privilege, undefined_object
        "42P01" | "42703" | "42883" | "42501" | "42704" => return Kind::Configuration,
        _ => {}
    }
    match code.get(..2).unwrap_or_default() {
        // invalid_authorization
        "28" => Kind::Refused,
        // invalid_catalog_name, invalid_schema_name
        "3D" | "3F" => Kind::Configuration,
        // The connection, resources, limits, the operator, the system, its configuration.
        "08" | "53" | "54" | "57" | "58" | "F0" => Kind::Unavailable,
        // Transactions and locks: state, rolled back, statements and cursors that a pooler or a restart took away.
        "24" | "25" | "26" | "2D" | "34" | "40" | "55" | "3B" | "0B" | "0L" | "0P" => Kind::Unavailable,
        // Data, constraints, syntax, features, functions: a trigger or a policy of somebody else's can be mended. Where
        // data and constraints are about one row, `is_about_content` has recognized it.
        "0A" | "21" | "22" | "23" | "27" | "2B" | "2F" | "38" | "39" | "42" | "44" | "HV" | "P0" => {
            Kind::Unavailable
        }
        // Internal errors, and classes that do not exist yet.
        _ => Kind::Unavailable,
    }
}

/// What SQLite's result code means; the lowest byte is the primary one.
fn kind_of_sqlite(code: &str) -> Kind {
    match code.parse::<u32>().map(|code| code & 0xff) {
        // PERM, READONLY, AUTH: rights to the file, which can be granted.
        Ok(3 | 8 | 23) => Kind::Refused,
        // Busy, locked, out of memory, I/O, full, cannot be opened, damaged, and all others.
        _ => Kind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_is_listed() {
        let other = || -> Box<dyn std::error::Error + Send + Sync> { "other".into() };
        let text = || "other".to_owned();
        let all = [
            sqlx::Error::Configuration(other()),
            sqlx::Error::InvalidArgument(text()),
            sqlx::Error::Io(std::io::Error::other("other")),
            sqlx::Error::Tls(other()),
            sqlx::Error::Protocol(text()),
            sqlx::Error::RowNotFound,
            sqlx::Error::TypeNotFound { type_name: text() },
            sqlx::Error::ColumnIndexOutOfBounds { index: 1, len: 0 },
            sqlx::Error::ColumnNotFound(text()),
            sqlx::Error::ColumnDecode {
                index: text(),
                source: other(),
            },
            sqlx::Error::Encode(other()),
            sqlx::Error::Decode(other()),
            sqlx::Error::AnyDriverError(other()),
            sqlx::Error::PoolTimedOut,
            sqlx::Error::PoolClosed,
            sqlx::Error::WorkerCrashed,
            sqlx::Error::InvalidSavePointStatement,
            sqlx::Error::BeginFailed,
        ];
        for error in all {
            assert_eq!(known(&error), Some(Kind::Unavailable), "{error}");
        }
    }

    /// Only missing objects and rights are distinguished. Everything else is retried, and none of it ends a relay.
    #[test]
    fn sqlstates_mean_what_the_contract_says() {
        for (codes, kind) in [
            (&["25006"][..], Kind::ReadOnly),
            (
                &["42P01", "42703", "42883", "42704", "42501", "3F000", "3D000"],
                Kind::Configuration,
            ),
            (&["28000", "28P01"], Kind::Refused),
            (
                &[
                    "08006", "08001", "53300", "53100", "57P01", "57P03", "57014", "40001", "40P01", "55P03",
                    "25P02", "26000", "0A000", "22003", "23505", "42601", "58030", "XX000", "XX001", "ZZ999",
                ],
                Kind::Unavailable,
            ),
        ] {
            for code in codes {
                assert_eq!(kind_of_sqlstate(code), kind, "{code}");
            }
        }
    }

    #[test]
    fn result_codes_of_sqlite_are_waited_for_or_ask_for_rights() {
        for refused in ["3", "8", "264", "520", "1032", "23"] {
            assert_eq!(kind_of_sqlite(refused), Kind::Refused, "{refused}");
        }
        for waited_for in ["1", "5", "6", "10", "11", "13", "14", "26", "261", "517", "2067"] {
            assert_eq!(kind_of_sqlite(waited_for), Kind::Unavailable, "{waited_for}");
        }
    }
}
