//! Properties from which clients are made, each of which logs in by itself.

use std::ops::Deref;

use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, ClientContext};

use super::build;
use super::native::{self, Native};
use super::tokens::{Registration, TokenProvider};
use crate::metrics::{ClientMetrics, ClientStatistics};

const STATISTICS_INTERVAL: &str = "statistics.interval.ms";

/// What clients of one cluster are made from.
#[derive(Clone)]
pub struct Clients {
    config: ClientConfig,
    tokens: Option<TokenProvider>,
    /// How often clients that record their statistics report them. Others would only log them.
    statistics_interval: Option<String>,
    metrics: Option<ClientMetrics>,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The properties may hold a password.
        formatter.debug_struct("Clients").finish_non_exhaustive()
    }
}

impl Clients {
    /// What every client of ours starts from. The user's own properties come after it.
    pub fn new(brokers: &str, tokens: Option<TokenProvider>) -> Self {
        native::keep_openssl();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        if cfg!(feature = "tls") {
            // An OpenSSL that is compiled along does not know where the system keeps its certificate authorities.
            config.set("ssl.ca.location", "probe");
        }
        if tokens.is_some() {
            config
                .set("security.protocol", "sasl_ssl")
                .set("sasl.mechanisms", "OAUTHBEARER");
        }
        Self {
            config,
            tokens,
            statistics_interval: None,
            metrics: None,
        }
    }

    /// Sets a property, in place of what it was before.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) -> &mut Self {
        let key = match key.into() {
            // librdkafka has two names for it, and would take them for two properties.
            key if key == "sasl.mechanism" => "sasl.mechanisms".to_owned(),
            key => key,
        };
        if key == STATISTICS_INTERVAL {
            self.statistics_interval = Some(value.into());
            return self;
        }
        self.config.set(key, value);
        self
    }

    /// What a property was set to.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.config.get(key)
    }

    /// From now on the statistics of clients are recorded, together with those of other clients of these metrics.
    pub(crate) fn record_statistics(&mut self, metrics: ClientMetrics) {
        self.metrics = Some(metrics);
    }

    /// What a new client records its statistics with, where that is wanted.
    pub(crate) fn statistics(&self) -> Option<ClientStatistics> {
        self.metrics.as_ref().map(ClientMetrics::client)
    }

    /// Lets librdkafka log nothing but that the process is about to end.
    pub fn silence(&mut self) {
        self.config.set_log_level(RDKafkaLogLevel::Emerg);
    }

    /// Checks the properties as a client would, without connecting.
    ///
    /// # Errors
    /// One sentence: which property is wrong and why, or which feature this build lacks. It shows no value, which may
    /// be a password.
    pub fn check(&self) -> Result<(), String> {
        build::check(&self.with_statistics(), self.tokens.is_some())
    }

    /// A client, which connects in the background.
    ///
    /// # Errors
    /// What librdkafka says; nothing if [`check`](Self::check) said nothing, but for a machine without threads or files.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, if there is a token provider: the runtime renews the tokens.
    pub fn create<C, T>(&self, context: C) -> Result<Connected<T>, KafkaError>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C> + Native,
    {
        self.connect(&self.config, context)
    }

    /// The same, and the client reports statistics to its context, if an interval is set.
    pub(crate) fn create_recording<C, T>(&self, context: C) -> Result<Connected<T>, KafkaError>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C> + Native,
    {
        self.connect(&self.with_statistics(), context)
    }

    fn with_statistics(&self) -> ClientConfig {
        let mut config = self.config.clone();
        if let Some(interval) = &self.statistics_interval {
            config.set(STATISTICS_INTERVAL, interval);
        }
        config
    }

    fn connect<C, T>(&self, config: &ClientConfig, context: C) -> Result<Connected<T>, KafkaError>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C> + Native,
    {
        let client: T = config.create_with_context(context)?;
        let login = self
            .tokens
            .as_ref()
            .map(|tokens| tokens.register(client.native()));
        Ok(Connected {
            _login: login,
            client,
        })
    }
}

/// A client, and the tokens that it is given as long as it is there.
pub struct Connected<T> {
    // Before the client, so that nobody gives a token to one that is gone: fields are dropped in order.
    _login: Option<Registration>,
    client: T,
}

impl<T> Deref for Connected<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.client
    }
}
