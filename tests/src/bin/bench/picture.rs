//! A picture of the dashboard's main panels, from a real run with an outage in it, as Prometheus saw it.

use std::path::Path;
use std::time::{Duration, Instant};

use outbox_runtime::{
    KafkaPublisher, LogSampler, Outbox, OutboxMessage, OutboxTx, Payload, PostgresStore, Relay, RelayConfig,
};
use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use outbox_tests::program::{Ran, command};
use outbox_tests::servers::{KafkaServer, Prometheus};
use serde_json::Value;
use sqlx::Postgres;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::chart::{self, Chart};
use crate::exporter;

const BEFORE: Duration = Duration::from_secs(40);
const OUTAGE: Duration = Duration::from_secs(30);
const AFTER: Duration = Duration::from_secs(40);

/// Lines over time that stand first in the dashboard.
const PANELS: usize = 6;

/// Draws it into this file.
pub(crate) async fn run(file: &Path) {
    let (database, mut broker) = tokio::join!(TestDatabase::postgres(), KafkaServer::start());
    let brokers = broker.brokers();
    let topic = Topic::create_at(&brokers, "orders", 6, &[]).await;
    let handle = exporter::install();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    let metrics = axum::routing::get(async move || handle.render());
    let routes = axum::Router::new().route("/metrics", metrics);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let prometheus = Prometheus::start("groups: []\n", &[("service", &[port])]).await;

    let store = PostgresStore::new(&database.pool);
    let publisher = KafkaPublisher::builder(&brokers).build().expect("an address");
    let config = RelayConfig::new().backoff_max(Duration::from_secs(1));
    let relay = Relay::builder(store.clone(), publisher).config(config).build();
    let relay = relay.expect("the configuration is right").spawn();
    let _sampler = LogSampler::new(store)
        .interval(Duration::from_millis(500))
        .spawn();
    let started = Instant::now();
    let writing = tokio::spawn(write(Outbox::new(database.pool.clone()), topic.name().to_owned()));
    sleep(BEFORE).await;
    broker.kill();
    sleep(OUTAGE).await;
    broker.restart().await;
    sleep(AFTER).await;

    let window = started.elapsed();
    let mut charts = Vec::new();
    for (title, unit, queries) in panels().await {
        let mut lines = Vec::new();
        for (query, legend) in queries {
            let series = prometheus.range(&query, window, Duration::from_secs(1)).await;
            lines.extend(series.into_iter().map(|(_, values)| (legend.clone(), values)));
        }
        charts.push(Chart { title, unit, lines });
    }
    std::fs::write(file, chart::svg(&charts)).expect("the picture can be written");
    println!("drew {}", file.display());
    writing.abort();
    relay.stop().await.expect("the relay ends well");
}

/// Fifty transactions a second.
async fn write(outbox: Outbox<Postgres>, topic: String) {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    for number in 0_u64.. {
        pace.tick().await;
        let message = OutboxMessage::builder(&topic, format!("customer-{}", number % 100))
            .aggregate_type("order")
            .event_type("OrderPlacedV1")
            .payload(Payload::Json(format!("{{\"number\":{number}}}")))
            .build();
        let emitted: Result<(), outbox_runtime::Error> = outbox
            .transaction(async |tx: &mut OutboxTx<'_, Postgres>| {
                tx.emit_message(message.clone())?;
                Ok(())
            })
            .await;
        emitted.expect("the database takes it");
    }
}

/// Titles, units, and queries with the names of their lines: as the command writes them.
async fn panels() -> Vec<(String, String, Vec<(String, String)>)> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut command = command("generate dashboard --file dashboard.json");
    Ran::of(command.current_dir(folder.path())).await.done();
    let text = std::fs::read_to_string(folder.path().join("dashboard.json")).expect("it was written");
    let dashboard: Value = serde_json::from_str(&text).expect("it is JSON");
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let lines = panels.filter(|panel| panel["type"] == "timeseries").take(PANELS);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines
        .map(|panel| {
            let targets = panel["targets"].as_array().into_iter().flatten();
            let query = |target: &Value| {
                let query = text(&target["expr"]).replace("$__rate_interval", "4s");
                let legend = text(&target["legendFormat"]).replace("{{log}}", "");
                (query.replace("$log", ".*"), legend.trim().to_owned())
            };
            let unit = text(&panel["fieldConfig"]["defaults"]["unit"]);
            (text(&panel["title"]), unit, targets.map(query).collect())
        })
        .collect()
}
