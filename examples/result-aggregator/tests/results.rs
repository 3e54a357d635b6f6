//! Results come in any order, and the batch is announced once.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test reports by a panic")]

use contracts::aggregation::{BatchResultsReadyV1, PhaseResult};
use contracts::assessment::{CJAssessmentCompletedV1, RankedEssay};
use contracts::batch::{BatchEssaysRegistered, BatchPhaseCompletedV1, BatchPipelineErrorV1, Outcome, Phase};
use contracts::spellcheck::{SpellcheckCompletedV1, SpellcheckStatus};
use outbox_runtime::testkit::TestOutbox;
use outbox_runtime::{OutboxEvent, OutboxMessage};
use service_kit::{Db, create_tables};
use uuid::Uuid;

const BATCH: &str = "batch-1";

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn phase(phase: Phase, status: Outcome, processed: &[&str], failed: &[&str]) -> BatchPhaseCompletedV1 {
    BatchPhaseCompletedV1 {
        batch_id: BATCH.to_owned(),
        phase,
        status,
        processed_essay_ids: texts(processed),
        failed_essay_ids: texts(failed),
        correlation_id: Uuid::nil(),
    }
}

fn checked(essay: &str) -> SpellcheckCompletedV1 {
    SpellcheckCompletedV1 {
        essay_id: essay.to_owned(),
        batch_id: BATCH.to_owned(),
        status: SpellcheckStatus::Completed,
        corrections_made: 2,
        word_count: 300,
        original_text_storage_id: "text/1".to_owned(),
        corrected_text_storage_id: None,
        processing_duration_ms: 1,
        correlation_id: Uuid::nil(),
        timestamp: std::time::SystemTime::now().into(),
    }
}

fn registered() -> BatchEssaysRegistered {
    BatchEssaysRegistered {
        batch_id: BATCH.to_owned(),
        expected_essay_count: 3,
        essay_ids: texts(&["a", "b", "c"]),
        course_code: "SV1".to_owned(),
        essay_instructions: String::new(),
        user_id: "teacher".to_owned(),
        org_id: None,
        class_id: None,
        correlation_id: Uuid::nil(),
    }
}

fn ranked() -> CJAssessmentCompletedV1 {
    let essay = |essay: &str, rank| RankedEssay {
        essay_id: essay.to_owned(),
        rank,
        score: 0.5,
    };
    CJAssessmentCompletedV1 {
        batch_id: BATCH.to_owned(),
        cj_assessment_job_id: "job".to_owned(),
        rankings: vec![essay("b", 1), essay("a", 2)],
        processing_seconds: 0.1,
        correlation_id: Uuid::nil(),
    }
}

fn messages(events: &[&dyn OutboxEvent]) -> Vec<OutboxMessage> {
    events
        .iter()
        .map(|event| OutboxMessage::from_event(*event).unwrap())
        .collect()
}

/// Delivers these events in this order, three times, and says what was announced.
async fn announced(messages: Vec<OutboxMessage>) -> Vec<BatchResultsReadyV1> {
    let (test, others) = (TestOutbox::<Db>::new().await, TestOutbox::<Db>::new().await);
    create_tables(test.pool(), result_aggregator::TABLES)
        .await
        .unwrap();
    let emitted = others.outbox().transaction(async |tx| {
        messages
            .into_iter()
            .try_for_each(|message| tx.emit_message(message).map(drop))
    });
    emitted.await.unwrap();
    others.relay_until_empty().await;
    let consumer = result_aggregator::consumer(test.outbox(), test.broker().brokers())
        .build()
        .unwrap();
    for _ in 0..3 {
        others.broker().deliver_to(&consumer).await;
    }
    assert_eq!(consumer.progress().report().dead_lettered, 0);
    let announced = test.emitted::<BatchResultsReadyV1>().await;
    announced.into_iter().map(|event| event.into_event()).collect()
}

#[tokio::test]
async fn whatever_comes_last_completes_the_batch() {
    let spelling = phase(
        Phase::Spellcheck,
        Outcome::CompletedWithFailures,
        &["a", "b"],
        &["c"],
    );
    let assessment = phase(
        Phase::CjAssessment,
        Outcome::CompletedWithFailures,
        &["a", "b"],
        &["c"],
    );
    let (first, second, registered, ranked) = (checked("a"), checked("b"), registered(), ranked());
    let events: [&dyn OutboxEvent; 6] = [&registered, &first, &second, &spelling, &ranked, &assessment];
    let phase = |phase| PhaseResult {
        phase,
        status: Outcome::CompletedWithFailures,
    };
    let expected = BatchResultsReadyV1 {
        batch_id: BATCH.to_owned(),
        user_id: "teacher".to_owned(),
        total_essays: 3,
        completed_essays: 2,
        phase_results: vec![phase(Phase::Spellcheck), phase(Phase::CjAssessment)],
        overall_status: Outcome::CompletedWithFailures,
    };
    for rotation in 0..events.len() {
        let mut order = events;
        order.rotate_left(rotation);
        assert_eq!(
            announced(messages(&order)).await,
            std::slice::from_ref(&expected),
            "rotated by {rotation}"
        );
        order.reverse();
        assert_eq!(
            announced(messages(&order)).await,
            std::slice::from_ref(&expected),
            "rotated by {rotation} and reversed"
        );
        assert_eq!(
            announced(messages(&order[1..])).await,
            [],
            "without one, rotated by {rotation}"
        );
    }
}

#[tokio::test]
async fn a_failed_phase_ends_the_batch() {
    let error = BatchPipelineErrorV1 {
        batch_id: BATCH.to_owned(),
        phase: Phase::Spellcheck,
        error_code: "ALL_ESSAYS_FAILED".to_owned(),
        error_message: "no essay could be checked".to_owned(),
        retryable: true,
        correlation_id: Uuid::nil(),
    };
    let announced = announced(messages(&[&error, &registered()])).await;
    assert_eq!(announced.len(), 1);
    assert_eq!(
        (announced[0].overall_status, announced[0].completed_essays),
        (Outcome::Failed, 0)
    );
}
