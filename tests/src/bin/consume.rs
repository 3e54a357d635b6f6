//! A consumer as a process of its own, for tests that kill it: `consume <database> <brokers> <topic> <group>
//! <milliseconds between commits>`. It writes down every number that it acts on, and says so on stdout.

use std::time::Duration;

use outbox_runtime::consumer::ConsumerConfig;
use outbox_runtime::{Consumer, Outbox};
use outbox_tests::numbers::{Number, act};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, brokers, topic, group, commit_interval] = &arguments[..] else {
        panic!("consume <database> <brokers> <topic> <group> <milliseconds between commits>");
    };
    let pool = sqlx::PgPool::connect(database)
        .await
        .expect("the database is there");
    let config = ConsumerConfig::new().commit_interval(Duration::from_millis(
        commit_interval.parse().expect("milliseconds are a number"),
    ));
    let consumer = Consumer::builder(&Outbox::new(pool), brokers, group)
        .topic(topic)
        .property("session.timeout.ms", "3000")
        .property("heartbeat.interval.ms", "300")
        .on("NumberV1", async |tx, _message, number: Number| {
            act(tx, &number).await
        })
        .config(config)
        .build()
        .expect("the configuration is right");
    let report = consumer
        .run(tokio_util::sync::CancellationToken::new())
        .await
        .expect("it runs until it is killed");
    println!("{report:?}");
}
