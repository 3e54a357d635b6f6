//! Numbers of the log are right whoever works on it, and when nobody does.

use outbox_runtime::{LogSampler, Outbox, SqliteStore};
use outbox_tests::kafka::Topic;
use outbox_tests::servers::PostgresVersion;
use outbox_tests::{TestDatabase, servers, wait_until};

use crate::exposition::{Exposition, exporter};
use crate::scene::{LIMIT, OFTEN, Scene, backlog, emit};

#[tokio::test(flavor = "multi_thread")]
async fn the_backlog_is_right_without_a_relay_and_through_an_outage() {
    let scene = Scene::new().await;
    let topic = Topic::create("backlog", 1).await;
    let _sampler = scene.outbox.log_sampler().interval(OFTEN).spawn();
    scene.until("outbox_backlog_records", &[], 0.0).await;
    assert_eq!(scene.known("outbox_backlog_oldest_age_seconds", &[]), Some(0.0));
    assert_eq!(scene.known("outbox_sampler_active", &[]), Some(1.0));

    // Nobody relays.
    scene.commit(&[topic.name(); 5]).await;
    scene.until("outbox_backlog_records", &[], 5.0).await;
    scene.until("outbox_lease_held", &[], 0.0).await;
    let aged = scene.value("outbox_backlog_oldest_age_seconds", &[]);
    wait_until("the oldest to become older", LIMIT, async || {
        (scene.value("outbox_backlog_oldest_age_seconds", &[]) > aged).then_some(())
    })
    .await;

    // A relay whose broker does not answer.
    let relay = scene.start("127.0.0.1:1");
    scene.until("outbox_lease_held", &[], 1.0).await;
    scene.until("outbox_relay_active", &[], 1.0).await;
    scene.commit(&[topic.name(); 3]).await;
    scene.until("outbox_backlog_records", &[], 8.0).await;
    wait_until("the relay to try again", LIMIT, async || {
        (scene.value("outbox_relay_retries_total", &[("reason", "broker")]) > 0.0).then_some(())
    })
    .await;
    relay.stop().await.unwrap();
    assert_eq!(scene.value("outbox_delivered_records_total", &[]), 0.0);

    let relay = scene.start(&servers::brokers());
    scene.until("outbox_backlog_records", &[], 0.0).await;
    scene.until("outbox_backlog_oldest_age_seconds", &[], 0.0).await;
    assert_eq!(backlog(&scene.store()).await.unwrap(), 0);
    assert_eq!(scene.value("outbox_delivered_records_total", &[]), 8.0);
    scene.until("outbox_lease_epoch", &[], 2.0).await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_is_reported_with_its_age() {
    let scene = Scene::new().await;
    let _sampler = scene.sampler();
    scene.until("outbox_oldest_transaction_seconds", &[], 0.0).await;
    let mut tx = scene.database.pool.begin().await.unwrap();
    // Without an id it holds nothing back.
    sqlx::query("SELECT 1").execute(&mut *tx).await.unwrap();
    let samples = scene.value("outbox_samples_total", &[("outcome", "ok")]);
    wait_until("two more samples", LIMIT, async || {
        (scene.value("outbox_samples_total", &[("outcome", "ok")]) >= samples + 2.0).then_some(())
    })
    .await;
    assert_eq!(scene.known("outbox_oldest_transaction_seconds", &[]), Some(0.0));
    sqlx::query("CREATE TABLE something ()")
        .execute(&mut *tx)
        .await
        .unwrap();
    wait_until("the transaction to be seen", LIMIT, async || {
        (scene.value("outbox_oldest_transaction_seconds", &[]) > 0.0).then_some(())
    })
    .await;
    tx.rollback().await.unwrap();
    scene.until("outbox_oldest_transaction_seconds", &[], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_samples_and_another_takes_over() {
    let scene = Scene::new().await;
    let first = scene.sampler();
    scene.until("outbox_backlog_records", &[], 0.0).await;
    // Another process is another connection; here it would speak of the same series, so it only asks for the lock.
    use outbox_runtime::store::{SampledStore as _, Sampling as _};
    let mut second = scene.store().open_sampling().await.unwrap();
    assert!(!second.is_the_only_one().await.unwrap());
    first.stop();
    let started = std::time::Instant::now();
    while !second.is_the_only_one().await.unwrap() {
        assert!(started.elapsed() < LIMIT, "the lock of the first one is not free");
    }
    // What the first one knew is not shown any more: it would be out of date.
    assert_eq!(scene.known("outbox_backlog_records", &[]), None);
    assert_eq!(scene.known("outbox_sampler_active", &[]), Some(0.0));
    assert_eq!(second.sample().await.unwrap().backlog.messages, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_away_are_no_number() {
    let scene = Scene::new().await;
    let _sampler = scene.sampler();
    scene.until("outbox_backlog_records", &[], 0.0).await;
    sqlx::query("ALTER TABLE outbox_cursor RENAME TO hidden")
        .execute(&scene.database.pool)
        .await
        .unwrap();
    wait_until("samples to fail", LIMIT, async || {
        (scene.value("outbox_samples_total", &[("outcome", "failed")]) > 0.0).then_some(())
    })
    .await;
    assert_eq!(scene.known("outbox_backlog_records", &[]), None);
    sqlx::query("ALTER TABLE hidden RENAME TO outbox_cursor")
        .execute(&scene.database.pool)
        .await
        .unwrap();
    scene.until("outbox_backlog_records", &[], 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_logs_of_one_process_do_not_mix() {
    let scene = Scene::new().await;
    let (other, store) = scene.beside("other_").await;
    let other_log = outbox_runtime::store::Store::log_name(&store);
    let _samplers = (scene.sampler(), LogSampler::new(store).interval(OFTEN).spawn());
    scene.commit(&["t", "t"]).await;
    emit(&other, &["t", "t", "t"], "{}").await;
    scene.until("outbox_backlog_records", &[], 2.0).await;
    let of_other = |name| Exposition::here().value(name, &[("log", &other_log)]);
    wait_until("the other log to be sampled", LIMIT, async || {
        (of_other("outbox_backlog_records") == Some(3.0)).then_some(())
    })
    .await;
    assert_eq!(scene.value("outbox_written_events_total", &[]), 2.0);
    assert_eq!(of_other("outbox_written_events_total"), Some(3.0));
    // Nor do logs of the same name in two databases.
    let elsewhere = Scene::new().await;
    elsewhere.commit(&["t"; 7]).await;
    assert_eq!(elsewhere.value("outbox_written_events_total", &[]), 7.0);
    assert_eq!(scene.value("outbox_written_events_total", &[]), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_ahead_and_sizes_are_reported() {
    let database = TestDatabase::partitioned_at(PostgresVersion::Distribution, 10).await;
    let scene = Scene::of(database);
    let _sampler = scene.sampler();
    wait_until("the partitions to be counted", LIMIT, async || {
        (scene.value("outbox_log_partitions_ahead", &[]) > 0.0).then_some(())
    })
    .await;
    let (ahead, bytes) = (
        scene.value("outbox_log_partitions_ahead", &[]),
        scene.value("outbox_log_table_bytes", &[]),
    );
    scene.commit(&["t"; 20]).await;
    scene.until("outbox_log_partitions_ahead", &[], ahead - 2.0).await;
    wait_until("the log to grow", LIMIT, async || {
        (scene.value("outbox_log_table_bytes", &[]) > bytes).then_some(())
    })
    .await;
    assert_eq!(scene.known("outbox_log_dead_tuples", &[]), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_sqlite_is_sampled() {
    exporter();
    let database = TestDatabase::sqlite().await;
    let outbox = Outbox::new(database.pool.clone());
    let store = SqliteStore::new(&database.pool);
    let log = outbox_runtime::store::Store::log_name(&store);
    let _sampler = outbox.log_sampler().interval(OFTEN).spawn();
    sqlx::query(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload) VALUES ('a', 'k', 'E', 't', '{}')",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    wait_until("the backlog to be seen", LIMIT, async || {
        let backlog = Exposition::here().value("outbox_backlog_records", &[("log", &log)]);
        (backlog == Some(1.0)).then_some(())
    })
    .await;
    let bytes = Exposition::here().value("outbox_log_table_bytes", &[("log", &log)]);
    assert!(bytes > Some(0.0), "{bytes:?}");
}
