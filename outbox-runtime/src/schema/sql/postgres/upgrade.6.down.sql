-- {generated}
-- Takes the outbox's tables for PostgreSQL back from version 6 to version 5. While a key is paused, a message is to be
-- skipped or a throttle is set, it fails and changes nothing: version 5 would not follow that.

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
DECLARE
    in_force bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    LOCK TABLE {controls} IN ACCESS EXCLUSIVE MODE;
    SELECT count(*) INTO in_force FROM {controls} WHERE control <> 'pause' OR scope NOT IN ('log', 'topic');
    IF in_force > 0 THEN
        RAISE EXCEPTION 'outbox: % paused key(s), skipped message(s) or throttle(s) are in force, which version 5 of the tables does not have', in_force
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Look at them with `outbox status{arguments}`; end them with `outbox resume{arguments}`, `outbox throttle{arguments} --off` and `outbox skip{arguments} --cancel`.';
    END IF;
    ALTER TABLE {controls}
        DROP COLUMN value,
        DROP CONSTRAINT IF EXISTS "{p}controls_control_check",
        DROP CONSTRAINT IF EXISTS "{p}controls_scope_check",
        ADD CONSTRAINT "{p}controls_control_check" CHECK (control IN ('pause')),
        ADD CONSTRAINT "{p}controls_scope_check" CHECK (scope IN ('log', 'topic'));
    DELETE FROM {schema_version} WHERE version = {version};
END
$outbox$;
