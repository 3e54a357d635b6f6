//! `docs/guide/rollout.md` to the letter: the commands of its runbook in their order, and their ways back, while a service
//! writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outbox_runtime::modes::{Mode, Modes};
use outbox_runtime::{Error, KafkaPublisher, Outbox};
use outbox_tests::kafka::Topic;
use outbox_tests::program::{Ran, Running, command};
use outbox_tests::servers::PostgresVersion;
use outbox_tests::{TestDatabase, servers, wait_until};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use sqlx::Postgres;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::scene::LIMIT;

/// A row of the runbook: the commands of each of its columns.
#[derive(Debug)]
struct Step {
    commands: Vec<String>,
    go_on_when: Vec<String>,
    way_back: Vec<String>,
}

fn runbook() -> Vec<Step> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide/rollout.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| {
        let number = line.strip_prefix("| ").and_then(|row| row.split_once(". "));
        number.is_some_and(|(number, _)| number.parse::<u32>().is_ok())
    });
    let commands = |cell: &str| {
        let code = cell.split('`').skip(1).step_by(2);
        code.filter_map(|code| code.strip_prefix("outbox "))
            .map(str::to_owned)
            .collect()
    };
    let step = |row: &str| {
        let cells: Vec<_> = row.split(" | ").collect();
        let [_, done, go_on_when, way_back] = &cells[..] else {
            panic!("four columns: {row}");
        };
        Step {
            commands: commands(done),
            go_on_when: commands(go_on_when),
            way_back: commands(way_back),
        }
    };
    rows.map(step).collect()
}

#[derive(Clone, serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic = "{topic}", aggregate = "batch", key = batch)]
struct BatchFileAddedV1 {
    topic: String,
    batch: String,
    number: u32,
}

/// The service as it is deployed: it publishes itself where the mode says so.
struct Service {
    outbox: Outbox<Postgres>,
    producer: FutureProducer,
}

impl Service {
    fn deployed(place: &Place, default: Mode) -> Self {
        let publisher = KafkaPublisher::builder(servers::brokers()).build().unwrap();
        let modes = Modes::new(publisher).default_mode(default);
        let producer = ClientConfig::new()
            .set("bootstrap.servers", servers::brokers())
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            .create();
        Self {
            outbox: Outbox::builder(place.database.pool.clone()).modes(modes).build(),
            producer: producer.unwrap(),
        }
    }

    async fn add(&self, event: &BatchFileAddedV1) {
        let id = Uuid::now_v7();
        let own = self
            .outbox
            .transaction(async |tx| {
                let own = tx.own_publishing(event).await?;
                tx.emit_with_id(id, event)?;
                Ok::<_, Error>(own)
            })
            .await
            .unwrap();
        let Some(publishing) = own else { return };
        let (id, value) = (id.to_string(), serde_json::to_vec(event).unwrap());
        let header = Header {
            key: "ce_id",
            value: Some(&id),
        };
        let record = FutureRecord::to(&event.topic).key(&event.batch).payload(&value);
        let record = record.headers(OwnedHeaders::new().insert(header));
        self.producer.send(record, LIMIT).await.unwrap();
        drop(publishing);
    }
}

/// Writes to both topics until it is told to end. Numbers go on where the one before it ended.
struct Writing {
    end: Arc<AtomicBool>,
    task: JoinHandle<u32>,
}

