//! Services of an essay platform, from an upload to the results: each consumes through its inbox and writes to its
//! outbox, a relay in between. Every message is sent twice, and every step happens once.

use std::collections::BTreeSet;

use outbox_runtime::consumer::RunningConsumer;
use outbox_runtime::{
    Consumer, InboxMessage, KafkaPublisher, Outbox, OutboxEvent, OutboxTx, PostgresStore, Processed, Relay,
    transactional,
};
use outbox_tests::kafka::Topic;
use outbox_tests::{TestDatabase, servers, wait_until};
use serde::{Deserialize, Serialize};
use sqlx::{Executor, Postgres};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::scene::{LIMIT, quick};

const ESSAYS: usize = 12;
const BATCH: &str = "batch-1";

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Tx<'c> = OutboxTx<'c, Postgres>;

/// Topics have names of their own in each test.
#[derive(Debug, Clone, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "{topics}-provisioned", aggregate = "file_upload", key = file_upload_id)]
struct EssayContentProvisionedV1 {
    topics: String,
    batch_id: String,
    file_upload_id: Uuid,
    text_storage_id: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "{topics}-assigned", aggregate = "essay", key = essay_id)]
struct EssaySlotAssignedV1 {
    topics: String,
    batch_id: String,
    essay_id: String,
    file_upload_id: Uuid,
}

#[derive(Debug, Clone, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "{topics}-requested", aggregate = "essay", key = essay_id)]
struct EssaySpellcheckRequestedV1 {
    topics: String,
    batch_id: String,
    essay_id: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "{topics}-spellchecked", aggregate = "essay", key = essay_id)]
struct SpellcheckCompletedV1 {
    topics: String,
    essay_id: String,
    batch_id: String,
    corrections_made: i32,
}

#[derive(Debug, Clone, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "{topics}-compared", aggregate = "batch", key = batch_id)]
struct CJAssessmentCompletedV1 {
    topics: String,
    batch_id: String,
    rankings: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "{topics}-ready", aggregate = "batch", key = batch_id)]
struct BatchResultsReadyV1 {
    topics: String,
    batch_id: String,
    total_essays: i64,
    completed_essays: i64,
}

const TABLES: &str = "
    CREATE TABLE slots (essay_id text PRIMARY KEY, file_upload_id uuid UNIQUE);
    CREATE TABLE spellcheck_jobs (essay_id text PRIMARY KEY, runs int NOT NULL);
    CREATE TABLE cj_jobs (batch_id text PRIMARY KEY, status text NOT NULL, checked int NOT NULL DEFAULT 0);
    CREATE TABLE essay_results (essay_id text PRIMARY KEY);
    CREATE TABLE batch_results (batch_id text PRIMARY KEY, essays bigint NOT NULL DEFAULT 0, compared boolean NOT NULL DEFAULT false);
";

/// Essay lifecycle: an upload gets the next free slot; the last slot that fills asks for all spellchecks, one for
/// each essay in the same transaction.
async fn assign_slot(
    tx: &mut Tx<'_>,
    _: &InboxMessage,
    event: EssayContentProvisionedV1,
) -> Result<(), Failure> {
    // One batch at a time, so that slots are counted right.
    tx.execute("LOCK TABLE slots IN EXCLUSIVE MODE").await?;
    let taken: i64 = sqlx::query_scalar("SELECT count(*) FROM slots")
        .fetch_one(&mut **tx)
        .await?;
    let essay_id = format!("essay-{taken}");
    sqlx::query("INSERT INTO slots VALUES ($1, $2)")
        .bind(&essay_id)
        .bind(event.file_upload_id)
        .execute(&mut **tx)
        .await?;
    let (topics, batch_id) = (event.topics, event.batch_id);
    tx.emit(EssaySlotAssignedV1 {
        topics: topics.clone(),
        batch_id: batch_id.clone(),
        essay_id,
        file_upload_id: event.file_upload_id,
    })?;
    if taken + 1 == ESSAYS as i64 {
        tx.emit_all((0..ESSAYS).map(|essay| EssaySpellcheckRequestedV1 {
            topics: topics.clone(),
            batch_id: batch_id.clone(),
            essay_id: format!("essay-{essay}"),
        }))?;
    }
    Ok(())
}

