//! What PostgreSQL's catalog has to say.

use sqlx::PgConnection;

use super::numbers;
use crate::schema::{Finding, Severity, Tables};

/// Something that has to be so.
struct Assumption {
    severity: Severity,
    /// What it should be, as the finding says.
    expected: &'static str,
    /// Finds where it is not so: the table's suffix, what of it, what it is, and the statement that mends it.
    /// `ours` are the tables that there are.
    broken: &'static str,
}

/// The tables, as `ours`, and for the checks of numbers the sequences behind their columns, as `numbered`.
const OURS: &str = "
WITH ours AS (
  SELECT w.suffix, w.name, c.*
  FROM unnest($1::text[], $2::text[]) AS w(suffix, name)
  JOIN LATERAL (SELECT c.oid, c.relname, c.relkind, c.relpersistence, c.relnamespace, c.relrowsecurity
                FROM pg_catalog.pg_class c WHERE c.oid = to_regclass(w.name)) c ON true
), numbered AS (
  SELECT o.suffix, k.col, o.oid AS table_oid, q.*, c.relpersistence,
         has_sequence_privilege(c.oid, 'SELECT') AS may_read
  FROM ours o JOIN (VALUES ('messages', 'seq'), ('dead_letters', 'position')) AS k(suffix, col) USING (suffix)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid AND a.attname = k.col AND NOT a.attisdropped
  CROSS JOIN LATERAL (SELECT pg_get_serial_sequence(o.name, a.attname)::regclass AS oid) s
  JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid
  JOIN pg_catalog.pg_class c ON c.oid = s.oid
)
";

