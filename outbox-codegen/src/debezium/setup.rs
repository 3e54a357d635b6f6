//! What PostgreSQL has to have before Kafka Connect starts.

use super::{Debezium, Kind};
use crate::config::Payloads;

/// Publications and slots. The slots are created here, and not by Debezium, so that there is a time
/// between their beginning and the first record: in it the relay delivers what came before.
pub(super) fn sql(debezium: &Debezium<'_>) -> String {
    let mut sql = format!(
        "-- {generated}
-- Needs wal_level = logical, and {needs}. Run it once as the table's owner, without one transaction
-- around all: psql -v ON_ERROR_STOP=1 -f setup.sql. Harmless when repeated.
--
-- From here on PostgreSQL keeps its log until Kafka Connect has read it: watch pg_replication_slots, set
-- max_slot_wal_keep_size, and drop slots that are no longer read (SELECT pg_drop_replication_slot('…')).
--
-- The role that Kafka Connect logs in as: CREATE ROLE <role> LOGIN REPLICATION; GRANT SELECT ON {messages} TO <role>;
",
        generated = debezium.generated(),
        needs = match debezium.payloads {
            Payloads::Both => "PostgreSQL 15 or newer",
            Payloads::Json => "PostgreSQL 13 or newer",
        },
        messages = debezium.tables.messages(),
    );
    if debezium.payloads == Payloads::Json {
        sql += &json_only(debezium);
    }
    for kind in debezium.kinds() {
        sql += &publication(debezium, *kind);
    }
    for kind in debezium.kinds() {
        sql += &slot(&debezium.named(*kind));
    }
    sql
}

/// Only inserts are published, so rows may be deleted at any time. Partitions are published as their root.
fn publication(debezium: &Debezium<'_>, kind: Kind) -> String {
    let (name, messages) = (debezium.named(kind), debezium.tables.messages());
    let filter = match (debezium.payloads, kind) {
        (Payloads::Json, _) => "",
        (Payloads::Both, Kind::Json) => " WHERE (payload_binary IS NULL)",
        (Payloads::Both, Kind::Binary) => " WHERE (payload_binary IS NOT NULL)",
    };
    format!(
        "
DO $outbox$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = '{name}') THEN
        CREATE PUBLICATION \"{name}\" FOR TABLE {messages}{filter}
            WITH (publish = 'insert', publish_via_partition_root = true);
    END IF;
END $outbox$;
"
    )
}

fn slot(name: &str) -> String {
    format!(
        "
SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')
    WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{name}');
"
    )
}

/// A binary payload would be taken for none, and go out as a tombstone.
fn json_only(debezium: &Debezium<'_>) -> String {
    let (name, messages) = (
        debezium.tables.bare("messages_json_only"),
        debezium.tables.messages(),
    );
    format!(
        "
-- The connector reads the column payload alone: a row with a binary payload would go out as a tombstone. So
-- such rows are refused from here on.
DO $outbox$ BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint WHERE conname = '{name}' AND conrelid = '{messages}'::regclass
    ) THEN
        ALTER TABLE {messages} ADD CONSTRAINT \"{name}\" CHECK (payload_binary IS NULL) NOT VALID;
    END IF;
END $outbox$;
"
    )
}
