//! The ranking, as a table.

use std::collections::HashMap;

use anyhow::Result;
use uuid::Uuid;

use crate::arguments::Name;
use crate::services::Platform;

/// A file and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Ranked {
    pub(crate) file: String,
    pub(crate) rank: Option<i64>,
    pub(crate) score: Option<f64>,
    words: Option<i64>,
    corrections: Option<i64>,
}

/// The files of a batch, best first; those without a rank last.
pub(crate) async fn ranking(platform: &Platform, batch_id: Uuid) -> Result<Vec<Ranked>> {
    let batch_id = batch_id.to_string();
    let slots: Vec<(String, String)> = sqlx::query_as(
        "SELECT file_upload_id, essay_id FROM slots WHERE batch_id = $1 AND file_upload_id IS NOT NULL",
    )
    .bind(&batch_id)
    .fetch_all(platform.pool(Name::EssayLifecycle))
    .await?;
    let slots: HashMap<String, String> = slots.into_iter().collect();
    let files: Vec<(String, String)> = sqlx::query_as(
        "SELECT CAST(id AS TEXT), filename FROM file_uploads WHERE batch_id = $1 ORDER BY filename",
    )
    .bind(&batch_id)
    .fetch_all(platform.pool(Name::FileService))
    .await?;
    type Row = (String, Option<i64>, Option<f64>, Option<i64>, Option<i64>);
    let results: Vec<Row> = sqlx::query_as(
        "SELECT essay_id, rank, score, word_count, corrections FROM essay_results WHERE batch_id = $1",
    )
    .bind(&batch_id)
    .fetch_all(platform.pool(Name::ResultAggregator))
    .await?;
    let results: HashMap<String, Row> = results.into_iter().map(|row| (row.0.clone(), row)).collect();
    let mut ranking: Vec<Ranked> = files
        .into_iter()
        .map(|(upload, file)| {
            let result = slots.get(&upload).and_then(|essay| results.get(essay));
            Ranked {
                file,
                rank: result.and_then(|row| row.1),
                score: result.and_then(|row| row.2),
                words: result.and_then(|row| row.3),
                corrections: result.and_then(|row| row.4),
            }
        })
        .collect();
    ranking.sort_by_key(|essay| (essay.rank.is_none(), essay.rank));
    Ok(ranking)
}

/// It as text.
pub(crate) fn table(ranking: &[Ranked]) -> String {
    let number = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let mut table = format!(
        "{:>4}  {:<34} {:>6} {:>6} {:>11}\n",
        "rank", "essay", "score", "words", "corrections"
    );
    for essay in ranking {
        let score = essay
            .score
            .map_or_else(|| "-".to_owned(), |score| format!("{score:.2}"));
        table.push_str(&format!(
            "{:>4}  {:<34} {score:>6} {:>6} {:>11}\n",
            number(essay.rank),
            essay.file,
            number(essay.words),
            number(essay.corrections),
        ));
    }
    table
}
