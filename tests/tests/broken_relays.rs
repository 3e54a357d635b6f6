//! The checker is tested too: relays that are broken as relays are broken, on what real writers wrote.

use std::collections::HashMap;
use std::time::Duration;

use outbox_tests::kafka::ReadRecord;
use outbox_tests::writers::{Ledger, RunningWriters, Shape, Writers};
use outbox_tests::{TestDatabase, wait_until};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row};
use uuid::Uuid;

/// A broker that keeps what it is given.
#[derive(Default)]
struct Log {
    records: Vec<ReadRecord>,
    ends: HashMap<i32, i64>,
}

impl Log {
    fn take(&mut self, row: &PgRow) {
        self.take_as(row, row.get("id"));
    }

    fn take_as(&mut self, row: &PgRow, id: Uuid) {
        let key: String = row.get("aggregate_id");
        let partition = i32::from(key.bytes().last().unwrap()) % 3;
        let offset = self.ends.entry(partition).or_default();
        let text: Option<String> = row.get("payload");
        let own: serde_json::Value = row.get("headers");
        let mut headers = vec![
            ("ce_id".to_owned(), id.to_string()),
            ("ce_type".to_owned(), row.get("event_type")),
        ];
        let own = own.as_object().unwrap().iter();
        headers.extend(own.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())));
        self.records.push(ReadRecord {
            topic: row.get("topic"),
            partition,
            offset: *offset,
            timestamp_ms: None,
            key: Some(key.into_bytes()),
            value: text.map(String::into_bytes).or_else(|| row.get("payload_binary")),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name, Some(value.into_bytes())))
                .collect(),
        });
        *offset += 1;
    }
}

const COLUMNS: &str = "SELECT id, seq, xid::text::bigint AS xid, topic, aggregate_id, event_type, \
                              payload::text AS payload, payload_binary, headers FROM outbox_messages";

async fn rows(pool: &PgPool, rest: &str) -> Vec<PgRow> {
    sqlx::query(AssertSqlSafe(format!("{COLUMNS} {rest}")))
        .fetch_all(pool)
        .await
        .unwrap()
}

async fn writers(database: &TestDatabase<Postgres>) -> RunningWriters {
    // Whoever holds a row back, all shapes that commit are among them.
    let shapes = [
        Shape::Plain,
        Shape::IdFirst,
        Shape::Long,
        Shape::Savepoints,
        Shape::RolledBack,
        Shape::Emitted,
    ];
    Writers::on(&database.pool, ["orders"])
        .keys(5)
        .transactions(600)
        .shapes(&shapes)
        .start()
        .await
}

/// Runs `pass` again and again beside the writers, and until it finds nothing more behind them.
async fn relay_beside(writers: RunningWriters, mut pass: impl AsyncFnMut() -> usize) -> Ledger {
    let mut ledger = std::pin::pin!(writers.finish());
    let ledger = loop {
        tokio::select! {
            biased;
            ledger = &mut ledger => break ledger,
            _ = pass() => {}
        }
    };
    while pass().await > 0 {}
    ledger
}

#[tokio::test]
async fn all_rows_in_one_walk_are_right() {
    let database = TestDatabase::postgres().await;
    let ledger = writers(&database).await.finish().await;
    let mut log = Log::default();
    rows(&database.pool, "ORDER BY seq")
        .await
        .iter()
        .for_each(|row| log.take(row));
    let report = ledger.check(&log.records);
    assert!(report.is_exact(), "{report}");
}

#[tokio::test]
async fn who_reads_behind_the_last_seq_loses_what_commits_late() {
    let database = TestDatabase::postgres().await;
    let writers = writers(&database).await;
    let (mut log, mut last) = (Log::default(), 0_i64);
    let ledger = relay_beside(writers, async || {
        let page = rows(
            &database.pool,
            &format!("WHERE seq > {last} ORDER BY seq LIMIT 500"),
        )
        .await;
        for row in &page {
            log.take(row);
            last = row.get("seq");
        }
        page.len()
    });
    let report = ledger.await.check(&log.records);
    assert!(!report.lost.is_empty(), "{report}");
    assert!(
        report.invented.is_empty() && report.duplicates.is_empty(),
        "{report}"
    );
}

#[tokio::test]
async fn who_goes_by_transaction_ids_loses_nothing_and_mixes_up_the_order() {
    let database = TestDatabase::postgres().await;
    let writers = writers(&database).await;
    let (mut log, mut last) = (Log::default(), (0_i64, 0_i64));
    let ledger = relay_beside(writers, async || {
        let behind = format!(
            "WHERE (xid, seq) > ('{}'::xid8, {}) AND xid < pg_snapshot_xmin(pg_current_snapshot()) \
             ORDER BY xid, seq LIMIT 500",
            last.0, last.1
        );
        let page = rows(&database.pool, &behind).await;
        for row in &page {
            log.take(row);
            last = (row.get("xid"), row.get("seq"));
        }
        page.len()
    });
    let ledger = ledger.await;
    // Others' transactions on the same server hold the horizon back as well.
    wait_until(
        "the horizon to pass all rows",
        Duration::from_secs(60),
        async || {
            let open =
                "SELECT count(*) FROM outbox_messages WHERE xid >= pg_snapshot_xmin(pg_current_snapshot())";
            let open: i64 = sqlx::query_scalar(open).fetch_one(&database.pool).await.unwrap();
            (open == 0).then_some(())
        },
    )
    .await;
    let rest = format!(
        "WHERE (xid, seq) > ('{}'::xid8, {}) ORDER BY xid, seq",
        last.0, last.1
    );
    rows(&database.pool, &rest)
        .await
        .iter()
        .for_each(|row| log.take(row));
    let report = ledger.check(&log.records);
    assert!(!report.out_of_order.is_empty(), "{report}");
    assert!(report.lost.is_empty() && report.invented.is_empty(), "{report}");
}

