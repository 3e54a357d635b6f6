//! Three replicas of a relay and a service with two logs: what Prometheus adds up is the truth.

use outbox_runtime::LogSampler;
use outbox_runtime::store::Store as _;
use outbox_tests::kafka::Topic;
use outbox_tests::program::Running;
use outbox_tests::servers::Prometheus;
use outbox_tests::wait_until;
use tokio::net::TcpListener;

use super::serve;
use super::watch::value;
use crate::program::{port, relay};
use crate::scene::{LIMIT, OFTEN, Scene, emit};

async fn stop_the_active_one(prometheus: &Prometheus, log: &str, relays: &mut Vec<(u16, Running)>) {
    let active = format!("outbox_relay_active{{log=\"{log}\"}} == 1");
    let instance = wait_until("an active relay", LIMIT, async || {
        prometheus.query(&active).await.pop()?.labels.remove("instance")
    })
    .await;
    let is_active = |(port, _): &(u16, Running)| instance.ends_with(&format!(":{port}"));
    let at = relays.iter().position(is_active).unwrap();
    relays.remove(at).1.stop().await.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_and_two_logs_add_up_to_the_truth() {
    let scene = Scene::new().await;
    let (other, store) = scene.beside("other_").await;
    let (log, other_log) = (scene.log(), store.log_name());
    let topic = Topic::create("replicas", 1).await;
    let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = here.local_addr().unwrap().port();
    serve(here);
    let ports = [port(), port(), port()];
    let jobs: [(&str, &[u16]); 2] = [("service", &[own]), ("relay", &ports)];
    let prometheus = Prometheus::start("groups: []\n", &jobs).await;
    let is = async |aggregate: &str, series: &str, log: &str, wanted: f64| {
        value(
            &prometheus,
            &format!("{aggregate} by (log) ({series}{{log=\"{log}\"}})"),
            wanted,
        )
        .await;
    };

    let mut relays = Vec::new();
    for port in ports {
        let options = format!("--metrics-addr {port} --metrics-interval 200ms --lease-ttl 1500ms");
        relays.push((port, Running::start(relay(&scene, &options))));
    }
    is("sum", "outbox_relay_up", &log, 3.0).await;
    is("sum", "outbox_relay_active", &log, 1.0).await;
    // The service samples as well, and both of its logs.
    let _samplers = (scene.sampler(), LogSampler::new(store).interval(OFTEN).spawn());
    for _ in 0..10 {
        scene.commit(&[topic.name(); 4]).await;
    }
    emit(&other, &[topic.name(); 7], "{}").await;
    // Of a process: the sum.
    is("sum", "outbox_delivered_records_total", &log, 40.0).await;
    is("sum", "outbox_delivery_seconds_count", &log, 40.0).await;
    is("sum", "outbox_written_events_total", &log, 40.0).await;
    is("sum", "outbox_written_events_total", &other_log, 7.0).await;
    // Of a log: the maximum, from the one process that samples it.
    is("max", "outbox_backlog_records", &log, 0.0).await;
    is("max", "outbox_backlog_records", &other_log, 7.0).await;
    is("max", "outbox_lease_held", &log, 1.0).await;
    is("max", "outbox_lease_epoch", &log, 1.0).await;
    is("sum", "outbox_sampler_active", &log, 1.0).await;
    is("sum", "outbox_sampler_active", &other_log, 1.0).await;

    // Another replica takes over, and the sum of the active ones stays 1.
    stop_the_active_one(&prometheus, &log, &mut relays).await;
    is("max", "outbox_lease_epoch", &log, 2.0).await;
    is("sum", "outbox_relay_up", &log, 2.0).await;
    is("sum", "outbox_relay_active", &log, 1.0).await;
    is("sum", "outbox_sampler_active", &log, 1.0).await;

    // All relays are gone, and the service still reports what waits.
    for (_, relay) in relays {
        relay.stop().await.done();
    }
    scene.commit(&[topic.name(); 5]).await;
    is("max", "outbox_backlog_records", &log, 5.0).await;
    is("max", "outbox_lease_held", &log, 0.0).await;
    is("sum", "outbox_sampler_active", &log, 1.0).await;
}
