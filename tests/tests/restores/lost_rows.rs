//! Rows that a relay cannot do without, deleted.

use outbox_tests::kafka::Topic;
use outbox_tests::servers::brokers;
use outbox_tests::{TestDatabase, wait_until};

use crate::scene::{
    LIMIT, insert, number, numbers, outbox, range, relay, relay_all, run, until_arrived, until_settled,
};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cursor_the_operator_decides_what_was_delivered() {
    for (decision, sent) in [("send", 20), ("skip", 0)] {
        let (database, topic) = (
            TestDatabase::postgres().await,
            Topic::create("lost-cursor", 2).await,
        );
        let url = database.url();
        let relay = relay(&url, &brokers());
        insert(&database.pool, &topic, 0..10).await;
        until_arrived(&topic, &range(0..10)).await;
        run(&database.pool, "TRUNCATE outbox_cursor").await;
        insert(&database.pool, &topic, 10..20).await;
        // The one that is at work stops as well as one that starts.
        relay
            .ended()
            .await
            .fails(1, &["lost its one row", "--without-cursor"]);
        for json in ["", "--json"] {
            outbox(&format!("status {json} -D {url}"))
                .await
                .fails(1, &["lost its one row", "--without-cursor send"]);
        }
        let there = numbers(&topic).await.len();
        relay_all(&url)
            .await
            .fails(1, &["--without-cursor send", "--without-cursor skip"]);
        outbox(&format!("adopt -D {url}"))
            .await
            .fails(2, &["--without-cursor send"]);
        assert_eq!(numbers(&topic).await.len(), there, "something was sent");
        outbox(&format!("adopt -D {url} --without-cursor {decision}"))
            .await
            .done();
        assert_eq!(
            relay_all(&url).await.done(),
            format!("delivered {sent} messages\n")
        );
        insert(&database.pool, &topic, 20..30).await;
        assert_eq!(relay_all(&url).await.done(), "delivered 10 messages\n");
        let status = outbox(&format!("status --json -D {url}")).await.done();
        assert!(status.contains(r#""messages":0"#), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_is_put_back_and_nothing_comes_twice() {
    let (database, topic) = (
        TestDatabase::postgres().await,
        Topic::create("lost-lease", 2).await,
    );
    let url = database.url();
    insert(&database.pool, &topic, 0..10).await;
    for _ in 0..3 {
        relay_all(&url).await.done();
    }
    let relay = relay(&url, &brokers());
    insert(&database.pool, &topic, 10..20).await;
    until_settled(&url, 20).await;
    let epoch = number(&database.pool, "epoch FROM outbox_cursor").await;
    run(&database.pool, "DELETE FROM outbox_lease").await;
    relay.ended().await.fails(
        1,
        &["no relay can be the active one", "outbox adopt --database-url"],
    );
    outbox(&format!("status -D {url}"))
        .await
        .fails(1, &["no relay can be the active one"]);
    insert(&database.pool, &topic, 20..30).await;
    outbox(&format!("adopt -D {url}")).await.done();
    assert_eq!(number(&database.pool, "epoch FROM outbox_lease").await, epoch);
    let again = outbox(&format!("adopt -D {url}")).await.done();
    assert!(again.starts_with("nothing to do"), "{again}");
    assert_eq!(relay_all(&url).await.done(), "delivered 10 messages\n");
    assert_eq!(numbers(&topic).await, range(0..30));
}

/// An active relay is fenced by an adoption that goes by no cursor, and goes on behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_at_work_follows_an_adoption() {
    let (database, topic) = (
        TestDatabase::postgres().await,
        Topic::create("adopted-beside", 2).await,
    );
    let url = database.url();
    let relay = relay(&url, &brokers());
    insert(&database.pool, &topic, 0..10).await;
    until_settled(&url, 10).await;
    outbox(&format!("adopt -D {url} --without-cursor send"))
        .await
        .done();
    insert(&database.pool, &topic, 10..20).await;
    let count = |all: &[u32], number| all.iter().filter(|other| **other == number).count();
    // What was inserted after the adoption may be sent before the relay notices that it is fenced, and then once more.
    wait_until("all to be sent again", LIMIT, async || {
        let all = numbers(&topic).await;
        let again = (0..10).all(|number| count(&all, number) == 2);
        (again && (10..20).all(|number| count(&all, number) >= 1)).then_some(())
    })
    .await;
    until_settled(&url, 20).await;
    relay.stop().await.done();
    assert_eq!(relay_all(&url).await.done(), "delivered 0 messages\n");
    let all = numbers(&topic).await;
    let counts: Vec<_> = (0..20).map(|number| count(&all, number)).collect();
    assert!(counts[..10].iter().all(|count| *count == 2), "{counts:?}");
    assert!(
        counts[10..].iter().all(|count| [1, 2].contains(count)),
        "{counts:?}"
    );
}
