//! A batch is ranked once, whoever asks how often.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test reports by a panic")]

use cj_assessment::transactions::{complete_job, fail_job, start_job};
use contracts::EssayText;
use contracts::assessment::{CJAssessmentCompletedV1, CJAssessmentFailedV1, RankedEssay};
use contracts::batch::BatchCjAssessmentInitiateCommandV1;
use outbox_runtime::testkit::TestOutbox;
use service_kit::{Db, Texts, create_tables};
use uuid::Uuid;

async fn service() -> TestOutbox<Db> {
    let test = TestOutbox::<Db>::new().await;
    create_tables(test.pool(), cj_assessment::TABLES).await.unwrap();
    test
}

fn ranking() -> Vec<RankedEssay> {
    vec![RankedEssay {
        essay_id: "essay-1".to_owned(),
        rank: 1,
        score: 0.0,
    }]
}

/// Without the guard, 25 batches and four triggers make 100 events.
#[tokio::test]
async fn four_triggers_complete_each_of_25_batches_once() {
    let test = service().await;
    let mut triggers = Vec::new();
    for number in 0..25 {
        let job = start_job(test.outbox(), &format!("batch-{number}"), Uuid::nil())
            .await
            .unwrap()
            .unwrap();
        for _ in 0..4 {
            let (outbox, job) = (test.outbox().clone(), job.clone());
            triggers.push(tokio::spawn(async move {
                complete_job(&outbox, &job, &ranking(), 0.1).await.unwrap()
            }));
        }
    }
    let mut completed = 0;
    for trigger in triggers {
        completed += usize::from(trigger.await.unwrap());
    }
    let mut batches: Vec<String> = test
        .emitted::<CJAssessmentCompletedV1>()
        .await
        .into_iter()
        .map(|event| event.into_event().batch_id)
        .collect();
    let events = batches.len();
    batches.sort();
    batches.dedup();
    assert_eq!((completed, events, batches.len()), (25, 25, 25));
}

#[tokio::test]
async fn a_job_ends_once_with_its_rankings_and_its_event() {
    let test = service().await;
    let job = start_job(test.outbox(), "batch-1", Uuid::from_u128(7))
        .await
        .unwrap()
        .unwrap();
    assert!(
        start_job(test.outbox(), "batch-1", Uuid::nil())
            .await
            .unwrap()
            .is_none()
    );
    test.fail_before_commit();
    complete_job(test.outbox(), &job, &ranking(), 0.1)
        .await
        .unwrap_err();
    let count = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM rankings")
            .fetch_one(test.pool())
            .await
            .unwrap()
    };
    assert_eq!(count().await, 0);
    test.assert_nothing_else().await;

    assert!(complete_job(test.outbox(), &job, &ranking(), 0.1).await.unwrap());
    assert!(!fail_job(test.outbox(), &job, "LATE", "too late").await.unwrap());
    assert!(!complete_job(test.outbox(), &job, &ranking(), 0.2).await.unwrap());
    assert_eq!(count().await, 1);
    test.assert_emitted::<CJAssessmentCompletedV1>(|event| event.rankings == ranking())
        .await;
    test.assert_nothing_else().await;
}

#[tokio::test]
async fn a_command_that_comes_three_times_ranks_the_texts_once() {
    let texts = Texts::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/cj-assessment"));
    let varied = "The tide leaves shells, weed and a single boot. Nobody asks whose it was, or who walks home without it.";
    texts.write("text/good", varied).await.unwrap();
    texts
        .write("text/dull", "It is good. It is good. It is good.")
        .await
        .unwrap();
    let (test, others) = (service().await, TestOutbox::<Db>::new().await);
    let consumer = cj_assessment::consumer(test.outbox(), test.broker().brokers(), texts)
        .build()
        .unwrap();
    let command = |batch: &str, essays: &[&str]| BatchCjAssessmentInitiateCommandV1 {
        batch_id: batch.to_owned(),
        essays_to_process: essays
            .iter()
            .map(|essay| EssayText {
                essay_id: (*essay).to_owned(),
                text_storage_id: format!("text/{essay}"),
            })
            .collect(),
        language: "en".to_owned(),
        course_code: "EN1".to_owned(),
    };
    let essays = ["dull", "good"];
    // Twice with ids of their own, and everything delivered again.
    let commands = [
        command("batch-1", &essays),
        command("batch-1", &essays),
        command("batch-2", &[]),
    ];
    others
        .outbox()
        .transaction(async |tx| tx.emit_all(commands).map(drop))
        .await
        .unwrap();
    others.relay_until_empty().await;
    for _ in 0..3 {
        others.broker().deliver_to(&consumer).await;
    }
    assert_eq!(consumer.progress().report().dead_lettered, 0);
    let completed = test
        .assert_emitted::<CJAssessmentCompletedV1>(|event| event.batch_id == "batch-1")
        .await;
    let ranks: Vec<(&str, i32)> = completed
        .rankings
        .iter()
        .map(|essay| (&*essay.essay_id, essay.rank))
        .collect();
    assert_eq!(ranks, [("good", 1), ("dull", 2)]);
    assert_eq!(
        completed.header("ce_correlationid"),
        Some(&*completed.correlation_id.to_string())
    );
    test.assert_emitted::<CJAssessmentFailedV1>(|event| event.error_code == "NO_ESSAYS")
        .await;
    test.assert_nothing_else().await;
}
