//! When the task reads.

use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use uuid::Uuid;

use super::*;
use crate::relay::blocking::Blocking;
use crate::store::{Fence, Store as _};
use crate::{SqliteStore, Tables, migrate};

async fn insert(pool: &SqlitePool) {
    let insert = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                  VALUES ('order', 'one', 'OrderPlacedV1', 'orders', '{}')";
    sqlx::raw_sql(insert).execute(pool).await.unwrap();
}

/// The records of the next page.
async fn next_page(handle: &mut ReaderHandle) -> usize {
    loop {
        match handle.pages.next().await.expect("the task goes on") {
            Read::Page(page) => return page.page.len(),
            Read::Nothing { .. } => {}
        }
    }
}

/// At the end of the log, what is committed while nobody wants a page comes in one page.
#[tokio::test]
async fn a_page_is_read_when_it_is_wanted() {
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await.unwrap();
    migrate(&pool, &Tables::default()).await.unwrap();
    insert(&pool).await;
    let fence = Fence {
        epoch: 1,
        token: Uuid::new_v4(),
    };
    let reader = SqliteStore::new(&pool).open_reader(fence).await.unwrap();
    let config = RelayConfig::new().poll_min(Duration::from_millis(1));
    let lookup = DeadLetterLookup::new(Blocking::new(&[]), &[]);
    let mut handle = ReaderHandle::start(reader, &config, RelayWaker::new(), lookup);
    assert_eq!(next_page(&mut handle).await, 1);
    for _ in 0..3 {
        insert(&pool).await;
        // Long enough for a task that reads ahead.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(next_page(&mut handle).await, 3);
}
