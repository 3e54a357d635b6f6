//! The transactions: which rows change together with which events.
//!
//! | transaction | rows | events |
//! | --- | --- | --- |
//! | [`register_batch`] | batch, slots, files that had come before | as [`receive_file`] for these files |
//! | [`receive_file`] | file, slot | `EssaySlotAssignedV1`, and as [`complete_batch`] |
//! | [`complete_batch`] | batch: WAITING → READY | `BatchEssaysReadyV1`, from one caller of all |
//! | [`request_spellcheck`] | – | `EssaySpellcheckRequestedV1` for each essay |

use contracts::EssayText;
use contracts::batch::BatchSpellcheckInitiateCommandV1;
use contracts::lifecycle::{BatchEssaysReadyV1, EssaySlotAssignedV1, EssaySpellcheckRequestedV1};
use outbox_runtime::transactional;
use service_kit::Tx;
use uuid::Uuid;

/// The status of a batch of which only files are known.
const UNREGISTERED: &str = "UNREGISTERED";

/// Why a transaction was rolled back.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// The outbox refused an event, or the transaction could not be committed.
    #[error(transparent)]
    Outbox(#[from] outbox_runtime::Error),
    /// The database refused a statement.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// An upload's id in the database is none.
    #[error("a stored upload id is no UUID")]
    UploadId(#[from] uuid::Error),
}

/// A file of a batch.
#[derive(Debug, Clone)]
pub struct File {
    /// The upload.
    pub file_upload_id: Uuid,
    /// Where its text is stored; none if it was refused.
    pub text_storage_id: Option<String>,
}

/// Creates a slot for each essay, and fills them with the files that have come already. Again, it changes nothing.
///
/// # Errors
/// See [`LifecycleError`].
#[transactional]
pub async fn register_batch(
    tx: &mut Tx<'_>,
    batch_id: &str,
    essay_ids: &[String],
) -> Result<(), LifecycleError> {
    if lock_batch(tx, batch_id).await? != UNREGISTERED {
        return Ok(());
    }
    sqlx::query("UPDATE batches SET status = 'WAITING' WHERE batch_id = $1")
        .bind(batch_id)
        .execute(&mut **tx)
        .await?;
    for (position, essay_id) in (0_i64..).zip(essay_ids) {
        sqlx::query("INSERT INTO slots (essay_id, batch_id, position) VALUES ($1, $2, $3)")
            .bind(essay_id)
            .bind(batch_id)
            .bind(position)
            .execute(&mut **tx)
            .await?;
    }
    fill_slots(tx, batch_id).await
}

/// Notes a file and gives it a slot. A file whose batch is not registered yet waits for that; one that has come before,
/// or for which there is no slot, changes nothing more.
///
/// # Errors
/// See [`LifecycleError`].
#[transactional]
pub async fn receive_file(tx: &mut Tx<'_>, batch_id: &str, file: &File) -> Result<(), LifecycleError> {
    let status = lock_batch(tx, batch_id).await?;
    sqlx::query(
        "INSERT INTO files (file_upload_id, batch_id, text_storage_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(file.file_upload_id.to_string())
    .bind(batch_id)
    .bind(&file.text_storage_id)
    .execute(&mut **tx)
    .await?;
    match status.as_str() {
        UNREGISTERED => Ok(()),
        _ => fill_slots(tx, batch_id).await,
    }
}

/// Announces that a batch is complete, if it is and nobody has announced it before. Whoever calls this, and how often:
/// the change of the row decides who emits.
///
/// # Errors
/// See [`LifecycleError`].
#[transactional]
pub async fn complete_batch(tx: &mut Tx<'_>, batch_id: &str) -> Result<bool, LifecycleError> {
    let completed = sqlx::query(
        "UPDATE batches SET status = 'READY' WHERE batch_id = $1 AND status = 'WAITING'
         AND NOT EXISTS (SELECT 1 FROM slots WHERE batch_id = $1 AND file_upload_id IS NULL)",
    )
    .bind(batch_id)
    .execute(&mut **tx)
    .await?;
    if completed.rows_affected() == 0 {
        return Ok(false);
    }
    let essays: Vec<(String, String)> = sqlx::query_as(
        "SELECT essay_id, text_storage_id FROM slots WHERE batch_id = $1 AND text_storage_id IS NOT NULL
         ORDER BY position",
    )
    .bind(batch_id)
    .fetch_all(&mut **tx)
    .await?;
    let text = |(essay_id, text_storage_id)| EssayText {
        essay_id,
        text_storage_id,
    };
    tx.emit(BatchEssaysReadyV1 {
        batch_id: batch_id.to_owned(),
        ready_essays: essays.into_iter().map(text).collect(),
    })?;
    Ok(true)
}

/// Requests a check of each essay, all of them or none.
///
/// # Errors
/// See [`LifecycleError`].
#[transactional]
pub async fn request_spellcheck(
    tx: &mut Tx<'_>,
    command: BatchSpellcheckInitiateCommandV1,
) -> Result<(), LifecycleError> {
    let BatchSpellcheckInitiateCommandV1 {
        batch_id,
        essays_to_process,
        language,
        ..
    } = command;
    tx.emit_all(
        essays_to_process
            .into_iter()
            .map(|essay| EssaySpellcheckRequestedV1 {
                essay_id: essay.essay_id,
                batch_id: batch_id.clone(),
                text_storage_id: essay.text_storage_id,
                language: language.clone(),
            }),
    )?;
    Ok(())
}

/// The status of a batch, whose slots nobody else fills before this transaction ends. Registration and files lock the same
/// row, whoever comes first: otherwise a file and the registration could commit without seeing each other, and the file
/// would wait for ever.
async fn lock_batch(tx: &mut Tx<'_>, batch_id: &str) -> Result<String, LifecycleError> {
    sqlx::query("INSERT INTO batches (batch_id, status) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(batch_id)
        .bind(UNREGISTERED)
        .execute(&mut **tx)
        .await?;
    let status =
        sqlx::query_scalar("UPDATE batches SET status = status WHERE batch_id = $1 RETURNING status")
            .bind(batch_id)
            .fetch_one(&mut **tx)
            .await?;
    Ok(status)
}

/// Gives waiting files to free slots, as long as there are both.
async fn fill_slots(tx: &mut Tx<'_>, batch_id: &str) -> Result<(), LifecycleError> {
    let waiting: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT file_upload_id, text_storage_id FROM files WHERE batch_id = $1 AND essay_id IS NULL
         ORDER BY file_upload_id",
    )
    .bind(batch_id)
    .fetch_all(&mut **tx)
    .await?;
    for (file_upload_id, text_storage_id) in waiting {
        let Some(essay_id) = fill_slot(tx, batch_id, &file_upload_id, text_storage_id.as_deref()).await?
        else {
            break;
        };
        if let Some(text_storage_id) = text_storage_id {
            tx.emit(EssaySlotAssignedV1 {
                batch_id: batch_id.to_owned(),
                essay_id,
                file_upload_id: file_upload_id.parse()?,
                text_storage_id,
            })?;
        }
    }
    complete_batch(&mut *tx, batch_id).await.map(drop)
}

/// The essay that a file has become; none if there is no free slot.
async fn fill_slot(
    tx: &mut Tx<'_>,
    batch_id: &str,
    file_upload_id: &str,
    text_storage_id: Option<&str>,
) -> Result<Option<String>, LifecycleError> {
    let essay_id: Option<String> = sqlx::query_scalar(
        "UPDATE slots SET file_upload_id = $2, text_storage_id = $3
         WHERE essay_id = (SELECT essay_id FROM slots WHERE batch_id = $1 AND file_upload_id IS NULL
                           ORDER BY position LIMIT 1)
         RETURNING essay_id",
    )
    .bind(batch_id)
    .bind(file_upload_id)
    .bind(text_storage_id)
    .fetch_optional(&mut **tx)
    .await?;
    if essay_id.is_some() {
        sqlx::query("UPDATE files SET essay_id = $2 WHERE file_upload_id = $1")
            .bind(file_upload_id)
            .bind(&essay_id)
            .execute(&mut **tx)
            .await?;
    }
    Ok(essay_id)
}
