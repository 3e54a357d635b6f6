//! Statements on the dead letters.

use super::COLUMNS;
use crate::Tables;
use crate::store::reader::{BEHIND_DEAD, SKIPPED};
use crate::store::statement::Statement;

#[derive(Debug)]
pub(in crate::store::postgres) struct DeadLetterSql {
    pub(in crate::store::postgres) dead_letter: Statement,
    pub(in crate::store::postgres) dead_letter_as_json: Statement,
    pub(in crate::store::postgres) fail_again: Statement,
    pub(in crate::store::postgres) park: Statement,
    pub(in crate::store::postgres) park_behind: Statement,
    pub(in crate::store::postgres) dead_letter_topics: Statement,
    pub(in crate::store::postgres) have_dead_letters: Statement,
    pub(in crate::store::postgres) wanted_keys: Statement,
    pub(in crate::store::postgres) first_dead_letters: Statement,
    pub(in crate::store::postgres) released: Statement,
    pub(in crate::store::postgres) parked_topics: Statement,
    pub(in crate::store::postgres) parked_page: Statement,
    pub(in crate::store::postgres) replay_page: Statement,
    pub(in crate::store::postgres) take_out: Statement,
    pub(in crate::store::postgres) in_dead_letters: Statement,
    pub(in crate::store::postgres) left_out: Statement,
}

impl DeadLetterSql {
    pub(super) fn new(tables: &Tables) -> Self {
        let (messages, cursor) = (tables.messages(), tables.cursor());
        let dead_letters = tables.dead_letters();
        let put = Statement::new;
        Self {
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
                         WHERE {} AND {} ORDER BY {IN_ORDER} LIMIT 1), 'waits for its turn')
                     FROM held, (
                       SELECT m.* FROM unnest($3::bigint[], $4::uuid[]) WITH ORDINALITY AS r(seq, id, number)
                       JOIN {messages} m ON m.seq = r.seq AND m.id = r.id ORDER BY r.number) m
                     ON CONFLICT (id, seq) DO NOTHING",
                    of_key("m.topic", "m.aggregate_id"),
                    not_skipped()
                ),
            )),
            dead_letter_topics: put(format!(
                "WITH RECURSIVE with_dead_letters(topic) AS (
                   (SELECT d.topic FROM {dead_letters} d ORDER BY {IN_ORDER} LIMIT 1)
                   UNION ALL
                   SELECT (SELECT d.topic FROM {dead_letters} d WHERE {TOPIC} > substr(l.topic, 1, 250)
                           ORDER BY {IN_ORDER} LIMIT 1)
                   FROM with_dead_letters l WHERE l.topic IS NOT NULL
                 )
                 SELECT topic FROM with_dead_letters WHERE topic IS NOT NULL"
            )),
            have_dead_letters: put(format!(
                "SELECT EXISTS (SELECT FROM {dead_letters} d WHERE {} AND {} ORDER BY {IN_ORDER} LIMIT 1)
                 FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k(topic, key, number) ORDER BY k.number",
                of_key("k.topic", "k.key"),
                not_skipped()
            )),
            wanted_keys: put(format!(
                "SELECT DISTINCT d.aggregate_id FROM (
                   SELECT d.aggregate_id FROM {dead_letters} d
                   WHERE d.replay_requested_at IS NOT NULL AND d.topic = $1 AND NOT {} ORDER BY d.position LIMIT $2) d",
                is_held("$3")
            )),
            // The first row of each key, one probe for each, however many rows a key has. Keys are walked in the order of
            // their hashes. Two of one hash, of which there is one pair in 2^64, are taken for one here: the second comes
            // into view when the first has no rows left.
            first_dead_letters: put(format!(
                "WITH RECURSIVE first(key, may_go, number) AS (
                   (SELECT d.aggregate_id, {MAY_GO} AND NOT {held}, 1 FROM {dead_letters} d
                    WHERE {TOPIC} = substr($1, 1, 250) AND d.topic = $1 AND {not_skipped}
                      AND {KEY} >= coalesce(hashtextextended($2, 0), '-9223372036854775808'::bigint)
                    ORDER BY {IN_ORDER} LIMIT 1)
                   UNION ALL
                   SELECT n.key, n.may_go, f.number + 1 FROM first f CROSS JOIN LATERAL (
                     SELECT d.aggregate_id AS key, {MAY_GO} AND NOT {held} AS may_go FROM {dead_letters} d
                     WHERE {TOPIC} = substr($1, 1, 250) AND d.topic = $1 AND {not_skipped}
                       AND {KEY} > hashtextextended(f.key, 0)
                     ORDER BY {IN_ORDER} LIMIT 1) n
                   WHERE f.number <= $3
                 )
                 SELECT key, may_go FROM first ORDER BY number",
                held = is_held("$4"),
                not_skipped = not_skipped()
            )),
            released: put(format!(
                "SELECT {COLUMNS}, m.last FROM (
                   SELECT m.*, sum(coalesce(pg_column_size(m.payload), 0) + coalesce(pg_column_size(m.payload_binary), 0))
                          OVER (ORDER BY m.rank, m.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                   FROM (
                     SELECT d.* FROM unnest($4::text[]) AS k(key) CROSS JOIN LATERAL (
                       SELECT d.*, row_number() OVER in_order AS rank, bool_and({MAY_GO}) OVER in_order AS free,
                              lead(d.position) OVER in_order IS NULL AS last
                       FROM (SELECT * FROM {dead_letters} d WHERE {} AND {}
                             ORDER BY {IN_ORDER} LIMIT $5 + 1) d
                       WINDOW in_order AS (ORDER BY d.position)) d
                     WHERE d.free AND d.rank <= $5 ORDER BY d.rank, d.position LIMIT $1) m
                 ) m WHERE m.before IS NULL OR m.before < $2 ORDER BY m.rank, m.position",
                of_key("$3", "k.key"),
                not_skipped()
            )),
            // One probe for each topic, however many rows wait for it.
            parked_topics: put(format!(
                "WITH RECURSIVE waiting(topic) AS (
                   (SELECT d.topic FROM {dead_letters} d WHERE d.state = 'parked' AND NOT {held}
                    ORDER BY {TOPIC}, d.position LIMIT 1)
                   UNION ALL
                   SELECT (SELECT d.topic FROM {dead_letters} d
                           WHERE d.state = 'parked' AND NOT {held} AND {TOPIC} > substr(w.topic, 1, 250)
                           ORDER BY {TOPIC}, d.position LIMIT 1)
                   FROM waiting w WHERE w.topic IS NOT NULL
                 )
                 SELECT topic FROM waiting WHERE topic IS NOT NULL",
                held = is_held("$1")
            )),
            parked_page: put(dead_letters_bounded_by_bytes(&format!(
                "SELECT d.* FROM {dead_letters} d
                 WHERE d.state = 'parked' AND {TOPIC} = substr($4, 1, 250) AND d.topic = $4 AND d.position > $3
                   AND NOT {}
                 ORDER BY {TOPIC}, d.position LIMIT $1",
                is_held("$5")
            ))),
            replay_page: put(dead_letters_bounded_by_bytes(&format!(
                "SELECT d.* FROM {dead_letters} d
                 WHERE d.replay_requested_at IS NOT NULL AND d.state = 'dead' AND d.position > $3
                   AND d.topic <> ALL ($4::text[]) AND NOT {}
                 ORDER BY d.position LIMIT $1",
                is_held("$5")
            ))),
            take_out: put(fenced(
                &cursor,
                &format!(
                    "DELETE FROM {dead_letters} d USING held, unnest($3::bigint[], $4::uuid[]) AS r(seq, id)
                     WHERE d.id = r.id AND d.seq = r.seq"
                ),
            )),
            in_dead_letters: put(format!(
                "SELECT d.seq, d.id FROM unnest($1::bigint[], $2::uuid[]) AS r(seq, id)
                 JOIN {dead_letters} d ON d.id = r.id AND d.seq = r.seq"
            )),
            // First those that are in the log.
            left_out: put(format!(
                "SELECT r.seq, m.seq IS NOT NULL FROM unnest($1::bigint[], $2::uuid[]) AS r(seq, id)
                 LEFT JOIN {messages} m ON m.seq = r.seq AND m.id = r.id
                 WHERE NOT EXISTS (SELECT FROM {dead_letters} d WHERE d.id = r.id AND d.seq = r.seq)
                 ORDER BY 2 DESC, 1 LIMIT 1"
            )),
        }
    }
}

