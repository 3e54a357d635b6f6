//! Names of the toolkit's tables, validated once so that SQL can be put together from them.

/// Names of the outbox tables: an optional schema and a prefix.
///
/// The default is no schema (the connection's `search_path` decides) and the prefix `outbox_`, which gives
/// `outbox_messages`, `outbox_cursor`, `outbox_lease`, `outbox_dead_letters`, `outbox_inbox`,
/// `outbox_inbox_dead_letters`, `outbox_controls`, `outbox_audit`, `outbox_modes` and `outbox_schema`.
///
/// ```
/// use outbox_runtime::Tables;
///
/// let tables = Tables::new(Some("billing"), "events_")?;
/// assert_eq!(tables.messages(), r#""billing"."events_messages""#);
/// # Ok::<(), outbox_runtime::InvalidTables>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    schema: Option<String>,
    prefix: String,
}

/// A schema or prefix that cannot be part of a table's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` cannot be used as a {what}: write 1 to {max} lower-case letters, digits and underscores that do not start with a digit"
)]
pub struct InvalidTables {
    given: String,
    what: &'static str,
    max: usize,
}

/// PostgreSQL cuts identifiers at 63 bytes; the longest suffix that is put behind a prefix
/// (`messages_xid_seq_idx`) has to fit.
const MAX_PREFIX: usize = 40;
const MAX_SCHEMA: usize = 63;

impl Default for Tables {
    fn default() -> Self {
        Self {
            schema: None,
            prefix: "outbox_".to_owned(),
        }
    }
}

impl Tables {
    /// Creates names in `schema` (`None`: from `search_path`) that begin with `prefix`.
    ///
    /// # Errors
    /// A name that is not made of lower-case letters, digits and underscores, or that is too long.
    pub fn new(schema: Option<&str>, prefix: &str) -> Result<Self, InvalidTables> {
        check(prefix, "table prefix", MAX_PREFIX)?;
        if let Some(schema) = schema {
            check(schema, "schema", MAX_SCHEMA)?;
        }
        Ok(Self {
            schema: schema.map(str::to_owned),
            prefix: prefix.to_owned(),
        })
    }

    /// The schema, if set.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The prefix of all names.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The log of messages, quoted for SQL.
    pub fn messages(&self) -> String {
        self.quoted("messages")
    }

    /// The relay's cursor, quoted for SQL.
    pub fn cursor(&self) -> String {
        self.quoted("cursor")
    }

    /// The relay's lease, quoted for SQL.
    pub fn lease(&self) -> String {
        self.quoted("lease")
    }

    /// The dead letters of the relay, quoted for SQL.
    pub fn dead_letters(&self) -> String {
        self.quoted("dead_letters")
    }

    /// The inbox, quoted for SQL.
    pub fn inbox(&self) -> String {
        self.quoted("inbox")
    }

    /// The dead letters of consumers, quoted for SQL.
    pub fn inbox_dead_letters(&self) -> String {
        self.quoted("inbox_dead_letters")
    }

    /// The decisions of operators, quoted for SQL.
    pub fn controls(&self) -> String {
        self.quoted("controls")
    }

    /// The audit table, quoted for SQL.
    pub fn audit(&self) -> String {
        self.quoted("audit")
    }

    /// The modes of events, quoted for SQL. PostgreSQL only.
    pub fn modes(&self) -> String {
        self.quoted("modes")
    }

    /// The schema's version, quoted for SQL.
    pub fn schema_version(&self) -> String {
        self.quoted("schema")
    }

    /// These names as options of the command line, each with a space in front; empty for the default.
    pub(crate) fn as_arguments(&self) -> String {
        let default = Self::default();
        let schema = self.schema.as_ref().map(|schema| format!(" --schema {schema}"));
        let prefix = (self.prefix != default.prefix).then(|| format!(" --prefix {}", self.prefix));
        [schema, prefix].into_iter().flatten().collect()
    }

    /// What the log in this database is called in metrics: `shop/outbox_messages`, or `shop/billing.events_messages`.
    pub(crate) fn log_name(&self, database: &str) -> String {
        let schema = self.schema.as_ref().map(|schema| format!("{schema}."));
        format!("{database}/{}{}messages", schema.unwrap_or_default(), self.prefix)
    }

    /// A table's name without its schema and without quotes, such as `outbox_messages` for `messages`.
    pub fn bare(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.prefix)
    }

    /// A relation's quoted name behind the quoted schema, if there is one.
    pub fn quoted(&self, suffix: &str) -> String {
        let relation = format!("\"{}\"", self.bare(suffix));
        match &self.schema {
            Some(schema) => format!("\"{schema}\".{relation}"),
            None => relation,
        }
    }
}

fn check(name: &str, what: &'static str, max: usize) -> Result<(), InvalidTables> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts_well = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if starts_well && name.len() <= max && name.bytes().all(legal) {
        Ok(())
    } else {
        Err(InvalidTables {
            given: name.to_owned(),
            what,
            max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_schema_and_prefix() {
        let plain = Tables::default();
        assert_eq!(plain.messages(), r#""outbox_messages""#);
        let named = Tables::new(Some("app"), "x_").unwrap();
        assert_eq!(named.dead_letters(), r#""app"."x_dead_letters""#);
        assert_eq!(named.bare("cursor"), "x_cursor");
    }

    #[test]
    fn names_that_would_need_escaping_are_refused() {
        for bad in ["", "1x", "Outbox_", "a\"b", "a b", "ö_"] {
            assert!(Tables::new(None, bad).is_err(), "{bad:?} was accepted");
        }
        assert!(Tables::new(Some("a.b"), "x_").is_err());
        let message = Tables::new(None, &"x".repeat(41)).unwrap_err().to_string();
        assert!(
            message.contains("table prefix") && message.contains("40"),
            "{message}"
        );
    }
}