/// Spellcheck: with the attribute, as a service without our consumer would do.
#[transactional(inbox = message, consumer = "spellcheck-by-hand")]
async fn spellcheck(
    tx: &mut Tx<'_>,
    message: &InboxMessage,
    event: EssaySpellcheckRequestedV1,
) -> Result<Processed<i32>, Failure> {
    let runs = sqlx::query_scalar(
        "INSERT INTO spellcheck_jobs AS job VALUES ($1, 1) \
         ON CONFLICT (essay_id) DO UPDATE SET runs = job.runs + 1 RETURNING runs",
    )
    .bind(&event.essay_id)
    .fetch_one(&mut **tx)
    .await?;
    tx.emit(SpellcheckCompletedV1 {
        topics: event.topics,
        essay_id: event.essay_id,
        batch_id: event.batch_id,
        corrections_made: 3,
    })?;
    Ok(Processed::Now(runs))
}

/// CJ assessment: completing a completed job emits nothing, though different messages ask for it.
async fn compare(tx: &mut Tx<'_>, _: &InboxMessage, event: SpellcheckCompletedV1) -> Result<(), Failure> {
    let (checked, status): (i32, String) = sqlx::query_as(
        "INSERT INTO cj_jobs AS job VALUES ($1, 'RUNNING', 1) \
         ON CONFLICT (batch_id) DO UPDATE SET checked = job.checked + 1 RETURNING checked, status",
    )
    .bind(&event.batch_id)
    .fetch_one(&mut **tx)
    .await?;
    // The last two both think that it is time.
    if checked + 1 >= ESSAYS as i32 && status == "RUNNING" {
        sqlx::query("UPDATE cj_jobs SET status = 'COMPLETED' WHERE batch_id = $1")
            .bind(&event.batch_id)
            .execute(&mut **tx)
            .await?;
        tx.emit(CJAssessmentCompletedV1 {
            topics: event.topics,
            batch_id: event.batch_id,
            rankings: (0..ESSAYS).map(|essay| format!("essay-{essay}")).collect(),
        })?;
    }
    Ok(())
}

/// Results: the last one that was missing makes the batch ready.
async fn aggregate(
    tx: &mut Tx<'_>,
    topics: String,
    batch_id: &str,
    essay: Option<&str>,
) -> Result<(), Failure> {
    if let Some(essay) = essay {
        sqlx::query("INSERT INTO essay_results VALUES ($1)")
            .bind(essay)
            .execute(&mut **tx)
            .await?;
    }
    let (essays, compared): (i64, bool) = sqlx::query_as(
        "INSERT INTO batch_results AS batch VALUES ($1, $2, $3) ON CONFLICT (batch_id) DO UPDATE \
         SET essays = batch.essays + $2, compared = batch.compared OR $3 RETURNING essays, compared",
    )
    .bind(batch_id)
    .bind(i64::from(essay.is_some()))
    .bind(essay.is_none())
    .fetch_one(&mut **tx)
    .await?;
    if essays == ESSAYS as i64 && compared {
        tx.emit(BatchResultsReadyV1 {
            topics,
            batch_id: batch_id.to_owned(),
            total_essays: ESSAYS as i64,
            completed_essays: essays,
        })?;
    }
    Ok(())
}

fn consumers(outbox: &Outbox<Postgres>, topics: &str) -> Vec<RunningConsumer> {
    let builder = |name: &str| {
        Consumer::builder(outbox, servers::brokers(), format!("{topics}-{name}")).config(quick())
    };
    let lifecycle = builder("lifecycle")
        .topic(format!("{topics}-provisioned"))
        .on("EssayContentProvisionedV1", assign_slot);
    let checker = builder("spellcheck").topic(format!("{topics}-requested")).on(
        "EssaySpellcheckRequestedV1",
        async |tx, message, event: EssaySpellcheckRequestedV1| {
            let checked = spellcheck(&mut *tx, message, event).await?;
            assert_eq!(checked, Processed::Now(1));
            Ok::<_, Failure>(())
        },
    );
    let comparer = builder("cj")
        .topic(format!("{topics}-spellchecked"))
        .on("SpellcheckCompletedV1", compare);
    let aggregator = builder("results")
        .topic(format!("{topics}-spellchecked"))
        .topic(format!("{topics}-compared"))
        .on(
            "SpellcheckCompletedV1",
            async |tx, _message, event: SpellcheckCompletedV1| {
                aggregate(tx, event.topics, &event.batch_id, Some(&event.essay_id)).await
            },
        )
        .on(
            "CJAssessmentCompletedV1",
            async |tx, _message, event: CJAssessmentCompletedV1| {
                aggregate(tx, event.topics, &event.batch_id, None).await
            },
        );
    [lifecycle, checker, comparer, aggregator]
        .map(|builder| builder.build().unwrap().spawn())
        .into()
}

