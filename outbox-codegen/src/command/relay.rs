//! `outbox relay`: delivers committed messages to Kafka.

mod reload;

use std::net::SocketAddr;
use std::time::Duration;

use outbox_runtime::relay::RelayErrorKind;
use outbox_runtime::store::SampledStore;
use outbox_runtime::{
    KafkaPublisher, LogSampler, PostgresStore, Relay, RelayConfig, RelayError, RelayReport, RunningSampler,
    SqliteStore,
};
use tokio_util::sync::CancellationToken;

use self::reload::{Reload, RetentionOptions};
use super::print;
use crate::Exit;
use crate::address::Address;
use crate::arguments::Relay as Arguments;
use crate::connect::{self, IfMissing};
use crate::failure::Failure;
use crate::logging::LogFormat;
use crate::metrics_server::MetricsServer;
#[cfg(feature = "otlp")]
use crate::otlp::SpanExport;
use crate::properties::{self, Properties};
use crate::signals::{Hangups, Signals};
use crate::{logging, password, progress};

pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    // First, so that no signal finds a relay that would just die of it.
    let signals = Signals::listen()?;
    let hangups = Hangups::listen()?;
    let address = arguments.database.address()?;
    let tables = arguments.tables.tables(address.dialect())?;
    let publisher = publisher(&arguments)?;
    let retention = RetentionOptions {
        keep: arguments.retention,
        max_bytes: arguments.retention_bytes,
        dead_letters: arguments.retention_dead_letters,
        interval: arguments.retention_interval,
    };
    let drive = Drive {
        signals,
        hangups,
        retention,
        publisher,
        metrics: arguments.metrics_addr.map(|address| Metrics {
            address,
            topics: arguments.metrics_topics,
            interval: arguments.metrics_interval,
        }),
        until_empty: arguments.until_empty,
        log_format: arguments.log_format,
        #[cfg(feature = "otlp")]
        otlp_endpoint: arguments.otlp_endpoint,
        config: RelayConfig::new()
            .delivery(arguments.delivery.into())
            .source(arguments.source)
            .shutdown_timeout(arguments.shutdown_timeout)
            .lease_ttl(arguments.lease_ttl)
            .poll_min(RelayConfig::default().poll_min.min(arguments.poll_max))
            .poll_max(arguments.poll_max)
            .time_and_subject(arguments.time_and_subject)
            .record_spans(arguments.record_spans)
            .block(arguments.block)
            .retention(retention.retention()),
    };
    match &address {
        Address::Postgres(options) => {
            let mut store = PostgresStore::with_options(options.as_ref().clone())
                .tables(&tables)
                .statement_timeout(arguments.statement_timeout);
            if let Some(path) = arguments.database.password_file {
                store = store.password_from(move || std::future::ready(password::read(&path)));
            }
            drive.from(store).await
        }
        Address::Sqlite(options) => {
            let pool = connect::sqlite(&address, options.as_ref().clone(), IfMissing::Fail)?;
            drive.from(SqliteStore::new(&pool).tables(&tables)).await
        }
    }
}

/// A publisher with the properties of `-X`; does not connect.
fn publisher(arguments: &Arguments) -> Result<KafkaPublisher, Failure> {
    let mut builder = KafkaPublisher::builder(&arguments.brokers)
        .topic_prefix(&arguments.topic_prefix)
        .cursor_topic(&arguments.cursor_topic)
        .transactional_id_prefix(&arguments.transactional_id_prefix)
        .producers(arguments.producers);
    let Properties { given, tokens } = Properties::read(&arguments.properties)?;
    if arguments.metrics_addr.is_some() {
        let interval = arguments.metrics_interval.as_millis().to_string();
        builder = builder.property("statistics.interval.ms", interval);
    }
    for (key, value) in given {
        builder = builder.property(key, value);
    }
    if let Some(tokens) = tokens {
        builder = builder.token_provider(tokens);
    }
    if arguments.assume_topic_limits {
        builder = builder.assume_topic_limits();
    }
    builder.build().map_err(|error| {
        Failure::usage(error.to_string())
            .because(error)
            .advise(properties::ADVICE)
    })
}

