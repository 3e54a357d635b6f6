//! Every statement the store runs, with the tables' names put in once.

use crate::Tables;
use crate::store::reader::BEHIND_DEAD;
use crate::store::statement::Statement;

/// Statements whose text depends on the tables' names. Values are always bound, never put in.
#[derive(Debug)]
pub(super) struct Sql {
    /// The messages lie in partitions.
    pub(super) partitioned: bool,
    pub(super) claim_cursor: Statement,
    pub(super) newest_xid: Statement,
    pub(super) edge: Statement,
    pub(super) highest: Statement,
    pub(super) has_rows_below: Statement,
    pub(super) end_of_piece: Statement,
    pub(super) page_below: Statement,
    pub(super) next_below: Statement,
    pub(super) late_candidates: Statement,
    pub(super) late_next: Statement,
    pub(super) late_page: Statement,
    pub(super) new_page: Statement,
    pub(super) has_large_rows: Statement,
    pub(super) new_page_of_small_rows: Statement,
    pub(super) new_next: Statement,
    pub(super) row_in_bytes: Statement,
    pub(super) persist: Statement,
    pub(super) dead_letter: Statement,
    pub(super) dead_letter_as_json: Statement,
    pub(super) fail_again: Statement,
    pub(super) park: Statement,
    pub(super) park_behind: Statement,
    pub(super) dead_letter_topics: Statement,
    pub(super) have_dead_letters: Statement,
    pub(super) wanted_keys: Statement,
    pub(super) first_letters: Statement,
    pub(super) released: Statement,
    pub(super) parked_topics: Statement,
    pub(super) parked_page: Statement,
    pub(super) replay_page: Statement,
    pub(super) take_out: Statement,
    pub(super) read_lease: Statement,
    pub(super) take_lease: Statement,
    pub(super) renew_lease: Statement,
    pub(super) release_lease: Statement,
    pub(super) poison_history: Statement,
    pub(super) begin_probe: Statement,
    pub(super) postpone_probe: Statement,
    pub(super) clear_probe: Statement,
    pub(super) status: Statement,
    pub(super) cursor: Statement,
    pub(super) undelivered_new: Statement,
    pub(super) undelivered_late: Statement,
    pub(super) undelivered_below: Statement,
    pub(super) note_broker: Statement,
    pub(super) is_held: Statement,
    pub(super) begin_generations: Statement,
    pub(super) in_dead_letters: Statement,
}

/// What a record is made of; `decode` reads the columns in this order.
const COLUMNS: &str = "m.seq, m.id, m.topic, m.aggregate_id, m.event_type, m.content_type, m.source, \
                       m.headers, m.payload, m.payload_binary, m.occurred_at";

/// Where this is: cluster, database and table, and the timeline, which a standby cannot tell.
pub(super) fn home(tables: &Tables) -> String {
    format!(
        "(SELECT s.system_identifier::text FROM pg_control_system() s),
         (SELECT d.oid::text FROM pg_database d WHERE d.datname = current_database()),
         '{}'::regclass::oid::text,
         CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END",
        tables.cursor()
    )
}

impl Sql {
    pub(super) fn new(tables: &Tables) -> Self {
        Self::of(tables, false, |_, _| String::new())
    }

    /// The same, and the search for late rows says twice where it looks, so that other partitions are left out.
    /// In one table that would tempt the planner to walk the primary key.
    pub(super) fn of_partitions(tables: &Tables) -> Self {
        Self::of(tables, true, |above, to| {
            format!(" AND m.seq > {above} AND m.seq <= {to}")
        })
    }

