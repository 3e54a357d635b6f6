-- {generated}
-- Drops version {version} of the outbox's tables, unless that would lose something: while there are messages
-- that no relay has settled, dead letters, or messages that consumers have acted on, it fails and changes nothing.
-- `outbox relay --until-empty` delivers what is there. To drop it all the same, uncomment the next line:
-- UPDATE {delete_guard} SET allow_delete_undelivered = 1; DELETE FROM {messages}; DELETE FROM {dead_letters}; DELETE FROM {inbox}; DELETE FROM {inbox_dead_letters};

-- The semicolons lead the lines so that the sqlite3 shell takes everything as one block: it stops at the
-- first error of a block, and goes on after a failed one otherwise.
CREATE TEMP TABLE "{p}down" (
    lost INTEGER CONSTRAINT "outbox: what consumers acted on, undelivered messages or dead letters would be lost; deliver them with `outbox relay --until-empty`, or force it as the comment at the top of this file says" CHECK (lost = 0)
)
; INSERT INTO temp."{p}down" (lost)
    SELECT (SELECT count(*) FROM {messages} WHERE NOT coalesce(seq <= (SELECT high FROM {cursor}), false))
        + (SELECT count(*) FROM {dead_letters}) + (SELECT count(*) FROM {inbox})
        + (SELECT count(*) FROM {inbox_dead_letters})
; DROP TABLE temp."{p}down"
; DROP TABLE {messages}
; DROP TABLE {cursor}
; DROP TABLE {delete_guard}
; DROP TABLE {lease}
; DROP TABLE {dead_letters}
; DROP TABLE {inbox}
; DROP TABLE {inbox_dead_letters}
; DROP TABLE {controls}
; DROP TABLE {audit}
; DROP TABLE {schema_version}
;
