-- {generated}
-- Takes the outbox's tables for PostgreSQL back from version 7 to version 6. Programs of version 7 do not work with those.

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
DECLARE
    blockers text;
    lock_timeout_before text := current_setting('lock_timeout');
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
{wait_for} TABLE {schema_version} IN ACCESS EXCLUSIVE MODE;
    DELETE FROM {schema_version} WHERE version = {version};
    ALTER TABLE {schema_version} DROP COLUMN oldest_program;
    PERFORM set_config('lock_timeout', lock_timeout_before, true);
END
$outbox$;
