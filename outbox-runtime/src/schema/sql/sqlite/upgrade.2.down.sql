-- {generated}
-- Takes the outbox's tables for SQLite back from version 2 to version 1. It forgets which messages consumers have
-- acted on, and which dead letters somebody wanted sent again.
CREATE TABLE "{p}dead_letters_1" (
    id               TEXT NOT NULL,
    seq              INTEGER NOT NULL,
    aggregate_type   TEXT NOT NULL,
    aggregate_id     TEXT NOT NULL,
    event_type       TEXT NOT NULL,
    topic            TEXT NOT NULL,
    payload          TEXT,
    payload_binary   BLOB,
    content_type     TEXT NOT NULL,
    source           TEXT,
    headers          TEXT NOT NULL DEFAULT '{}',
    occurred_at      TEXT NOT NULL,
    -- dead: no retry can cure it. parked: it waits for its topic, or behind a dead one.
    state            TEXT NOT NULL CHECK (state IN ('dead', 'parked')),
    reason           TEXT NOT NULL,
    error            TEXT NOT NULL,
    attempts         INTEGER NOT NULL DEFAULT 1,
    first_failed_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    last_failed_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (id, seq)
);
INSERT INTO "{p}dead_letters_1" (id, seq, aggregate_type, aggregate_id, event_type, topic, payload, payload_binary, content_type,
    source, headers, occurred_at, state, reason, error, attempts, first_failed_at, last_failed_at)
SELECT id, seq, aggregate_type, aggregate_id, event_type, topic, payload, payload_binary, content_type,
    source, headers, occurred_at, state, reason, error, attempts, first_failed_at, last_failed_at
FROM {dead_letters} ORDER BY position;
DROP TABLE {dead_letters};
ALTER TABLE "{p}dead_letters_1" RENAME TO "{p}dead_letters";
ALTER TABLE {cursor} DROP COLUMN kafka_cluster_id;
DROP TABLE {inbox};
DELETE FROM {schema_version} WHERE version = {version};
