//! What each role has to be allowed to do with the tables in PostgreSQL, and what it may not do.

use std::fmt;

#[cfg(feature = "postgres")]
use sqlx::PgConnection;

use super::Tables;
#[cfg(feature = "postgres")]
use super::{Finding, Severity};

/// A kind of work with the tables, and the rights that it needs in PostgreSQL. SQLite has no rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Emits events and uses an inbox.
    Writer,
    /// Runs a relay.
    Relay,
    /// Reads everything, replays and discards dead letters, pauses, skips, throttles and rewinds, sets modes.
    Operator,
    /// Reads only: `outbox status`, `outbox dead-letters list`.
    Reader,
    /// Deletes delivered messages and old dead letters: `outbox prune`, and in addition to
    /// [`Relay`](Self::Relay) a relay with retention. Partitions can only be pruned by their owner.
    Pruner,
}

/// What a role needs of one table.
struct Need {
    table: &'static str,
    privileges: &'static [&'static str],
    /// Columns that a right to insert is about; all where it is empty.
    columns: &'static [&'static str],
    /// The sequence behind this column is read, too.
    sequence_of: Option<&'static str>,
}

/// All but `xid` and `seq`, which are the database's to give.
const WRITTEN: &[&str] = &[
    "id",
    "aggregate_type",
    "aggregate_id",
    "event_type",
    "topic",
    "payload",
    "payload_binary",
    "content_type",
    "source",
    "headers",
    "occurred_at",
];

const READ: &[&str] = &["SELECT"];

const fn need(table: &'static str, privileges: &'static [&'static str]) -> Need {
    Need {
        table,
        privileges,
        columns: &[],
        sequence_of: None,
    }
}

/// The messages and the sequence that numbers them, to be read.
const MESSAGES: Need = Need {
    sequence_of: Some("seq"),
    ..need("messages", READ)
};

/// The modes and the sequence that shows whether they have changed, to be read.
const MODES: Need = Need {
    sequence_of: Some("version"),
    ..need("modes", READ)
};

const WRITER: &[Need] = &[
    need("schema", READ),
    Need {
        columns: WRITTEN,
        ..need("messages", &["INSERT"])
    },
    need("inbox", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    need("inbox_dead_letters", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    MODES,
];

const RELAY: &[Need] = &[
    need("schema", READ),
    MESSAGES,
    need("cursor", &["SELECT", "UPDATE"]),
    need("lease", &["SELECT", "UPDATE"]),
    need("dead_letters", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    need("controls", READ),
];

const OPERATOR: &[Need] = &[
    need("schema", READ),
    MESSAGES,
    // To rewind.
    need("cursor", &["SELECT", "UPDATE"]),
    need("lease", READ),
    need("dead_letters", &["SELECT", "UPDATE", "DELETE"]),
    need("controls", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    need("audit", &["SELECT", "INSERT"]),
    need("modes", &["SELECT", "INSERT", "UPDATE"]),
];

const READER: &[Need] = &[
    need("schema", READ),
    MESSAGES,
    need("cursor", READ),
    need("lease", READ),
    need("dead_letters", READ),
    need("controls", READ),
    need("audit", READ),
    need("modes", READ),
];

/// Whoever locks the cursor's row has to be allowed to update it.
const PRUNER: &[Need] = &[
    need("schema", READ),
    Need {
        privileges: &["SELECT", "DELETE"],
        ..MESSAGES
    },
    need("cursor", &["SELECT", "UPDATE"]),
    need("dead_letters", &["SELECT", "DELETE"]),
];

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Writer,
        Self::Relay,
        Self::Operator,
        Self::Reader,
        Self::Pruner,
    ];

    fn needs(self) -> &'static [Need] {
        match self {
            Self::Writer => WRITER,
            Self::Relay => RELAY,
            Self::Operator => OPERATOR,
            Self::Reader => READER,
            Self::Pruner => PRUNER,
        }
    }

    /// The statements that grant these rights to the PostgreSQL role `grantee`. `schema` is the schema of the
    /// tables, if [`Tables`] does not name it. Only the tables' owner and superusers may run them.
    pub fn grants(self, tables: &Tables, schema: &str, grantee: &str) -> Vec<String> {
        let schema = tables.schema().unwrap_or(schema);
        let grantee = identifier(grantee);
        let name = |suffix: &str| format!("{schema}.{}", tables.bare(suffix));
        let mut grants = vec![format!("GRANT USAGE ON SCHEMA {schema} TO {grantee}")];
        for need in self.needs() {
            let privileges = need.privileges.join(", ");
            let columns = match need.columns {
                [] => String::new(),
                columns => format!(" ({})", columns.join(", ")),
            };
            grants.push(format!(
                "GRANT {privileges}{columns} ON {} TO {grantee}",
                name(need.table)
            ));
            if let Some(column) = need.sequence_of {
                let sequence = name(&format!("{}_{column}_seq", need.table));
                grants.push(format!("GRANT SELECT ON SEQUENCE {sequence} TO {grantee}"));
            }
        }
        grants
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Writer => "writer",
            Self::Relay => "relay",
            Self::Operator => "operator",
            Self::Reader => "reader",
            Self::Pruner => "pruner",
        })
    }
}

