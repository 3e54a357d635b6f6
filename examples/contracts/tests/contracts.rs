//! The contracts are those that were agreed on.

use std::collections::BTreeSet;

// Registers the events.
use contracts as _;
use outbox_runtime::catalog::Catalog;

/// Type, topic, aggregate, key.
const AGREED: [(&str, &str, &str, &str); 16] = [
    (
        "BatchCjAssessmentInitiateCommandV1",
        "huleedu.batch.cj_assessment.initiate.command.v1",
        "batch",
        "batch_id",
    ),
    (
        "BatchEssaysReadyV1",
        "huleedu.els.batch.essays.ready.v1",
        "batch",
        "batch_id",
    ),
    (
        "BatchEssaysRegistered",
        "huleedu.batch.essays.registered.v1",
        "batch",
        "batch_id",
    ),
    (
        "BatchFileAddedV1",
        "huleedu.file.batch.file.added.v1",
        "batch",
        "batch_id",
    ),
    (
        "BatchFileRemovedV1",
        "huleedu.file.batch.file.removed.v1",
        "batch",
        "batch_id",
    ),
    (
        "BatchPhaseCompletedV1",
        "huleedu.batch.phase.completed.v1",
        "batch",
        "batch_id",
    ),
    (
        "BatchPipelineErrorV1",
        "huleedu.batch.pipeline.error.v1",
        "batch",
        "batch_id",
    ),
    (
        "BatchResultsReadyV1",
        "huleedu.ras.batch.results.ready.v1",
        "batch",
        "batch_id",
    ),
    (
        "BatchSpellcheckInitiateCommandV1",
        "huleedu.els.spellcheck.initiate.command.v1",
        "batch",
        "batch_id",
    ),
    (
        "CJAssessmentCompletedV1",
        "huleedu.cj_assessment.completed.v1",
        "batch",
        "batch_id",
    ),
    (
        "CJAssessmentFailedV1",
        "huleedu.cj_assessment.failed.v1",
        "batch",
        "batch_id",
    ),
    (
        "EssayContentProvisionedV1",
        "huleedu.file.essay.content.provisioned.v1",
        "file_upload",
        "file_upload_id",
    ),
    (
        "EssaySlotAssignedV1",
        "huleedu.els.essay.slot.assigned.v1",
        "essay",
        "essay_id",
    ),
    (
        "EssaySpellcheckRequestedV1",
        "huleedu.essay.spellcheck.requested.v1",
        "essay",
        "essay_id",
    ),
    (
        "EssayValidationFailedV1",
        "huleedu.file.essay.validation.failed.v1",
        "file_upload",
        "file_upload_id",
    ),
    (
        "SpellcheckCompletedV1",
        "huleedu.essay.spellcheck.completed.v1",
        "essay",
        "essay_id",
    ),
];

#[test]
fn types_topics_and_keys_are_as_agreed() {
    let catalog = Catalog::global();
    let declared: BTreeSet<_> = catalog
        .iter()
        .map(|event| (event.event_type(), event.topic(), event.aggregate(), event.key()))
        .collect();
    assert_eq!(declared, BTreeSet::from(AGREED));
    assert!(catalog.check_strictly().is_ok(), "{:?}", catalog.warnings());
}

/// What a consumer in another language reads.
#[test]
fn enums_are_written_as_agreed() {
    use contracts::batch::{Outcome, Phase};
    let texts = serde_json::to_string(&(Phase::CjAssessment, Outcome::CompletedWithFailures));
    assert_eq!(
        texts.unwrap_or_default(),
        r#"["cj_assessment","completed_with_failures"]"#
    );
}
