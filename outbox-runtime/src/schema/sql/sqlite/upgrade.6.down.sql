-- {generated}
-- Takes the outbox's tables for SQLite back from version 6 to version 5. While a key is paused, a message is to be skipped
-- or a throttle is set, it fails and changes nothing: version 5 would not follow that.

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise. A savepoint is a transaction where there is none.
SAVEPOINT "{p}downgrade"
; CREATE TEMP TABLE "{p}down" (
    in_force INTEGER CONSTRAINT "outbox: paused keys, skipped messages or throttles are in force, which version 5 of the tables does not have; look at them with `outbox status`, end them with `outbox resume`, `outbox throttle --off` and `outbox skip --cancel`" CHECK (in_force = 0)
)
; INSERT INTO temp."{p}down" (in_force)
    SELECT count(*) FROM {controls} WHERE control <> 'pause' OR scope NOT IN ('log', 'topic')
; DROP TABLE temp."{p}down"

-- What an operator has paused: the log as a whole, or the topic of that name. Relays follow it; change it with
-- `outbox pause{arguments}` and `outbox resume{arguments}`.
; CREATE TABLE "{p}controls_5" (
    control     TEXT NOT NULL CHECK (control IN ('pause')),
    scope       TEXT NOT NULL CHECK (scope IN ('log', 'topic')),
    -- The topic; empty for the log.
    name        TEXT NOT NULL DEFAULT '',
    changed_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    changed_by  TEXT NOT NULL,
    reason      TEXT NOT NULL,
    PRIMARY KEY (control, scope, name)
)
; INSERT INTO "{p}controls_5" (control, scope, name, changed_at, changed_by, reason)
SELECT control, scope, name, changed_at, changed_by, reason FROM {controls}
; DROP TABLE {controls}
; ALTER TABLE "{p}controls_5" RENAME TO "{p}controls"
; DELETE FROM {schema_version} WHERE version = {version}
; RELEASE "{p}downgrade"
;
