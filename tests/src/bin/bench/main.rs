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

/// What `all` measures, in this order.
const ALL: [&str; 9] = [
    "write",
    "latency",
    "outage",
    "comeback",
    "suspension",
    "relay",
    "network",
    "deployments",
    "consume",
];

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
            stream::run(duration, file.as_ref()).await;
        }
        "metrics" => metrics::run(messages.unwrap_or(300_000)).await,
        "with-metrics" => metrics::measure_on_request(true, messages.unwrap_or(300_000)).await,
        "without-metrics" => metrics::measure_on_request(false, messages.unwrap_or(300_000)).await,
        "observe" => observe::run(messages.unwrap_or(10_000_000)).await,
        "all" => {
            for one in ALL {
                measure(one, messages).await;
            }
        }
        one => measure(one, messages).await,
    }
}

async fn measure(what: &str, messages: Option<u64>) {
    let brokers = servers::brokers();
    match what {
        "write" => write_path::run().await,
        "latency" => latency::run(&brokers, messages.unwrap_or(2_000)).await,
        "outage" => outage::run(messages.unwrap_or(100_000)).await,
        "comeback" => comeback::run(&brokers, messages.unwrap_or(1_000_000)).await,
        "suspension" => suspension::run(&brokers, messages.unwrap_or(1_000_000)).await,
        "relay" => relay::run(&brokers, messages.unwrap_or(1_000_000)).await,
        "network" => network::run(messages.unwrap_or(300_000), 10).await,
        "deployments" => deployments::run(messages.unwrap_or(300_000), 10).await,
        "consume" => consume::run(&brokers, messages.unwrap_or(20_000)).await,
        other => panic!(
            "`{other}` is none of: {}, all, metrics, observe, picture, stream",
            ALL.join(", ")
        ),
    }
}
