-- {generated}
-- Brings the outbox's tables for SQLite from version 4 to version 5, which are the same: what is new in it is for
-- PostgreSQL. Do not edit: `--check` compares. Harmless where that is done already.

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise. A savepoint is a transaction where there is none.
SAVEPOINT "{p}upgrade"
; INSERT OR IGNORE INTO {schema_version} (version) VALUES ({version})
; RELEASE "{p}upgrade"
;
