-- Waits for the lock in short attempts: a session that waits for a lock also holds up all who ask for the table after it.
PERFORM set_config('lock_timeout', '1s', true);
FOR attempt IN 1..20 LOOP
    BEGIN
        LOCK {what};
        EXIT;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        PERFORM pg_stat_clear_snapshot();
        SELECT string_agg(format('pid %s (%s, for %s s): %s', holder.pid, coalesce(nullif(holder.application_name, ''), holder.usename),
                extract(epoch FROM clock_timestamp() - holder.xact_start)::bigint, left(holder.query, 200)), '; ')
            INTO blockers
        FROM (
            SELECT DISTINCT session.pid, session.application_name, session.usename, session.xact_start, session.query
            FROM pg_catalog.pg_locks AS held
            JOIN pg_catalog.pg_class AS part ON part.oid = held.relation
            JOIN pg_catalog.pg_stat_activity AS session ON session.pid = held.pid
            WHERE held.granted AND held.pid <> pg_backend_pid()
                AND held.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
                AND part.relkind IN ('r', 'p') AND starts_with(part.relname::text, '{p}')
                AND ('{what}' LIKE '% ACCESS EXCLUSIVE %' OR held.mode NOT IN ('AccessShareLock', 'RowShareLock'))
            ORDER BY session.xact_start LIMIT 5
        ) AS holder;
        IF attempt = 20 THEN
            RAISE EXCEPTION 'outbox: another session kept its lock for a minute, and nothing was changed: %', coalesce(blockers, 'it has ended by now')
                USING ERRCODE = 'lock_not_available',
                    HINT = 'Wait until it has ended, or end it with SELECT pg_terminate_backend(<pid>), then do this again.';
        END IF;
        RAISE NOTICE 'outbox: waiting for the locks of %', coalesce(blockers, 'sessions that have ended by now');
        PERFORM pg_sleep(2);
    END;
END LOOP;
