-- {generated}
-- Version {version} of the outbox's tables for PostgreSQL 13 and newer. Do not edit: `--check` compares.
-- Harmless where the tables are there already, and refused where they are of an older version.

-- One statement, so that a client that goes on after an error makes nothing either.
DO $outbox$
DECLARE
    installed integer;
    part regclass;
BEGIN

{check_encoding}
-- Whoever else applies this at the same time waits here until our transaction ends.
PERFORM pg_advisory_xact_lock({lock});
IF to_regclass('{schema_version}') IS NOT NULL THEN
    EXECUTE 'SELECT max(version) FROM {schema_version}' INTO installed;
    IF installed < {version} THEN
        RAISE EXCEPTION 'outbox: the tables have version % already, and this file makes version {version} where there are none', installed
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Run `outbox migrate{arguments}`, or apply the file that `outbox generate migration` writes beside the older one.';
    END IF;
END IF;
{create_schema}
-- The log. Rows are inserted and deleted, never updated. To write a message from anywhere:
--   INSERT INTO {messages} (aggregate_type, aggregate_id, event_type, topic, payload) VALUES (…);
-- A role that only writes needs no right to xid and seq:
--   GRANT INSERT (id, aggregate_type, aggregate_id, event_type, topic, payload, payload_binary,
--     content_type, source, headers, occurred_at) ON {messages} TO <role>;
CREATE TABLE IF NOT EXISTS {messages} (
    -- Which transaction wrote the row: the relay reads by snapshot, because seq is handed out before commit.
    xid             xid8        NOT NULL DEFAULT pg_current_xact_id(),
    seq             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              uuid        NOT NULL DEFAULT gen_random_uuid(),
    aggregate_type  text        NOT NULL,
    -- The record's key: events of one key stay in order.
    aggregate_id    text        NOT NULL,
    event_type      text        NOT NULL,
    topic           text        NOT NULL,
    -- json keeps the text as it was written; jsonb would reorder it.
    payload         json,
    -- For values that are not JSON. Neither of the two: a tombstone (a record without a value).
    payload_binary  bytea,
    content_type    text        NOT NULL DEFAULT 'application/json',
    source          text,
    headers         jsonb       NOT NULL DEFAULT '{}',
    occurred_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT "{p}messages_one_payload" CHECK (payload IS NULL OR payload_binary IS NULL),
    CONSTRAINT "{p}messages_headers_object" CHECK (jsonb_typeof(headers) = 'object')
){partition_by};

-- Stored uncompressed, pg_column_size() is the true size of a payload: the relay bounds its pages by it
-- without reading the payload. It also spares writers the compression of values that are read once.
IF EXISTS (SELECT FROM pg_catalog.pg_attribute
    WHERE attrelid = '{messages}'::regclass AND attname IN ('payload', 'payload_binary') AND attstorage <> 'e') THEN
ALTER TABLE {messages}
    ALTER COLUMN payload SET STORAGE EXTERNAL,
    ALTER COLUMN payload_binary SET STORAGE EXTERNAL;
END IF;

-- Finds the rows of transactions that committed after their neighbours had been relayed.
IF to_regclass('{messages_xid_seq_idx}') IS NULL THEN
CREATE INDEX IF NOT EXISTS "{p}messages_xid_seq_idx" ON {messages} (xid, seq);
END IF;
{partitions}
-- Who relays: one row, renewed by its holder. It is apart from the cursor so that the two never wait for
-- each other.
CREATE TABLE IF NOT EXISTS {lease} (
    id           smallint    PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    holder       text,
    token        uuid,
    epoch        bigint      NOT NULL DEFAULT 0,
    renewals     bigint      NOT NULL DEFAULT 0,
    ttl_ms       bigint      NOT NULL DEFAULT 0,
    acquired_at  timestamptz,
    renewed_at   timestamptz,
    -- Whether a record takes its relay's process down: terms that neither ended nor got anywhere; the record that
    -- goes alone; whether its relay's death counts, and how many did.
    unended_terms   bigint   NOT NULL DEFAULT 0,
    suspect_seq     bigint,
    suspect_id      uuid,
    suspect_alone   boolean  NOT NULL DEFAULT false,
    suspect_deaths  bigint   NOT NULL DEFAULT 0
);
INSERT INTO {lease} (id) VALUES (1) ON CONFLICT DO NOTHING;

-- How far the relay is: one row. Everything visible in from_snapshot is settled (null: nothing was relayed
-- yet); to_snapshot, high_to and position belong to a window that is being worked off.
CREATE TABLE IF NOT EXISTS {cursor} (
    id                 smallint    PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    epoch              bigint      NOT NULL DEFAULT 0,
    token              uuid,
    log_id             uuid        NOT NULL DEFAULT gen_random_uuid(),
    from_snapshot      pg_snapshot,
    high               bigint      NOT NULL DEFAULT 0,
    xid_bound          xid8,
    to_snapshot        pg_snapshot,
    high_to            bigint,
    position           bigint,
    system_identifier  text,
    timeline           text,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    -- Beside system_identifier: whose snapshots these are, and which Kafka took what is settled.
    database_oid       oid,
    table_oid          oid,
    kafka_cluster_id   text,
    -- Which of the holder's readers writes this row.
    reader             uuid,
    -- Exactly-once delivery is at work: Kafka has a cursor with this number beside the records, which completes
    -- this one. Null: what stands here says all.
    generation         bigint
);
INSERT INTO {cursor} (id) VALUES (1) ON CONFLICT DO NOTHING;

