-- {generated}
-- Brings the outbox's tables for PostgreSQL 13 and newer from version 1 to version 2. Do not edit: `--check` compares.
-- Harmless where that is done already.

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
BEGIN

-- Whoever else applies this at the same time waits here until our transaction ends.
PERFORM pg_advisory_xact_lock({lock});

-- The order in which dead letters were set aside, which is the order in which they go out again; and whether
-- somebody wants them sent again.
ALTER TABLE {dead_letters}
    ADD COLUMN IF NOT EXISTS position bigint GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN IF NOT EXISTS replay_requested_at timestamptz;
CREATE INDEX IF NOT EXISTS "{p}dead_letters_topic_idx" ON {dead_letters} (topic, aggregate_id, position);
CREATE INDEX IF NOT EXISTS "{p}dead_letters_replay_idx" ON {dead_letters} (position)
    WHERE replay_requested_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS "{p}dead_letters_parked_idx" ON {dead_letters} (topic, position)
    WHERE state = 'parked';
-- As in the log: what a page of them weighs is known without reading it.
ALTER TABLE {dead_letters}
    ALTER COLUMN payload SET STORAGE EXTERNAL,
    ALTER COLUMN payload_binary SET STORAGE EXTERNAL;

-- Messages that a consumer of this database has acted on.
CREATE TABLE IF NOT EXISTS {inbox} (
    consumer      text        NOT NULL,
    message_id    text        NOT NULL,
    processed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, message_id)
);
CREATE INDEX IF NOT EXISTS "{p}inbox_processed_at_idx" ON {inbox} (processed_at);

-- Messages that a consumer gave up on, whole, with the reason. Each has a row in the inbox too.
CREATE TABLE IF NOT EXISTS {inbox_dead_letters} (
    consumer      text        NOT NULL,
    message_id    text        NOT NULL,
    event_type    text,
    -- Where it came from.
    topic         text        NOT NULL,
    partition     integer     NOT NULL,
    log_offset    bigint      NOT NULL,
    timestamp_ms  bigint,
    record_key    bytea,
    value         bytea,
    -- [[name, value], …]; a value is a string, null, or an array of bytes where it is no text.
    headers       json        NOT NULL DEFAULT '[]',
    reason        text        NOT NULL,
    error         text        NOT NULL,
    attempts      integer     NOT NULL DEFAULT 1,
    failed_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, message_id)
);

-- Whose snapshots the cursor's are, beside system_identifier, which Kafka took what is settled, and which of the
-- holder's readers writes the row.
ALTER TABLE {cursor}
    ADD COLUMN IF NOT EXISTS database_oid oid,
    ADD COLUMN IF NOT EXISTS table_oid oid,
    ADD COLUMN IF NOT EXISTS kafka_cluster_id text,
    ADD COLUMN IF NOT EXISTS reader uuid;

-- Exactly-once delivery is at work: Kafka has a cursor with this number beside the records, which completes this
-- one. Null: what stands here says all.
ALTER TABLE {cursor}
    ADD COLUMN IF NOT EXISTS generation bigint;

-- Whether a record takes its relay's process down.
ALTER TABLE {lease}
    ADD COLUMN IF NOT EXISTS unended_terms bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS suspect_seq bigint,
    ADD COLUMN IF NOT EXISTS suspect_id uuid,
    ADD COLUMN IF NOT EXISTS suspect_alone boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS suspect_deaths bigint NOT NULL DEFAULT 0;

INSERT INTO {schema_version} (version) VALUES ({version}) ON CONFLICT DO NOTHING;

END
$outbox$;
