//! Whether messages get out: relays that are there or not, records and topics that fail.

use outbox_runtime::Outbox;
use outbox_runtime::health::{HealthStatus, Reason, RelayRole};
use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use outbox_tests::program::{Running, command};
use outbox_tests::servers::brokers;

use crate::scene::{commit, names, relay, strict, until, usual};

/// No relay, an active one, a standby beside it, one that is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_is_missed_only_while_messages_wait() {
    let (database, topic) = (TestDatabase::postgres().await, Topic::create("health", 1).await);
    let outbox = Outbox::new(database.pool.clone());
    // Nobody has to deliver nothing.
    assert_eq!(names(&outbox.health_with(&strict()).await), [""; 0]);

    commit(&database.pool, topic.name(), 1).await;
    let alone = outbox.health_with(&strict()).await;
    assert_eq!(names(&alone), ["backlog", "oldest_message", "no_active_relay"]);
    assert!(
        matches!(
            &alone.reasons[2],
            Reason::NoActiveRelay {
                messages: 1,
                silent: None,
                ..
            }
        ),
        "{alone:?}"
    );
    // It has only just been committed.
    assert_eq!(names(&outbox.health_with(&usual()).await), [""; 0]);

    let line = format!(
        "relay -D {} --brokers {} --lease-ttl 1500ms",
        database.url(),
        brokers()
    );
    let active = Running::start(command(&line));
    let delivered = until(&outbox, &strict(), &[]).await;
    assert!(
        delivered
            .log
            .is_some_and(|log| log.lease.is_some() && log.backlog.messages == 0)
    );

    let standby = relay(&database.pool, &brokers()).spawn();
    let config = strict().relay(standby.progress());
    let health = outbox.health_with(&config).await;
    assert_eq!(health.status, HealthStatus::Healthy);
    assert_eq!(health.relay.map(|relay| relay.role), Some(RelayRole::Standby));
    standby.stop().await.unwrap();
    let ended = outbox.health_with(&config).await;
    assert_eq!(names(&ended), ["relay_ended"]);

    active.kill().await;
    commit(&database.pool, topic.name(), 1).await;
    let killed = until(
        &outbox,
        &strict(),
        &["backlog", "oldest_message", "no_active_relay"],
    )
    .await;
    assert!(
        matches!(
            &killed.reasons[2],
            Reason::NoActiveRelay {
                messages: 1,
                silent: Some(_),
                ..
            }
        ),
        "{killed:?}"
    );
}

/// A record that its topic never takes, and a topic that takes none: each has its own reason.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_and_suspended_topics_are_distinguished() {
    let (database, brokers) = (TestDatabase::postgres().await, brokers());
    let outbox = Outbox::new(database.pool.clone());
    let small = Topic::create_at(&brokers, "health-small", 1, &[("max.message.bytes", "5000")]).await;
    let deleted = Topic::create("health-deleted", 1).await;
    deleted.delete().await;
    let running = relay(&database.pool, &brokers).spawn();

    commit(&database.pool, small.name(), 1).await;
    commit(&database.pool, small.name(), 20_000).await;
    let dead = until(&outbox, &usual(), &["dead_letters"]).await;
    assert!(
        matches!(
            &dead.reasons[0],
            Reason::DeadLetters {
                count: 1,
                exact: true,
                threshold: 0,
                ..
            }
        ),
        "{dead:?}"
    );
    assert_eq!(dead.status, HealthStatus::Degraded);
    assert_eq!(
        names(&outbox.health_with(&usual().dead_letters(1)).await),
        [""; 0]
    );

    commit(&database.pool, deleted.name(), 1).await;
    let parked = until_with_others(&outbox, &database.pool, small.name()).await;
    assert!(
        matches!(&parked, Reason::TopicSuspended { topic, parked: 1, exact: true, .. } if topic == deleted.name()),
        "{parked:?}"
    );
    deleted.create_again(&[]).await;
    until(&outbox, &usual().dead_letters(1), &[]).await;
    running.stop().await.unwrap();
}

/// A topic is suspended when another one takes records.
async fn until_with_others(outbox: &Outbox<sqlx::Postgres>, pool: &sqlx::PgPool, other: &str) -> Reason {
    outbox_tests::wait_until("the topic to be suspended", crate::scene::LIMIT, async || {
        commit(pool, other, 1).await;
        let health = outbox.health_with(&usual().dead_letters(1)).await;
        let reasons = health.reasons.into_iter();
        reasons
            .rev()
            .find(|reason| matches!(reason, Reason::TopicSuspended { .. }))
    })
    .await
}
