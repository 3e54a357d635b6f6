//! An operator moves the cursor while the relay has no connection to it, so that no write of it is refused.

use std::time::Duration;

use outbox_runtime::store::{
    Controls, CursorChange, Decision, Fence, Mark, PageLimit, Reader as _, RewindTo, Store as _,
};
use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{PostgresStore, Relay, RelayConfig, Tables};
use outbox_tests::{TestDatabase, wait_until};
use sqlx::{PgPool, Postgres};
use uuid::Uuid;

use crate::log::LIMIT;

const ALL: PageLimit = PageLimit {
    rows: 100,
    bytes: 1 << 20,
};

fn controls(database: &TestDatabase<Postgres>) -> Controls {
    Controls::in_postgres(&database.pool, &Tables::default())
}

fn because(reason: &str) -> Decision {
    Decision::new("ana", reason)
}

async fn insert(pool: &PgPool, count: i32) {
    sqlx::query(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', 'one', 'OrderPlacedV1', 'orders', '{}' FROM generate_series(1, $1)",
    )
    .bind(count)
    .execute(pool)
    .await
    .unwrap();
}

async fn written(pool: &PgPool) {
    wait_until("the cursor to be written", LIMIT, async || {
        let high: i64 = sqlx::query_scalar("SELECT greatest(high, position) FROM outbox_cursor")
            .fetch_one(pool)
            .await
            .unwrap();
        (high > 0).then_some(())
    })
    .await;
}

/// Records that are settled though the cursor does not say so are not sent again when a connection breaks, unless the log
/// was rewound meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_settled_before_a_rewind_comes_again_though_no_write_was_refused() {
    let database = TestDatabase::postgres().await;
    let broker = MemoryBroker::new();
    // The cursor is written for the first record, and not again.
    let config = RelayConfig::new().persist_interval(Duration::from_secs(600));
    let relay = Relay::builder(PostgresStore::new(&database.pool), broker.publisher())
        .config(config)
        .build()
        .unwrap()
        .spawn();
    insert(&database.pool, 1).await;
    written(&database.pool).await;
    insert(&database.pool, 20).await;
    let arrived = async |count| (broker.ids().len() >= count).then_some(());
    wait_until("the records to arrive", LIMIT, async || arrived(21).await).await;

    // The rewind waits for the cursor's row, and the relay's next claim behind it.
    let mut holder = database.pool.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM outbox_cursor FOR UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let controls = controls(&database);
    let rewinding = tokio::spawn(async move { controls.rewind(RewindTo::Seq(1), &because("lost")).await });
    let waiting = async |count: i64| {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let found: i64 = sqlx::query_scalar(sql).fetch_one(&database.pool).await.unwrap();
        (found >= count).then_some(())
    };
    wait_until("the rewind to wait", LIMIT, async || waiting(1).await).await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'outbox-relay'";
    let cut: i64 = sqlx::query_scalar(cut).fetch_one(&database.pool).await.unwrap();
    assert!(cut > 0);
    wait_until("the claim to wait", LIMIT, async || waiting(2).await).await;
    holder.commit().await.unwrap();
    assert_eq!(rewinding.await.unwrap().unwrap().messages, 1);

    wait_until("all to come again", Duration::from_secs(60), async || {
        arrived(42).await
    })
    .await;
    let report = relay.stop().await.unwrap().unwrap();
    let ids = broker.ids();
    assert_eq!(ids[..21], ids[21..], "they come again in their order");
    assert_eq!(report.possible_duplicates.rewound, 21);
}

/// An answer that is lost with its connection does not hide that the cursor was moved.
#[tokio::test]
async fn a_rewind_is_known_after_claims_whose_answers_were_lost() {
    let database = TestDatabase::postgres().await;
    insert(&database.pool, 3).await;
    let store = PostgresStore::new(&database.pool);
    let claim = async |epoch, earlier| {
        let fence = Fence {
            epoch,
            token: Uuid::from_u128(epoch as u128),
        };
        store.open_reader_after(fence, earlier).await.unwrap()
    };
    let mut reader = claim(1, None).await;
    let page = reader.next_page(ALL).await.unwrap().unwrap();
    let last = page.iter().last().unwrap().seq;
    let settled = Mark {
        window: page.window(),
        seq: last,
    };
    reader.persist(settled).await.unwrap();
    let known = Some(reader.claim_id());
    controls(&database)
        .rewind(RewindTo::Seq(2), &because("lost"))
        .await
        .unwrap();
    for _ in 0..3 {
        let reader = claim(1, known).await;
        assert_eq!(reader.cursor_change(), CursorChange::Moved);
    }
    let reader = claim(1, known).await;
    let again = claim(1, Some(reader.claim_id())).await;
    assert_eq!(again.cursor_change(), CursorChange::Unchanged, "it was told");

    // The next term of the same relay cannot distinguish it from another relay, but does not take it for unchanged.
    controls(&database)
        .rewind(RewindTo::Seq(1), &because("lost"))
        .await
        .unwrap();
    let known = Some(again.claim_id());
    assert_eq!(claim(1, known).await.cursor_change(), CursorChange::Moved);
    assert_eq!(claim(2, known).await.cursor_change(), CursorChange::Claimed);
}
