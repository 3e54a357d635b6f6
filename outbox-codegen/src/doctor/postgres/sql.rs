//! The questions. Each reads catalogs, statistics or a bounded number of rows.

/// Columns of [`Server`](super::facts::Server); `$1` is the messages' table.
pub(super) const SERVER: &str = "
SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS version_text,
       pg_is_in_recovery() AS in_recovery, current_setting('default_transaction_read_only') = 'on' AS read_only,
       (SELECT source FROM pg_settings WHERE name = 'default_transaction_read_only') AS read_only_source,
       current_setting('fsync') = 'on' AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
       (SELECT source FROM pg_settings WHERE name = 'synchronous_commit') AS synchronous_commit_source,
       current_setting('autovacuum') = 'on' AS autovacuum, current_setting('track_counts') = 'on' AS track_counts,
       current_setting('idle_in_transaction_session_timeout') AS idle_timeout,
       quote_ident(current_database()) AS database, quote_ident(current_user) AS role,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all,
       EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass($1) AND c.relkind = 'p') AS partitioned";

/// `$1` is the messages' table, `$2` the age in seconds. Transactions without a snapshot and without an id hold nothing.
pub(super) const HOLDERS: &str = "
SELECT a.pid, coalesce(a.usename::text, '') AS role, coalesce(a.application_name, '') AS application,
       coalesce(a.state, '') AS state, extract(epoch FROM now() - a.xact_start)::float8 AS age,
       EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'relation' AND l.mode = 'RowExclusiveLock'
               AND l.granted AND l.relation = to_regclass($1)) AS writes
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
  AND a.xact_start < now() - make_interval(secs => $2) AND (a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL)
ORDER BY a.xact_start LIMIT 20";

/// `$1` is the age in seconds.
pub(super) const PREPARED: &str = "
SELECT quote_literal(gid) AS gid, owner::text AS owner, extract(epoch FROM now() - prepared)::float8 AS age
FROM pg_prepared_xacts
WHERE database = current_database() AND prepared < now() - make_interval(secs => $1) ORDER BY prepared LIMIT 20";

pub(super) const SLOTS: &str = "
SELECT quote_literal(slot_name) AS name, active,
       CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8 END AS bytes,
       greatest(age(xmin), age(catalog_xmin))::int8 AS xmin_age
FROM pg_replication_slots ORDER BY slot_name LIMIT 100";

pub(super) const STANDBYS: &str = "
SELECT coalesce(nullif(application_name, ''), pid::text) AS name, age(backend_xmin)::int8 AS xmin_age
FROM pg_stat_replication WHERE backend_xmin IS NOT NULL";

/// The tables with their partitions: `$1` names, `$2` whether they have one row.
const OURS: &str = "
WITH ours AS (
  SELECT w.one_row, c.oid, c.relname FROM unnest($1::text[], $2::bool[]) AS w(name, one_row)
  JOIN pg_class c ON c.oid = to_regclass(w.name)
), parts AS (
  SELECT one_row, oid FROM ours UNION ALL SELECT o.one_row, i.inhrelid FROM ours o JOIN pg_inherits i ON i.inhparent = o.oid
)";

pub(super) fn invalid_indexes() -> String {
    format!(
        "{OURS}
SELECT i.indexrelid::regclass::text AS index, c.relname::text AS bare, c.oid::regclass::text AS \"table\"
FROM parts p JOIN pg_class c ON c.oid = p.oid JOIN pg_index i ON i.indrelid = p.oid
WHERE NOT (i.indisvalid AND i.indisready) ORDER BY 1"
    )
}

pub(super) fn tables() -> String {
    format!(
        "{OURS}
SELECT c.oid::regclass::text AS name, p.one_row, pg_stat_get_dead_tuples(c.oid) AS dead,
       pg_stat_get_live_tuples(c.oid) AS live, pg_relation_size(c.oid) AS bytes,
       EXISTS (SELECT FROM pg_options_to_table(c.reloptions)
               WHERE option_name = 'autovacuum_enabled' AND NOT option_value::boolean) AS autovacuum_off
FROM parts p JOIN pg_class c ON c.oid = p.oid WHERE c.relkind = 'r' ORDER BY c.oid LIMIT 1000"
    )
}

/// `$1` is how many of the newest messages are looked at. Payloads are not compressed: their size is known without
/// reading them.
pub(super) fn payloads(messages: &str) -> String {
    format!(
        "SELECT topic, max(bytes)::int8 AS bytes FROM (
           SELECT topic, coalesce(pg_column_size(payload), 0) + coalesce(pg_column_size(payload_binary), 0)
                         + octet_length(aggregate_id) + pg_column_size(headers) AS bytes
           FROM {messages} ORDER BY seq DESC LIMIT $1) newest
         GROUP BY topic ORDER BY topic LIMIT 1000"
    )
}

pub(super) fn exactly_once(cursor: &str) -> String {
    format!("SELECT EXISTS (SELECT FROM {cursor} WHERE generation IS NOT NULL)")
}
