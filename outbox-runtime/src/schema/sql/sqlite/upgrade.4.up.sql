-- {generated}
-- Brings the outbox's tables for SQLite from version 3 to version 4. Do not edit: `--check` compares.
-- Harmless where that is done already.

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise. A savepoint is a transaction where there is none.
SAVEPOINT "{p}upgrade"

-- What an operator has paused: the log as a whole, or the topic of that name. Relays follow it; change it with
-- `outbox pause{arguments}` and `outbox resume{arguments}`.
; CREATE TABLE IF NOT EXISTS {controls} (
    control     TEXT NOT NULL CHECK (control IN ('pause')),
    scope       TEXT NOT NULL CHECK (scope IN ('log', 'topic')),
    -- The topic; empty for the log.
    name        TEXT NOT NULL DEFAULT '',
    changed_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    changed_by  TEXT NOT NULL,
    reason      TEXT NOT NULL,
    PRIMARY KEY (control, scope, name)
)

-- Who did what, and why. Rows are only added.
; CREATE TABLE IF NOT EXISTS {audit} (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    action      TEXT NOT NULL,
    scope       TEXT NOT NULL,
    name        TEXT NOT NULL DEFAULT '',
    before      TEXT,
    after       TEXT,
    done_by     TEXT NOT NULL,
    reason      TEXT NOT NULL
)

; INSERT OR IGNORE INTO {schema_version} (version) VALUES ({version})

; RELEASE "{p}upgrade"
;
