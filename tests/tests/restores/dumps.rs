//! `pg_dump | pg_restore` into another cluster, where transaction ids are lower or higher, and `pg_upgrade`, where
//! they are the same.

use outbox_runtime::PostgresStore;
use outbox_runtime::schema::Layout;
use outbox_runtime::store::{Adopt, Fence, Mark, PageLimit, Reader, Store};
use outbox_tests::kafka::Topic;
use outbox_tests::servers::{PostgresServer, PostgresVersion};
use uuid::Uuid;

use crate::scene::{
    ahead_and_behind, connect, database, insert, log_as, log_at, number, numbers, outbox, range, relay_all,
    run, use_up_ids,
};

const VERSION: PostgresVersion = PostgresVersion::Distribution;

/// A log of which 0 to 100 are delivered, 100 to 150 are not, and a late transaction's 150 to 160 neither.
async fn half_delivered(url: &str, layout: Layout, topic: &Topic) {
    let pool = log_as(layout, url).await;
    insert(&pool, topic, 0..50).await;
    let mut late = pool.begin().await.unwrap();
    // Its numbers are of a key of their own, because others of that key must not overtake it.
    let own_key = format!(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', 'late', 'OrderPlacedV1', '{}', to_json(n) FROM generate_series(150, 159) AS n",
        topic.name()
    );
    sqlx::query(sqlx::AssertSqlSafe(own_key))
        .execute(&mut *late)
        .await
        .unwrap();
    insert(&pool, topic, 50..100).await;
    assert_eq!(relay_all(url).await.done(), "delivered 100 messages\n");
    insert(&pool, topic, 100..150).await;
    late.commit().await.unwrap();
    pool.close().await;
}

/// The dumped log, met by a relay before and after it was adopted; and writers that do not wait for that.
async fn a_restored_dump_goes_on(
    source: &PostgresServer,
    target: &PostgresServer,
    name: &str,
    layout: Layout,
    topic: &Topic,
) {
    half_delivered(&database(source, name).await, layout, topic).await;
    source.dump_into(name, target, name).await;
    let url = target.url_of(name);
    let pool = connect(&url).await;
    relay_all(&url).await.fails(
        1,
        &["outbox adopt --database-url", "outbox fork", "nothing was sent"],
    );

    insert(&pool, topic, 160..170).await;
    let mut open = pool.begin().await.unwrap();
    insert(&mut *open, topic, 170..180).await;
    insert(&pool, topic, 1_000..1_010).await;
    let before = number(&pool, "sum(xid::text::numeric)::bigint FROM outbox_messages").await;
    let looked = outbox(&format!("adopt -D {url} --dry-run")).await.done();
    assert!(
        looked.contains("nothing was changed\nto send    80 messages\ndelivered  100 messages"),
        "{looked}"
    );
    assert_eq!(
        number(&pool, "sum(xid::text::numeric)::bigint FROM outbox_messages").await,
        before
    );
    relay_all(&url).await.fails(1, &["outbox adopt"]);

    let adopted = outbox(&format!("adopt -D {url}")).await.done();
    assert!(
        adopted.contains("to send    80 messages\ndelivered  100 messages"),
        "{adopted}"
    );
    for _ in 0..2 {
        let again = outbox(&format!("adopt -D {url}")).await.done();
        assert!(again.starts_with("nothing to do"), "{again}");
    }
    assert_eq!(relay_all(&url).await.done(), "delivered 80 messages\n");
    open.commit().await.unwrap();
    insert(&pool, topic, 1_010..1_020).await;
    assert_eq!(relay_all(&url).await.done(), "delivered 20 messages\n");
    assert_eq!(
        numbers(topic).await,
        [range(0..180), range(1_000..1_020)].concat()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_where_transaction_ids_are_lower_goes_on_once_adopted() {
    let (ahead, behind) = ahead_and_behind().await;
    let topic = Topic::create("restored-lower", 2).await;
    a_restored_dump_goes_on(ahead, behind, "lower", Layout::Plain, &topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_where_transaction_ids_are_higher_goes_on_once_adopted() {
    let (ahead, behind) = ahead_and_behind().await;
    let topic = Topic::create("restored-higher", 2).await;
    a_restored_dump_goes_on(behind, ahead, "higher", Layout::Plain, &topic).await;
}

/// Rows stay in their partitions when they are sorted.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_a_log_in_partitions_goes_on_once_adopted() {
    let (ahead, behind) = ahead_and_behind().await;
    let topic = Topic::create("restored-partitions", 2).await;
    let layout = Layout::partitioned(40).unwrap();
    a_restored_dump_goes_on(ahead, behind, "in_partitions", layout, &topic).await;
}

/// A log that is restored a second time carries the ids that the first adoption gave.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_can_be_moved_again_and_again() {
    let (source, target) = ahead_and_behind().await;
    let topic = Topic::create("moved-again", 2).await;
    let url = database(source, "first").await;
    let pool = log_at(&url).await;
    insert(&pool, &topic, 0..10).await;
    relay_all(&url).await.done();
    insert(&pool, &topic, 10..20).await;
    let stations = [
        (source, "first"),
        (target, "second"),
        (source, "third"),
        (target, "fourth"),
    ];
    let mut next = 20;
    for (step, pair) in stations.windows(2).enumerate() {
        let ((from, database), (to, into)) = (pair[0], pair[1]);
        from.dump_into(database, to, into).await;
        let url = to.url_of(into);
        let adopted = outbox(&format!("adopt -D {url}")).await.done();
        assert!(
            adopted.starts_with("adopted the log\nto send    10 messages"),
            "{adopted}"
        );
        // One that is adopted and not relayed in between is moved with its window open.
        if step != 1 {
            assert_eq!(relay_all(&url).await.done(), "delivered 10 messages\n");
            insert(&connect(&url).await, &topic, next..next + 10).await;
            next += 10;
        }
    }
    relay_all(&target.url_of("fourth")).await.done();
    assert_eq!(numbers(&topic).await, range(0..next));
}

/// A dump of a log that no relay has seen yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_a_log_that_was_never_relayed_is_sent_whole() {
    let (source, target) = ahead_and_behind().await;
    let topic = Topic::create("restored-fresh", 2).await;
    let pool = log_at(&database(source, "fresh").await).await;
    insert(&pool, &topic, 0..50).await;
    source.dump_into("fresh", target, "fresh").await;
    let url = target.url_of("fresh");
    relay_all(&url).await.fails(1, &["outbox adopt"]);
    outbox(&format!("adopt -D {url}")).await.done();
    assert_eq!(relay_all(&url).await.done(), "delivered 50 messages\n");
    assert_eq!(numbers(&topic).await, range(0..50));
}

/// The cursor was in the middle of a window with a late transaction when the dump was made.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_was_open_is_gone_on_with() {
    let (source, target) = ahead_and_behind().await;
    let topic = Topic::create("restored-open", 1).await;
    let pool = log_at(&database(source, "half_read").await).await;
    let store = PostgresStore::new(&pool);
    let mut late = pool.begin().await.unwrap();
    insert(&mut *late, &topic, 0..10).await;
    insert(&pool, &topic, 10..20).await;
    let mut reader = store.open_reader(fence(1)).await.unwrap();
    assert_eq!(read(&mut reader, 5).await, range(10..15));
    late.commit().await.unwrap();
    insert(&pool, &topic, 20..30).await;
    assert_eq!(read(&mut reader, 100).await, range(15..20));
    // Half of the late rows are settled.
    assert_eq!(read(&mut reader, 5).await, range(0..5));
    drop(reader);
    source.dump_into("half_read", target, "half_read").await;
    let pool = connect(&target.url_of("half_read")).await;
    insert(&pool, &topic, 30..35).await;
    let store = PostgresStore::new(&pool);
    let adopted = store.adopt(Adopt::default()).await.unwrap();
    assert_eq!((adopted.to_send, adopted.delivered), (20, 15));
    let mut reader = store.open_reader(fence(2)).await.unwrap();
    assert_eq!(read(&mut reader, 3).await, range(5..8));
    drop(reader);
    let mut reader = store.open_reader(fence(3)).await.unwrap();
    assert_eq!(
        read(&mut reader, 100).await,
        [range(8..10), range(20..35)].concat()
    );
    assert!(read(&mut reader, 100).await.is_empty());
}

