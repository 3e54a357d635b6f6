//! Tokens for SASL/OAUTHBEARER: fetched by the user's own code, renewed before they expire, given to all clients.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use super::native::Handle;
use crate::ErrorChain;

/// How long a provider may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long is waited after a provider failed, at first and at most.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A token for the authentication of Kafka clients with SASL/OAUTHBEARER.
#[derive(Clone)]
pub struct KafkaToken {
    pub(super) value: String,
    pub(super) expires_at: SystemTime,
    pub(super) principal: String,
    pub(super) extensions: Vec<(String, String)>,
}

impl KafkaToken {
    /// Creates a token that is valid until `expires_at`. It is renewed after four fifths of that time.
    pub fn new(value: impl Into<String>, expires_at: SystemTime) -> Self {
        Self {
            value: value.into(),
            expires_at,
            principal: String::new(),
            extensions: Vec::new(),
        }
    }

    /// Sets the principal, for brokers that require it in addition to the token.
    #[must_use]
    pub fn principal(self, principal: impl Into<String>) -> Self {
        Self {
            principal: principal.into(),
            ..self
        }
    }

    /// Adds a SASL extension, such as Confluent Cloud's `logicalCluster`.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.push((name.into(), value.into()));
        self
    }

    fn expires_in(&self) -> Duration {
        let left = self.expires_at.duration_since(SystemTime::now());
        left.unwrap_or(Duration::ZERO)
    }
}

impl fmt::Debug for KafkaToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever knows its value can log in with it.
        formatter
            .debug_struct("KafkaToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

type Failure = Box<dyn Error + Send + Sync>;

/// Provides the tokens of all Kafka clients: producers, the relay's other clients, and consumers.
///
/// Given to [`KafkaPublisherBuilder::token_provider`](crate::publisher::KafkaPublisherBuilder::token_provider) or
/// [`ConsumerBuilder::token_provider`](crate::consumer::ConsumerBuilder::token_provider), it sets `security.protocol`
/// to `sasl_ssl` and `sasl.mechanisms` to `OAUTHBEARER`. A clone shares its tokens.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use outbox_runtime::{KafkaPublisher, KafkaToken, TokenProvider};
///
/// async fn sign_in() -> Result<KafkaToken, std::io::Error> {
///     // Here a cloud's library asks for a token, and says how long it holds.
///     let (token, lifetime) = ("eyJ0…", Duration::from_secs(900));
///     Ok(KafkaToken::new(token, SystemTime::now() + lifetime))
/// }
///
/// let publisher = KafkaPublisher::builder("localhost:9092").token_provider(TokenProvider::new(sign_in));
/// ```
#[derive(Clone)]
pub struct TokenProvider(Arc<Cache>);

impl fmt::Debug for TokenProvider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokenProvider").finish_non_exhaustive()
    }
}

impl TokenProvider {
    /// Gets tokens from this function. It is called when the first client is created, and again before a
    /// token expires. Errors are logged and retried with pauses of up to 30 seconds.
    pub fn new<F, R, E>(get: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<KafkaToken, E>> + Send + 'static,
        E: Into<Failure>,
    {
        Self(Arc::new(Cache {
            get: Box::new(move || get().map(|got| got.map_err(Into::into)).boxed()),
            state: Mutex::default(),
        }))
    }

    /// Gives the client the token, now if there is one, and each new one as long as the registration is there.
    pub(super) fn register(&self, client: Handle) -> Registration {
        let mut state = self.0.state();
        state.greet(&client);
        let id = state.next;
        state.next += 1;
        state.clients.insert(id, client);
        if state.renewing.as_ref().is_none_or(JoinHandle::is_finished) {
            state.renewing = Some(tokio::spawn(renew(Arc::downgrade(&self.0))));
        }
        Registration {
            cache: Arc::clone(&self.0),
            id,
        }
    }
}

/// As long as it is there, a client is given tokens.
pub(super) struct Registration {
    cache: Arc<Cache>,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.cache.state().clients.remove(&self.id);
    }
}

struct Cache {
    get: Box<dyn Fn() -> BoxFuture<'static, Result<KafkaToken, Failure>> + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    clients: HashMap<u64, Handle>,
    next: u64,
    token: Option<KafkaToken>,
    /// When the token is to be renewed.
    renew_at: Option<SystemTime>,
    /// Why there is no token.
    failure: Option<String>,
    renewing: Option<JoinHandle<()>>,
}

impl State {
    /// Passes a client what is known already.
    fn greet(&self, client: &Handle) {
        let token = self.token.as_ref().filter(|token| !token.expires_in().is_zero());
        match (token, &self.failure) {
            // It was taken before, by another client.
            (Some(token), _) => drop(client.set_token(token)),
            (None, Some(failure)) => client.set_failure(failure),
            (None, None) => {}
        }
    }

    fn take(&mut self, token: KafkaToken) -> Result<Duration, Failure> {
        let lifetime = token.expires_in();
        if lifetime.is_zero() {
            return Err("the token has expired already".into());
        }
        for client in self.clients.values() {
            client.set_token(&token)?;
        }
        let pause = lifetime.mul_f64(0.8);
        self.renew_at = Some(SystemTime::now() + pause);
        self.failure = None;
        self.token = Some(token);
        Ok(pause)
    }

    /// Clients go on with the token that they have, as long as it holds.
    fn fail(&mut self, failure: String) {
        let expired = self
            .token
            .as_ref()
            .is_none_or(|token| token.expires_in().is_zero());
        if expired {
            self.clients
                .values()
                .for_each(|client| client.set_failure(&failure));
        }
        self.failure = Some(failure);
    }
}

impl Cache {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<KafkaToken, Failure> {
        match tokio::time::timeout(PATIENCE, (self.get)()).await {
            Ok(got) => got,
            Err(_) => Err(format!("no answer within {PATIENCE:?}").into()),
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        if let Some(renewing) = self.state().renewing.take() {
            renewing.abort();
        }
    }
}

/// Renews tokens until there is no client any more. The next one begins it anew.
async fn renew(cache: Weak<Cache>) {
    let mut failing = TRY_AGAIN.0;
    loop {
        let pause = {
            let Some(cache) = cache.upgrade() else {
                return;
            };
            let still_good = {
                let mut state = cache.state();
                if state.clients.is_empty() {
                    state.renewing = None;
                    return;
                }
                let left = state
                    .renew_at
                    .and_then(|at| at.duration_since(SystemTime::now()).ok());
                left.filter(|left| !left.is_zero())
            };
            match still_good {
                Some(left) => left,
                None => match renew_now(&cache).await {
                    Some(pause) => {
                        failing = TRY_AGAIN.0;
                        pause
                    }
                    None => {
                        let pause = failing;
                        failing = (failing * 2).min(TRY_AGAIN.1);
                        pause
                    }
                },
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// How long the new token is good for; nothing if there is none.
async fn renew_now(cache: &Cache) -> Option<Duration> {
    let fetched = cache.fetch().await;
    let mut state = cache.state();
    match fetched.and_then(|token| state.take(token)) {
        Ok(pause) => Some(pause),
        Err(error) => {
            let error = ErrorChain::new(error.as_ref()).to_string();
            tracing::warn!(error, "cannot get a new token for Kafka; trying again");
            state.fail(format!("the token provider failed: {error}"));
            None
        }
    }
}
