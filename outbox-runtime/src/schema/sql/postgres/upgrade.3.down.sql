-- {generated}
-- Takes the outbox's tables for PostgreSQL back from version 3 to version 2. Where a dead letter's key or topic is too long
-- for the index of version 2, it fails and changes nothing: such dead letters have to be sent again or discarded first.

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
DECLARE
    part regclass;
    blockers text;
    lock_timeout_before text := current_setting('lock_timeout');
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
{wait_for} TABLE {messages}, {dead_letters} IN ACCESS EXCLUSIVE MODE;
    BEGIN
        CREATE INDEX "{p}dead_letters_topic_idx" ON {dead_letters} (topic, aggregate_id, position);
        CREATE INDEX "{p}dead_letters_parked_idx" ON {dead_letters} (topic, position) WHERE state = 'parked';
    EXCEPTION WHEN program_limit_exceeded THEN
        RAISE EXCEPTION 'outbox: a dead letter has a key or a topic that is too long for the index of version 2'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Find it by SELECT id, topic FROM {dead_letters} WHERE octet_length(topic) + octet_length(aggregate_id) > 2500, then send it again or discard it with `outbox dead-letters{arguments}`.';
    END;
    DROP INDEX IF EXISTS {dead_letters_key_idx}, {dead_letters_park_idx};
    FOR part IN SELECT '{messages}'::regclass UNION ALL SELECT inhrelid::regclass FROM pg_catalog.pg_inherits WHERE inhparent = '{messages}'::regclass LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS keep_undelivered_from_delete ON %s', part);
        EXECUTE format('DROP TRIGGER IF EXISTS keep_undelivered_from_truncate ON %s', part);
    END LOOP;
    DROP FUNCTION IF EXISTS {keep_undelivered}();
    DELETE FROM {schema_version} WHERE version = {version};
    PERFORM set_config('lock_timeout', lock_timeout_before, true);
END
$outbox$;
