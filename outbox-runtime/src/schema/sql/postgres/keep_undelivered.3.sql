-- Refuses to delete or truncate messages that the relay's cursor has not passed. Where no relay has ever run, all may be
-- deleted. To delete them all the same: SET outbox.allow_delete_undelivered = on;
CREATE OR REPLACE FUNCTION {keep_undelivered}() RETURNS trigger
    LANGUAGE plpgsql
    -- A role that may delete messages needs no right to the cursor.
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    home text;
    settled record;
    undelivered bigint;
BEGIN
    IF coalesce(nullif(current_setting('outbox.allow_delete_undelivered', true), ''), 'off')::boolean THEN
        RETURN NULL;
    END IF;
    -- The cursor is beside the log, also for one of the log's partitions.
    SELECT quote_ident(namespace.nspname) INTO home
    FROM pg_class AS log JOIN pg_namespace AS namespace ON namespace.oid = log.relnamespace
    WHERE log.oid = coalesce((SELECT inhparent FROM pg_inherits WHERE inhrelid = TG_RELID), TG_RELID);
    IF to_regclass(home || '."{p}cursor"') IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT from_snapshot, high, to_snapshot, position FROM %s."{p}cursor"', home) INTO settled;
    IF settled.from_snapshot IS NULL THEN
        RETURN NULL;
    END IF;
    -- Settled is what the cursor has passed: all that from_snapshot sees, and what to_snapshot sees up to the position. A
    -- message above its bounds on seq was written after the log was moved to another cluster, where snapshots mean nothing.
    IF TG_OP = 'DELETE' THEN
        SELECT count(*) INTO undelivered FROM gone
        WHERE NOT coalesce((gone.seq <= settled.high AND pg_visible_in_snapshot(gone.xid, settled.from_snapshot))
            OR (gone.seq <= settled.position AND pg_visible_in_snapshot(gone.xid, settled.to_snapshot)), false);
    ELSE
        -- Two searches by index. What they leave out is below both bounds, and so is settled.
        EXECUTE format('SELECT count(*) FROM (
                SELECT seq FROM %1$s WHERE xid >= pg_snapshot_xmin($1)
                    AND NOT coalesce((seq <= $2 AND pg_visible_in_snapshot(xid, $1))
                        OR (seq <= $4 AND pg_visible_in_snapshot(xid, $3)), false)
                UNION
                SELECT seq FROM %1$s WHERE seq > $2
                    AND NOT coalesce(seq <= $4 AND pg_visible_in_snapshot(xid, $3), false)
            ) AS kept', TG_RELID::regclass)
            INTO undelivered
            USING settled.from_snapshot, settled.high, settled.to_snapshot, settled.position;
    END IF;
    IF undelivered > 0 THEN
        RAISE EXCEPTION 'outbox: this % would remove % message(s) that the relay has not written down as delivered', TG_OP, undelivered
            USING ERRCODE = 'object_not_in_prerequisite_state',
                TABLE = TG_TABLE_NAME, SCHEMA = TG_TABLE_SCHEMA,
                DETAIL = 'The relay writes down what it has delivered several times per second; a repeatable-read transaction sees what was written before it began.',
                HINT = 'Nothing was removed. Deliver them with `outbox relay --until-empty`; if they were delivered a moment ago, try again. To remove them although no consumer will ever get them: SET outbox.allow_delete_undelivered = on';
    END IF;
    RETURN NULL;
END
$function$;
FOR part IN SELECT '{messages}'::regclass UNION ALL SELECT inhrelid::regclass FROM pg_catalog.pg_inherits WHERE inhparent = '{messages}'::regclass LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = part AND tgname = 'keep_undelivered_from_delete') THEN
        EXECUTE format('CREATE TRIGGER keep_undelivered_from_delete AFTER DELETE ON %s
            REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION {keep_undelivered}()', part);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = part AND tgname = 'keep_undelivered_from_truncate') THEN
        EXECUTE format('CREATE TRIGGER keep_undelivered_from_truncate BEFORE TRUNCATE ON %s
            FOR EACH STATEMENT EXECUTE FUNCTION {keep_undelivered}()', part);
    END IF;
END LOOP;