fn fence(epoch: i64) -> Fence {
    Fence {
        epoch,
        token: Uuid::new_v4(),
    }
}

/// The next page's numbers, which are settled.
async fn read(reader: &mut impl Reader, rows: usize) -> Vec<u32> {
    let limit = PageLimit { rows, bytes: 1 << 20 };
    let Some(page) = reader.next_page(limit).await.unwrap() else {
        return Vec::new();
    };
    let mark = Mark {
        window: page.window(),
        seq: page.last_seq().unwrap(),
    };
    let numbers = page
        .iter()
        .map(|row| serde_json::from_slice(row.payload.unwrap()).unwrap());
    let numbers = numbers.collect();
    reader.persist(mark).await.unwrap();
    numbers
}

/// Logical replication carries rows along, and no sequence.
#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_that_was_left_behind_is_moved() {
    let (source, target) = ahead_and_behind().await;
    let topic = Topic::create("restored-sequence", 2).await;
    half_delivered(&database(source, "left_behind").await, Layout::Plain, &topic).await;
    source.dump_into("left_behind", target, "left_behind").await;
    let url = target.url_of("left_behind");
    let pool = connect(&url).await;
    run(&pool, "ALTER SEQUENCE outbox_messages_seq_seq RESTART").await;
    outbox(&format!("adopt -D {url}")).await.done();
    insert(&pool, &topic, 160..170).await;
    assert_eq!(relay_all(&url).await.done(), "delivered 70 messages\n");
    assert_eq!(numbers(&topic).await, range(0..170));
}

