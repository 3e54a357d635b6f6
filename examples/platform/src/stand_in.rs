//! In place of the File Service, which needs PostgreSQL: its events and its request, on SQLite and for texts alone.

use axum::extract::{Multipart, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use contracts::file::{
    BatchFileAddedV1, EssayContentProvisionedV1, EssayValidationFailedV1, ValidationErrorCode,
    ValidationErrorDetail,
};
use outbox_runtime::consumer::ConsumerBuilder;
use outbox_runtime::{Outbox, transactional};
use serde_json::{Value, json};
use service_kit::{ApiError, Blueprint, Db, Tables, Texts, Tx};
use uuid::Uuid;

/// The shortest text that is an essay, in characters.
const SHORTEST: usize = 50;

const TABLES: Tables = &[(
    1,
    "create file uploads",
    "CREATE TABLE upload_requests (user_id TEXT NOT NULL, request_key TEXT NOT NULL, PRIMARY KEY (user_id, request_key));
     CREATE TABLE file_uploads (
         id TEXT PRIMARY KEY, batch_id TEXT NOT NULL, filename TEXT NOT NULL, status TEXT NOT NULL, text_storage_id TEXT NOT NULL
     )",
)];

/// The service.
pub(crate) struct FileService {
    pub(crate) texts: Texts,
}

impl Blueprint for FileService {
    const TABLES: Tables = TABLES;

    fn consumer(&self, _: &Outbox<Db>, _: &str) -> Option<ConsumerBuilder<Db>> {
        None
    }

    fn router(&self, outbox: Outbox<Db>) -> Router {
        Router::new()
            .route("/v1/batches/{batch_id}/files", post(upload))
            .with_state((outbox, self.texts.clone()))
    }
}

/// A file of a form.
struct File {
    id: Uuid,
    name: String,
    text: String,
    text_storage_id: String,
}

/// Why a transaction was rolled back.
#[derive(Debug)]
struct Refused(Box<dyn std::error::Error + Send + Sync>);

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

async fn upload(
    State((outbox, texts)): State<(Outbox<Db>, Texts)>,
    Path(batch_id): Path<String>,
    headers: HeaderMap,
    mut form: Multipart,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let user = header("x-user-id").ok_or_else(|| ApiError::bad_request("write the header x-user-id"))?;
    let key = header("idempotency-key").map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
    let wrong = |error: axum::extract::multipart::MultipartError| ApiError::bad_request(error.body_text());
    let mut files = Vec::new();
    while let Some(field) = form.next_field().await.map_err(wrong)? {
        let name = field.file_name().unwrap_or_default().to_owned();
        let text = field.text().await.map_err(wrong)?;
        let id = Uuid::now_v7();
        let text_storage_id = format!("text/{id}");
        let written = texts.write(&text_storage_id, &text).await;
        written.map_err(|error| ApiError::internal(&error))?;
        files.push(File {
            id,
            name,
            text,
            text_storage_id,
        });
    }
    let accepted = accept(&outbox, &batch_id, (user, &key), &files).await;
    accepted.map_err(|Refused(error)| ApiError::internal(&*error))?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "batch_id": batch_id }))))
}

/// The rows of the uploads, and their events. A request that was sent before changes nothing.
#[transactional]
async fn accept(
    tx: &mut Tx<'_>,
    batch_id: &str,
    (user, key): (&str, &str),
    files: &[File],
) -> Result<(), Refused> {
    let new = sqlx::query(
        "INSERT INTO upload_requests (user_id, request_key) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(user)
    .bind(key)
    .execute(&mut **tx)
    .await?;
    if new.rows_affected() == 0 {
        return Ok(());
    }
    for file in files {
        let length = file.text.trim().chars().count();
        let status = if length < SHORTEST { "FAILED" } else { "COMPLETED" };
        sqlx::query(
            "INSERT INTO file_uploads (id, batch_id, filename, status, text_storage_id) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(file.id.to_string())
        .bind(batch_id)
        .bind(&file.name)
        .bind(status)
        .bind(&file.text_storage_id)
        .execute(&mut **tx)
        .await?;
        tx.emit(BatchFileAddedV1 {
            batch_id: batch_id.to_owned(),
            file_upload_id: file.id,
            filename: file.name.clone(),
            user_id: user.to_owned(),
            correlation_id: file.id,
            timestamp: std::time::SystemTime::now().into(),
        })?;
        match length < SHORTEST {
            true => tx.emit(refused(batch_id, file, length))?,
            false => tx.emit(provisioned(batch_id, file))?,
        };
    }
    Ok(())
}

fn provisioned(batch_id: &str, file: &File) -> EssayContentProvisionedV1 {
    EssayContentProvisionedV1 {
        batch_id: batch_id.to_owned(),
        file_upload_id: file.id,
        original_file_name: file.name.clone(),
        raw_file_storage_id: file.text_storage_id.clone(),
        text_storage_id: file.text_storage_id.clone(),
        file_size_bytes: i64::try_from(file.text.len()).unwrap_or(i64::MAX),
        content_md5_hash: None,
        correlation_id: file.id,
        timestamp: std::time::SystemTime::now().into(),
    }
}

fn refused(batch_id: &str, file: &File, length: usize) -> EssayValidationFailedV1 {
    let (validation_error_code, message) = match length {
        0 => (
            ValidationErrorCode::EmptyContent,
            "there is no text in the file".to_owned(),
        ),
        _ => (
            ValidationErrorCode::ContentTooShort,
            format!("the text has {length} characters; an essay has at least {SHORTEST}"),
        ),
    };
    EssayValidationFailedV1 {
        batch_id: batch_id.to_owned(),
        file_upload_id: file.id,
        original_file_name: file.name.clone(),
        raw_file_storage_id: file.text_storage_id.clone(),
        validation_error_code,
        validation_error_detail: ValidationErrorDetail {
            message,
            actual: u64::try_from(length).ok(),
            limit: u64::try_from(SHORTEST).ok(),
        },
        file_size_bytes: i64::try_from(file.text.len()).unwrap_or(i64::MAX),
        correlation_id: file.id,
        timestamp: std::time::SystemTime::now().into(),
    }
}
