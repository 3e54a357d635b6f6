//! One connector: which rows it reads, and what it makes of their columns.

use super::{Debezium, Kind};

/// Columns that become headers, in the order of the relay's.
const HEADERS: [(&str, &str); 6] = [
    ("id", "ce_id"),
    ("source", "ce_source"),
    ("event_type", "ce_type"),
    ("content_type", "content-type"),
    ("occurred_at", "ce_time"),
    // All of the row's own headers as one JSON object: the router cannot part them.
    ("headers", "outbox-headers"),
];

/// What Debezium adds by itself.
const ADDED: [&str; 5] = [
    "id",
    "__debezium.context.connectorLogicalName",
    "__debezium.context.taskId",
    "__debezium.context.connectorName",
    "__debezium.context.runId",
];

pub(super) fn properties(debezium: &Debezium<'_>, kind: Kind) -> String {
    let (payload, converter, tombstones) = match kind {
        Kind::Json => (
            "payload",
            "org.apache.kafka.connect.storage.StringConverter",
            true,
        ),
        Kind::Binary => (
            "payload_binary",
            "org.apache.kafka.connect.converters.ByteArrayConverter",
            false,
        ),
    };
    let placement: Vec<String> = HEADERS
        .iter()
        .map(|(column, header)| format!("{column}:header:{header}"))
        .collect();
    format!(
        "# {generated}
name={name}
connector.class=io.debezium.connector.postgresql.PostgresConnector
tasks.max=1
database.hostname=${{env:PGHOST}}
database.port=${{env:PGPORT}}
database.dbname=${{env:PGDATABASE}}
database.user=${{env:PGUSER}}
database.password=${{env:PGPASSWORD}}
topic.prefix={name}

# setup.sql makes both. Where no offset is known, reading begins where the slot was last confirmed.
plugin.name=pgoutput
slot.name={name}
slot.drop.on.stop=false
publication.name={name}
publication.autocreate.mode=disabled
snapshot.mode=no_data

# The log, as its root if it is partitioned; of its columns, what is sent.
table.include.list={schema}\\\\.{messages}
column.exclude.list={schema}\\\\.{messages}\\\\.xid
skipped.operations=u,d,t
tombstones.on.delete=false
value.converter={converter}

transforms=outbox,added
transforms.outbox.type=io.debezium.transforms.outbox.EventRouter
transforms.outbox.table.field.event.id=id
transforms.outbox.table.field.event.key=aggregate_id
transforms.outbox.table.field.event.payload={payload}
transforms.outbox.table.expand.json.payload=false
transforms.outbox.table.fields.additional.placement={placement}
transforms.outbox.route.by.field=topic
transforms.outbox.route.topic.replacement={prefix}${{routedByValue}}
transforms.outbox.route.tombstone.on.empty.payload={tombstones}
transforms.added.type=org.apache.kafka.connect.transforms.DropHeaders
transforms.added.headers={added}
",
        generated = debezium.generated(),
        name = debezium.named(kind),
        schema = debezium.tables.schema().unwrap_or("public"),
        messages = debezium.tables.bare("messages"),
        placement = placement.join(","),
        prefix = debezium.topic_prefix,
        added = ADDED.join(","),
    )
}
