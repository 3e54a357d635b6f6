-- {generated}
-- Version {version} of the outbox's tables for SQLite. Do not edit: `--check` compares.
-- Harmless where the tables are there already, and refused where they are of an older version.

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise.

-- Which version of these tables is here, whatever tool applied it. The row comes last, so that it tells of a whole set.
CREATE TABLE IF NOT EXISTS {schema_version} (
    version     INTEGER PRIMARY KEY,
    applied_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- Programs of this version and of later ones work with these tables: what was added since is nothing to them. Null: only
    -- programs of the very version.
    oldest_program INTEGER
)
; DROP TABLE IF EXISTS temp."{p}create"
; CREATE TEMP TABLE "{p}create" (
    older INTEGER CONSTRAINT "outbox: these tables have an older version already, and this file makes version {version} where there are none; run `outbox migrate{arguments}`, or apply the file that `outbox generate migration` writes beside the older one" CHECK (older = 0)
)
; INSERT INTO temp."{p}create" (older)
    SELECT count(*) FROM (SELECT max(version) AS installed FROM {schema_version}) WHERE installed < {version}
; DROP TABLE temp."{p}create"

-- The log. Rows are inserted and deleted, never updated. To write a message from anywhere:
--   INSERT INTO {messages} (aggregate_type, aggregate_id, event_type, topic, payload) VALUES (…);
-- SQLite checks no types, so the constraints do: one row that cannot be read would stop the relay.
; CREATE TABLE IF NOT EXISTS {messages} (
    -- AUTOINCREMENT, so that a number is not used again after the newest rows were deleted.
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    -- A UUID in lower case with hyphens.
    id              TEXT NOT NULL DEFAULT {uuid}
        CONSTRAINT "{p}messages_id_uuid" CHECK (
            id LIKE '________-____-____-____-____________'
            AND length(replace(id, '-', '')) = 32 AND id NOT GLOB '*[^0-9a-f-]*'
        ),
    aggregate_type  TEXT NOT NULL,
    -- The record's key: events of one key stay in order.
    aggregate_id    TEXT NOT NULL,
    event_type      TEXT NOT NULL,
    topic           TEXT NOT NULL,
    payload         TEXT
        CONSTRAINT "{p}messages_payload_json" CHECK (
            payload IS NULL OR (typeof(payload) = 'text' AND json_valid(payload))
        ),
    -- For values that are not JSON. Neither of the two: a tombstone (a record without a value).
    payload_binary  BLOB
        CONSTRAINT "{p}messages_payload_blob" CHECK (typeof(payload_binary) IN ('null', 'blob')),
    content_type    TEXT NOT NULL DEFAULT 'application/json',
    source          TEXT,
    headers         TEXT NOT NULL DEFAULT '{}'
        CONSTRAINT "{p}messages_headers_object" CHECK (
            typeof(headers) = 'text' AND json_valid(headers) AND json_type(headers) = 'object'
        ),
    -- RFC 3339 in UTC.
    occurred_at     TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
        CONSTRAINT "{p}messages_occurred_at_time" CHECK (
            occurred_at LIKE '____-__-__%' AND julianday(occurred_at) IS NOT NULL
        ),
    CONSTRAINT "{p}messages_one_payload" CHECK (payload IS NULL OR payload_binary IS NULL)
)

-- Who relays: one row, renewed by its holder.
; CREATE TABLE IF NOT EXISTS {lease} (
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
; INSERT OR IGNORE INTO {lease} (id) VALUES (1)

-- How far the relay is: one row. Everything up to high is settled.
; CREATE TABLE IF NOT EXISTS {cursor} (
    id          INTEGER PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    epoch       INTEGER NOT NULL DEFAULT 0,
    token       TEXT,
    log_id      TEXT NOT NULL DEFAULT {uuid},
    high        INTEGER NOT NULL DEFAULT 0,
    updated_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- Which Kafka took what is settled.
    kafka_cluster_id TEXT
)
; INSERT OR IGNORE INTO {cursor} (id) VALUES (1)

-- Records that could not be delivered, with the reason.
; CREATE TABLE IF NOT EXISTS {dead_letters} (
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

-- What is undelivered must not be deleted by mistake. The relay's cursor tells how far it is; high is null until a relay has
-- run. To delete undelivered messages: UPDATE "{p}delete_guard" SET allow_delete_undelivered = 1, and 0 afterwards, in one
-- transaction.
; CREATE TABLE IF NOT EXISTS {delete_guard} (
    id                        INTEGER PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    high                      INTEGER,
    allow_delete_undelivered  INTEGER NOT NULL DEFAULT 0
)
; INSERT OR IGNORE INTO {delete_guard} (id) VALUES (1)
; UPDATE {delete_guard} SET high = (SELECT high FROM {cursor} WHERE epoch > 0 OR high > 0)
; CREATE TRIGGER IF NOT EXISTS {cursor_moves} AFTER UPDATE ON "{p}cursor"
BEGIN
    UPDATE "{p}delete_guard" SET high = NEW.high
    ; END
; CREATE TRIGGER IF NOT EXISTS {cursor_is_back} AFTER INSERT ON "{p}cursor"
BEGIN
    UPDATE "{p}delete_guard" SET high = NEW.high WHERE NEW.epoch > 0 OR NEW.high > 0
    ; END
; CREATE TRIGGER IF NOT EXISTS {keep_undelivered} BEFORE DELETE ON "{p}messages"
WHEN OLD.seq > (SELECT high FROM "{p}delete_guard" WHERE allow_delete_undelivered = 0)
BEGIN
    SELECT RAISE(ABORT, 'outbox: this would remove a message that the relay has not written down as delivered, and nothing was removed. Deliver it with `outbox relay --until-empty`; if it was delivered a moment ago, try again. To remove it although no consumer will ever get it: UPDATE "{p}delete_guard" SET allow_delete_undelivered = 1')
    ; END

-- What operators have decided about messages that wait: what is paused, which message is skipped, and how much is sent in a
-- second. Relays follow it; change it with `outbox pause{arguments}`, `outbox resume{arguments}`, `outbox skip{arguments}` and
-- `outbox throttle{arguments}`.
; CREATE TABLE IF NOT EXISTS {controls} (
    control     TEXT NOT NULL CHECK (control IN ('pause', 'skip', 'throttle')),
    scope       TEXT NOT NULL CHECK (scope IN ('log', 'topic', 'key', 'message')),
    -- The topic; the key behind its topic and a slash, or behind the slash in all topics; the message's id; empty for the log.
    name        TEXT NOT NULL DEFAULT '',
    changed_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    changed_by  TEXT NOT NULL,
    reason      TEXT NOT NULL,
    -- What is sent in a second, as JSON.
    value       TEXT,
    PRIMARY KEY (control, scope, name)
)

-- Who did what, and why. Rows are only added.
; CREATE TABLE IF NOT EXISTS {audit} (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    action      TEXT NOT NULL,
    scope       TEXT NOT NULL,
    name        TEXT NOT NULL DEFAULT '',
    before      TEXT,
    after       TEXT,
    done_by     TEXT NOT NULL,
    reason      TEXT NOT NULL
)

; INSERT OR IGNORE INTO {schema_version} (version, oldest_program) VALUES ({version}, {oldest_program})
;