-- Records that could not be delivered, with the reason.
CREATE TABLE IF NOT EXISTS {dead_letters} (
    id               uuid        NOT NULL,
    seq              bigint      NOT NULL,
    aggregate_type   text        NOT NULL,
    aggregate_id     text        NOT NULL,
    event_type       text        NOT NULL,
    topic            text        NOT NULL,
    payload          json,
    payload_binary   bytea,
    content_type     text        NOT NULL,
    source           text,
    headers          jsonb       NOT NULL DEFAULT '{}',
    occurred_at      timestamptz NOT NULL,
    -- dead: no retry can cure it. parked: it waits for its topic, or behind a dead one.
    state            text        NOT NULL CHECK (state IN ('dead', 'parked')),
    reason           text        NOT NULL,
    error            text        NOT NULL,
    attempts         integer     NOT NULL DEFAULT 1,
    first_failed_at  timestamptz NOT NULL DEFAULT now(),
    last_failed_at   timestamptz NOT NULL DEFAULT now(),
    -- The order in which they were set aside, which is the order in which they go out again.
    position         bigint      GENERATED ALWAYS AS IDENTITY,
    -- Somebody wants it sent again; the active relay does so.
    replay_requested_at timestamptz,
    PRIMARY KEY (id, seq)
);
-- What waits for a topic, or behind another record of its key, in order. A key may be longer than an entry of an index, so
-- its hash stands there; and so may what is no topic's name.
IF to_regclass('{dead_letters_key_idx}') IS NULL THEN
CREATE INDEX IF NOT EXISTS "{p}dead_letters_key_idx" ON {dead_letters} (substr(topic, 1, 250), hashtextextended(aggregate_id, 0), position);
END IF;
IF to_regclass('{dead_letters_replay_idx}') IS NULL THEN
CREATE INDEX IF NOT EXISTS "{p}dead_letters_replay_idx" ON {dead_letters} (position)
    WHERE replay_requested_at IS NOT NULL;
END IF;
IF to_regclass('{dead_letters_park_idx}') IS NULL THEN
CREATE INDEX IF NOT EXISTS "{p}dead_letters_park_idx" ON {dead_letters} (substr(topic, 1, 250), position)
    WHERE state = 'parked';
END IF;
-- As in the log: what a page of them weighs is known without reading it.
IF EXISTS (SELECT FROM pg_catalog.pg_attribute
    WHERE attrelid = '{dead_letters}'::regclass AND attname IN ('payload', 'payload_binary') AND attstorage <> 'e') THEN
ALTER TABLE {dead_letters}
    ALTER COLUMN payload SET STORAGE EXTERNAL,
    ALTER COLUMN payload_binary SET STORAGE EXTERNAL;
END IF;

-- Messages that a consumer of this database has acted on.
CREATE TABLE IF NOT EXISTS {inbox} (
    consumer      text        NOT NULL,
    message_id    text        NOT NULL,
    processed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, message_id)
);
IF to_regclass('{inbox_processed_at_idx}') IS NULL THEN
CREATE INDEX IF NOT EXISTS "{p}inbox_processed_at_idx" ON {inbox} (processed_at);
END IF;

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

-- What operators have decided about messages that wait: what is paused, which message is skipped, and how much is sent in a
-- second. Relays follow it; change it with `outbox pause{arguments}`, `outbox resume{arguments}`, `outbox skip{arguments}` and
-- `outbox throttle{arguments}`.
CREATE TABLE IF NOT EXISTS {controls} (
    control     text        NOT NULL CHECK (control IN ('pause', 'skip', 'throttle')),
    scope       text        NOT NULL CHECK (scope IN ('log', 'topic', 'key', 'message')),
    -- The topic; the key behind its topic and a slash, or behind the slash in all topics; the message's id; empty for the log.
    name        text        NOT NULL DEFAULT '',
    changed_at  timestamptz NOT NULL DEFAULT now(),
    changed_by  text        NOT NULL,
    reason      text        NOT NULL,
    -- What is sent in a second, as JSON.
    value       text,
    PRIMARY KEY (control, scope, name)
);

-- Who did what, and why. Rows are only added. The sequence behind seq tells whether anything has changed.
CREATE TABLE IF NOT EXISTS {audit} (
    seq         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    action      text        NOT NULL,
    scope       text        NOT NULL,
    name        text        NOT NULL DEFAULT '',
    before      text,
    after       text,
    done_by     text        NOT NULL,
    reason      text        NOT NULL
);

-- How events reach Kafka, for writers that leave it open: through this log, sent directly after the commit, or beside
-- what the service sends itself. Without a row, or without a mode in it, the writers' default counts. Change it with
-- `outbox mode set{arguments}`: it waits for what is on its way, and keys keep their order.
CREATE TABLE IF NOT EXISTS {modes} (
    scope       text        NOT NULL CHECK (scope IN ('log', 'aggregate', 'topic', 'event_type')),
    -- Empty for the log.
    name        text        NOT NULL DEFAULT '',
    mode        text        CHECK (mode IN ('outbox', 'direct', 'shadow')),
    -- The sequence behind it tells writers whether anything has changed.
    version     bigint      GENERATED ALWAYS AS IDENTITY,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    changed_by  text        NOT NULL,
    reason      text        NOT NULL,
    PRIMARY KEY (scope, name)
);

{keep_undelivered_triggers}
-- Which version of these tables is here, whatever tool applied it. Last, so that it tells of a whole set.
CREATE TABLE IF NOT EXISTS {schema_version} (
    version     integer     PRIMARY KEY,
    applied_at  timestamptz NOT NULL DEFAULT now(),
    -- Programs of this version and of later ones work with these tables: what was added since is nothing to them. Null: only
    -- programs of the very version.
    oldest_program integer
);
INSERT INTO {schema_version} (version, oldest_program) VALUES ({version}, {oldest_program}) ON CONFLICT DO NOTHING;

END
$outbox$;
