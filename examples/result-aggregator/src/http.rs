//! The API: the results of a batch, as JSON and as a page. They are as old as the last message that has come.

use axum::extract::{Path, State};
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use outbox_runtime::Outbox;
use serde::Serialize;
use service_kit::{ApiError, Db};

/// The results of a batch.
#[derive(Debug, Serialize)]
struct Results {
    batch_id: String,
    /// None as long as results are to come.
    status: Option<String>,
    essays: Vec<Essay>,
}

#[derive(Debug, Serialize)]
struct Essay {
    essay_id: String,
    word_count: Option<i64>,
    corrections: Option<i64>,
    rank: Option<i64>,
    score: Option<f64>,
}

pub(crate) fn router(outbox: Outbox<Db>) -> Router {
    Router::new()
        .route("/v1/batches/{batch_id}", get(json))
        .route("/batches/{batch_id}", get(page))
        .with_state(outbox)
}

async fn json(
    State(outbox): State<Outbox<Db>>,
    Path(batch_id): Path<String>,
) -> Result<Json<Results>, ApiError> {
    find(&outbox, batch_id).await.map(Json)
}

async fn page(
    State(outbox): State<Outbox<Db>>,
    Path(batch_id): Path<String>,
) -> Result<Html<String>, ApiError> {
    find(&outbox, batch_id).await.map(|results| Html(html(&results)))
}

async fn find(outbox: &Outbox<Db>, batch_id: String) -> Result<Results, ApiError> {
    let internal = |error: sqlx::Error| ApiError::internal(&error);
    let status: Option<Option<String>> =
        sqlx::query_scalar("SELECT status FROM batch_results WHERE batch_id = $1")
            .bind(&batch_id)
            .fetch_optional(outbox.pool())
            .await
            .map_err(internal)?;
    let status = status.ok_or_else(|| ApiError::not_found("there is no such batch"))?;
    type Row = (String, Option<i64>, Option<i64>, Option<i64>, Option<f64>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT essay_id, word_count, corrections, rank, score FROM essay_results WHERE batch_id = $1
         ORDER BY rank IS NULL, rank, essay_id",
    )
    .bind(&batch_id)
    .fetch_all(outbox.pool())
    .await
    .map_err(internal)?;
    let essays = rows
        .into_iter()
        .map(|(essay_id, word_count, corrections, rank, score)| Essay {
            essay_id,
            word_count,
            corrections,
            rank,
            score,
        });
    let essays = essays.collect();
    Ok(Results {
        batch_id,
        status,
        essays,
    })
}

/// A table that a teacher reads.
fn html(results: &Results) -> String {
    let text = |value: Option<i64>| value.map_or_else(|| "–".to_owned(), |value| value.to_string());
    let row = |essay: &Essay| {
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            text(essay.rank),
            escape(&essay.essay_id),
            text(essay.word_count),
            text(essay.corrections),
        )
    };
    let status = match results.status.as_deref() {
        None => "Some results are still to come: load this page again soon.",
        Some("COMPLETED") => "All essays were ranked.",
        Some("FAILED") => "The batch could not be processed.",
        Some(_) => "Some essays could not be processed; they have no rank.",
    };
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Results</title><h1>Batch {}</h1><p>{status}</p>\
         <table><tr><th>Rank<th>Essay<th>Words<th>Corrections</tr>{}</table></html>",
        escape(&results.batch_id),
        results.essays.iter().map(row).collect::<String>(),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
