-- {generated}
-- Brings the outbox's tables for PostgreSQL 13 and newer from version 6 to version 7. Do not edit: `--check` compares.
-- Harmless where that is done already. It adds a column to the table of versions, which nobody writes to.

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
DECLARE
    blockers text;
    lock_timeout_before text := current_setting('lock_timeout');
BEGIN
-- Whoever else applies this at the same time waits here until our transaction ends.
PERFORM pg_advisory_xact_lock({lock});

-- Programs of this version and of later ones work with these tables: what was added since is nothing to them. Null: only
-- programs of the very version.
IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute
    WHERE attrelid = '{schema_version}'::regclass AND attname = 'oldest_program' AND NOT attisdropped) THEN
{wait_for} TABLE {schema_version} IN ACCESS EXCLUSIVE MODE;
ALTER TABLE {schema_version} ADD COLUMN oldest_program integer;
END IF;

INSERT INTO {schema_version} (version, oldest_program) VALUES ({version}, {oldest_program}) ON CONFLICT DO NOTHING;
PERFORM set_config('lock_timeout', lock_timeout_before, true);

END
$outbox$;
