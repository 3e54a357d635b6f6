//! What connections are opened with, found out anew for each: passwords change while a relay runs.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgPool};

use crate::store::{StoreError, StoreErrorKind};

/// How long a statement may take, unless somebody chooses otherwise.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(25);

type Failure = Box<dyn Error + Send + Sync>;

/// Gives the password of today.
type Ask = dyn Fn() -> BoxFuture<'static, Result<String, Failure>> + Send + Sync;

#[derive(Clone)]
pub(super) struct Options {
    base: Base,
    password: Option<Arc<Ask>>,
    statement_timeout: Duration,
}

#[derive(Clone)]
enum Base {
    /// The pool's of today, as `Pool::set_connect_options` left them.
    Pool(PgPool),
    Fixed(Box<PgConnectOptions>),
}

impl Options {
    pub(super) fn of(pool: &PgPool) -> Self {
        Self {
            base: Base::Pool(pool.clone()),
            password: None,
            statement_timeout: STATEMENT_TIMEOUT,
        }
    }

    pub(super) fn fixed(options: PgConnectOptions) -> Self {
        Self {
            base: Base::Fixed(Box::new(options)),
            password: None,
            statement_timeout: STATEMENT_TIMEOUT,
        }
    }

    pub(super) fn ask_for_password<F, R, E>(&mut self, ask: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Failure>,
    {
        self.password = Some(Arc::new(move || {
            ask().map(|asked| asked.map_err(Into::into)).boxed()
        }));
    }

    pub(super) fn set_statement_timeout(&mut self, timeout: Duration) {
        self.statement_timeout = timeout.max(Duration::from_millis(1));
    }

    pub(super) fn statement_timeout(&self) -> Duration {
        self.statement_timeout
    }

    /// Those of today, but for the password.
    pub(super) fn known(&self) -> PgConnectOptions {
        match &self.base {
            Base::Pool(pool) => pool.connect_options().as_ref().clone(),
            Base::Fixed(options) => options.as_ref().clone(),
        }
    }

    /// Those of today.
    pub(super) async fn now(&self) -> Result<PgConnectOptions, StoreError> {
        let known = self.known();
        let Some(ask) = &self.password else {
            return Ok(known);
        };
        match ask().await {
            Ok(password) => Ok(known.password(&password)),
            Err(error) => {
                let doing = "asking for its password";
                Err(StoreError::new(StoreErrorKind::Unavailable, doing).with_source(error))
            }
        }
    }
}
