-- {generated}
-- Takes the outbox's tables for PostgreSQL back from version 5 to version 4. While a mode other than `outbox` is set, it
-- fails and changes nothing: version 4 would not follow that.

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
DECLARE
    in_force bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    LOCK TABLE {modes} IN ACCESS EXCLUSIVE MODE;
    SELECT count(*) INTO in_force FROM {modes} WHERE mode <> 'outbox';
    IF in_force > 0 THEN
        RAISE EXCEPTION 'outbox: % mode(s) are in force, which version 4 of the tables does not have', in_force
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Look at them with `outbox mode list{arguments}`; set them to `outbox` with `outbox mode set{arguments}`.';
    END IF;
    DROP TABLE {modes};
    DELETE FROM {schema_version} WHERE version = {version};
END
$outbox$;
