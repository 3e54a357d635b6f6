//! Every statement the store runs, with the tables' names put in once.

use crate::Tables;
use crate::store::controls::interventions;
use crate::store::reader::{BEHIND_DEAD, KEY_PAUSED, SKIPPED, TOPIC_THROTTLED};
use crate::store::statement::Statement;

#[derive(Debug)]
pub(super) struct Sql {
    pub(super) interventions: Statement,
    pub(super) claimant: Statement,
    pub(super) claim_cursor: Statement,
    pub(super) page: Statement,
    pub(super) last_number: Statement,
    pub(super) persist: Statement,
    pub(super) dead_letter: Statement,
    pub(super) dead_letter_as_json: Statement,
    pub(super) holds_cursor: Statement,
    pub(super) fail_again: Statement,
    pub(super) park: Statement,
    pub(super) park_behind: Statement,
    pub(super) dead_letter_topics: Statement,
    pub(super) has_dead_letters: Statement,
    pub(super) wanted_keys: Statement,
    pub(super) first_dead_letters: Statement,
    pub(super) dead_letters_of_key: Statement,
    pub(super) parked_topics: Statement,
    pub(super) parked_page: Statement,
    pub(super) replay_page: Statement,
    pub(super) take_out: Statement,
    pub(super) is_dead_letter: Statement,
    pub(super) read_lease: Statement,
    pub(super) take_lease: Statement,
    pub(super) renew_lease: Statement,
    pub(super) outlived: Statement,
    pub(super) release_lease: Statement,
    pub(super) poison_history: Statement,
    pub(super) begin_probe: Statement,
    pub(super) postpone_probe: Statement,
    pub(super) clear_probe: Statement,
    pub(super) status: Statement,
    pub(super) has_cursor: Statement,
    pub(super) observe: Statement,
    pub(super) parked: Statement,
    pub(super) noted_broker: Statement,
    pub(super) note_broker: Statement,
}

const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

/// What a record is made of; the reader takes the columns in this order.
const COLUMNS: &str = "seq, id, topic, aggregate_id, event_type, content_type, source, headers, payload, \
                       payload_binary, CAST(round((julianday(occurred_at) - 2440587.5) * 86400000) AS INTEGER)";

/// Nothing is suspected of taking a process down.
const NO_SUSPICION: &str =
    "unended_terms = 0, suspect_seq = NULL, suspect_id = NULL, suspect_alone = 0, suspect_deaths = 0";

/// Whether a row of the dead letters may go, as far as it is concerned itself.
const MAY_GO: &str = "(state = 'parked' OR replay_requested_at IS NOT NULL)";

/// Whether a row's key is among those that are paused: a topic or nothing, a slash, the key.
fn is_held(paused: &str) -> String {
    format!(
        "('/' || aggregate_id IN (SELECT value FROM json_each({paused}))
          OR topic || '/' || aggregate_id IN (SELECT value FROM json_each({paused})))"
    )
}

/// What a dead letter takes over from its row.
const COPIED: &str = "id, seq, aggregate_type, aggregate_id, event_type, topic, payload, payload_binary, \
                      content_type, source, headers, occurred_at";

