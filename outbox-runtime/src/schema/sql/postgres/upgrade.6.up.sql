-- {generated}
-- Brings the outbox's tables for PostgreSQL 13 and newer from version 5 to version 6. Do not edit: `--check` compares.
-- Harmless where that is done already. It changes a table that holds what operators have decided, for which relays wait a
-- moment. Roles that rewind need rights to the cursor: `outbox generate roles` writes them.

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
BEGIN
-- Whoever else applies this at the same time waits here until our transaction ends.
PERFORM pg_advisory_xact_lock({lock});

-- Single keys can be paused, messages skipped, and what is sent in a second can be limited. The name of a key is the key
-- behind its topic and a slash, or behind the slash in all topics; that of a message is its id.
ALTER TABLE {controls}
    ADD COLUMN IF NOT EXISTS value text,
    DROP CONSTRAINT IF EXISTS "{p}controls_control_check",
    DROP CONSTRAINT IF EXISTS "{p}controls_scope_check",
    ADD CONSTRAINT "{p}controls_control_check" CHECK (control IN ('pause', 'skip', 'throttle')),
    ADD CONSTRAINT "{p}controls_scope_check" CHECK (scope IN ('log', 'topic', 'key', 'message'));

INSERT INTO {schema_version} (version) VALUES ({version}) ON CONFLICT DO NOTHING;

END
$outbox$;