    fn of(tables: &Tables, partitioned: bool, within: fn(&str, &str) -> String) -> Self {
        let (looking, following) = (within("$4", "$3"), within("$2", "$3"));
        let paging = within("$4", "$5");
        let (messages, cursor, lease) = (tables.messages(), tables.cursor(), tables.lease());
        let (dead_letters, home) = (tables.dead_letters(), home(tables));
        let sequence = format!("pg_get_serial_sequence('{messages}', 'seq')::regclass");
        let put = Statement::new;
        Self {
            partitioned,
            // The cursor row carries its own fence, so a write of an earlier holder, or of an earlier reader of
            // the same one, that is still on its way finds nothing to update.
            claim_cursor: put(format!(
                "UPDATE {cursor} SET epoch = $1, token = $2, reader = $3
                 WHERE epoch < $1 OR (epoch = $1 AND token = $2)
                 RETURNING from_snapshot::text, high, xid_bound::text, to_snapshot::text, high_to, position,
                           system_identifier, database_oid::text, table_oid::text, timeline, {home},
                           pg_current_xact_id()::text, log_id, generation"
            )),
            newest_xid: put(format!("SELECT (SELECT xid FROM {messages} ORDER BY xid DESC, seq DESC LIMIT 1)::text")),
            // The statement's snapshot is taken before it runs, so the sequence is read after it. Rows above its last
            // number are there after it went back. $1, up to where they are looked for elsewhere, leaves out partitions.
            // The last column is how many transaction ids were given out from the snapshot's xmax on: the difference
            // to the next one, which `age` reads and does not take. It is read when the rest is there: a row has
            // its transaction before its seq, so each row up to that seq is of a transaction below the next one.
            edge: put(format!(
                "WITH edge AS MATERIALIZED (
                   SELECT pg_current_snapshot() AS snapshot, pg_is_in_recovery() AS in_recovery, {sequence} AS oid,
                          coalesce(pg_sequence_last_value({sequence}), 0) AS last)
                 SELECT e.snapshot::text, e.in_recovery, e.last,
                        (SELECT m.seq FROM {messages} m WHERE m.seq > e.last AND m.seq > $1
                         ORDER BY m.seq DESC LIMIT 1),
                        (SELECT q.seqincrement = 1 AND q.seqcache = 1 AND q.seqmin > 0 AND NOT q.seqcycle
                         FROM pg_catalog.pg_sequence q WHERE q.seqrelid = e.oid),
                        age(pg_snapshot_xmax(e.snapshot)::xid)
                 FROM edge e"
            )),
            highest: put(format!(
                "SELECT (SELECT m.seq FROM {messages} m
                         WHERE pg_visible_in_snapshot(m.xid, (SELECT $1::text::pg_snapshot))
                         ORDER BY m.seq DESC LIMIT 1)"
            )),
            // All three conditions are the index's, so no row is read but those that are looked for.
            has_rows_below: put(format!(
                "SELECT EXISTS (SELECT FROM {messages} m
                   WHERE m.xid >= $1::text::xid8 AND m.xid < $2::text::xid8 AND m.seq <= $3
                   ORDER BY m.xid, m.seq LIMIT 1)"
            )),
            // The last of so many rows; none if there are fewer.
            end_of_piece: put(format!(
                "SELECT (SELECT m.seq FROM {messages} m WHERE m.seq > $1 AND m.seq <= $2
                         ORDER BY m.seq LIMIT 1 OFFSET $3)"
            )),
            next_below: put(format!(
                "SELECT m.seq FROM {messages} m
                 WHERE m.seq > $2 AND m.seq <= $3
                   AND pg_visible_in_snapshot(m.xid, (SELECT $1::text::pg_snapshot))
                   AND NOT pg_visible_in_snapshot(m.xid, (SELECT $4::text::pg_snapshot))
                 ORDER BY m.seq LIMIT 1"
            )),
            page_below: put(bounded_by_bytes(&format!(
                "SELECT m.* FROM {messages} m
                 WHERE m.seq > $4 AND m.seq <= $5
                   AND pg_visible_in_snapshot(m.xid, (SELECT $3::text::pg_snapshot))
                   AND NOT pg_visible_in_snapshot(m.xid, (SELECT $6::text::pg_snapshot))
                 ORDER BY m.seq LIMIT $1"
            ))),
            // A loose index scan: one probe for each transaction, however many rows it has.
            late_candidates: put(format!(
                "WITH RECURSIVE candidate(xid, seq) AS (
                   (SELECT m.xid, m.seq FROM {messages} m
                    WHERE m.xid >= $1::text::xid8 AND m.xid < $2::text::xid8{looking}
                    ORDER BY m.xid, m.seq LIMIT 1)
                   UNION ALL
                   SELECT next.xid, next.seq FROM candidate c CROSS JOIN LATERAL (
                     SELECT m.xid, m.seq FROM {messages} m
                     WHERE m.xid > c.xid AND m.xid < $2::text::xid8{looking}
                     ORDER BY m.xid, m.seq LIMIT 1) next
                 )
                 SELECT xid::text FROM candidate WHERE seq <= $3 AND seq > $4"
            )),
            // Row comparisons fit the (xid, seq) index and no other, so a prepared statement that turned
            // generic cannot wander off along the primary key.
            late_next: put(format!(
                "SELECT late.xid::text, first.seq FROM unnest($1::text[]::xid8[]) AS late(xid)
                 CROSS JOIN LATERAL (SELECT m.seq FROM {messages} m
                   WHERE (m.xid, m.seq) > (late.xid, $2) AND (m.xid, m.seq) <= (late.xid, $3){following}
                   ORDER BY m.xid, m.seq LIMIT 1) first"
            )),
            late_page: put(bounded_by_bytes(
                &format!(
                    "SELECT m.* FROM unnest($3::text[]::xid8[]) AS late(xid)
                     CROSS JOIN LATERAL (SELECT m.* FROM {messages} m
                       WHERE (m.xid, m.seq) > (late.xid, $4) AND (m.xid, m.seq) <= (late.xid, $5){paging}
                       ORDER BY m.xid, m.seq LIMIT $1) m
                     ORDER BY m.seq LIMIT $1"
                ),
            )),
            // PostgreSQL moves what makes a row larger than 2 kB to a side table, each partition to its own.
            has_large_rows: put(format!(
                "SELECT EXISTS (
                   SELECT FROM (SELECT '{messages}'::regclass::oid UNION ALL
                                SELECT inhrelid FROM pg_inherits WHERE inhparent = '{messages}'::regclass) AS part(oid)
                   JOIN pg_class c ON c.oid = part.oid AND c.relkind = 'r'
                   WHERE coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 1) > 0)"
            )),
            new_page_of_small_rows: put(format!(
                "SELECT {COLUMNS} FROM {messages} m
                 WHERE m.seq > $3 AND m.seq <= $4
                   AND pg_visible_in_snapshot(m.xid, (SELECT $2::text::pg_snapshot))
                 ORDER BY m.seq LIMIT $1"
            )),
            new_next: put(format!(
                "SELECT m.seq FROM {messages} m
                 WHERE m.seq > $2 AND m.seq <= $3
                   AND pg_visible_in_snapshot(m.xid, (SELECT $1::text::pg_snapshot))
                 ORDER BY m.seq LIMIT 1"
            )),
            // In the database's own encoding, so that nothing is converted.
            row_in_bytes: put(format!(
                "SELECT m.seq, m.id, convert_to(m.topic, e.own), convert_to(m.aggregate_id, e.own),
                        convert_to(m.event_type, e.own)
                 FROM {messages} m, (SELECT getdatabaseencoding() AS own) e WHERE m.seq = $1"
            )),
            new_page: put(bounded_by_bytes(&format!(
                "SELECT m.* FROM {messages} m
                 WHERE m.seq > $4 AND m.seq <= $5
                   AND pg_visible_in_snapshot(m.xid, (SELECT $3::text::pg_snapshot))
                 ORDER BY m.seq LIMIT $1"
            ))),
            // Where the bound is not known, this very statement's id is one: it is greater than that of any row so far.
            persist: put(format!(
                "UPDATE {cursor} SET from_snapshot = $3::text::pg_snapshot, high = $4,
                        xid_bound = coalesce($5::text::xid8, pg_current_xact_id()),
                        to_snapshot = $6::text::pg_snapshot, high_to = $7, position = $8,
                        system_identifier = $9, timeline = $10, database_oid = $11::text::oid,
                        table_oid = $12::text::oid, generation = $13, updated_at = now()
                 WHERE epoch = $1 AND reader = $2 RETURNING true"
            )),
            dead_letter: put(fenced(
                &cursor,
                &format!(
                    "INSERT INTO {dead_letters} ({COPIED}, state, reason, error)
                     SELECT {COPIED}, 'dead', $5, $6 FROM held, {messages} WHERE seq = $3 AND id = $4
                     ON CONFLICT (id, seq) DO NOTHING"
                ),
            )),
            // A row that cannot be stored as it is: all of it as JSON in the payload, in the bytes of the database's own
            // encoding, unless that would be too large; beside it what is fit to be shown.
            dead_letter_as_json: put(fenced(
                &cursor,
                &format!(
                    "INSERT INTO {dead_letters} ({COPIED}, state, reason, error)
                     SELECT m.id, m.seq, {}, {}, {}, {}, NULL,
                       CASE WHEN coalesce(pg_column_size(m.payload), 0) + coalesce(pg_column_size(m.payload_binary), 0)
                                 + pg_column_size(m.headers) < 100000000
                            THEN convert_to(to_json(m)::text, getdatabaseencoding()) END,
                       'application/json', NULL, '{{}}', m.occurred_at, 'dead', $5, $6
                     FROM held, {messages} m WHERE m.seq = $3 AND m.id = $4
                     ON CONFLICT (id, seq) DO NOTHING",
                    shown("m.aggregate_type"),
                    shown("m.aggregate_id"),
                    shown("m.event_type"),
                    shown("m.topic"),
                ),
            )),
            fail_again: put(fenced(
                &cursor,
                &format!(
                    "UPDATE {dead_letters} SET state = 'dead', reason = $5, error = $6, attempts = attempts + 1,
                            last_failed_at = now(), replay_requested_at = NULL
                     FROM held WHERE seq = $3 AND id = $4"
                ),
            )),
            // Positions are given out in the order of the rows.
            park: put(fenced(
                &cursor,
                &format!(
                    "INSERT INTO {dead_letters} ({COPIED}, state, reason, error)
                     SELECT {COPIED}, 'parked', $5, $6 FROM held, (
                       SELECT m.* FROM unnest($3::bigint[], $4::uuid[]) WITH ORDINALITY AS r(seq, id, number)
                       JOIN {messages} m ON m.seq = r.seq AND m.id = r.id ORDER BY r.number) m
                     ON CONFLICT (id, seq) DO NOTHING"
                ),
            )),
            park_behind: put(fenced(
                &cursor,
                &format!(
                    "INSERT INTO {dead_letters} ({COPIED}, state, reason, error)
                     SELECT {COPIED}, 'parked', '{BEHIND_DEAD}',
                       coalesce('waits behind ' || (SELECT d.id::text FROM {dead_letters} d
                         WHERE {} ORDER BY {IN_ORDER} LIMIT 1), 'waits for its turn')
                     FROM held, (
                       SELECT m.* FROM unnest($3::bigint[], $4::uuid[]) WITH ORDINALITY AS r(seq, id, number)
                       JOIN {messages} m ON m.seq = r.seq AND m.id = r.id ORDER BY r.number) m
                     ON CONFLICT (id, seq) DO NOTHING",
                    of_key("m.topic", "m.aggregate_id")
                ),
            )),
            dead_letter_topics: put(format!(
                "WITH RECURSIVE known_topics(topic) AS (
                   (SELECT d.topic FROM {dead_letters} d ORDER BY {IN_ORDER} LIMIT 1)
                   UNION ALL
                   SELECT (SELECT d.topic FROM {dead_letters} d WHERE {TOPIC} > substr(l.topic, 1, 250)
                           ORDER BY {IN_ORDER} LIMIT 1)
                   FROM known_topics l WHERE l.topic IS NOT NULL
                 )
                 SELECT topic FROM known_topics WHERE topic IS NOT NULL"
            )),
            have_dead_letters: put(format!(
                "SELECT EXISTS (SELECT FROM {dead_letters} d WHERE {} ORDER BY {IN_ORDER} LIMIT 1)
                 FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k(topic, key, number) ORDER BY k.number",
                of_key("k.topic", "k.key")
            )),
            wanted_keys: put(format!(
                "SELECT DISTINCT d.aggregate_id FROM (
                   SELECT aggregate_id FROM {dead_letters}
                   WHERE replay_requested_at IS NOT NULL AND topic = $1 ORDER BY position LIMIT $2) d"
            )),
            // The first row of each key, one probe for each, however many rows a key has. Keys are walked in the order of
            // their hashes. Two of one hash, of which there is one pair in 2^64, are taken for one here: the second comes
            // into view when the first has no rows left.
            first_letters: put(format!(
                "WITH RECURSIVE first(key, may_go, number) AS (
                   (SELECT d.aggregate_id, {MAY_GO}, 1 FROM {dead_letters} d
                    WHERE {TOPIC} = substr($1, 1, 250) AND d.topic = $1
                      AND {KEY} >= coalesce(hashtextextended($2, 0), '-9223372036854775808'::bigint)
                    ORDER BY {IN_ORDER} LIMIT 1)
                   UNION ALL
                   SELECT n.key, n.may_go, f.number + 1 FROM first f CROSS JOIN LATERAL (
                     SELECT d.aggregate_id AS key, {MAY_GO} AS may_go FROM {dead_letters} d
                     WHERE {TOPIC} = substr($1, 1, 250) AND d.topic = $1 AND {KEY} > hashtextextended(f.key, 0)
                     ORDER BY {IN_ORDER} LIMIT 1) n
                   WHERE f.number <= $3
                 )
                 SELECT key, may_go FROM first ORDER BY number"
            )),
            released: put(format!(
                "SELECT {COLUMNS}, m.last FROM (
                   SELECT m.*, sum(coalesce(pg_column_size(m.payload), 0) + coalesce(pg_column_size(m.payload_binary), 0))
                          OVER (ORDER BY m.rank, m.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                   FROM (
                     SELECT d.* FROM unnest($4::text[]) AS k(key) CROSS JOIN LATERAL (
                       SELECT d.*, row_number() OVER in_order AS rank, bool_and({MAY_GO}) OVER in_order AS free,
                              lead(d.position) OVER in_order IS NULL AS last
                       FROM (SELECT * FROM {dead_letters} d WHERE {}
                             ORDER BY {IN_ORDER} LIMIT $5 + 1) d
                       WINDOW in_order AS (ORDER BY d.position)) d
                     WHERE d.free AND d.rank <= $5 ORDER BY d.rank, d.position LIMIT $1) m
                 ) m WHERE m.before IS NULL OR m.before < $2 ORDER BY m.rank, m.position",
                of_key("$3", "k.key")
            )),
            // One probe for each topic, however many rows wait for it.
            parked_topics: put(format!(
                "WITH RECURSIVE waiting(topic) AS (
                   (SELECT d.topic FROM {dead_letters} d WHERE d.state = 'parked' ORDER BY {TOPIC}, d.position LIMIT 1)
                   UNION ALL
                   SELECT (SELECT d.topic FROM {dead_letters} d WHERE d.state = 'parked' AND {TOPIC} > substr(w.topic, 1, 250)
                           ORDER BY {TOPIC}, d.position LIMIT 1)
                   FROM waiting w WHERE w.topic IS NOT NULL
                 )
                 SELECT topic FROM waiting WHERE topic IS NOT NULL"
            )),
            parked_page: put(dead_letters_bounded_by_bytes(&format!(
                "SELECT d.* FROM {dead_letters} d
                 WHERE d.state = 'parked' AND {TOPIC} = substr($4, 1, 250) AND d.topic = $4 AND d.position > $3
                 ORDER BY {TOPIC}, d.position LIMIT $1"
            ))),
            replay_page: put(dead_letters_bounded_by_bytes(&format!(
                "SELECT d.* FROM {dead_letters} d
                 WHERE d.replay_requested_at IS NOT NULL AND d.state = 'dead' AND d.position > $3
                   AND d.topic <> ALL ($4::text[])
                 ORDER BY d.position LIMIT $1"
            ))),
            take_out: put(fenced(
                &cursor,
                &format!(
                    "DELETE FROM {dead_letters} d USING held, unnest($3::bigint[], $4::uuid[]) AS r(seq, id)
                     WHERE d.id = r.id AND d.seq = r.seq"
                ),
            )),
            read_lease: put(format!("SELECT epoch, token, renewals, ttl_ms FROM {lease}")),
            take_lease: put(format!(
                "UPDATE {lease} SET holder = $1, token = $2, epoch = epoch + 1, renewals = 0, ttl_ms = $3,
                        acquired_at = now(), renewed_at = now(), unended_terms = unended_terms + 1,
                        suspect_deaths = suspect_deaths + CASE WHEN suspect_alone THEN 1 ELSE 0 END,
                        suspect_alone = false
                 WHERE epoch = $4 AND token IS NOT DISTINCT FROM $5 AND renewals = $6
                 RETURNING epoch"
            )),
            renew_lease: put(format!(
                "UPDATE {lease} SET renewals = renewals + 1, renewed_at = now() WHERE epoch = $1 AND token = $2"
            )),
            release_lease: put(format!(
                "UPDATE {lease} SET holder = NULL, token = NULL, renewals = renewals + 1, {NO_SUSPICION}
                 WHERE epoch = $1 AND token = $2"
            )),
            poison_history: put(format!(
                "SELECT unended_terms, suspect_seq, suspect_id, suspect_deaths FROM {lease} WHERE epoch = $1 AND token = $2"
            )),
            begin_probe: put(format!(
                "UPDATE {lease} SET suspect_seq = $3, suspect_id = $4, suspect_alone = $5,
                        suspect_deaths = CASE WHEN suspect_seq = $3 AND suspect_id = $4 THEN suspect_deaths ELSE 0 END
                 WHERE epoch = $1 AND token = $2"
            )),
            postpone_probe: put(format!(
                "UPDATE {lease} SET suspect_alone = false WHERE epoch = $1 AND token = $2"
            )),
            clear_probe: put(format!(
                "UPDATE {lease} SET {NO_SUSPICION} WHERE epoch = $1 AND token = $2"
            )),
            status: put(format!(
                "SELECT holder, epoch, extract(epoch FROM now() - renewed_at)::float8, ttl_ms,
                        (SELECT count(*) FROM {dead_letters} WHERE state = 'dead'),
                        (SELECT count(*) FROM {dead_letters} WHERE state = 'parked'),
                        EXISTS (SELECT 1 FROM {cursor} WHERE generation IS NOT NULL)
                 FROM {lease}"
            )),
            cursor: put(format!(
                "SELECT from_snapshot::text, high, xid_bound::text, to_snapshot::text, high_to, position,
                        system_identifier, database_oid::text, table_oid::text, timeline, {home}
                 FROM {cursor}"
            )),
            undelivered_new: put(format!(
                "SELECT count(*), extract(epoch FROM now() - min(m.occurred_at))::float8 FROM (
                   SELECT m.occurred_at FROM {messages} m
                   WHERE m.seq > $1 AND m.seq <= $2
                     AND pg_visible_in_snapshot(m.xid, (SELECT $3::text::pg_snapshot))
                   ORDER BY m.seq LIMIT $4) m"
            )),
            undelivered_late: put(format!(
                "SELECT count(*), extract(epoch FROM now() - min(m.occurred_at))::float8 FROM (
                   SELECT m.occurred_at FROM unnest($1::text[]::xid8[]) AS late(xid)
                   CROSS JOIN LATERAL (SELECT m.occurred_at FROM {messages} m
                     WHERE (m.xid, m.seq) > (late.xid, $2) AND (m.xid, m.seq) <= (late.xid, $3){following}
                     ORDER BY m.xid, m.seq LIMIT $4) m LIMIT $4) m"
            )),
            undelivered_below: put(format!(
                "SELECT count(*), extract(epoch FROM now() - min(m.occurred_at))::float8 FROM (
                   SELECT m.occurred_at FROM {messages} m
                   WHERE m.seq > $1 AND m.seq <= $2
                     AND pg_visible_in_snapshot(m.xid, (SELECT $3::text::pg_snapshot))
                     AND NOT pg_visible_in_snapshot(m.xid, (SELECT $5::text::pg_snapshot))
                   ORDER BY m.seq LIMIT $4) m"
            )),
            note_broker: put(format!(
                "UPDATE {cursor} c SET kafka_cluster_id = $3
                 FROM (SELECT kafka_cluster_id FROM {cursor}) before
                 WHERE c.epoch = $1 AND c.reader = $2
                 RETURNING before.kafka_cluster_id"
            )),
            is_held: put(format!(
                "SELECT EXISTS (SELECT 1 FROM {cursor} WHERE epoch = $1 AND reader = $2)"
            )),
            begin_generations: put(format!(
                "UPDATE {cursor} SET generation = $3 WHERE epoch = $1 AND reader = $2 RETURNING true"
            )),
            in_dead_letters: put(format!(
                "SELECT d.seq, d.id FROM unnest($1::bigint[], $2::uuid[]) AS r(seq, id)
                 JOIN {dead_letters} d ON d.id = r.id AND d.seq = r.seq"
            )),
        }
    }
}

