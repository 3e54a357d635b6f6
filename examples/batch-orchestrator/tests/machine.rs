//! Whatever commands come in whatever order, rows and events agree.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test reports by a panic")]

use std::collections::BTreeMap;

use batch_orchestrator::machine::Command;
use batch_orchestrator::transactions::{NewBatch, apply, register_batch};
use contracts::EssayText;
use contracts::batch::{BatchEssaysRegistered, BatchPhaseCompletedV1, Outcome, Phase};
use outbox_runtime::testkit::TestOutbox;
use proptest::collection::vec;
use proptest::prelude::*;
use service_kit::{Db, create_tables};
use uuid::Uuid;

const BATCH: &str = "batch-1";
const ESSAYS: [&str; 3] = ["essay-0", "essay-1", "essay-2"];

/// All that is allowed: status and phase, a command, what they become, and the events. `COMPLETED` stands for both ends.
type Allowed = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);
const ALLOWED: [Allowed; 6] = [
    ("AWAITING_CONTENT", "", "content", "READY", "", &[]),
    (
        "READY",
        "",
        "start",
        "PROCESSING",
        "spellcheck",
        &["BatchSpellcheckInitiateCommandV1"],
    ),
    (
        "PROCESSING",
        "spellcheck",
        "completed spellcheck",
        "PROCESSING",
        "cj_assessment",
        &["BatchPhaseCompletedV1", "BatchCjAssessmentInitiateCommandV1"],
    ),
    (
        "PROCESSING",
        "spellcheck",
        "failed spellcheck",
        "FAILED",
        "",
        &["BatchPipelineErrorV1"],
    ),
    (
        "PROCESSING",
        "cj_assessment",
        "completed cj_assessment",
        "COMPLETED",
        "",
        &["BatchPhaseCompletedV1"],
    ),
    (
        "PROCESSING",
        "cj_assessment",
        "failed cj_assessment",
        "FAILED",
        "",
        &["BatchPipelineErrorV1"],
    ),
];

/// A command as it is drawn.
#[derive(Debug, Clone)]
struct Drawn {
    name: &'static str,
    /// For `content`: essays that are there. For `completed`: essays that failed. A bit each.
    essays: u8,
    /// The connection breaks before COMMIT.
    breaks: bool,
}

impl Drawn {
    fn essay_ids(&self) -> Vec<String> {
        let drawn = |index: &usize| self.essays & (1 << index) != 0;
        (0..ESSAYS.len())
            .filter(drawn)
            .map(|index| ESSAYS[index].to_owned())
            .collect()
    }

    fn command(&self) -> Command {
        let phase = match self.name.ends_with("spellcheck") {
            true => Phase::Spellcheck,
            false => Phase::CjAssessment,
        };
        if self.name == "content" {
            let text = |essay_id: String| EssayText {
                text_storage_id: format!("text/{essay_id}"),
                essay_id,
            };
            Command::ContentReady(self.essay_ids().into_iter().map(text).collect())
        } else if self.name == "start" {
            Command::Start
        } else if self.name.starts_with("completed") {
            Command::PhaseCompleted {
                phase,
                failed_essay_ids: self.essay_ids(),
            }
        } else {
            Command::PhaseFailed {
                phase,
                error_code: "E".to_owned(),
                error_message: "an error".to_owned(),
                retryable: false,
            }
        }
    }
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let legal_path = prop_oneof![
        Just("content"),
        Just("start"),
        Just("completed spellcheck"),
        Just("completed cj_assessment"),
        Just("failed spellcheck"),
        Just("failed cj_assessment"),
    ];
    let breaks = prop::bool::weighted(0.1);
    (legal_path, 0_u8..8, breaks).prop_map(|(name, essays, breaks)| Drawn { name, essays, breaks })
}

/// What rows and events have to say.
#[derive(Debug, PartialEq)]
struct Model {
    status: String,
    phase: String,
    phases: BTreeMap<String, String>,
    failed: Vec<&'static str>,
    events: Vec<String>,
}

impl Model {
    fn new() -> Self {
        Self {
            status: "AWAITING_CONTENT".to_owned(),
            phase: String::new(),
            phases: BTreeMap::new(),
            failed: Vec::new(),
            events: vec!["BatchEssaysRegistered".to_owned()],
        }
    }

