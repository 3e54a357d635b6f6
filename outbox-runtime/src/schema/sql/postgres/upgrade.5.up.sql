-- {generated}
-- Brings the outbox's tables for PostgreSQL 13 and newer from version 4 to version 5. Do not edit: `--check` compares.
-- Harmless where that is done already. Nobody waits for it: it adds a table. Roles other than their owner need rights
-- to it where modes are used: `outbox generate roles` writes them.

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
BEGIN
-- Whoever else applies this at the same time waits here until our transaction ends.
PERFORM pg_advisory_xact_lock({lock});

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

INSERT INTO {schema_version} (version) VALUES ({version}) ON CONFLICT DO NOTHING;

END
$outbox$;
