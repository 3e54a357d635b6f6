//! What happens to a broker, and to relays that wait for it.

use std::time::Duration;

use outbox_runtime::DeliveryMode;
use outbox_tests::kafka::Topic;
use outbox_tests::program::{Running, command};
use outbox_tests::servers::KafkaServer;

use super::watch::Watch;
use crate::scene::{OFTEN, Scene, quick};

/// A relay is stopped while a broker that stands still has its records.
pub(super) async fn duplicates(watch: &Watch, broker: &KafkaServer) {
    let scene = Scene::new().await;
    let (log, topic) = (
        scene.log(),
        Topic::create_at(&broker.brokers(), "twice", 1, &[]).await,
    );
    let config = quick(DeliveryMode::AtLeastOnce).shutdown_timeout(Duration::from_millis(50));
    let relay = scene.relay(&broker.brokers(), config).spawn();
    scene.commit(&[topic.name()]).await;
    scene.until("outbox_delivered_records_total", &[], 1.0).await;
    let counted = format!("outbox_possible_duplicates_total{{log=\"{log}\", reason=\"stop_deadline\"}}");
    watch.value(&counted, 0.0).await;
    broker.freeze();
    scene.commit(&[topic.name(); 3]).await;
    scene.until("outbox_in_flight_records", &[], 3.0).await;
    let of_log = [("log", &*log), ("reason", "stop_deadline")];
    watch.is_silent("OutboxPossibleDuplicates", &[("log", &log)]);
    relay.stop().await.unwrap();
    broker.thaw();
    watch.fires("OutboxPossibleDuplicates", &of_log).await;
    watch.ends("OutboxPossibleDuplicates", &of_log).await;
}

/// The broker of a relay of its own process stops while messages are written, and comes back.
pub(super) async fn broker_down(watch: &Watch, broker: &mut KafkaServer, port: u16) {
    let scene = Scene::new().await;
    let (log, brokers) = (scene.log(), broker.brokers());
    let topic = Topic::create_at(&brokers, "outage", 1, &[]).await;
    let mut relay = command(&format!(
        "relay --metrics-addr {port} --metrics-interval 200ms --lease-ttl 1500ms"
    ));
    relay.args(["--database-url", &scene.database.url(), "--brokers", &brokers]);
    let relay = Running::start(relay);
    let _sampler = scene.sampler();
    scene.commit(&[topic.name(); 5]).await;
    let delivered = format!("sum by (log) (outbox_delivered_records_total{{log=\"{log}\"}})");
    watch.value(&delivered, 5.0).await;
    let of_log = [("log", &*log)];
    let outage = ["OutboxNotDelivering", "OutboxBacklogOld", "OutboxBacklogGrowing"];
    for alert in outage {
        watch.is_silent(alert, &of_log);
    }

    broker.stop().await;
    let alarms = async {
        for alert in outage {
            watch.fires(alert, &of_log).await;
        }
    };
    tokio::select! {
        () = write(&scene, topic.name()) => {}
        () = alarms => {}
    }
    broker.restart().await;
    for alert in outage {
        watch.ends(alert, &of_log).await;
    }
    // What waited has come too late.
    for alert in ["OutboxLatencyBudgetFast", "OutboxLatencyBudgetSlow"] {
        watch.fires(alert, &of_log).await;
        watch.ends(alert, &of_log).await;
    }
    relay.stop().await.done();
}

/// Ten transactions a second, until it is dropped.
async fn write(scene: &Scene, topic: &str) {
    let mut pace = tokio::time::interval(OFTEN);
    loop {
        pace.tick().await;
        scene.commit(&[topic]).await;
    }
}