    /// Whether the command is carried out.
    fn follow(&mut self, drawn: &Drawn) -> bool {
        let rule = ALLOWED
            .iter()
            .find(|rule| (rule.0, rule.1, rule.2) == (&*self.status, &*self.phase, drawn.name));
        let Some((_, _, name, status, phase, events)) = rule else {
            return false;
        };
        let ids = drawn.essay_ids();
        let named = |essay: &&&str| ids.iter().any(|id| id == **essay);
        let mut failed = self.failed.clone();
        if *name == "content" {
            failed = ESSAYS.iter().filter(|essay| !named(essay)).copied().collect();
        } else if name.starts_with("completed") {
            failed = ESSAYS
                .iter()
                .filter(|essay| named(essay) || self.failed.contains(essay))
                .copied()
                .collect();
            if failed.len() == ESSAYS.len() {
                return false;
            }
        }
        if let Some(ended) = name.split_once(' ') {
            let end = if ended.0 == "failed" {
                "FAILED"
            } else {
                "COMPLETED"
            };
            self.phases.insert(ended.1.to_owned(), end.to_owned());
        }
        if !phase.is_empty() {
            self.phases.insert((*phase).to_owned(), "DISPATCHED".to_owned());
        }
        self.failed = failed;
        self.status = match *status {
            "COMPLETED" if !self.failed.is_empty() => "COMPLETED_WITH_FAILURES".to_owned(),
            status => status.to_owned(),
        };
        self.phase = (*phase).to_owned();
        self.events.extend(events.iter().map(|event| (*event).to_owned()));
        true
    }

    async fn read(test: &TestOutbox<Db>) -> Self {
        let (status, phase): (String, String) =
            sqlx::query_as("SELECT status, coalesce(current_phase, '') FROM batches")
                .fetch_one(test.pool())
                .await
                .unwrap();
        let phases: Vec<(String, String)> = sqlx::query_as("SELECT phase, status FROM batch_phases")
            .fetch_all(test.pool())
            .await
            .unwrap();
        let failed: Vec<String> =
            sqlx::query_scalar("SELECT essay_id FROM batch_essays WHERE status = 'FAILED' ORDER BY essay_id")
                .fetch_all(test.pool())
                .await
                .unwrap();
        let known = |id: &String| ESSAYS.into_iter().find(|essay| essay == id).unwrap();
        Self {
            status,
            phase,
            phases: phases.into_iter().collect(),
            failed: failed.iter().map(known).collect(),
            events: test
                .messages()
                .await
                .iter()
                .map(|message| message.event_type().to_owned())
                .collect(),
        }
    }
}

fn batch() -> NewBatch {
    NewBatch {
        batch_id: BATCH.to_owned(),
        essay_ids: ESSAYS.iter().map(|essay| (*essay).to_owned()).collect(),
        user_id: "teacher".to_owned(),
        course_code: "SV1".to_owned(),
        language: "sv".to_owned(),
        essay_instructions: "Write.".to_owned(),
        correlation_id: Uuid::from_u128(7),
    }
}

async fn registered() -> TestOutbox<Db> {
    let test = TestOutbox::<Db>::new().await;
    create_tables(test.pool(), batch_orchestrator::TABLES)
        .await
        .unwrap();
    register_batch(test.outbox(), batch()).await.unwrap();
    test
}

