IF current_setting('server_encoding') = 'SQL_ASCII' THEN
    RAISE EXCEPTION 'outbox: this database has the encoding SQL_ASCII, which lets texts in that are not UTF-8 and that nobody can send to Kafka'
        USING ERRCODE = 'feature_not_supported',
            HINT = 'Move the tables to a database with another encoding: CREATE DATABASE <name> ENCODING ''UTF8'' TEMPLATE template0, then pg_dump and pg_restore.';
END IF;