impl Sql {
    pub(super) fn new(tables: &Tables) -> Self {
        let (messages, cursor, lease) = (tables.messages(), tables.cursor(), tables.lease());
        let dead_letters = tables.dead_letters();
        // Others of their key wait behind all but those that somebody has skipped.
        let not_skipped =
            format!("NOT (d.state = 'dead' AND d.reason = '{SKIPPED}' AND d.replay_requested_at IS NULL)");
        let put = Statement::new;
        Self {
            interventions: put(interventions::list(&tables.controls())),
            claimant: put(format!("SELECT token FROM {cursor}")),
            claim_cursor: put(format!(
                "UPDATE {cursor} SET epoch = $1, token = $2
                 WHERE epoch < $1 OR (epoch = $1 AND token = $2) RETURNING high"
            )),
            page: put(format!(
                "SELECT {COLUMNS} FROM {messages} WHERE seq > $1 ORDER BY seq LIMIT $2"
            )),
            // What AUTOINCREMENT goes by.
            last_number: put(format!(
                "SELECT max(coalesce((SELECT seq FROM {schema}sqlite_sequence WHERE name = '{bare}'), 0),
                            coalesce((SELECT max(seq) FROM {messages}), 0))",
                schema = tables.schema().map(|schema| format!("\"{schema}\".")).unwrap_or_default(),
                bare = tables.bare("messages"),
            )),
            persist: put(format!(
                "UPDATE {cursor} SET high = max(high, $3), updated_at = {NOW} WHERE epoch = $1 AND token = $2"
            )),
            holds_cursor: put(format!("SELECT 1 FROM {cursor} WHERE epoch = $1 AND token = $2")),
            dead_letter: put(format!(
                "INSERT INTO {dead_letters} ({COPIED}, state, reason, error)
                 SELECT {COPIED}, 'dead', $3, $4 FROM {messages} WHERE seq = $1 AND id = $2
                 ON CONFLICT (id, seq) DO NOTHING"
            )),
            // A row that cannot be stored as it is: all of it as JSON in the payload, its values in hexadecimal digits; beside
            // it what is fit to be shown.
            dead_letter_as_json: put(format!(
                "INSERT INTO {dead_letters} ({COPIED}, state, reason, error)
                 SELECT id, seq, 'unknown', coalesce($6, substr(aggregate_id, 1, 200)),
                   coalesce($7, substr(event_type, 1, 200)), coalesce($5, substr(topic, 1, 200)), NULL,
                   CAST(json_object('seq', seq, 'id', id, 'occurred_at', occurred_at,
                     'aggregate_type_hex', hex(aggregate_type), 'aggregate_id_hex', hex(aggregate_id),
                     'event_type_hex', hex(event_type), 'topic_hex', hex(topic),
                     'payload_hex', iif(payload IS NULL, NULL, hex(payload)),
                     'payload_binary_hex', iif(payload_binary IS NULL, NULL, hex(payload_binary)),
                     'content_type_hex', hex(content_type), 'source_hex', iif(source IS NULL, NULL, hex(source)),
                     'headers_hex', hex(headers)) AS BLOB),
                   'application/json', NULL, '{{}}', occurred_at, 'dead', $3, $4
                 FROM {messages} WHERE seq = $1 AND id = $2
                 ON CONFLICT (id, seq) DO NOTHING"
            )),
            fail_again: put(format!(
                "UPDATE {dead_letters} SET state = 'dead', reason = $3, error = $4, attempts = attempts + 1,
                        last_failed_at = {NOW}, replay_requested_at = NULL WHERE seq = $1 AND id = $2"
            )),
            park: put(format!(
                "INSERT INTO {dead_letters} ({COPIED}, state, reason, error)
                 SELECT {COPIED}, 'parked', $3, $4 FROM {messages} WHERE seq = $1 AND id = $2
                 ON CONFLICT (id, seq) DO NOTHING"
            )),
            park_behind: put(format!(
                "INSERT INTO {dead_letters} ({COPIED}, state, reason, error)
                 SELECT {COPIED}, 'parked', '{BEHIND_DEAD}',
                   coalesce('waits behind ' || (SELECT d.id FROM {dead_letters} d
                     WHERE d.topic = m.topic AND d.aggregate_id = m.aggregate_id AND {not_skipped}
                     ORDER BY d.position LIMIT 1),
                     'waits for its turn')
                 FROM {messages} m WHERE seq = $1 AND id = $2
                 ON CONFLICT (id, seq) DO NOTHING"
            )),
            dead_letter_topics: put(format!("SELECT DISTINCT topic FROM {dead_letters}")),
            has_dead_letters: put(format!(
                "SELECT EXISTS (SELECT 1 FROM {dead_letters} d WHERE topic = $1 AND aggregate_id = $2 AND {not_skipped})"
            )),
            wanted_keys: put(format!(
                "SELECT DISTINCT aggregate_id FROM {dead_letters}
                 WHERE replay_requested_at IS NOT NULL AND topic = $1 AND NOT {} LIMIT $2",
                is_held("$3")
            )),
            // The first row of each key, one probe for each, however many rows a key has.
            first_dead_letters: put(format!(
                "WITH RECURSIVE first(key, number) AS (
                   SELECT min(aggregate_id), 1 FROM {dead_letters} d
                   WHERE topic = $1 AND aggregate_id >= $2 AND {not_skipped}
                   UNION ALL
                   SELECT (SELECT min(aggregate_id) FROM {dead_letters} d
                           WHERE topic = $1 AND aggregate_id > f.key AND {not_skipped}),
                          f.number + 1
                   FROM first f WHERE f.key IS NOT NULL AND f.number <= $3
                 )
                 SELECT key, (SELECT {MAY_GO} AND NOT {} FROM {dead_letters} d
                              WHERE topic = $1 AND aggregate_id = first.key AND {not_skipped}
                              ORDER BY position LIMIT 1)
                 FROM first WHERE key IS NOT NULL ORDER BY number",
                is_held("$4")
            )),
            dead_letters_of_key: put(format!(
                "SELECT {COLUMNS}, {MAY_GO} FROM {dead_letters} d
                 WHERE topic = $1 AND aggregate_id = $2 AND {not_skipped}
                 ORDER BY position LIMIT $3"
            )),
            parked_topics: put(format!(
                "SELECT DISTINCT topic FROM {dead_letters} WHERE state = 'parked' AND NOT {}",
                is_held("$1")
            )),
            parked_page: put(format!(
                "SELECT {COLUMNS}, position FROM {dead_letters}
                 WHERE state = 'parked' AND topic = $3 AND position > $2 AND NOT {}
                 ORDER BY topic, position LIMIT $1",
                is_held("$4")
            )),
            replay_page: put(format!(
                "SELECT {COLUMNS}, position FROM {dead_letters}
                 WHERE replay_requested_at IS NOT NULL AND state = 'dead' AND position > $2
                   AND topic NOT IN (SELECT value FROM json_each($3)) AND NOT {}
                 ORDER BY position LIMIT $1",
                is_held("$4")
            )),
            take_out: put(format!("DELETE FROM {dead_letters} WHERE seq = $1 AND id = $2")),
            is_dead_letter: put(format!(
                "SELECT EXISTS (SELECT 1 FROM {dead_letters} WHERE seq = $1 AND id = $2)"
            )),
            read_lease: put(format!("SELECT epoch, token, renewals, ttl_ms FROM {lease}")),
            take_lease: put(format!(
                "UPDATE {lease} SET holder = $1, token = $2, epoch = epoch + 1, renewals = 0, ttl_ms = $3,
                        acquired_at = {NOW}, renewed_at = {NOW}, unended_terms = unended_terms + 1,
                        suspect_deaths = suspect_deaths + suspect_alone, suspect_alone = 0
                 WHERE epoch = $4 AND token IS $5 AND renewals = $6 RETURNING epoch"
            )),
            renew_lease: put(format!(
                "UPDATE {lease} SET renewals = renewals + 1, renewed_at = {NOW} WHERE epoch = $1 AND token = $2"
            )),
            outlived: put(format!(
                "UPDATE {lease} SET unended_terms = max(unended_terms - 1, 0),
                        suspect_alone = suspect_alone AND epoch <> $1
                 WHERE epoch >= $1"
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
                "UPDATE {lease} SET suspect_alone = 0 WHERE epoch = $1 AND token = $2"
            )),
            clear_probe: put(format!(
                "UPDATE {lease} SET {NO_SUSPICION} WHERE epoch = $1 AND token = $2"
            )),
            status: put(format!(
                "SELECT l.holder, l.epoch, (julianday('now') - julianday(l.renewed_at)) * 86400.0, l.ttl_ms,
                        (SELECT count(*) FROM {dead_letters} WHERE state = 'dead'),
                        (SELECT count(*) FROM {dead_letters} WHERE state = 'parked'),
                        (SELECT count(*) FROM {messages} m WHERE m.seq > c.high),
                        (SELECT (julianday('now') - julianday(m.occurred_at)) * 86400.0 FROM {messages} m
                         WHERE m.seq > c.high ORDER BY m.seq LIMIT 1)
                 FROM {lease} l, {cursor} c"
            )),
            // Counting stops at a bound, however much there is. $1: messages, $2: dead letters.
            observe: put(format!(
                "SELECT l.holder, l.epoch, (julianday('now') - julianday(l.renewed_at)) * 86400.0, l.ttl_ms,
                        (julianday('now') - julianday(c.updated_at)) * 86400.0,
                        (SELECT count(*) FROM (SELECT 1 FROM {messages} m WHERE m.seq > c.high LIMIT $1)),
                        coalesce((SELECT max(seq) FROM {messages}), c.high), c.high,
                        (SELECT (julianday('now') - julianday(m.occurred_at)) * 86400.0 FROM {messages} m
                         WHERE m.seq > c.high ORDER BY m.seq LIMIT 1),
                        (SELECT count(*) FROM (SELECT state FROM {dead_letters} LIMIT $2) WHERE state = 'dead'),
                        (SELECT count(*) FROM (SELECT 1 FROM {dead_letters} LIMIT $2)),
                        (SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size())
                 FROM {lease} l, {cursor} c"
            )),
            // $1: topics, $2: records of each.
            parked: put(format!(
                "WITH RECURSIVE parked(topic, number) AS (
                   SELECT min(topic), 1 FROM {dead_letters} WHERE state = 'parked'
                   UNION ALL
                   SELECT (SELECT min(d.topic) FROM {dead_letters} d WHERE d.state = 'parked' AND d.topic > p.topic),
                          p.number + 1
                   FROM parked p WHERE p.topic IS NOT NULL AND p.number < $1
                 )
                 SELECT p.topic,
                        (SELECT count(*) FROM (SELECT reason FROM {dead_letters} d
                           WHERE d.state = 'parked' AND d.topic = p.topic LIMIT $2) WHERE reason NOT IN ('{BEHIND_DEAD}', '{KEY_PAUSED}', '{TOPIC_THROTTLED}')),
                        (SELECT count(*) FROM (SELECT 1 FROM {dead_letters} d
                           WHERE d.state = 'parked' AND d.topic = p.topic LIMIT $2))
                 FROM parked p WHERE p.topic IS NOT NULL ORDER BY p.number"
            )),
            has_cursor: put(format!("SELECT EXISTS (SELECT 1 FROM {cursor})")),
            noted_broker: put(format!(
                "SELECT kafka_cluster_id FROM {cursor} WHERE epoch = $1 AND token = $2"
            )),
            note_broker: put(format!(
                "UPDATE {cursor} SET kafka_cluster_id = $3 WHERE epoch = $1 AND token = $2"
            )),
        }
    }
}