#[tokio::test]
async fn who_marks_before_the_broker_has_it_loses_what_was_under_way() {
    let database = TestDatabase::postgres().await;
    let ledger = writers(&database).await.finish().await;
    let mut log = Log::default();
    for (number, page) in rows(&database.pool, "ORDER BY seq").await.chunks(100).enumerate() {
        // Marked; then the process dies, and the next one starts at the mark.
        let delivered = if number == 3 { &page[..40] } else { page };
        delivered.iter().for_each(|row| log.take(row));
    }
    let report = ledger.check(&log.records);
    assert_eq!(report.lost.len(), 60, "{report}");
    assert!(report.out_of_order.is_empty(), "{report}");
}

#[tokio::test]
async fn who_sends_again_under_a_new_id_invents() {
    let database = TestDatabase::postgres().await;
    let ledger = writers(&database).await.finish().await;
    let mut log = Log::default();
    for (number, page) in rows(&database.pool, "ORDER BY seq").await.chunks(100).enumerate() {
        page.iter().for_each(|row| log.take(row));
        if number == 2 {
            page[90..].iter().for_each(|row| log.take_as(row, Uuid::new_v4()));
        } else if number == 3 {
            page[90..].iter().for_each(|row| log.take(row));
        }
    }
    let report = ledger.check(&log.records);
    assert_eq!(
        (report.invented.len(), report.duplicates.len()),
        (10, 10),
        "{report}"
    );
    assert!(
        report.lost.is_empty() && report.out_of_order.is_empty() && report.altered.is_empty(),
        "{report}"
    );
}

#[tokio::test]
async fn who_reads_rows_that_are_rolled_back_later_invents() {
    let database = TestDatabase::postgres().await;
    let ledger = writers(&database).await.finish().await;
    let mut log = Log::default();
    rows(&database.pool, "ORDER BY seq")
        .await
        .iter()
        .for_each(|row| log.take(row));
    let mut phantom = log.records[0].clone();
    let id = ledger.rolled_back.iter().next().unwrap();
    phantom.headers[0].1 = Some(id.to_string().into_bytes());
    log.records.push(phantom);
    let report = ledger.check(&log.records);
    assert!(
        report.invented.len() == 1 && report.invented[0].rolled_back,
        "{report}"
    );
}

/// Two relays at once, each of which claims rows that the other one has not.
#[tokio::test]
async fn who_claims_rows_beside_another_mixes_up_the_order() {
    let database = TestDatabase::postgres().await;
    let ledger = writers(&database).await.finish().await;
    let mut log = Log::default();
    let claim = format!("{COLUMNS} ORDER BY seq LIMIT 50 FOR UPDATE SKIP LOCKED");
    loop {
        let mut claims = Vec::new();
        for _ in 0..2 {
            let mut transaction = database.pool.begin().await.unwrap();
            let rows = sqlx::query(AssertSqlSafe(claim.clone())).fetch_all(&mut *transaction);
            claims.push((rows.await.unwrap(), transaction));
        }
        if claims.iter().all(|(rows, _)| rows.is_empty()) {
            break;
        }
        // The second one is a little faster.
        for (rows, mut transaction) in claims.into_iter().rev() {
            rows.iter().for_each(|row| log.take(row));
            let done: Vec<i64> = rows.iter().map(|row| row.get("seq")).collect();
            sqlx::query("DELETE FROM outbox_messages WHERE seq = ANY($1)")
                .bind(done)
                .execute(&mut *transaction)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
        }
    }
    let report = ledger.check(&log.records);
    assert!(!report.out_of_order.is_empty(), "{report}");
    assert!(report.lost.is_empty() && report.duplicates.is_empty(), "{report}");
}

/// A relay that was paused wakes up when another has long taken over, sends what it had in hand, which cannot be
/// helped, and writes the cursor, which can.
#[tokio::test]
async fn who_writes_the_cursor_after_another_took_over_sends_settled_records_again() {
    for fenced in [true, false] {
        let database = TestDatabase::postgres().await;
        let ledger = writers(&database).await.finish().await;
        let all = rows(&database.pool, "ORDER BY seq").await;
        let mut log = Log::default();
        let (mut cursor, mut epoch) = (0, 0);
        let mut write = |by: i64, to: usize| {
            if !fenced || by >= epoch {
                (cursor, epoch) = (to, by);
            }
            cursor
        };
        // GIVEN a relay that has read 100 records and is paused
        let in_hand = &all[..100];
        // WHEN another delivers 300 and writes the cursor
        all[..300].iter().for_each(|row| log.take(row));
        write(2, 300);
        // and the first one wakes up, and the second one crashes
        in_hand.iter().for_each(|row| log.take(row));
        let cursor = write(1, 100);
        // THEN the third one starts at the cursor
        all[cursor..].iter().for_each(|row| log.take(row));
        let report = ledger.check(&log.records);
        assert!(report.holds(), "{report}");
        // The outcome of the 100 was unknown. The 200 behind them were settled, and nothing explains them.
        let expected = if fenced { 100 } else { 100 + 200 };
        assert_eq!(report.duplicates.len(), expected, "fenced: {fenced}: {report}");
    }
}