const ASSUMPTIONS: &[Assumption] = &[
    Assumption {
        severity: Severity::Error,
        expected: "a table of its own, made by `outbox migrate`",
        broken: "SELECT suffix, 'the table', CASE relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view'
                   WHEN 'f' THEN 'a foreign table' WHEN 'p' THEN 'a partitioned table' ELSE 'no table' END, NULL
                 FROM ours WHERE relkind <> 'r' AND NOT (relkind = 'p' AND suffix = 'messages')",
    },
    Assumption {
        severity: Severity::Error,
        expected: "logged",
        broken: "SELECT o.suffix, CASE WHEN p.oid = o.oid THEN 'the table' ELSE 'partition ' || p.relname END,
                   CASE p.relpersistence WHEN 'u' THEN 'unlogged: a crash empties it' ELSE 'temporary' END,
                   format('ALTER TABLE %s SET LOGGED', p.oid::regclass)
                 FROM ours o JOIN pg_catalog.pg_class p
                   ON p.oid = o.oid OR p.oid IN (SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = o.oid)
                 WHERE p.relpersistence <> 'p'",
    },
    Assumption {
        severity: Severity::Error,
        expected: "in the schema of the messages (name it with --schema, or mend the search_path)",
        broken: "SELECT o.suffix, 'the table', format('in the schema %I', n.nspname), NULL
                 FROM ours o JOIN ours m ON m.suffix = 'messages' AND m.relnamespace <> o.relnamespace
                 JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace",
    },
    Assumption {
        severity: Severity::Warning,
        expected: "the only one, or named with its schema (--schema): writers and relay might mean different ones",
        broken: "SELECT o.suffix, 'the table',
                   format('one of several on the search_path (%s, %s)', o.oid::regclass, format('%I.%I', n.nspname, c.relname)), NULL
                 FROM ours o JOIN pg_catalog.pg_class c ON c.relname = o.relname AND c.oid <> o.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE o.suffix = 'messages' AND n.nspname = ANY (current_schemas(false)) AND o.name NOT LIKE '\"%\".\"%\"'",
    },
    Assumption {
        severity: Severity::Error,
        expected: "absent: a rule turns statements into others",
        broken: "SELECT o.suffix, format('rule %I', r.rulename), 'there', format('DROP RULE %I ON %s', r.rulename, o.oid::regclass)
                 FROM ours o JOIN pg_catalog.pg_rewrite r ON r.ev_class = o.oid
                 WHERE o.relkind IN ('r', 'p') AND r.rulename <> '_RETURN' AND r.ev_enabled <> 'D'",
    },
    Assumption {
        severity: Severity::Warning,
        expected: "absent, or known to return each row as it is: one that returns null drops an event without a word",
        broken: "SELECT o.suffix, format('trigger %I', t.tgname), 'called before each row is inserted',
                   format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass)
                 FROM ours o JOIN pg_catalog.pg_trigger t
                   ON t.tgrelid = o.oid OR t.tgrelid IN (SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = o.oid)
                 WHERE o.suffix IN ('messages', 'inbox', 'inbox_dead_letters') AND t.tgtype & 7 = 7
                   AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgparentid = 0",
    },
    Assumption {
        severity: Severity::Error,
        expected: "absent, or called after it: one that returns null drops what the relay writes",
        broken: "SELECT o.suffix, format('trigger %I', t.tgname), 'called before each row is written',
                   format('DROP TRIGGER %I ON %s', t.tgname, o.oid::regclass)
                 FROM ours o JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid
                 WHERE o.suffix IN ('cursor', 'lease', 'dead_letters') AND t.tgtype & 3 = 3
                   AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')",
    },
    Assumption {
        severity: Severity::Error,
        expected: "no child: its rows would be read with numbers that are not the log's",
        broken: "SELECT o.suffix, 'table ' || i.inhrelid::regclass, 'its child',
                   format('ALTER TABLE %s NO INHERIT %s', i.inhrelid::regclass, o.oid::regclass)
                 FROM ours o JOIN pg_catalog.pg_inherits i ON i.inhparent = o.oid WHERE o.relkind = 'r'",
    },
    Assumption {
        severity: Severity::Error,
        expected: "off for the relay's role: hidden rows would never be sent",
        broken: "SELECT suffix, 'row-level security', format('in force for the role %I', current_user),
                   format('ALTER ROLE %I BYPASSRLS', current_user)
                 FROM ours WHERE suffix IN ('messages', 'cursor', 'lease', 'dead_letters', 'schema') AND row_security_active(oid)",
    },
    Assumption {
        severity: Severity::Warning,
        expected: "off, or the relay's role the table's owner or one with BYPASSRLS",
        broken: "SELECT suffix, 'row-level security', format('on, though not in force for the role %I', current_user),
                   format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', oid::regclass)
                 FROM ours WHERE suffix IN ('messages', 'cursor', 'lease', 'dead_letters', 'schema')
                   AND relrowsecurity AND NOT row_security_active(oid)",
    },
    Assumption {
        severity: Severity::Error,
        expected: "absent: what it refuses would be taken for something that is there already",
        broken: "SELECT o.suffix, format('unique index %I', x.relname), 'there',
                   CASE WHEN con.conname IS NULL THEN format('DROP INDEX %s', x.oid::regclass)
                        ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', o.oid::regclass, con.conname) END
                 FROM ours o
                 JOIN (VALUES ('dead_letters', ARRAY['id', 'seq']), ('inbox', ARRAY['consumer', 'message_id']),
                              ('inbox_dead_letters', ARRAY['consumer', 'message_id'])) AS k(suffix, cols) USING (suffix)
                 JOIN pg_catalog.pg_index i ON i.indrelid = o.oid
                 JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
                 LEFT JOIN pg_catalog.pg_constraint con ON con.conindid = x.oid AND con.contype IN ('p', 'u', 'x')
                 WHERE (i.indisunique OR i.indisexclusion)
                   AND NOT coalesce((SELECT array_agg(a.attname::text) FROM pg_catalog.pg_attribute a
                                     WHERE a.attrelid = o.oid AND a.attnum = ANY (i.indkey)) @> k.cols, false)",
    },
    Assumption {
        severity: Severity::Error,
        expected: "1",
        broken: "SELECT suffix, format('the increment of the sequence behind %s', col), seqincrement::text,
                   format('ALTER SEQUENCE %s INCREMENT 1', seqrelid::regclass)
                 FROM numbered WHERE seqincrement <> 1",
    },
    Assumption {
        severity: Severity::Error,
        expected: "1: numbers that a session keeps in advance are used late",
        broken: "SELECT suffix, format('the cache of the sequence behind %s', col), seqcache::text,
                   format('ALTER SEQUENCE %s CACHE 1', seqrelid::regclass)
                 FROM numbered WHERE seqcache <> 1",
    },
    Assumption {
        severity: Severity::Error,
        expected: "one that ends: numbers would be given out twice",
        broken: "SELECT suffix, format('the sequence behind %s', col), 'one that cycles',
                   format('ALTER SEQUENCE %s NO CYCLE', seqrelid::regclass)
                 FROM numbered WHERE seqcycle",
    },
    Assumption {
        severity: Severity::Error,
        expected: "at least 1",
        broken: "SELECT suffix, format('the lowest number of the sequence behind %s', col), seqmin::text,
                   format('ALTER SEQUENCE %s MINVALUE 1 START 1', seqrelid::regclass)
                 FROM numbered WHERE seqmin < 1",
    },
    Assumption {
        severity: Severity::Error,
        expected: "logged",
        broken: "SELECT suffix, format('the sequence behind %s', col), 'unlogged: a crash sets it back',
                   format('ALTER SEQUENCE %s SET LOGGED', seqrelid::regclass)
                 FROM numbered WHERE relpersistence <> 'p'",
    },
    Assumption {
        severity: Severity::Error,
        expected: "some: every insert fails",
        broken: "SELECT suffix, format('numbers left to the sequence behind %s', col), 'none',
                   format('ALTER SEQUENCE %s NO MAXVALUE', seqrelid::regclass)
                 FROM numbered WHERE CASE WHEN may_read THEN pg_sequence_last_value(seqrelid) >= seqmax END",
    },
    Assumption {
        severity: Severity::Warning,
        expected: "a thousand million at least",
        broken: "SELECT suffix, format('numbers left to the sequence behind %s', col), n.left::text,
                   format('ALTER SEQUENCE %s NO MAXVALUE', seqrelid::regclass)
                 FROM numbered CROSS JOIN LATERAL (
                   SELECT seqmax::numeric - CASE WHEN may_read THEN coalesce(pg_sequence_last_value(seqrelid), 0) END AS left OFFSET 0) n
                 WHERE n.left BETWEEN 1 AND 999999999",
    },
    Assumption {
        severity: Severity::Error,
        expected: "by ranges of seq",
        broken: "SELECT o.suffix, 'the partitioning', pg_get_partkeydef(o.oid), NULL
                 FROM ours o JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = o.oid
                 WHERE upper(pg_get_partkeydef(o.oid)) <> 'RANGE (SEQ)'",
    },
    Assumption {
        severity: Severity::Error,
        expected: "a table of this database",
        broken: "SELECT o.suffix, 'partition ' || c.relname, 'a foreign table',
                   format('ALTER TABLE %s DETACH PARTITION %s', o.oid::regclass, c.oid::regclass)
                 FROM ours o JOIN pg_catalog.pg_inherits i ON i.inhparent = o.oid
                 JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'f'",
    },
    Assumption {
        severity: Severity::Warning,
        expected: "absent: once it holds rows, no partition can be attached for them, and it is never dropped",
        broken: "SELECT o.suffix, 'partition ' || p.partdefid::regclass, 'the one for all others',
                   format('ALTER TABLE %s DETACH PARTITION %s', o.oid::regclass, p.partdefid::regclass)
                 FROM ours o JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = o.oid WHERE p.partdefid <> 0",
    },
];

