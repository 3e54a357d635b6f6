//! The toolkit, with an embedded relay that deletes what it delivered.

use std::time::Duration;

use outbox_runtime::retention::{Keep, Retention};
use outbox_runtime::{
    KafkaPublisher, Outbox, OutboxMessage, OutboxTx, Payload, PostgresStore, Relay, RelayConfig,
};
use outbox_tests::servers;
use sqlx::Postgres;

use super::sample::Samples;
use super::{EVENTS, KEEP, Subject, observe, payload, write};

pub(super) async fn stream(subject: &Subject, duration: Duration) -> Samples {
    let pool = &subject.database.pool;
    let publisher = KafkaPublisher::builder(servers::brokers()).build();
    let config = RelayConfig::new().retention(
        Retention::off()
            .keep(Keep::For(KEEP))
            .interval(Duration::from_secs(1)),
    );
    let outbox = Outbox::new(pool.clone());
    let relay = Relay::builder(PostgresStore::new(pool), publisher.expect("an address"))
        .config(config)
        .waker(outbox.waker().clone())
        .build()
        .expect("the configuration is right")
        .spawn();
    let mut number = 0;
    let writing = write(duration, async || {
        let emitted: Result<(), outbox_runtime::Error> = outbox
            .transaction(async |tx: &mut OutboxTx<'_, Postgres>| {
                for event in 0..EVENTS {
                    tx.emit_message(message(subject, number + event))?;
                }
                Ok(())
            })
            .await;
        emitted.expect("the database takes it");
        number += EVENTS;
    });
    let samples = observe(subject, duration, writing).await;
    relay.stop().await.expect("the relay ends well");
    samples
}

fn message(subject: &Subject, number: usize) -> OutboxMessage {
    OutboxMessage::builder(subject.topic.name(), format!("customer-{}", number % 1000))
        .aggregate_type("order")
        .event_type("OrderPlacedV1")
        .payload(Payload::Json(payload()))
        .build()
}
