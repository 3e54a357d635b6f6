-- {generated}
-- Takes the outbox's tables for PostgreSQL back from version 2 to version 1, unless that would lose something: while
-- there are messages that consumers have acted on, or dead letters that somebody wanted sent again, or a cursor of
-- exactly-once delivery in Kafka, it fails and changes nothing. To go back all the same, uncomment the next line:
-- TRUNCATE {inbox}, {inbox_dead_letters}; UPDATE {dead_letters} SET replay_requested_at = NULL; UPDATE {cursor} SET generation = NULL;

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
DECLARE
    acted_on bigint;
    requested bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    -- From here on nobody adds what would not be counted.
    LOCK TABLE {inbox}, {inbox_dead_letters}, {dead_letters} IN ACCESS EXCLUSIVE MODE;
    SELECT (SELECT count(*) FROM {inbox}) + (SELECT count(*) FROM {inbox_dead_letters})
        INTO acted_on;
    SELECT count(*) INTO requested FROM {dead_letters} WHERE replay_requested_at IS NOT NULL;
    IF acted_on > 0 OR requested > 0 THEN
        RAISE EXCEPTION 'outbox: that % message(s) were acted on and % dead letter(s) are to be sent again would be forgotten', acted_on, requested
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Force it as the comment at the top of this file says.';
    END IF;
    IF EXISTS (SELECT 1 FROM {cursor} WHERE generation IS NOT NULL) THEN
        RAISE EXCEPTION 'outbox: what Kafka knows of the cursor, in exactly-once delivery, would be forgotten'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Run `outbox relay --delivery at-least-once` for a moment, or force it as the comment at the top of this file says.';
    END IF;
    DROP TABLE {inbox}, {inbox_dead_letters};
    DROP INDEX {dead_letters_replay_idx}, {dead_letters_topic_idx};
    ALTER TABLE {dead_letters} DROP COLUMN replay_requested_at, DROP COLUMN position,
        ALTER COLUMN payload SET STORAGE EXTENDED, ALTER COLUMN payload_binary SET STORAGE EXTENDED;
    ALTER TABLE {cursor} DROP COLUMN generation, DROP COLUMN reader, DROP COLUMN kafka_cluster_id, DROP COLUMN table_oid, DROP COLUMN database_oid;
    ALTER TABLE {lease} DROP COLUMN suspect_deaths, DROP COLUMN suspect_alone, DROP COLUMN suspect_id,
        DROP COLUMN suspect_seq, DROP COLUMN unended_terms;
    DELETE FROM {schema_version} WHERE version = {version};
END
$outbox$;