/// The same with rows that were written here: they cannot be distinguished from delivered ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_that_started_over_has_to_be_decided_about() {
    let (source, target) = ahead_and_behind().await;
    let topic = Topic::create("restored-anew", 2).await;
    half_delivered(&database(source, "started_over").await, Layout::Plain, &topic).await;
    source.dump_into("started_over", target, "started_over").await;
    let url = target.url_of("started_over");
    let pool = connect(&url).await;
    run(
        &pool,
        "ALTER SEQUENCE outbox_messages_seq_seq RESTART; SET outbox.allow_delete_undelivered = on; DELETE FROM outbox_messages WHERE seq <= 10",
    )
    .await;
    insert(&pool, &topic, 1_000..1_010).await;
    let words = ["stands at 10", "--without-cursor send"];
    outbox(&format!("adopt -D {url}")).await.fails(2, &words);
    outbox(&format!("adopt -D {url} --without-cursor send"))
        .await
        .done();
    assert_eq!(relay_all(&url).await.done(), "delivered 160 messages\n");
}

/// Other files, another system identifier, and the same transaction ids.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_cluster_goes_on_once_adopted() {
    let source = PostgresServer::start(VERSION).await;
    let topic = Topic::create("upgraded", 2).await;
    use_up_ids(&connect(&source.url()).await, 3_000).await;
    half_delivered(&source.url(), Layout::Plain, &topic).await;
    let upgraded = source.upgrade().await;
    let url = upgraded.url();
    let pool = connect(&url).await;
    insert(&pool, &topic, 160..170).await;
    relay_all(&url)
        .await
        .fails(1, &["an upgraded cluster", "outbox adopt --database-url"]);
    let mut open = pool.begin().await.unwrap();
    insert(&mut *open, &topic, 170..180).await;
    let adopted = outbox(&format!("adopt -D {url}")).await.done();
    assert!(
        adopted.contains("to send    70 messages\ndelivered  100 messages"),
        "{adopted}"
    );
    assert_eq!(
        number(&pool, "count(*) FROM outbox_messages WHERE xid = xid8 '3'").await,
        0,
        "delivered rows were written again though their ids still mean the same"
    );
    open.commit().await.unwrap();
    assert_eq!(relay_all(&url).await.done(), "delivered 80 messages\n");
    assert_eq!(numbers(&topic).await, range(0..180));
}

/// Yesterday's dump over today's log: what was delivered since comes twice, and the operator is asked first.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_in_place_stops_until_it_is_adopted() {
    let (server, _) = ahead_and_behind().await;
    let topic = Topic::create("restored-in-place", 2).await;
    let url = database(server, "shop").await;
    let pool = log_at(&url).await;
    insert(&pool, &topic, 0..10).await;
    relay_all(&url).await.done();
    let dump = server.dump("shop").await;
    insert(&pool, &topic, 10..20).await;
    relay_all(&url).await.done();
    server.restore_in_place(&dump, "shop").await;
    insert(&pool, &topic, 20..30).await;
    relay_all(&url)
        .await
        .fails(1, &["database or table", "outbox adopt"]);
    let adopted = outbox(&format!("adopt -D {url}")).await.done();
    assert!(
        adopted.contains("to send    10 messages\ndelivered  10 messages"),
        "{adopted}"
    );
    assert_eq!(relay_all(&url).await.done(), "delivered 10 messages\n");
    assert_eq!(numbers(&topic).await, range(0..30));
}

/// A million messages that all have to be written again.
#[tokio::test(flavor = "multi_thread")]
async fn a_million_messages_are_adopted() {
    let quick = [
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("max_wal_size", "2GB"),
    ];
    let server = PostgresServer::start_with(VERSION, &quick).await;
    let pool = log_at(&server.url()).await;
    for xid in ["1000000000000", "1000000000010"] {
        let half = format!(
            "INSERT INTO outbox_messages (xid, aggregate_type, aggregate_id, event_type, topic, payload)
             SELECT '{xid}', 'order', 'k' || n % 1000, 'OrderPlacedV1', 'orders', to_json(repeat('x', 200))
             FROM generate_series(1, 500000) AS n"
        );
        run(&pool, &half).await;
    }
    run(
        &pool,
        "UPDATE outbox_cursor SET from_snapshot = '1000000000005:1000000000005:', high = 500000, system_identifier = '1'",
    )
    .await;
    let store = PostgresStore::new(&pool);
    let started = std::time::Instant::now();
    let adopted = store.adopt(Adopt::default()).await.unwrap();
    eprintln!("a million messages were adopted in {:?}", started.elapsed());
    assert_eq!((adopted.to_send, adopted.delivered), (500_000, 500_000));
    let mut reader = store.open_reader(fence(1)).await.unwrap();
    let limit = PageLimit {
        rows: 5_000,
        bytes: 8 << 20,
    };
    let page = reader
        .next_page(limit)
        .await
        .unwrap()
        .expect("there are messages");
    assert_eq!((page.len(), page.last_seq()), (5_000, Some(505_000)));
    let sorted = "count(*) FILTER (WHERE xid = xid8 '3') * 10000000 + count(*) FILTER (WHERE xid = xid8 '4')
                  FROM outbox_messages";
    assert_eq!(number(&pool, sorted).await, 500_000 * 10_000_000 + 500_000);
}
