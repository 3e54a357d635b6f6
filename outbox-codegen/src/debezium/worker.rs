//! Kafka Connect itself, as one process.

use super::Debezium;

/// A standalone worker. A distributed one takes the same connectors, through its REST interface.
pub(super) fn properties(debezium: &Debezium<'_>) -> String {
    let connectors: Vec<String> = debezium
        .kinds()
        .iter()
        .map(|kind| format!("{}.properties", kind.word()))
        .collect();
    format!(
        "# {generated}
# connect-standalone worker.properties {connectors}
# with KAFKA_BROKERS, PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD in the environment.
bootstrap.servers=${{env:KAFKA_BROKERS}}
config.providers=env
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider

# Keys are text. Values are converted by each connector in its own way.
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
header.converter=org.apache.kafka.connect.storage.StringConverter

# How far each connector has read. Keep this file: without it, reading begins where the slot was last confirmed.
offset.storage.file.filename={name}.offsets
offset.flush.interval.ms=1000
plugin.discovery=service_load
listeners=http://127.0.0.1:8083

# As the relay: a record counts when all in-sync replicas have it, in order, for as long as it takes.
producer.acks=all
producer.enable.idempotence=true
producer.compression.type=none
producer.linger.ms=0
",
        generated = debezium.generated(),
        connectors = connectors.join(" "),
        name = debezium.name,
    )
}
