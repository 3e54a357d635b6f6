-- {generated}
-- Takes the outbox's tables for PostgreSQL back from version 4 to version 3. The audit's rows are dropped. While
-- something is paused, it fails and changes nothing: version 3 would not follow that.

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
DECLARE
    in_force bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    LOCK TABLE {controls}, {audit} IN ACCESS EXCLUSIVE MODE;
    SELECT count(*) INTO in_force FROM {controls};
    IF in_force > 0 THEN
        RAISE EXCEPTION 'outbox: % pause(s) are in force, which version 3 of the tables does not have', in_force
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Look at them with `outbox status{arguments}`; end them with `outbox resume{arguments}`.';
    END IF;
    DROP TABLE {controls}, {audit};
    DELETE FROM {schema_version} WHERE version = {version};
END
$outbox$;
