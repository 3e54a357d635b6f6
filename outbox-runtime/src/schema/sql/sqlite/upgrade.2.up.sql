-- {generated}
-- Brings the outbox's tables for SQLite from version 1 to version 2. Do not edit: `--check` compares.
-- Harmless where that is done already.

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise. A savepoint is a transaction where there is none.
SAVEPOINT "{p}upgrade"

-- Dead letters get an order, the one in which they go out again, and a mark that somebody wants that.
; CREATE TABLE "{p}dead_letters_2" (
    -- The order in which they were set aside, which is the order in which they go out again.
    position         INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL,
    seq              INTEGER NOT NULL,
    aggregate_type   TEXT NOT NULL,
    aggregate_id     TEXT NOT NULL,
    event_type       TEXT NOT NULL,
    topic            TEXT NOT NULL,
    payload          TEXT,
    payload_binary   BLOB,
    content_type     TEXT NOT NULL,
    source           TEXT,
    headers          TEXT NOT NULL DEFAULT '{}',
    occurred_at      TEXT NOT NULL,
    -- dead: no retry can cure it. parked: it waits for its topic, or behind a dead one.
    state            TEXT NOT NULL CHECK (state IN ('dead', 'parked')),
    reason           TEXT NOT NULL,
    error            TEXT NOT NULL,
    attempts         INTEGER NOT NULL DEFAULT 1,
    first_failed_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    last_failed_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- Somebody wants it sent again; the active relay does so.
    replay_requested_at TEXT,
    UNIQUE (id, seq)
)
-- Where the mark is there already, a subquery finds it in the table; where it is not, in the row of nulls around it.
; INSERT INTO "{p}dead_letters_2" (position, id, seq, aggregate_type, aggregate_id, event_type, topic, payload,
    payload_binary, content_type, source, headers, occurred_at, state, reason, error, attempts, first_failed_at,
    last_failed_at, replay_requested_at)
SELECT letter.rowid, id, seq, aggregate_type, aggregate_id, event_type, topic, payload,
    payload_binary, content_type, source, headers, occurred_at, state, reason, error, attempts, first_failed_at,
    last_failed_at,
    (SELECT replay_requested_at FROM {dead_letters} AS same WHERE same.rowid = letter.rowid)
FROM {dead_letters} AS letter CROSS JOIN (SELECT NULL AS replay_requested_at) AS unmarked ORDER BY letter.rowid
; DROP TABLE {dead_letters}
; ALTER TABLE "{p}dead_letters_2" RENAME TO "{p}dead_letters"
-- What waits for a topic, or behind another record of its key, in order.
; CREATE INDEX IF NOT EXISTS "{p}dead_letters_topic_idx" ON "{p}dead_letters" (topic, aggregate_id, position)
; CREATE INDEX IF NOT EXISTS "{p}dead_letters_replay_idx" ON "{p}dead_letters" (position)
    WHERE replay_requested_at IS NOT NULL
; CREATE INDEX IF NOT EXISTS "{p}dead_letters_parked_idx" ON "{p}dead_letters" (topic, position)
    WHERE state = 'parked'

-- Messages that a consumer of this database has acted on.
; CREATE TABLE IF NOT EXISTS {inbox} (
    consumer      TEXT NOT NULL,
    message_id    TEXT NOT NULL,
    processed_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (consumer, message_id)
)
; CREATE INDEX IF NOT EXISTS "{p}inbox_processed_at_idx" ON "{p}inbox" (processed_at)

-- Messages that a consumer gave up on, whole, with the reason. Each has a row in the inbox too.
; CREATE TABLE IF NOT EXISTS {inbox_dead_letters} (
    consumer      TEXT NOT NULL,
    message_id    TEXT NOT NULL,
    event_type    TEXT,
    -- Where it came from.
    topic         TEXT NOT NULL,
    partition     INTEGER NOT NULL,
    log_offset    INTEGER NOT NULL,
    timestamp_ms  INTEGER,
    record_key    BLOB,
    value         BLOB,
    -- [[name, value], …]; a value is a string, null, or an array of bytes where it is no text.
    headers       TEXT NOT NULL DEFAULT '[]',
    reason        TEXT NOT NULL,
    error         TEXT NOT NULL,
    attempts      INTEGER NOT NULL DEFAULT 1,
    failed_at     TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (consumer, message_id)
)

-- The cursor gets to know which Kafka took what is settled.
; CREATE TABLE "{p}cursor_2" (
    id          INTEGER PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    epoch       INTEGER NOT NULL DEFAULT 0,
    token       TEXT,
    log_id      TEXT NOT NULL DEFAULT {uuid},
    high        INTEGER NOT NULL DEFAULT 0,
    updated_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- Which Kafka took what is settled.
    kafka_cluster_id TEXT
)
; INSERT INTO "{p}cursor_2" (id, epoch, token, log_id, high, updated_at)
SELECT id, epoch, token, log_id, high, updated_at FROM {cursor}
; DROP TABLE {cursor}
; ALTER TABLE "{p}cursor_2" RENAME TO "{p}cursor"

-- The lease gets to know whether a record takes its relay's process down.
; CREATE TABLE "{p}lease_2" (
    id           INTEGER PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    holder       TEXT,
    token        TEXT,
    epoch        INTEGER NOT NULL DEFAULT 0,
    renewals     INTEGER NOT NULL DEFAULT 0,
    ttl_ms       INTEGER NOT NULL DEFAULT 0,
    acquired_at  TEXT,
    renewed_at   TEXT,
    -- Whether a record takes its relay's process down: terms that neither ended nor got anywhere; the record that
    -- goes alone; whether its relay's death counts, and how many did.
    unended_terms   INTEGER NOT NULL DEFAULT 0,
    suspect_seq     INTEGER,
    suspect_id      TEXT,
    suspect_alone   INTEGER NOT NULL DEFAULT 0,
    suspect_deaths  INTEGER NOT NULL DEFAULT 0
)
; INSERT INTO "{p}lease_2" (id, holder, token, epoch, renewals, ttl_ms, acquired_at, renewed_at)
SELECT id, holder, token, epoch, renewals, ttl_ms, acquired_at, renewed_at FROM {lease}
; DROP TABLE {lease}
; ALTER TABLE "{p}lease_2" RENAME TO "{p}lease"

; INSERT OR IGNORE INTO {schema_version} (version) VALUES ({version})

; RELEASE "{p}upgrade"
;
