//! The statements of a relocation, with the tables' names put in once.

use super::{DELIVERED, UNDELIVERED};
use crate::Tables;
use crate::store::postgres::home::HomeSql;
use crate::store::statement::Statement;

#[derive(Debug)]
pub(super) struct Sql {
    pub(super) home: HomeSql,
    pub(super) here: Statement,
    pub(super) lock_cursor: Statement,
    pub(super) sequence: Statement,
    pub(super) highest: Statement,
    pub(super) has_lease: Statement,
    pub(super) count: Statement,
    pub(super) parked: Statement,
    pub(super) sort: Statement,
    pub(super) write_cursor: Statement,
    pub(super) forget_kafkas_cursor: Statement,
    pub(super) dead_letter_parked: Statement,
    pub(super) forget_replays: Statement,
    pub(super) move_sequence: Statement,
    pub(super) mend_lease: Statement,
}

/// Whether a row counts as delivered: all do ($1), or the cursor's lower edge sees it ($2, $3), or its open window
/// does ($4) and is settled up to it ($5). A cursor calls no row delivered that lies above its bounds on seq, so
/// none that was written here.
const IS_DELIVERED: &str = "coalesce($1 OR (m.seq <= $3 AND pg_visible_in_snapshot(m.xid, (SELECT $2::text::pg_snapshot))) \
                            OR (m.seq <= $5 AND pg_visible_in_snapshot(m.xid, (SELECT $4::text::pg_snapshot))), false)";

impl Sql {
    pub(super) fn new(tables: &Tables) -> Self {
        let (messages, cursor, lease) = (tables.messages(), tables.cursor(), tables.lease());
        let dead_letters = tables.dead_letters();
        let sequence = format!("pg_get_serial_sequence('{messages}', 'seq')");
        let put = Statement::new;
        Self {
            home: HomeSql::new(tables),
            // The first statement: its snapshot is the transaction's.
            here: put(format!(
                "SELECT pg_current_snapshot()::text, pg_is_in_recovery(),
                        (SELECT xid FROM {messages} ORDER BY xid DESC, seq DESC LIMIT 1)::text"
            )),
            lock_cursor: put(format!(
                "SELECT from_snapshot::text, high, xid_bound::text, to_snapshot::text, high_to, position,
                        system_identifier, database_oid::text, table_oid::text, timeline, log_id
                 FROM {cursor} FOR UPDATE"
            )),
            sequence: put(format!("SELECT coalesce(pg_sequence_last_value({sequence}::regclass), 0)")),
            highest: put(format!("SELECT coalesce((SELECT max(seq) FROM {messages}), 0)")),
            has_lease: put(format!("SELECT EXISTS (SELECT 1 FROM {lease})")),
            count: put(format!(
                "SELECT count(*) FILTER (WHERE NOT sorted.is_delivered), count(*) FILTER (WHERE sorted.is_delivered)
                 FROM (SELECT {IS_DELIVERED} AS is_delivered FROM {messages} m) sorted"
            )),
            parked: put(format!("SELECT count(*) FROM {dead_letters} WHERE state = 'parked'")),
            // $6: the oldest transaction that is running. What is delivered and older needs no other id, unless
            // it is one that an earlier relocation gave to rows which were to be sent.
            sort: put(format!(
                "UPDATE {messages} m
                 SET xid = CASE WHEN {IS_DELIVERED} THEN xid8 '{DELIVERED}' ELSE xid8 '{UNDELIVERED}' END
                 WHERE CASE WHEN {IS_DELIVERED} THEN m.xid >= $6::text::xid8 OR m.xid = xid8 '{UNDELIVERED}'
                            ELSE m.xid <> xid8 '{UNDELIVERED}' END"
            )),
            // Without a token and a reader, whoever held the cursor under this epoch no longer does.
            write_cursor: put(format!(
                "INSERT INTO {cursor} AS c (id, epoch, from_snapshot, high, to_snapshot, high_to, position,
                                            system_identifier, timeline, database_oid, table_oid)
                 VALUES (1, coalesce((SELECT epoch FROM {lease}), 0), $1::text::pg_snapshot, $2,
                         $3::text::pg_snapshot, $4, $5, $6, $7, $8::text::oid, $10::text::oid)
                 ON CONFLICT (id) DO UPDATE SET token = NULL, reader = NULL,
                   from_snapshot = excluded.from_snapshot,
                   high = excluded.high, xid_bound = NULL, to_snapshot = excluded.to_snapshot,
                   high_to = excluded.high_to, position = excluded.position,
                   system_identifier = excluded.system_identifier, timeline = excluded.timeline,
                   database_oid = excluded.database_oid, table_oid = excluded.table_oid, updated_at = now(),
                   log_id = CASE WHEN $9 THEN excluded.log_id ELSE c.log_id END,
                   kafka_cluster_id = CASE WHEN $9 THEN NULL ELSE c.kafka_cluster_id END, generation = NULL
                 RETURNING log_id"
            )),
            // Whoever held the cursor under this epoch no longer does, as above.
            forget_kafkas_cursor: put(format!(
                "UPDATE {cursor} SET generation = NULL, timeline = coalesce($1, timeline), token = NULL, reader = NULL, updated_at = now()"
            )),
            dead_letter_parked: put(format!(
                "UPDATE {dead_letters} SET state = 'dead', reason = 'fork',
                        error = 'it was parked in the log that this one is a copy of, which sends it itself'
                 WHERE state = 'parked'"
            )),
            forget_replays: put(format!(
                "UPDATE {dead_letters} SET replay_requested_at = NULL WHERE replay_requested_at IS NOT NULL"
            )),
            move_sequence: put(format!("SELECT setval({sequence}::regclass, $1)")),
            // A lost lease is put back as one that somebody holds: a relay that had it may not know yet. And the
            // lease's epoch is never below the cursor's, or no holder could claim that.
            mend_lease: put(format!(
                "INSERT INTO {lease} AS l (id, epoch, token, ttl_ms)
                 VALUES (1, coalesce((SELECT epoch FROM {cursor}), 0), gen_random_uuid(), 10000)
                 ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch WHERE l.epoch < excluded.epoch"
            )),
        }
    }
}
