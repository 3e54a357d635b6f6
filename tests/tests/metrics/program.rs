//! `outbox relay --metrics-addr`, as Prometheus would ask it.

use std::net::{Ipv4Addr, TcpListener};

use outbox_tests::kafka::Topic;
use outbox_tests::program::{Ran, Running, command};
use outbox_tests::{servers, wait_until};

use crate::exposition::Exposition;
use crate::scene::{LIMIT, Scene};

/// A port that nobody uses now.
pub(crate) fn port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

async fn scrape(port: u16) -> Option<Exposition> {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/metrics"))
        .await
        .ok()?;
    Some(Exposition::read(&answer.text().await.ok()?))
}

pub(crate) fn relay(scene: &Scene, metrics: &str) -> tokio::process::Command {
    let mut relay = command(&format!("relay {metrics}"));
    let (database, brokers) = (scene.database.url(), servers::brokers());
    relay.args(["--database-url", &database, "--brokers", &brokers]);
    relay
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_serves_its_metrics_and_folds_topics_beyond_the_limit() {
    let scene = Scene::new().await;
    let mut topics = Vec::new();
    for _ in 0..4 {
        topics.push(Topic::create("folded", 1).await);
    }
    let (port, log) = (port(), scene.log());
    let of_log = [("log", log.as_str())];
    let options = format!("--metrics-addr {port} --metrics-topics 2 --metrics-interval 200ms");
    let relay = Running::start(relay(&scene, &options));
    for topic in &topics {
        scene.commit(&[topic.name(); 3]).await;
    }
    let exposition = wait_until("everything to be delivered", LIMIT, async || {
        let exposition = scrape(port).await?;
        let delivered = exposition.value("outbox_delivered_records_total", &of_log)?;
        let backlog = exposition.value("outbox_backlog_records", &of_log)?;
        exposition
            .value("outbox_kafka_brokers_up", &of_log)
            .filter(|up| *up > 0.0)?;
        (delivered == 12.0 && backlog == 0.0).then_some(exposition)
    })
    .await;
    let mut topics = exposition.values_of("topic", "outbox_delivered_records_total", &of_log);
    topics.sort();
    assert_eq!(topics.len(), 3, "{topics:?}");
    assert!(topics.contains(&"other".to_owned()), "{topics:?}");
    let other = exposition.value("outbox_delivered_records_total", &[("topic", "other")]);
    assert_eq!(other, Some(6.0));
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(exposition.value("outbox_build_info", &version), Some(1.0));
    for one in [
        "outbox_relay_up",
        "outbox_relay_active",
        "outbox_lease_held",
        "outbox_sampler_active",
    ] {
        assert_eq!(exposition.value(one, &of_log), Some(1.0), "{one}");
    }
    // In buckets, which add up over replicas, and not in quantiles.
    assert_eq!(exposition.kinds["outbox_delivery_seconds"], "histogram");
    assert!(exposition.value("outbox_kafka_sent_records_total", &of_log) >= Some(12.0));
    relay.stop().await.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_listened_at_ends_the_relay() {
    let scene = Scene::new().await;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = Ran::of(&mut relay(&scene, &format!("--metrics-addr {address}"))).await;
    ran.fails(1, &[&address, "--metrics-addr", "cannot serve metrics"]);
    let ran = Ran::of(&mut relay(&scene, "--metrics-addr everywhere")).await;
    ran.fails(2, &["everywhere", "127.0.0.1:9464"]);
    let ran = Ran::of(&mut relay(&scene, "--metrics-topics 3")).await;
    ran.fails(2, &["--metrics-addr"]);
}
