//! Members that come and go while messages flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outbox_runtime::consumer::RunningConsumer;
use outbox_tests::numbers::{Number, Producer, act};
use outbox_tests::wait_until;

use crate::scene::{LIMIT, Scene, quick, wait_for};

/// A member hears soon that another one has come. Under the newer protocol the broker says how soon.
const QUICK: (&str, &str) = ("heartbeat.interval.ms", "300");

fn total(members: &[&RunningConsumer]) -> (u64, u64) {
    members.iter().fold((0, 0), |(processed, dead), member| {
        let report = member.progress().report();
        (processed + report.processed, dead + report.dead_lettered)
    })
}

/// Members join and leave while messages of 100 keys flow, five times so many at least, a fifth of them twice. The database
/// refuses what is out of order.
async fn flow(messages: i64, properties: &[(&str, &str)]) {
    let scene = Scene::new(6).await;
    let mut producer = scene.producer();
    let member = || {
        let builder = scene.counting();
        let builder = properties
            .iter()
            .fold(builder, |builder, (key, value)| builder.property(*key, *value));
        builder.build().unwrap().spawn()
    };
    let send = |producer: &mut Producer| producer.send(messages.unsigned_abs(), 100, 10);
    send(&mut producer);
    let mut sent = messages;
    let first = member();
    scene.wait_for_acted(messages / 4).await;
    let second = member();
    // However quick the first is: the second has a part in it.
    while second.progress().report().processed == 0 {
        send(&mut producer);
        sent += messages;
        scene.wait_for_acted(sent - messages / 2).await;
    }
    for _ in 0..4 {
        send(&mut producer);
        sent += messages;
        scene.wait_for_acted(sent - messages * 3 / 2).await;
        let third = member();
        scene.wait_for_acted(sent - messages).await;
        third.stop().await.unwrap();
    }
    scene.wait_for_acted(sent).await;
    let (_, dead) = total(&[&first, &second]);
    first.stop().await.unwrap();
    second.stop().await.unwrap();
    assert_eq!(dead, 0);
    scene.assert_exact(&producer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_and_each_key_stays_in_order() {
    flow(2_000, &[QUICK]).await;
}

/// With the eager protocol all partitions leave at each rebalance.
#[tokio::test(flavor = "multi_thread")]
async fn also_when_all_partitions_leave_at_once() {
    flow(400, &[QUICK, ("partition.assignment.strategy", "range")]).await;
}

/// The broker decides about partitions.
#[tokio::test(flavor = "multi_thread")]
async fn also_under_the_newer_protocol() {
    flow(400, &[("group.protocol", "consumer")]).await;
}

/// A partition that leaves takes the handler with it that runs: it may come to its end, and nothing behind it
/// begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_runs_comes_to_its_end_before_its_partition_leaves() {
    let scene = Scene::new(2).await;
    let mut producer = scene.producer();
    // Enough keys for both partitions.
    producer.send(40, 20, 0);
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let inside = Arc::new(AtomicBool::new(false));
    let slow = scene.builder().property(QUICK.0, QUICK.1).on("NumberV1", {
        let (gate, inside) = (gate.clone(), inside.clone());
        async move |tx, _message, number: Number| {
            inside.store(true, Ordering::Relaxed);
            gate.acquire().await.unwrap().forget();
            act(tx, &number).await
        }
    });
    let slow = slow.build().unwrap().spawn();
    wait_until("a handler to run", LIMIT, async || {
        inside.load(Ordering::Relaxed).then_some(())
    })
    .await;
    let other = scene.counting().build().unwrap().spawn();
    // There are always some messages waiting, and handlers that come to their end only now and then.
    while other.progress().report().processed == 0 {
        producer.send(4, 20, 0);
        gate.add_permits(4);
        let settled = total(&[&slow, &other]).0;
        wait_until("a handler to end", LIMIT, async || {
            (total(&[&slow, &other]).0 > settled).then_some(())
        })
        .await;
    }
    gate.add_permits(100_000);
    let produced = producer.produced.values().sum();
    scene.wait_for_acted(produced).await;
    slow.stop().await.unwrap();
    other.stop().await.unwrap();
    let (processed, dead) = total(&[&slow, &other]);
    assert_eq!((i64::try_from(processed).unwrap(), dead), (produced, 0));
    // What had been done was committed before the partition left.
    let again = [&slow, &other].map(|member| member.progress().report().duplicates);
    assert_eq!(again, [0, 0]);
    scene.assert_exact(&producer).await;
}

/// One that does not end in time is dropped with its transaction, and the next member acts instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_does_not_end_is_dropped_when_its_partition_leaves() {
    let scene = Scene::new(2).await;
    let mut producer = scene.producer();
    producer.send(40, 20, 0);
    let config = quick()
        .revoke_timeout(Duration::from_millis(100))
        .shutdown_timeout(Duration::from_millis(100));
    let stuck = scene.builder().config(config).property(QUICK.0, QUICK.1).on(
        "NumberV1",
        async |tx, _message, number: Number| {
            act(tx, &number).await?;
            std::future::pending::<Result<(), outbox_tests::numbers::OutOfOrder>>().await
        },
    );
    let stuck = stuck.build().unwrap().spawn();
    wait_until(
        "the member to be in the middle of its messages",
        LIMIT,
        async || {
            let open: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND state = 'idle in transaction'",
            )
            .fetch_one(&scene.database.pool)
            .await
            .unwrap();
            (open > 0).then_some(())
        },
    )
    .await;
    let other = scene.counting().build().unwrap().spawn();
    wait_until("the other member to act on its partition", LIMIT, async || {
        (other.progress().report().processed > 0).then_some(())
    })
    .await;
    stuck.stop().await.unwrap();
    scene.wait_for_acted(40).await;
    other.stop().await.unwrap();
    scene.assert_exact(&producer).await;
}

