//! Looks now and then, while a relay reads, whether the tables have become of a version that it does not work with: most of
//! that makes no statement of it fail.

use std::time::Duration;

use sqlx::{Sqlite, SqlitePool};
use tokio::time::Instant;

use crate::schema::{SchemaError, other_version};
use crate::store::StoreError;
use crate::{ErrorChain, Tables};

/// The first look comes soon after the start, and later ones less often.
const FIRST: Duration = Duration::from_secs(5);
const AT_MOST: Duration = Duration::from_secs(60);

/// When the next look is due.
pub(super) struct Watch {
    next: Instant,
    pause: Duration,
}

impl Watch {
    pub(super) fn start() -> Self {
        Self {
            next: Instant::now() + FIRST,
            pause: FIRST,
        }
    }

    /// Fails with what ends the relay. Does nothing before it is due.
    pub(super) async fn look(&mut self, pool: &SqlitePool, tables: &Tables) -> Result<(), StoreError> {
        if Instant::now() < self.next {
            return Ok(());
        }
        self.pause = (self.pause * 2).min(AT_MOST);
        self.next = Instant::now() + self.pause;
        match other(pool, tables).await {
            Ok(None) => Ok(()),
            Ok(Some(other)) => Err(other.into()),
            // The reader finds out by itself, if it is more than this look's trouble.
            Err(error) => {
                tracing::debug!(error = %ErrorChain::new(&error), "the tables could not be looked at");
                Ok(())
            }
        }
    }
}

async fn other(pool: &SqlitePool, tables: &Tables) -> sqlx::Result<Option<SchemaError>> {
    let mut connection = pool.acquire().await?;
    other_version::<Sqlite>(&mut connection, tables).await
}