impl Writing {
    fn start(place: &Place, default: Mode, from: u32) -> Self {
        let (service, topics) = (Service::deployed(place, default), place.names());
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let task = tokio::spawn(async move {
            let mut number = from;
            while !ended.load(Ordering::Relaxed) {
                for topic in &topics {
                    let event = BatchFileAddedV1 {
                        topic: topic.clone(),
                        batch: format!("batch-{}", number % 3),
                        number,
                    };
                    service.add(&event).await;
                }
                number += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            number
        });
        Self { end, task }
    }

    async fn stop(self) -> u32 {
        self.end.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

struct Place {
    database: TestDatabase<Postgres>,
    /// The quietest first.
    topics: [Topic; 2],
}

impl Place {
    async fn new() -> Self {
        let database = TestDatabase::empty_postgres_at(PostgresVersion::Distribution).await;
        let topics = [Topic::create("quiet", 3).await, Topic::create("rest", 3).await];
        for topic in &topics {
            let shadow = format!("{}.shadow", topic.name());
            Topic::named(&servers::brokers(), &shadow, 3).ensure().await;
        }
        Self { database, topics }
    }

    fn names(&self) -> [String; 2] {
        self.topics.each_ref().map(|topic| topic.name().to_owned())
    }

    /// The command as the page has it, with a topic where it leaves one open, and what every decision needs.
    fn command(&self, documented: &str, topic: &str) -> tokio::process::Command {
        let mut command = command(&documented.replace('…', topic));
        if documented.starts_with("mode set") {
            command.args(["--reason", "rollout"]);
        }
        if documented.starts_with("shadow report") {
            command.args(["--topic", topic]);
        }
        command.env("DATABASE_URL", self.database.url());
        command.env("KAFKA_BROKERS", servers::brokers());
        command
    }

    async fn run(&self, documented: &[String], topic: &str) {
        assert!(!documented.is_empty(), "the page names no command");
        for documented in documented {
            Ran::of(&mut self.command(documented, topic)).await.done();
        }
    }

    /// Runs it until it says that there is nothing wrong: what is on its way counts as missing.
    async fn until_it_is_done(&self, documented: &str, topic: &str) {
        wait_until(documented, LIMIT, async || {
            let ran = Ran::of(&mut self.command(documented, topic)).await;
            (ran.code == Some(0)).then_some(())
        })
        .await;
    }

    /// Starts the relays that the page asks for: one is active, and the other one stands by.
    async fn relays(&self, step: &Step) -> Vec<Running> {
        let [documented] = &step.commands[..] else {
            panic!("one command starts a relay: {step:?}");
        };
        let mut relays = Vec::new();
        for role in ["this relay is the active one", "standing by"] {
            let mut started = Running::start(self.command(documented, ""));
            started.says(role).await;
            relays.push(started);
        }
        relays
    }

    /// Takes the step, goes back, and takes it again, while the service writes.
    async fn switch(&self, step: &Step, topic: &str) {
        for commands in [&step.commands, &step.way_back, &step.commands] {
            self.run(commands, topic).await;
            self.until_written(10).await;
        }
    }

    async fn until_written(&self, more: i64) {
        let until = self.topics[1].end_offset().await + more;
        wait_until("the service to write", LIMIT, async || {
            (self.topics[1].end_offset().await >= until).then_some(())
        })
        .await;
    }

    async fn until_all_arrived(&self, events: u32) {
        for topic in &self.topics {
            wait_until("all events to arrive", LIMIT, async || {
                (topic.end_offset().await >= i64::from(events)).then_some(())
            })
            .await;
        }
    }

    /// Each event is there once, in the order of its key.
    async fn assert_exact(&self, events: u32) {
        let expected: BTreeMap<_, _> = (0..3)
            .map(|key| {
                (
                    format!("batch-{key}"),
                    (key..events).step_by(3).collect::<Vec<_>>(),
                )
            })
            .collect();
        for topic in &self.topics {
            assert_eq!(self.numbers(topic).await, expected, "{}", topic.name());
        }
    }

    /// The numbers of each key in a topic, in their order.
    async fn numbers(&self, topic: &Topic) -> BTreeMap<String, Vec<u32>> {
        let mut numbers: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for record in topic.read_all().await {
            let value: serde_json::Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
            let number = u32::try_from(value["number"].as_u64().unwrap()).unwrap();
            let key = String::from_utf8(record.key.unwrap()).unwrap();
            numbers.entry(key).or_default().push(number);
        }
        numbers
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_goes_the_runbooks_way_there_and_back() {
    let place = Place::new().await;
    let [quiet, rest] = place.names();
    let [tables, relay, deploy, compare, one_topic, all, remove] = &runbook()[..] else {
        panic!("the runbook has seven steps: {:?}", runbook());
    };
    place.run(&tables.commands, "").await;
    place.run(&tables.go_on_when, "").await;
    let relays = place.relays(relay).await;
    place.run(&relay.go_on_when, "").await;

    // The service with modes, and its own publishing in place; then both are compared.
    assert!(
        deploy.commands.is_empty(),
        "a deployment is the service's own: {deploy:?}"
    );
    let writing = Writing::start(&place, Mode::Shadow, 0);
    place.until_written(20).await;
    let number = writing.stop().await;
    for documented in &compare.commands {
        place.until_it_is_done(documented, &quiet).await;
        place.until_it_is_done(documented, &rest).await;
    }

    // One topic is switched, then the rest.
    let writing = Writing::start(&place, Mode::Shadow, number);
    place.switch(one_topic, &quiet).await;
    place.switch(all, &quiet).await;
    let number = writing.stop().await;

    // The old publishing is removed; the way back is another one from now on.
    assert!(
        remove.commands.is_empty(),
        "a deployment is the service's own: {remove:?}"
    );
    let writing = Writing::start(&place, Mode::Outbox, number);
    place.until_written(10).await;
    place.run(&remove.way_back, "").await;
    place.until_written(10).await;
    place.run(&["mode set default --log".to_owned()], "").await;
    place.until_written(10).await;
    let number = writing.stop().await;
    place.until_all_arrived(number).await;
    for relay in relays {
        relay.stop().await.done();
    }
    place.assert_exact(number).await;
}