/// A handler that takes longer than `max.poll.interval.ms` does not cost its member the group.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_handler_keeps_its_member_in_the_group() {
    let scene = Scene::new(1).await;
    let mut producer = scene.producer();
    producer.send(3, 1, 0);
    let slow = scene
        .builder()
        .property("session.timeout.ms", "6000")
        .property("max.poll.interval.ms", "6000")
        .on("NumberV1", async |tx, _message, number: Number| {
            if number.number == 1 {
                tokio::time::sleep(Duration::from_millis(7_500)).await;
            }
            act(tx, &number).await
        });
    let slow = slow.build().unwrap().spawn();
    wait_for(&slow, 3).await;
    let report = slow.stop().await.unwrap().unwrap();
    assert_eq!((report.processed, report.duplicates, report.failures), (3, 0, 0));
    scene.assert_exact(&producer).await;
}

/// A partition whose handler is stuck takes no memory beyond its queue, and no other partition's time.
#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_partition_is_paused_and_taken_up_again() {
    let scene = Scene::new(2).await;
    let mut producer = scene.producer();
    producer.send(400, 20, 0);
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let config = quick().max_queued_messages(10);
    let consumer = scene.builder().config(config).on("NumberV1", {
        let gate = gate.clone();
        async move |tx, message, number: Number| {
            if message.partition() == 0 && message.offset() == 0 {
                gate.acquire().await.unwrap().forget();
            }
            act(tx, &number).await
        }
    });
    let consumer = consumer.build().unwrap().spawn();
    let of_other = scene.topic.read_all().await;
    let of_other = of_other.iter().filter(|record| record.partition == 1).count();
    wait_for(&consumer, of_other as u64).await;
    gate.add_permits(1);
    scene.wait_for_acted(400).await;
    let report = consumer.stop().await.unwrap().unwrap();
    assert_eq!(
        (report.processed, report.duplicates, report.failures),
        (400, 0, 0)
    );
    scene.assert_exact(&producer).await;
}
