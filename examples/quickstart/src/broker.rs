//! The broker: real ones that were named, or librdkafka's mock cluster, which can be taken away.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, bail};
use outbox_runtime::KafkaPublisher;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::RDKafkaErrorCode;

use crate::shop::TOPIC;

const PARTITIONS: i32 = 6;

/// A broker with the shop's topic.
pub(crate) enum Broker {
    Mock(MockBroker),
    Real(String),
}

impl Broker {
    /// The brokers of these addresses, or a mock cluster. The topic is there afterwards.
    pub(crate) async fn start(addresses: Option<&str>) -> Result<Self> {
        match addresses {
            None => Ok(Self::Mock(MockBroker::start()?)),
            Some(addresses) => {
                create_topic(addresses).await?;
                Ok(Self::Real(addresses.to_owned()))
            }
        }
    }

    pub(crate) fn addresses(&self) -> &str {
        match self {
            Self::Mock(mock) => &mock.addresses,
            Self::Real(addresses) => addresses,
        }
    }

    /// What the relay sends through.
    pub(crate) fn publisher(&self) -> Result<KafkaPublisher> {
        let builder = KafkaPublisher::builder(self.addresses());
        let builder = match self {
            // It has no admin interface that could be asked for the topics' limits.
            Self::Mock(_) => builder.assume_topic_limits(),
            Self::Real(_) => builder,
        };
        builder.build().context("the Kafka producer cannot be made")
    }

    /// The mock cluster, if it is one.
    pub(crate) fn mock(&self) -> Option<&MockBroker> {
        match self {
            Self::Mock(mock) => Some(mock),
            Self::Real(_) => None,
        }
    }
}

/// librdkafka's mock cluster: one broker that speaks Kafka's protocol on a local port.
pub(crate) struct MockBroker {
    addresses: String,
    wishes: mpsc::Sender<Wish>,
    // Ends when nobody can wish for anything more.
    _thread: JoinHandle<()>,
}

enum Wish {
    Away(mpsc::Sender<Result<()>>),
    Back(mpsc::Sender<Result<()>>),
}

const MOCK_BROKER: i32 = 1;

impl MockBroker {
    fn start() -> Result<Self> {
        let (wishes, inbox) = mpsc::channel();
        let (started, address) = mpsc::channel();
        // A mock cluster stays in the thread that made it.
        let thread = thread::spawn(move || serve(&started, &inbox));
        let addresses = address.recv().context("the mock cluster's thread ended")??;
        Ok(Self {
            addresses,
            wishes,
            _thread: thread,
        })
    }

    /// Cuts all connections and takes no new ones.
    pub(crate) fn go_away(&self) -> Result<()> {
        self.wish(Wish::Away)
    }

    /// Takes connections again. What it had is still there.
    pub(crate) fn come_back(&self) -> Result<()> {
        self.wish(Wish::Back)
    }

    fn wish(&self, wish: impl FnOnce(mpsc::Sender<Result<()>>) -> Wish) -> Result<()> {
        let (done, answer) = mpsc::channel();
        self.wishes
            .send(wish(done))
            .ok()
            .context("the mock cluster is gone")?;
        answer.recv().context("the mock cluster is gone")?
    }
}

fn serve(started: &mpsc::Sender<Result<String>>, inbox: &mpsc::Receiver<Wish>) {
    let cluster = match cluster() {
        Ok(cluster) => cluster,
        Err(error) => {
            // Nobody to tell: then nobody waits either.
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(cluster.bootstrap_servers()));
    for wish in inbox {
        let (done, result) = match wish {
            Wish::Away(done) => (done, cluster.broker_down(MOCK_BROKER)),
            Wish::Back(done) => (done, cluster.broker_up(MOCK_BROKER)),
        };
        let _ = done.send(result.context("the mock cluster refused"));
    }
}

fn cluster() -> Result<MockCluster<'static, DefaultProducerContext>> {
    let cluster = MockCluster::new(1).context("the mock cluster cannot be started")?;
    cluster
        .create_topic(TOPIC, PARTITIONS, 1)
        .context("the topic cannot be made")?;
    Ok(cluster)
}

async fn create_topic(addresses: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", addresses)
        .create()
        .context("the Kafka client cannot be made")?;
    // As many replicas as the cluster's default says.
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(-1));
    let created = admin.create_topics([&topic], &AdminOptions::new()).await;
    let created = created.with_context(|| format!("no answer from the brokers at {addresses}"))?;
    match created.first() {
        Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((topic, code))) => bail!("the topic {topic} cannot be created: {code}"),
        None => bail!("the brokers at {addresses} said nothing about the topic"),
    }
}
