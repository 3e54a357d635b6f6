//! In place of the File Service, which needs PostgreSQL: its events, on SQLite and without HTTP.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};
use contracts::file::{
    BatchFileAddedV1, EssayContentProvisionedV1, EssayValidationFailedV1, ValidationErrorCode,
    ValidationErrorDetail,
};
use outbox_runtime::transactional;
use service_kit::{Tables, Tx};
use uuid::Uuid;

use crate::services::Platform;

/// The shortest text that is an essay, in characters.
const SHORTEST: usize = 50;

pub(crate) const TABLES: Tables = &[(
    1,
    "create file uploads",
    "CREATE TABLE file_uploads (id TEXT PRIMARY KEY, batch_id TEXT NOT NULL, filename TEXT NOT NULL, status TEXT NOT NULL)",
)];

/// A file that was handed in.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The text files in a folder, by name.
pub(crate) fn read(folder: &Path) -> Result<Vec<File>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let text = std::fs::read_to_string(&path);
            let text = text.with_context(|| format!("{} is no text in UTF-8", path.display()))?;
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            files.push(File { name, text });
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// Hands in these files, and one that is too short.
pub(crate) async fn upload(platform: &Platform, batch_id: &str, files: &[File]) -> Result<()> {
    let short = File {
        name: "too-short.txt".to_owned(),
        text: "I forgot.".to_owned(),
    };
    for file in files.iter().chain([&short]) {
        let id = Uuid::now_v7();
        platform.texts.write(&format!("text/{id}"), &file.text).await?;
        accept(platform.files(), batch_id, id, file).await?;
    }
    Ok(())
}

/// The upload's row, and its events.
#[transactional]
async fn accept(tx: &mut Tx<'_>, batch_id: &str, id: Uuid, file: &File) -> Result<()> {
    let length = file.text.chars().count();
    let status = if length < SHORTEST { "FAILED" } else { "COMPLETED" };
    sqlx::query("INSERT INTO file_uploads (id, batch_id, filename, status) VALUES ($1, $2, $3, $4)")
        .bind(id.to_string())
        .bind(batch_id)
        .bind(&file.name)
        .bind(status)
        .execute(&mut **tx)
        .await?;
    let (batch_id, timestamp) = (batch_id.to_owned(), SystemTime::now().into());
    let (file_size_bytes, raw_file_storage_id) = (i64::try_from(file.text.len())?, format!("text/{id}"));
    tx.emit(BatchFileAddedV1 {
        batch_id: batch_id.clone(),
        file_upload_id: id,
        filename: file.name.clone(),
        user_id: "teacher-1".to_owned(),
        correlation_id: id,
        timestamp,
    })?;
    if length < SHORTEST {
        tx.emit(EssayValidationFailedV1 {
            batch_id,
            file_upload_id: id,
            original_file_name: file.name.clone(),
            raw_file_storage_id,
            validation_error_code: ValidationErrorCode::ContentTooShort,
            validation_error_detail: ValidationErrorDetail {
                message: format!("the text has {length} characters; an essay has at least {SHORTEST}"),
                actual: u64::try_from(length).ok(),
                limit: u64::try_from(SHORTEST).ok(),
            },
            file_size_bytes,
            correlation_id: id,
            timestamp,
        })?;
    } else {
        tx.emit(EssayContentProvisionedV1 {
            batch_id,
            file_upload_id: id,
            original_file_name: file.name.clone(),
            text_storage_id: raw_file_storage_id.clone(),
            raw_file_storage_id,
            file_size_bytes,
            content_md5_hash: None,
            correlation_id: id,
            timestamp,
        })?;
    }
    Ok(())
}