/// What a relay is made of, but for its store.
struct Drive {
    signals: Signals,
    hangups: Hangups,
    retention: RetentionOptions,
    publisher: KafkaPublisher,
    config: RelayConfig,
    until_empty: bool,
    log_format: LogFormat,
    metrics: Option<Metrics>,
    #[cfg(feature = "otlp")]
    otlp_endpoint: Option<String>,
}

/// Where metrics are served, and which.
struct Metrics {
    address: SocketAddr,
    topics: usize,
    interval: Duration,
}

impl Metrics {
    /// Serves the metrics of this process, among them those of the log.
    fn serve<S: SampledStore + Clone>(&self, store: &S) -> Result<(MetricsServer, RunningSampler), Failure> {
        let server = MetricsServer::start(self.address, self.topics)?;
        let sampler = LogSampler::new(store.clone()).interval(self.interval);
        Ok((server, sampler.spawn()))
    }
}

impl Drive {
    async fn from<S: SampledStore + Clone>(self, store: S) -> Result<Exit, Failure> {
        let mut relay = Relay::builder(store.clone(), self.publisher)
            .config(self.config)
            .build()
            .map_err(|error| Failure::usage(error.to_string()).because(error))?;
        let bar = progress::bar();
        #[cfg(feature = "otlp")]
        let export = match &self.otlp_endpoint {
            Some(endpoint) => Some(SpanExport::start(endpoint)?),
            None => None,
        };
        #[cfg(feature = "otlp")]
        let log = logging::start_exporting(&bar, self.log_format, export.as_ref());
        #[cfg(not(feature = "otlp"))]
        let log = logging::start(&bar, self.log_format);
        let _metrics = match &self.metrics {
            Some(metrics) => Some(metrics.serve(&store)?),
            None => None,
        };
        tracing::info!(event = "relay_started", log = %store.default_source(), "starting the relay");
        let counters = relay.progress();
        let reload = Reload {
            hangups: self.hangups,
            log,
            retention: relay.retention(),
            options: self.retention,
        };
        let shutdown = CancellationToken::new();
        let work = async {
            match self.until_empty {
                true => relay.drain(shutdown.clone()).await,
                false => relay.run(shutdown.clone()).await,
            }
        };
        let watch = async {
            if self.until_empty {
                progress::measure(&bar, &store).await;
            }
            progress::show(&bar, &counters).await
        };
        let ended = tokio::select! {
            ended = work => ended,
            never = watch => match never {},
            never = self.signals.cancel(&shutdown) => match never {},
            never = reload.follow() => match never {},
        };
        bar.finish_and_clear();
        let report = ended.map_err(failure)?;
        print(summary(&report, self.until_empty && shutdown.is_cancelled()))?;
        Ok(Exit::Done)
    }
}

fn failure(error: RelayError) -> Failure {
    let failure = match error.kind() {
        RelayErrorKind::Configuration => Failure::usage(error.to_string()),
        _ => Failure::failed(error.to_string()),
    };
    failure.because(error)
}

fn summary(report: &RelayReport, interrupted: bool) -> String {
    let duplicates = &report.possible_duplicates;
    let maybe_twice = duplicates.stop_deadline
        + duplicates.lost_lease
        + duplicates.producer_rebuilt
        + duplicates.database_went_back
        + duplicates.rewound;
    let mut text = format!("delivered {} messages", report.delivered);
    if report.dead_lettered > 0 {
        text += &format!("; {} dead-lettered", report.dead_lettered);
    }
    if report.parked > 0 {
        text += &format!(
            "; {} parked until their topic or key accepts records",
            report.parked
        );
    }
    if maybe_twice > 0 {
        text += &format!("; {maybe_twice} may be delivered twice");
    }
    if interrupted {
        text += "; stopped before the backlog was empty, the next run delivers the rest";
    }
    text
}