/// Nothing is suspected of taking a process down.
const NO_SUSPICION: &str = "unended_terms = 0, suspect_seq = NULL, suspect_id = NULL, suspect_alone = false, \
                            suspect_deaths = 0";

/// A dead letter's topic and key as the index has them: a key may be longer than an index's entry, so its hash stands there,
/// and so may what is no topic's name.
const TOPIC: &str = "substr(d.topic, 1, 250)";
const KEY: &str = "hashtextextended(d.aggregate_id, 0)";

/// The index's order: topic by topic, key by key, the rows of a key as they were set aside.
const IN_ORDER: &str = "substr(d.topic, 1, 250), hashtextextended(d.aggregate_id, 0), d.position";

/// Dead letters of a topic and a key; the index finds them, and what has the same hash is left out.
fn of_key(topic: &str, key: &str) -> String {
    format!(
        "{TOPIC} = substr({topic}, 1, 250) AND {KEY} = hashtextextended({key}, 0) AND d.topic = {topic} AND d.aggregate_id = {key}"
    )
}

/// Whether a row of the dead letters may go, as far as it is concerned itself.
const MAY_GO: &str = "(d.state = 'parked' OR d.replay_requested_at IS NOT NULL)";

/// What a dead letter takes over from its row.
const COPIED: &str = "id, seq, aggregate_type, aggregate_id, event_type, topic, payload, payload_binary, \
                      content_type, source, headers, occurred_at";

