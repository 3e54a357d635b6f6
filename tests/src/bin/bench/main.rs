//! What the toolkit costs, beside its rivals, in one run on real servers: `./tests/run --bench [what] [messages]`,
//! where `what` is `write`, `latency`, `relay`, `consume`, `outage`, `comeback`, `suspension`, `network`, `deployments`, or all of
//! them; and apart from these `metrics` (what they cost), `observe` (what a look at a large log takes), `picture`, which
//! draws the dashboard's main panels into the file that follows, and `stream`, which writes for so many seconds and draws
//! what retention leaves into the file that follows.

mod chart;
mod comeback;
mod consume;
mod cpu;
mod deployments;
mod exporter;
mod latency;
mod log;
mod metrics;
mod network;
mod observe;
mod outage;
mod picture;
mod relay;
mod stream;
mod suspension;
mod write_path;

use std::time::Duration;

use outbox_tests::servers;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let what = arguments.first().map_or("all", String::as_str);
    if what == "picture" {
        let file = arguments.get(1).expect("the second argument is a file");
        return picture::run(file.as_ref()).await;
    }
    let messages = arguments
        .get(1)
        .map(|number| number.parse().expect("the second argument is a number"));
    match what {
        "stream" => {
            let file = arguments.get(2).expect("the third argument is a file");
            let duration = Duration::from_secs(messages.unwrap_or_default());
            return stream::run(duration, file.as_ref()).await;
        }
        "metrics" => return metrics::run(messages.unwrap_or(300_000)).await,
        "with-metrics" => return metrics::measure_on_request(true, messages.unwrap_or(300_000)).await,
        "without-metrics" => return metrics::measure_on_request(false, messages.unwrap_or(300_000)).await,
        "observe" => return observe::run(messages.unwrap_or(10_000_000)).await,
        _ => {}
    }
    assert!(
        [
            "write",
            "latency",
            "relay",
            "consume",
            "outage",
            "comeback",
            "suspension",
            "network",
            "deployments",
            "all"
        ]
        .contains(&what),
        "`{what}` is none of: write, latency, relay, consume, outage, comeback, suspension, network, deployments, all, metrics, observe, picture, stream"
    );
    let wanted = |name: &str| what == name || what == "all";
    let brokers = servers::brokers();
    if wanted("write") {
        write_path::run().await;
    }
    if wanted("latency") {
        latency::run(&brokers, messages.unwrap_or(2_000)).await;
    }
    if wanted("outage") {
        outage::run(messages.unwrap_or(100_000)).await;
    }
    if wanted("comeback") {
        comeback::run(&brokers, messages.unwrap_or(1_000_000)).await;
    }
    if wanted("suspension") {
        suspension::run(&brokers, messages.unwrap_or(1_000_000)).await;
    }
    if wanted("relay") {
        relay::run(&brokers, messages.unwrap_or(1_000_000)).await;
    }
    if wanted("network") {
        network::run(messages.unwrap_or(300_000), 10).await;
    }
    if wanted("deployments") {
        deployments::run(messages.unwrap_or(300_000), 10).await;
    }
    if wanted("consume") {
        consume::run(&brokers, messages.unwrap_or(20_000)).await;
    }
}
