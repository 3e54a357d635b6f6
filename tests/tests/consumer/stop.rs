//! The end of a consumer.

use std::time::{Duration, Instant};

use outbox_runtime::{Consumer, Outbox};
use outbox_tests::numbers::{Number, OutOfOrder, act};
use outbox_tests::wait_until;
use tokio_util::sync::CancellationToken;

use crate::scene::{LIMIT, Scene, quick};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_can_be_asked_for_from_everywhere() {
    let scene = Scene::new(2).await;
    let mut producer = scene.producer();
    producer.send(100, 10, 0);
    let config = quick().shutdown_timeout(Duration::from_secs(60));
    let consumer = scene.counting().config(config).build().unwrap().spawn();
    scene.wait_for_acted(10).await;
    let asked = Instant::now();
    let (first, second) = tokio::join!(consumer.stop(), consumer.stop());
    let reports = [first.unwrap(), second.unwrap(), consumer.stop().await.unwrap()];
    assert_eq!(reports.iter().flatten().count(), 1);
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(30), "it waited for nothing: {took:?}");
    // What it did is committed, and the rest was not begun.
    let acted = scene.acted().await;
    assert_eq!(reports.iter().flatten().next().unwrap().processed, acted as u64);
    let next = scene.counting().build().unwrap().spawn();
    scene.wait_for_acted(100).await;
    assert_eq!(next.stop().await.unwrap().unwrap().duplicates, 0);
    scene.assert_exact(&producer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_does_not_end_is_dropped_at_the_deadline() {
    let scene = Scene::new(1).await;
    let mut producer = scene.producer();
    producer.send(5, 1, 0);
    let config = quick().shutdown_timeout(Duration::from_millis(300));
    let stuck = scene
        .builder()
        .config(config)
        .on("NumberV1", async |tx, _message, number: Number| {
            act(tx, &number).await?;
            match number.number {
                3 => std::future::pending::<Result<(), OutOfOrder>>().await,
                _ => Ok(()),
            }
        });
    let stuck = stuck.build().unwrap().spawn();
    scene.wait_for_acted(2).await;
    let asked = Instant::now();
    let report = stuck.stop().await.unwrap().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!((report.processed, scene.acted().await), (2, 2));
    let next = scene.counting().build().unwrap().spawn();
    scene.wait_for_acted(5).await;
    assert_eq!(next.stop().await.unwrap().unwrap().duplicates, 0);
}

/// Nothing is there that could be waited for, and a stop is heeded all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heeded_while_servers_are_away() {
    let pool = sqlx::PgPool::connect_lazy("postgres://127.0.0.1:1/none").unwrap();
    let consumer = Consumer::builder(&Outbox::new(pool), "127.0.0.1:1", "group")
        .topic("numbers")
        .on("NumberV1", async |tx, _message, number: Number| {
            act(tx, &number).await
        })
        .build()
        .unwrap();
    let (shutdown, asked) = (CancellationToken::new(), Instant::now());
    let run = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { consumer.run(shutdown).await }
    });
    shutdown.cancel();
    run.await.unwrap().unwrap();
    assert!(asked.elapsed() < LIMIT / 10);

    let scene = Scene::new(1).await;
    let consumer = Consumer::builder(&scene.outbox, "127.0.0.1:1", "group")
        .topic("numbers")
        .on("NumberV1", async |tx, _message, number: Number| {
            act(tx, &number).await
        })
        .build()
        .unwrap()
        .spawn();
    let asked = Instant::now();
    consumer.stop().await.unwrap();
    assert!(asked.elapsed() < LIMIT / 4, "{:?}", asked.elapsed());
}

/// A run that is dropped takes its handlers with it, as a crash would.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_dropped_ends_by_itself() {
    let scene = Scene::new(1).await;
    let mut producer = scene.producer();
    producer.send(50, 5, 0);
    let consumer = scene.counting().build().unwrap();
    let run = tokio::spawn(async move { consumer.run(CancellationToken::new()).await });
    scene.wait_for_acted(5).await;
    run.abort();
    let next = scene.counting().build().unwrap().spawn();
    scene.wait_for_acted(50).await;
    wait_until("the topic's end", LIMIT, async || {
        (next.progress().report().processed > 0 || scene.acted().await == 50).then_some(())
    })
    .await;
    next.stop().await.unwrap();
    scene.assert_exact(&producer).await;
}
