-- {generated}
-- Takes the outbox's tables for SQLite back from version 7 to version 6. Programs of version 7 do not work with those.

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise. A savepoint is a transaction where there is none.
SAVEPOINT "{p}downgrade"
; CREATE TABLE "{p}schema_6" (
    version     INTEGER PRIMARY KEY,
    applied_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)
; INSERT INTO "{p}schema_6" (version, applied_at) SELECT version, applied_at FROM {schema_version} WHERE version <> {version}
; DROP TABLE {schema_version}
; ALTER TABLE "{p}schema_6" RENAME TO "{p}schema"
; RELEASE "{p}downgrade"
;
