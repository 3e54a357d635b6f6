//! The row that each event's transaction has changed, as it is now.

use std::collections::HashMap;

use anyhow::Result;
use serde_json::Value;

use crate::arguments::Name;
use crate::services::Platform;

/// Rows by table and key.
pub(crate) struct Rows(HashMap<(&'static str, String), String>);

/// A service's table, and a query for the keys of its rows and what they say.
const TABLES: [(Name, &str, &str); 8] = [
    (
        Name::FileService,
        "file_uploads",
        "SELECT CAST(id AS TEXT), filename || ' is ' || status FROM file_uploads",
    ),
    (
        Name::EssayLifecycle,
        "slots",
        "SELECT essay_id, 'place ' || CAST(position + 1 AS TEXT) || ' has ' || coalesce(file_upload_id, 'no file') FROM slots",
    ),
    (
        Name::EssayLifecycle,
        "batches",
        "SELECT batch_id, 'is ' || status FROM batches",
    ),
    (
        Name::BatchOrchestrator,
        "batches of the orchestrator",
        "SELECT id, CAST(expected_essay_count AS TEXT) || ' essays, is ' || status FROM batches",
    ),
    (
        Name::BatchOrchestrator,
        "batch_phases",
        "SELECT batch_id || phase, phase || ' is ' || status FROM batch_phases",
    ),
    (
        Name::Spellcheck,
        "jobs",
        "SELECT batch_id || essay_id, status || ', ' || CAST(word_count AS TEXT) || ' words, '
             || CAST(corrections AS TEXT) || ' corrections' FROM jobs",
    ),
    (
        Name::CjAssessment,
        "assessments",
        "SELECT batch_id, status || ', ' || CAST((SELECT count(*) FROM rankings WHERE job_id = jobs.id) AS TEXT) || ' ranks'
             FROM jobs",
    ),
    (
        Name::ResultAggregator,
        "batch_results",
        "SELECT batch_id, coalesce(CAST(ranked AS TEXT), '?') || ' of ' || coalesce(CAST(total_essays AS TEXT), '?')
             || ' ranked, ' || coalesce(status, 'open') FROM batch_results",
    ),
];

impl Rows {
    pub(crate) async fn read(platform: &Platform) -> Result<Self> {
        let mut rows = HashMap::new();
        for (name, table, sql) in TABLES {
            let found: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(platform.pool(name)).await?;
            rows.extend(found.into_iter().map(|(key, text)| ((table, key), text)));
        }
        Ok(Self(rows))
    }

    /// The row that an event of this type is about; none if its transaction changes none but the inbox's.
    pub(crate) fn of(&self, event_type: &str, payload: &Value) -> Option<String> {
        let field = |name: &str| payload.get(name).and_then(Value::as_str).unwrap_or_default();
        let batch = field("batch_id");
        let (table, key) = match event_type {
            "BatchFileAddedV1" | "EssayContentProvisionedV1" | "EssayValidationFailedV1" => {
                ("file_uploads", field("file_upload_id").to_owned())
            }
            "EssaySlotAssignedV1" => ("slots", field("essay_id").to_owned()),
            "BatchEssaysReadyV1" => ("batches", batch.to_owned()),
            "BatchEssaysRegistered" => ("batches of the orchestrator", batch.to_owned()),
            "BatchSpellcheckInitiateCommandV1" => ("batch_phases", format!("{batch}spellcheck")),
            "BatchCjAssessmentInitiateCommandV1" => ("batch_phases", format!("{batch}cj_assessment")),
            "BatchPhaseCompletedV1" | "BatchPipelineErrorV1" => {
                ("batch_phases", format!("{batch}{}", field("phase")))
            }
            "SpellcheckCompletedV1" => ("jobs", format!("{batch}{}", field("essay_id"))),
            "CJAssessmentCompletedV1" | "CJAssessmentFailedV1" => ("assessments", batch.to_owned()),
            "BatchResultsReadyV1" => ("batch_results", batch.to_owned()),
            _ => return None,
        };
        let text = self.0.get(&(table, key))?;
        Some(format!("{table}: {text}"))
    }
}
