-- {generated}
-- Drops version {version} of the outbox's tables, unless that would lose something: while there are messages
-- that no relay has settled, dead letters, or messages that consumers have acted on, it fails and changes nothing.
-- `outbox relay --until-empty` delivers what is there. To drop it all the same, uncomment the next line:
-- SET outbox.allow_delete_undelivered = on; TRUNCATE {messages}, {dead_letters}, {inbox}, {inbox_dead_letters};

-- One statement, so that a client that goes on after an error drops nothing either.
DO $outbox$
DECLARE
    undelivered bigint;
    dead bigint;
    acted_on bigint;
    blockers text;
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    -- From here on nobody adds a message that would not be counted.
{wait_for} TABLE {messages}, {cursor}, {lease}, {dead_letters}, {inbox}, {inbox_dead_letters} IN ACCESS EXCLUSIVE MODE;
    -- A row of a window that is still being worked off counts as undelivered. So does every row where the
    -- cursor comes from another cluster, in a restored dump: its snapshot says nothing about this one.
    SELECT count(*) INTO undelivered
    FROM {messages} AS message
    WHERE NOT coalesce((
        SELECT message.seq <= high AND pg_visible_in_snapshot(message.xid, from_snapshot) FROM {cursor}
        WHERE system_identifier IS NULL
            OR system_identifier = (SELECT here.system_identifier::text FROM pg_control_system() AS here)
    ), false);
    SELECT count(*) INTO dead FROM {dead_letters};
    SELECT (SELECT count(*) FROM {inbox}) + (SELECT count(*) FROM {inbox_dead_letters})
        INTO acted_on;
    IF undelivered > 0 OR dead > 0 OR acted_on > 0 THEN
        RAISE EXCEPTION 'outbox: % undelivered message(s) and % dead letter(s) would be lost, and the memory of % that consumers acted on', undelivered, dead, acted_on
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Deliver them with `outbox relay --until-empty`, or force it as the comment at the top of this file says.';
    END IF;
    DROP TABLE {messages}, {cursor}, {lease}, {dead_letters}, {inbox}, {inbox_dead_letters}, {controls}, {audit}, {modes}, {schema_version};
    DROP FUNCTION IF EXISTS {keep_undelivered}();
END
$outbox$;
