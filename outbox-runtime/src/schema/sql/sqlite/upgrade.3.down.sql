-- {generated}
-- Takes the outbox's tables for SQLite back from version 3 to version 2. Nothing is lost by that.

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise. A savepoint is a transaction where there is none.
SAVEPOINT "{p}downgrade"
; DROP TRIGGER IF EXISTS {keep_undelivered}
; DROP TRIGGER IF EXISTS {cursor_moves}
; DROP TRIGGER IF EXISTS {cursor_is_back}
; DROP TABLE {delete_guard}
; DELETE FROM {schema_version} WHERE version = {version}
; RELEASE "{p}downgrade"
;
