//! The ranking, as a table.

use anyhow::Result;

use crate::services::Platform;

/// The essays of a batch, best first.
pub(crate) async fn table(platform: &Platform, batch_id: &str) -> Result<String> {
    type Row = (Option<i64>, String, Option<f64>, Option<i64>, Option<i64>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT rank, essay_id, score, word_count, corrections FROM essay_results WHERE batch_id = $1
         ORDER BY rank IS NULL, rank, essay_id",
    )
    .bind(batch_id)
    .fetch_all(platform.results())
    .await?;
    let number = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let mut table = format!(
        "{:>4}  {:<10} {:>6} {:>6} {:>11}\n",
        "rank", "essay", "score", "words", "corrections"
    );
    for (rank, essay_id, score, words, corrections) in rows {
        let score = score.map_or_else(|| "-".to_owned(), |score| format!("{score:.2}"));
        table.push_str(&format!(
            "{:>4}  {essay_id:<10} {score:>6} {:>6} {:>11}\n",
            number(rank),
            number(words),
            number(corrections),
        ));
    }
    Ok(table)
}
