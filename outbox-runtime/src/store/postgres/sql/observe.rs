//! Statements of a health check. None of them reads more rows than its limit.

use crate::Tables;
use crate::store::reader::{BEHIND_DEAD, KEY_PAUSED, TOPIC_THROTTLED};
use crate::store::statement::Statement;

#[derive(Debug)]
pub(in crate::store::postgres) struct ObserveSql {
    pub(in crate::store::postgres) lease: Statement,
    pub(in crate::store::postgres) size: Statement,
    pub(in crate::store::postgres) longest_writer: Statement,
    pub(in crate::store::postgres) dead: Statement,
    pub(in crate::store::postgres) parked: Statement,
}

impl ObserveSql {
    pub(super) fn new(tables: &Tables) -> Self {
        let (messages, cursor, lease) = (tables.messages(), tables.cursor(), tables.lease());
        let dead_letters = tables.dead_letters();
        let put = Statement::new;
        Self {
            lease: put(format!(
                "SELECT l.holder, l.epoch, extract(epoch FROM now() - l.renewed_at)::float8, l.ttl_ms,
                        extract(epoch FROM now() - c.updated_at)::float8,
                        coalesce(pg_sequence_last_value(pg_get_serial_sequence('{messages}', 'seq')::regclass), 0),
                        greatest(c.high, c.position)
                 FROM {lease} l LEFT JOIN {cursor} c ON true"
            )),
            size: put(format!(
                "SELECT sum(pg_total_relation_size(part.oid))::bigint
                 FROM (SELECT '{messages}'::regclass::oid UNION ALL
                       SELECT inhrelid FROM pg_inherits WHERE inhparent = '{messages}'::regclass) AS part(oid)"
            )),
            // Who inserted into the table keeps this lock until the end of the transaction. A prepared transaction has
            // no process, and is found by its number.
            longest_writer: put(format!(
                "SELECT extract(epoch FROM now() - min(coalesce(a.xact_start, p.prepared)))::float8
                 FROM pg_locks l
                 LEFT JOIN pg_stat_activity a ON a.pid = l.pid
                 LEFT JOIN pg_prepared_xacts p ON l.virtualtransaction = '-1/' || p.transaction::text
                 WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.granted
                   AND l.relation = '{messages}'::regclass
                   AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())"
            )),
            dead: put(format!(
                "SELECT count(*) FILTER (WHERE state = 'dead'), count(*)
                 FROM (SELECT state FROM {dead_letters} ORDER BY id, seq LIMIT $1) d"
            )),
            // The topics one after the other, one probe for each, however many rows a topic has.
            parked: put(format!(
                "WITH RECURSIVE parked(topic, number) AS (
                   (SELECT topic, 1 FROM {dead_letters} WHERE state = 'parked' ORDER BY topic LIMIT 1)
                   UNION ALL
                   SELECT (SELECT d.topic FROM {dead_letters} d
                           WHERE d.state = 'parked' AND d.topic > p.topic ORDER BY d.topic LIMIT 1), p.number + 1
                   FROM parked p WHERE p.topic IS NOT NULL AND p.number < $1
                 )
                 SELECT p.topic, rows.suspended, rows.seen
                 FROM parked p CROSS JOIN LATERAL (
                   SELECT count(*) FILTER (WHERE d.reason NOT IN ('{BEHIND_DEAD}', '{KEY_PAUSED}', '{TOPIC_THROTTLED}')) AS suspended, count(*) AS seen
                   FROM (SELECT reason FROM {dead_letters} d WHERE d.state = 'parked' AND d.topic = p.topic
                         ORDER BY d.topic, d.position LIMIT $2) d) rows
                 WHERE p.topic IS NOT NULL ORDER BY p.number"
            )),
        }
    }
}
