-- {generated}
-- Brings the outbox's tables for PostgreSQL 13 and newer from version 3 to version 4. Do not edit: `--check` compares.
-- Harmless where that is done already. Nobody waits for it: it adds two tables. Roles other than their owner need
-- rights to them: `outbox health` and a relay's start tell which.

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
BEGIN
-- Whoever else applies this at the same time waits here until our transaction ends.
PERFORM pg_advisory_xact_lock({lock});

-- What an operator has paused: the log as a whole, or the topic of that name. Relays follow it; change it with
-- `outbox pause{arguments}` and `outbox resume{arguments}`.
CREATE TABLE IF NOT EXISTS {controls} (
    control     text        NOT NULL CHECK (control IN ('pause')),
    scope       text        NOT NULL CHECK (scope IN ('log', 'topic')),
    -- The topic; empty for the log.
    name        text        NOT NULL DEFAULT '',
    changed_at  timestamptz NOT NULL DEFAULT now(),
    changed_by  text        NOT NULL,
    reason      text        NOT NULL,
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

INSERT INTO {schema_version} (version) VALUES ({version}) ON CONFLICT DO NOTHING;

END
$outbox$;
