-- {generated}
-- Takes the outbox's tables for SQLite back from version 2 to version 1, unless that would lose something: while there
-- are messages that consumers have acted on, or dead letters that somebody wanted sent again, it fails and changes
-- nothing. To go back all the same, uncomment the next line:
-- DELETE FROM {inbox}; DELETE FROM {inbox_dead_letters}; UPDATE {dead_letters} SET replay_requested_at = NULL;

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise. A savepoint is a transaction where there is none.
SAVEPOINT "{p}downgrade"
; CREATE TEMP TABLE "{p}downgrade" (
    lost INTEGER CONSTRAINT "outbox: what consumers acted on and which dead letters are to be sent again would be forgotten; force it as the comment at the top of this file says" CHECK (lost = 0)
)
; INSERT INTO temp."{p}downgrade" (lost)
    SELECT (SELECT count(*) FROM {inbox})
        + (SELECT count(*) FROM {inbox_dead_letters})
        + (SELECT count(*) FROM {dead_letters} WHERE replay_requested_at IS NOT NULL)
; DROP TABLE temp."{p}downgrade"
; CREATE TABLE "{p}dead_letters_1" (
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
    PRIMARY KEY (id, seq)
)
; INSERT INTO "{p}dead_letters_1" (rowid, id, seq, aggregate_type, aggregate_id, event_type, topic, payload,
    payload_binary, content_type, source, headers, occurred_at, state, reason, error, attempts, first_failed_at,
    last_failed_at)
SELECT position, id, seq, aggregate_type, aggregate_id, event_type, topic, payload,
    payload_binary, content_type, source, headers, occurred_at, state, reason, error, attempts, first_failed_at,
    last_failed_at
FROM {dead_letters} ORDER BY position
; DROP TABLE {dead_letters}
; ALTER TABLE "{p}dead_letters_1" RENAME TO "{p}dead_letters"
; CREATE TABLE "{p}cursor_1" (
    id          INTEGER PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    epoch       INTEGER NOT NULL DEFAULT 0,
    token       TEXT,
    log_id      TEXT NOT NULL DEFAULT {uuid},
    high        INTEGER NOT NULL DEFAULT 0,
    updated_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)
; INSERT INTO "{p}cursor_1" (id, epoch, token, log_id, high, updated_at)
SELECT id, epoch, token, log_id, high, updated_at FROM {cursor}
; DROP TABLE {cursor}
; ALTER TABLE "{p}cursor_1" RENAME TO "{p}cursor"
; CREATE TABLE "{p}lease_1" (
    id           INTEGER PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    holder       TEXT,
    token        TEXT,
    epoch        INTEGER NOT NULL DEFAULT 0,
    renewals     INTEGER NOT NULL DEFAULT 0,
    ttl_ms       INTEGER NOT NULL DEFAULT 0,
    acquired_at  TEXT,
    renewed_at   TEXT
)
; INSERT INTO "{p}lease_1" (id, holder, token, epoch, renewals, ttl_ms, acquired_at, renewed_at)
SELECT id, holder, token, epoch, renewals, ttl_ms, acquired_at, renewed_at FROM {lease}
; DROP TABLE {lease}
; ALTER TABLE "{p}lease_1" RENAME TO "{p}lease"
; DROP TABLE {inbox}
; DROP TABLE {inbox_dead_letters}
; DELETE FROM {schema_version} WHERE version = {version}
; RELEASE "{p}downgrade"
;