/// What is not as it has to be. All assumptions are one statement: a relay that is far from its database would wait for
/// two round trips for each.
pub(in crate::schema) async fn broken(
    connection: &mut PgConnection,
    tables: &Tables,
    suffixes: &[String],
) -> sqlx::Result<Vec<Finding>> {
    type Row = (i64, String, String, String, Option<String>);
    let names: Vec<String> = suffixes.iter().map(|suffix| tables.quoted(suffix)).collect();
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(statement()))
        .persistent(false)
        .bind(suffixes)
        .bind(&names)
        .fetch_all(&mut *connection)
        .await?;
    let mut findings = Vec::new();
    for (number, assumption) in (0..).zip(ASSUMPTIONS) {
        let its_rows = rows.iter().filter(|(of, ..)| *of == number);
        findings.extend(its_rows.map(|(_, suffix, object, found, mend)| Finding {
            severity: assumption.severity,
            table: tables.bare(suffix),
            object: object.clone(),
            expected: assumption.expected.to_owned(),
            found: Some(found.clone()),
            mend: mend.clone(),
        }));
    }
    findings.extend(numbers::broken(connection, tables).await?);
    Ok(findings)
}

/// What breaks each of [`ASSUMPTIONS`], with its place in the list.
fn statement() -> String {
    let parts: Vec<String> = (0..)
        .zip(ASSUMPTIONS)
        .map(|(number, assumption): (i64, _)| {
            let broken = assumption.broken;
            format!(
                "SELECT {number}::bigint, b.suffix::text, b.object::text, b.found::text, b.mend::text
                 FROM ({broken}) AS b(suffix, object, found, mend)"
            )
        })
        .collect();
    format!("{OURS} {}", parts.join(" UNION ALL "))
}