/// A name as SQL takes it: in quotes, but for those that need none.
fn identifier(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts_well = name
        .bytes()
        .next()
        .is_some_and(|first| !first.is_ascii_digit() && first.is_ascii());
    match starts_well && name.bytes().all(plain) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// What is to be granted for each right that is missing: the table's suffix, the right, and the statement.
///
/// `wanted` is a row for each right: suffix, bare name, right, columns, the column of the sequence. Where a schema may
/// not be used, its tables are hidden by that, and their own rights are reported once it may. A schema that is not
/// named is found by the search path, and by those of its schemas that may not be used.
#[cfg(feature = "postgres")]
const MISSING: &str = "
WITH wanted AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
    WITH ORDINALITY AS w(suffix, name, privilege, columns, sequence_of, number)
), found AS (
  SELECT w.*, t.oid, t.nspname, t.nsp, has_schema_privilege(t.nsp, 'USAGE') AS usable,
         format('%I.%I', t.nspname, w.name) AS qualified, quote_ident(current_user) AS grantee,
         string_to_array(nullif(w.columns, ''), ',') AS listed
  FROM wanted w CROSS JOIN LATERAL (
    SELECT c.oid, n.nspname, n.oid AS nsp
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = w.name AND c.relkind IN ('r', 'p')
      AND CASE WHEN $6::text IS NOT NULL THEN n.nspname = $6
          ELSE pg_table_is_visible(c.oid) OR (NOT has_schema_privilege(n.oid, 'USAGE')
               AND (position(n.nspname IN current_setting('search_path')) > 0 OR n.nspname = current_user)) END
    ORDER BY pg_table_is_visible(c.oid) DESC, n.nspname LIMIT 1) t
)
SELECT suffix, what, statement FROM (
  SELECT 0 AS number, 'messages' AS suffix, 'the right USAGE on schema ' || nspname || ' of role ' || grantee AS what,
         format('GRANT USAGE ON SCHEMA %I TO %s', nspname, grantee) AS statement
  FROM found WHERE NOT usable
  UNION ALL
  SELECT number, suffix, 'the right ' || privilege || ' of role ' || grantee,
         format('GRANT %s%s ON %s TO %s', privilege, coalesce(' (' || array_to_string(listed, ', ') || ')', ''), qualified, grantee)
  FROM found WHERE usable AND NOT has_table_privilege(oid, privilege) AND (privilege = 'DELETE' OR EXISTS (
    SELECT FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND (listed IS NULL OR a.attname = ANY (listed)) AND NOT has_column_privilege(found.oid, a.attnum, privilege)))
  UNION ALL
  SELECT number + 1000, suffix, 'the right SELECT on the sequence of role ' || grantee,
         format('GRANT SELECT ON SEQUENCE %s TO %s', s.objid::regclass, grantee)
  FROM found JOIN pg_catalog.pg_attribute a ON a.attrelid = found.oid AND a.attname = sequence_of
  JOIN pg_catalog.pg_depend s ON s.classid = 'pg_class'::regclass AND s.refclassid = 'pg_class'::regclass
    AND s.refobjid = found.oid AND s.refobjsubid = a.attnum AND s.deptype IN ('i', 'a')
  JOIN pg_catalog.pg_class q ON q.oid = s.objid
  -- Indexes depend on the column, too.
  WHERE usable AND CASE q.relkind WHEN 'S' THEN NOT has_sequence_privilege(q.oid, 'SELECT') ELSE false END
) AS missing GROUP BY suffix, what, statement ORDER BY min(number), statement";

/// What the connection's role lacks for the work of `role`: an entry for each right, with the statement that gives
/// it. Missing tables are not reported here.
#[cfg(feature = "postgres")]
pub(super) async fn missing(
    connection: &mut PgConnection,
    tables: &Tables,
    role: Role,
) -> sqlx::Result<Vec<Finding>> {
    let (mut suffixes, mut names, mut privileges) = (Vec::new(), Vec::new(), Vec::new());
    let (mut columns, mut sequences) = (Vec::new(), Vec::new());
    for need in role.needs() {
        for privilege in need.privileges {
            suffixes.push(need.table);
            names.push(tables.bare(need.table));
            privileges.push(*privilege);
            columns.push(need.columns.join(","));
            sequences.push(need.sequence_of.unwrap_or_default());
        }
    }
    let found: Vec<(String, String, String)> = sqlx::query_as(MISSING)
        .bind(suffixes)
        .bind(names)
        .bind(privileges)
        .bind(columns)
        .bind(sequences)
        .bind(tables.schema())
        .fetch_all(connection)
        .await?;
    Ok(found
        .into_iter()
        .map(|(suffix, what, statement)| Finding {
            severity: Severity::Error,
            table: tables.bare(&suffix),
            object: what,
            expected: "granted".to_owned(),
            found: None,
            mend: Some(statement),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_granted_what_it_writes_and_nothing_of_the_relays() {
        let grants = Role::Writer.grants(&Tables::default(), "public", "shop");
        assert_eq!(grants[0], "GRANT USAGE ON SCHEMA public TO shop");
        assert!(
            grants[2].starts_with("GRANT INSERT (id, aggregate_type,"),
            "{grants:?}"
        );
        let all = grants.join(";");
        assert!(
            !all.contains("xid") && !all.contains("cursor") && !all.contains("messages_seq"),
            "{all}"
        );
    }

    #[test]
    fn names_are_quoted_where_they_have_to_be() {
        let tables = Tables::new(Some("app"), "x_").unwrap();
        let grants = Role::Relay.grants(&tables, "public", "the Relay");
        assert!(
            grants.contains(&"GRANT SELECT ON SEQUENCE app.x_messages_seq_seq TO \"the Relay\"".to_owned()),
            "{grants:?}"
        );
    }
}
