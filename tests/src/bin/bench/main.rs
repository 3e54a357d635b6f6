//! `bench [relay | latency] [messages]`: what the toolkit costs, beside its rivals, in one run on real servers.
//!
//! `DATABASE_URL` and `KAFKA_BROKERS` say which; `./tests/run --bench` starts them.

mod cpu;
mod latency;
mod log;
mod relay;

use outbox_tests::servers;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let what = arguments.first().map_or("all", String::as_str);
    let number = arguments.get(1).and_then(|number| number.parse().ok());
    let (database, brokers) = (servers::database_url(), servers::brokers());
    assert!(
        ["relay", "latency", "all"].contains(&what),
        "`{what}` is none of: relay, latency, all"
    );
    if what != "relay" {
        latency::run(&database, &brokers, number.unwrap_or(2_000)).await;
    }
    if what != "latency" {
        relay::run(&database, &brokers, number.unwrap_or(1_000_000)).await;
    }
}
