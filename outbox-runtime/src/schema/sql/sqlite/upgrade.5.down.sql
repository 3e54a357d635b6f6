-- {generated}
-- Takes the outbox's tables for SQLite back from version 5 to version 4, which are the same.

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise. A savepoint is a transaction where there is none.
SAVEPOINT "{p}downgrade"
; DELETE FROM {schema_version} WHERE version = {version}
; RELEASE "{p}downgrade"
;