async fn follow(commands: Vec<Drawn>) {
    let test = registered().await;
    let mut model = Model::new();
    for drawn in commands {
        let allowed = if drawn.breaks {
            let mut undone = Model {
                events: Vec::new(),
                ..Model::read(&test).await
            };
            // A refused command does not come to a commit, and leaves the fault to the next one.
            if undone.follow(&drawn) {
                test.fail_before_commit();
            }
            false
        } else {
            model.follow(&drawn)
        };
        let applied = apply(test.outbox(), BATCH, drawn.command()).await;
        assert_eq!(applied.is_ok(), allowed, "{drawn:?}: {applied:?}");
        assert_eq!(Model::read(&test).await, model, "{drawn:?}");
    }
    for completed in test.emitted::<BatchPhaseCompletedV1>().await {
        let whole = completed.failed_essay_ids.is_empty();
        assert_eq!(completed.status == Outcome::Completed, whole);
        assert_eq!(
            completed.processed_essay_ids.len() + completed.failed_essay_ids.len(),
            ESSAYS.len()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn rows_and_events_agree(commands in vec(drawn(), 1..14)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follow(commands));
    }

    /// Mostly what is allowed, so that ends are reached.
    #[test]
    fn rows_and_events_agree_along_the_way(
        strays in vec(drawn(), 4),
        essays in (1_u8..8, 0_u8..8, 0_u8..8),
        last in prop::sample::select(vec!["completed cj_assessment", "failed cj_assessment"]),
    ) {
        let way = [("content", essays.0), ("start", 0), ("completed spellcheck", essays.1), (last, essays.2)];
        let steps = way.map(|(name, essays)| Drawn { name, essays, breaks: false });
        let commands = steps.into_iter().zip(strays).flat_map(|(step, stray)| [Drawn { breaks: true, ..stray }, step]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follow(commands.collect()));
    }
}

#[tokio::test]
async fn a_registration_is_the_batch_its_essays_and_one_event() {
    let test = registered().await;
    let registered = test
        .assert_emitted::<BatchEssaysRegistered>(|event| event.expected_essay_count == 3)
        .await;
    assert_eq!(
        registered.header("ce_correlationid"),
        Some(&*Uuid::from_u128(7).to_string())
    );
    test.assert_nothing_else().await;
    // The same batch again changes nothing and emits nothing.
    assert!(!register_batch(test.outbox(), batch()).await.unwrap());
    test.assert_nothing_else().await;
}

mod messages {
    use contracts::assessment::CJAssessmentCompletedV1;
    use contracts::batch::{BatchCjAssessmentInitiateCommandV1, BatchSpellcheckInitiateCommandV1};
    use contracts::lifecycle::BatchEssaysReadyV1;
    use contracts::spellcheck::{SpellcheckCompletedV1, SpellcheckStatus};
    use outbox_runtime::OutboxEvent;

    use super::*;

    async fn emit(others: &TestOutbox<Db>, events: impl IntoIterator<Item = impl OutboxEvent>) {
        let emitted = others
            .outbox()
            .transaction(async |tx| tx.emit_all(events).map(drop));
        emitted.await.unwrap();
        others.relay_until_empty().await;
    }

    fn checked(essay: &str, status: SpellcheckStatus) -> SpellcheckCompletedV1 {
        SpellcheckCompletedV1 {
            essay_id: essay.to_owned(),
            batch_id: BATCH.to_owned(),
            status,
            corrections_made: 1,
            word_count: 9,
            original_text_storage_id: format!("text/{essay}"),
            corrected_text_storage_id: Some(format!("corrected/{essay}")),
            processing_duration_ms: 1,
            correlation_id: Uuid::from_u128(7),
            timestamp: std::time::SystemTime::now().into(),
        }
    }

    #[tokio::test]
    async fn a_batch_goes_through_its_phases_though_everything_comes_twice() {
        let (test, others) = (registered().await, TestOutbox::<Db>::new().await);
        let consumer = batch_orchestrator::consumer(test.outbox(), test.broker().brokers())
            .build()
            .unwrap();
        let text = |essay: &&str| EssayText {
            essay_id: (*essay).to_owned(),
            text_storage_id: format!("text/{essay}"),
        };
        let ready = BatchEssaysReadyV1 {
            batch_id: BATCH.to_owned(),
            ready_essays: ESSAYS[..2].iter().map(text).collect(),
        };
        emit(&others, [ready]).await;
        others.broker().deliver_to(&consumer).await;
        test.assert_emitted::<BatchSpellcheckInitiateCommandV1>(|command| {
            command.essays_to_process.len() == 2
        })
        .await;

        emit(
            &others,
            ESSAYS[..2]
                .iter()
                .map(|essay| checked(essay, SpellcheckStatus::Completed)),
        )
        .await;
        // With other ids: what the inbox cannot recognize, the state does.
        emit(&others, [checked(ESSAYS[0], SpellcheckStatus::Failed)]).await;
        others.broker().deliver_to(&consumer).await;
        let command = test
            .assert_emitted::<BatchCjAssessmentInitiateCommandV1>(|_| true)
            .await;
        assert_eq!(command.essays_to_process[0].text_storage_id, "corrected/essay-0");

        let assessed = || CJAssessmentCompletedV1 {
            batch_id: BATCH.to_owned(),
            cj_assessment_job_id: "job".to_owned(),
            rankings: Vec::new(),
            processing_seconds: 0.1,
            correlation_id: Uuid::from_u128(7),
        };
        emit(&others, [assessed(), assessed()]).await;
        others.broker().deliver_to(&consumer).await;
        others.broker().deliver_to(&consumer).await;
        assert_eq!(consumer.progress().report().dead_lettered, 0);
        for phase in [Phase::Spellcheck, Phase::CjAssessment] {
            let completed = test
                .assert_emitted::<BatchPhaseCompletedV1>(|event| event.phase == phase)
                .await;
            assert_eq!(completed.failed_essay_ids, ["essay-2"]);
        }
        test.assert_emitted::<BatchEssaysRegistered>(|_| true).await;
        test.assert_nothing_else().await;
        assert_eq!(Model::read(&test).await.status, "COMPLETED_WITH_FAILURES");
    }
}
