-- {generated}
-- Takes the outbox's tables for SQLite back from version 4 to version 3. The audit's rows are dropped. While
-- something is paused, it fails and changes nothing: version 3 would not follow that.

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise. A savepoint is a transaction where there is none.
SAVEPOINT "{p}downgrade"
; CREATE TEMP TABLE "{p}down" (
    in_force INTEGER CONSTRAINT "outbox: pauses are in force, which version 3 of the tables does not have; look at them with `outbox status`, end them with `outbox resume`" CHECK (in_force = 0)
)
; INSERT INTO temp."{p}down" (in_force) SELECT count(*) FROM {controls}
; DROP TABLE temp."{p}down"
; DROP TABLE {controls}
; DROP TABLE {audit}
; DELETE FROM {schema_version} WHERE version = {version}
; RELEASE "{p}downgrade"
;