/// A dead letter's topic and key as the index has them: a key may be longer than an index's entry, so its hash stands there,
/// and so may what is no topic's name.
const TOPIC: &str = "substr(d.topic, 1, 250)";
const KEY: &str = "hashtextextended(d.aggregate_id, 0)";

/// The index's order: topic by topic, key by key, the rows of a key in the order in which they were written.
const IN_ORDER: &str = "substr(d.topic, 1, 250), hashtextextended(d.aggregate_id, 0), d.position";

/// Dead letters of a topic and a key; the index finds them, and what has the same hash is left out.
fn of_key(topic: &str, key: &str) -> String {
    format!(
        "{TOPIC} = substr({topic}, 1, 250) AND {KEY} = hashtextextended({key}, 0) AND d.topic = {topic} AND d.aggregate_id = {key}"
    )
}

/// A row that others of its key wait behind, if there are any: all but those that somebody has skipped.
fn not_skipped() -> String {
    format!("NOT (d.state = 'dead' AND d.reason = '{SKIPPED}' AND d.replay_requested_at IS NULL)")
}

/// Whether a row's key is among those that are paused: a topic or nothing, a slash, the key.
fn is_held(paused: &str) -> String {
    format!(
        "('/' || d.aggregate_id = ANY ({paused}::text[]) OR d.topic || '/' || d.aggregate_id = ANY ({paused}::text[]))"
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
/// later reader's claim waits for the write, or the write finds nothing. Says also how many rows it wrote.
fn fenced(cursor: &str, write: &str) -> String {
    format!(
        "WITH held AS (SELECT 1 FROM {cursor} WHERE epoch = $1 AND reader = $2 FOR UPDATE),
              written AS ({write} RETURNING 1)
         SELECT (SELECT count(*) > 0 FROM held), (SELECT count(*) FROM written)"
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
