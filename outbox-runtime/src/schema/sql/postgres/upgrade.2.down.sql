-- {generated}
-- Takes the outbox's tables for PostgreSQL back from version 2 to version 1. It forgets which messages consumers
-- have acted on, and which dead letters somebody wanted sent again.

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    DROP TABLE {inbox};
    DROP INDEX {dead_letters_replay_idx}, {dead_letters_topic_idx};
    ALTER TABLE {dead_letters} DROP COLUMN replay_requested_at, DROP COLUMN position;
    ALTER TABLE {cursor} DROP COLUMN kafka_cluster_id, DROP COLUMN table_oid, DROP COLUMN database_oid;
    DELETE FROM {schema_version} WHERE version = {version};
END
$outbox$;