/// Sends every row of the outbox a second time: what a relay that crashed does.
async fn relay_twice(outbox: &Outbox<Postgres>) {
    for _ in 0..2 {
        let publisher = KafkaPublisher::builder(servers::brokers()).build().unwrap();
        let mut relay = Relay::builder(PostgresStore::new(outbox.pool()), publisher)
            .build()
            .unwrap();
        relay.drain(CancellationToken::new()).await.unwrap();
        sqlx::query("UPDATE outbox_cursor SET from_snapshot = NULL, high = 0, xid_bound = NULL")
            .execute(outbox.pool())
            .await
            .unwrap();
    }
}

/// Makes topics of a test's own, and returns what their names begin with.
async fn make_topics() -> String {
    let topics = format!("essays-{}", Uuid::new_v4().simple());
    for (name, partitions) in [
        ("provisioned", 3),
        ("assigned", 1),
        ("requested", 3),
        ("spellchecked", 3),
        ("compared", 1),
        ("ready", 1),
    ] {
        Topic::named(&servers::brokers(), &format!("{topics}-{name}"), partitions)
            .create_again(&[])
            .await;
    }
    topics
}

async fn upload_batch(outbox: &Outbox<Postgres>, topics: &str) {
    for _ in 0..ESSAYS {
        let event = EssayContentProvisionedV1 {
            topics: topics.to_owned(),
            batch_id: BATCH.to_owned(),
            file_upload_id: Uuid::now_v7(),
            text_storage_id: "text".to_owned(),
        };
        outbox
            .transaction(async |tx| tx.emit(event).map(drop))
            .await
            .unwrap();
    }
}

/// Each event once in the outbox, however often it was sent.
async fn assert_each_event_once(outbox: &Outbox<Postgres>) {
    let mut events: Vec<(String, i64)> =
        sqlx::query_as("SELECT event_type, count(*) FROM outbox_messages GROUP BY 1 ORDER BY 1")
            .fetch_all(outbox.pool())
            .await
            .unwrap();
    events.sort();
    let expected = [
        ("BatchResultsReadyV1", 1),
        ("CJAssessmentCompletedV1", 1),
        ("EssayContentProvisionedV1", ESSAYS as i64),
        ("EssaySlotAssignedV1", ESSAYS as i64),
        ("EssaySpellcheckRequestedV1", ESSAYS as i64),
        ("SpellcheckCompletedV1", ESSAYS as i64),
    ];
    assert_eq!(
        events,
        expected.map(|(event_type, count)| (event_type.to_owned(), count))
    );
}

/// What the events of a type have in this header, or their ids if `header` is empty.
async fn conversations(outbox: &Outbox<Postgres>, event_type: &str, header: &str) -> BTreeSet<String> {
    let ids: Vec<Option<String>> = sqlx::query_scalar(
        "SELECT CASE WHEN $2 = '' THEN id::text ELSE headers->>$2 END FROM outbox_messages \
         WHERE event_type = $1",
    )
    .bind(event_type)
    .bind(header)
    .fetch_all(outbox.pool())
    .await
    .unwrap();
    ids.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_goes_through_all_services_once_though_everything_is_sent_twice() {
    let database = TestDatabase::postgres().await;
    database.pool.execute(sqlx::raw_sql(TABLES)).await.unwrap();
    let topics = make_topics().await;
    let outbox = Outbox::new(database.pool.clone());
    let running = consumers(&outbox, &topics);
    upload_batch(&outbox, &topics).await;
    let ready = Topic::named(&servers::brokers(), &format!("{topics}-ready"), 1);
    wait_until(
        "the batch to be ready, and a duplicate at each service",
        LIMIT,
        async || {
            relay_twice(&outbox).await;
            let mut reports = running.iter().map(|consumer| consumer.progress().report());
            (ready.end_offset().await > 0 && reports.all(|report| report.duplicates > 0)).then_some(())
        },
    )
    .await;
    for consumer in &running {
        let report = consumer.stop().await.unwrap().unwrap();
        assert_eq!((report.failures, report.dead_lettered), (0, 0), "{report:?}");
    }
    assert_each_event_once(&outbox).await;
    // The conversation goes through: what came last belongs to an upload.
    let uploads = conversations(&outbox, "EssayContentProvisionedV1", "").await;
    let last = conversations(&outbox, "BatchResultsReadyV1", "ce_correlationid").await;
    assert!(
        last.len() == 1 && last.is_subset(&uploads),
        "{last:?} {uploads:?}"
    );
}
