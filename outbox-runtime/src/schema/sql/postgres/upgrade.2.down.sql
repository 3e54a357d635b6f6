-- {generated}
-- Takes the outbox's tables for PostgreSQL back from version 2 to version 1. It forgets which messages consumers
-- have acted on, and which dead letters somebody wanted sent again.

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    DROP TABLE {inbox};
    DROP INDEX {dead_letters_replay_idx}, {dead_letters_topic_idx};
    ALTER TABLE {dead_letters} DROP COLUMN replay_requested_at, DROP COLUMN position,
        ALTER COLUMN payload SET STORAGE EXTENDED, ALTER COLUMN payload_binary SET STORAGE EXTENDED;
    DELETE FROM {schema_version} WHERE version = {version};
END
$outbox$;
