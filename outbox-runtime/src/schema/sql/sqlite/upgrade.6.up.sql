-- {generated}
-- Brings the outbox's tables for SQLite from version 5 to version 6. Do not edit: `--check` compares.
-- Harmless where that is done already.

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise. A savepoint is a transaction where there is none.
SAVEPOINT "{p}upgrade"

-- What operators have decided about messages that wait: what is paused, which message is skipped, and how much is sent in a
-- second. Relays follow it; change it with `outbox pause{arguments}`, `outbox resume{arguments}`, `outbox skip{arguments}` and
-- `outbox throttle{arguments}`.
; CREATE TABLE "{p}controls_6" (
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
-- Where the value is there already, a subquery finds it in the table; where it is not, in the row of nulls around it.
; INSERT INTO "{p}controls_6" (control, scope, name, value, changed_at, changed_by, reason)
SELECT control, scope, name,
    (SELECT value FROM {controls} AS same WHERE same.rowid = decided.rowid), changed_at, changed_by, reason
FROM {controls} AS decided CROSS JOIN (SELECT NULL AS value) AS unvalued
; DROP TABLE {controls}
; ALTER TABLE "{p}controls_6" RENAME TO "{p}controls"

; INSERT OR IGNORE INTO {schema_version} (version) VALUES ({version})

; RELEASE "{p}upgrade"
;
