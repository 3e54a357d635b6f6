-- {generated}
-- Brings the outbox's tables for SQLite from version 6 to version 7. Do not edit: `--check` compares.
-- Harmless where that is done already.

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise. A savepoint is a transaction where there is none.
SAVEPOINT "{p}upgrade"

; CREATE TABLE "{p}schema_7" (
    version     INTEGER PRIMARY KEY,
    applied_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- Programs of this version and of later ones work with these tables: what was added since is nothing to them. Null: only
    -- programs of the very version.
    oldest_program INTEGER
)
-- Where the column is there already, a subquery finds it in the table; where it is not, in the row of nulls around it.
; INSERT INTO "{p}schema_7" (version, applied_at, oldest_program)
SELECT version, applied_at, (SELECT oldest_program FROM {schema_version} AS same WHERE same.rowid = there.rowid)
FROM {schema_version} AS there CROSS JOIN (SELECT NULL AS oldest_program) AS unknown
; DROP TABLE {schema_version}
; ALTER TABLE "{p}schema_7" RENAME TO "{p}schema"

; INSERT OR IGNORE INTO {schema_version} (version, oldest_program) VALUES ({version}, {oldest_program})

; RELEASE "{p}upgrade"
;
