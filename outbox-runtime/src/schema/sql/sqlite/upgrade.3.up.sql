-- {generated}
-- Brings the outbox's tables for SQLite from version 2 to version 3. Do not edit: `--check` compares.
-- Harmless where that is done already.

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise. A savepoint is a transaction where there is none.
SAVEPOINT "{p}upgrade"

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

; INSERT OR IGNORE INTO {schema_version} (version) VALUES ({version})

; RELEASE "{p}upgrade"
;
