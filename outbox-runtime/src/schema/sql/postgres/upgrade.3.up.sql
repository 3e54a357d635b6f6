-- {generated}
-- Brings the outbox's tables for PostgreSQL 13 and newer from version 2 to version 3. Do not edit: `--check` compares.
-- Harmless where that is done already.

-- One statement, so that a client that goes on after an error changes nothing either.
DO $outbox$
DECLARE
    part regclass;
    blockers text;
    lock_timeout_before text := current_setting('lock_timeout');
BEGIN

{check_encoding}-- Whoever else applies this at the same time waits here until our transaction ends.
PERFORM pg_advisory_xact_lock({lock});

-- What waits for a topic, or behind another record of its key, in order. A key may be longer than an entry of an index, so
-- its hash stands there; and so may what is no topic's name. Only the relay waits while these are made.
IF to_regclass('{dead_letters_key_idx}') IS NULL OR to_regclass('{dead_letters_park_idx}') IS NULL THEN
{wait_for} TABLE {dead_letters} IN SHARE MODE;
CREATE INDEX IF NOT EXISTS "{p}dead_letters_key_idx" ON {dead_letters} (substr(topic, 1, 250), hashtextextended(aggregate_id, 0), position);
CREATE INDEX IF NOT EXISTS "{p}dead_letters_park_idx" ON {dead_letters} (substr(topic, 1, 250), position)
    WHERE state = 'parked';
END IF;

{wait_for} TABLE {messages} IN SHARE ROW EXCLUSIVE MODE;
{keep_undelivered_triggers}
-- Each entry held the whole key.
{wait_for} TABLE {dead_letters} IN ACCESS EXCLUSIVE MODE;
DROP INDEX IF EXISTS {dead_letters_topic_idx}, {dead_letters_parked_idx};

INSERT INTO {schema_version} (version) VALUES ({version}) ON CONFLICT DO NOTHING;
PERFORM set_config('lock_timeout', lock_timeout_before, true);

END
$outbox$;