/// The beginning of a text, in printable ASCII.
fn shown(text: &str) -> String {
    format!("regexp_replace(left({text}, 200), '[^ -~]', '?', 'g')")
}

/// Writes only while the cursor row is the reader's, and says whether it is. The row is locked meanwhile, so a
/// later reader's claim waits for the write, or the write finds nothing.
fn fenced(cursor: &str, write: &str) -> String {
    format!(
        "WITH held AS (SELECT 1 FROM {cursor} WHERE epoch = $1 AND reader = $2 FOR UPDATE),
              written AS ({write} RETURNING 1)
         SELECT count(*) > 0 FROM held"
    )
}

/// Rows of `page`, a page of dead letters, until their payloads fill `$2` bytes; their positions come last.
fn dead_letters_bounded_by_bytes(page: &str) -> String {
    format!(
        "SELECT {COLUMNS}, m.position FROM (
           SELECT m.*, sum(coalesce(pg_column_size(m.payload), 0) + coalesce(pg_column_size(m.payload_binary), 0))
                  OVER (ORDER BY m.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
           FROM ({page}) m
         ) m WHERE m.before IS NULL OR m.before < $2 ORDER BY m.position"
    )
}

/// Rows of `page` until their payloads fill `$2` bytes, the first one whatever its size. The payload columns
/// are stored uncompressed, so `pg_column_size` tells what they weigh without reading them.
fn bounded_by_bytes(page: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM (
           SELECT m.*, sum(coalesce(pg_column_size(m.payload), 0) + coalesce(pg_column_size(m.payload_binary), 0))
                  OVER (ORDER BY m.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
           FROM ({page}) m
         ) m WHERE m.before IS NULL OR m.before < $2"
    )
}
