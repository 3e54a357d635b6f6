//! The files of a multipart form, written to the content store as they come in.

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use axum::http::StatusCode;
use uuid::Uuid;

use super::error::ApiError;
use super::{App, UploadLimits};
use crate::content_store::{ContentStore, ContentWriter, Kind};
use crate::uploads::NewUpload;

/// The form's field that holds a file; it may be there many times.
const FIELD: &str = "files";

/// Receives all files. What was stored of a form that is refused is swept away later.
pub(super) async fn receive(app: &App, mut form: Multipart) -> Result<Vec<NewUpload>, ApiError> {
    let mut uploads = Vec::new();
    while let Some(field) = form.next_field().await? {
        if field.name() != Some(FIELD) {
            let name = field.name().unwrap_or_default();
            let message = format!("the form has a field `{name}`; files are sent in `{FIELD}`");
            return Err(ApiError::bad_request("UNKNOWN_FIELD", message));
        }
        if uploads.len() == app.limits.files {
            let message = format!("at most {} files are taken at a time", app.limits.files);
            return Err(ApiError::too_large("TOO_MANY_FILES", message));
        }
        let filename = filename(field.file_name())?;
        uploads.push(receive_file(&app.store, app.limits, filename, field).await?);
    }
    if uploads.is_empty() {
        let message = format!("the form has no file: send at least one in a field `{FIELD}`");
        return Err(ApiError::bad_request("NO_FILES", message));
    }
    Ok(uploads)
}

/// Stores one file. That this fails is no reason to refuse it: its user gets to know as of any other fault.
async fn receive_file(
    store: &ContentStore,
    limits: UploadLimits,
    filename: String,
    mut field: Field<'_>,
) -> Result<NewUpload, ApiError> {
    let id = Uuid::now_v7();
    let mut writer = kept(id, store.writer(Kind::Raw).await);
    let mut size = 0;
    let received = loop {
        match field.chunk().await {
            Ok(Some(chunk)) => {
                size += chunk.len();
                if size > limits.file_bytes {
                    let message = format!("`{filename}` is larger than {} bytes", limits.file_bytes);
                    break Err(ApiError::too_large("FILE_TOO_LARGE", message));
                }
                if let Some(open) = &mut writer
                    && let written @ Err(_) = open.write(&chunk).await
                {
                    kept(id, written);
                    give_up(&mut writer).await;
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
    };
    if let Err(error) = received {
        give_up(&mut writer).await;
        return Err(error);
    }
    let stored = match writer {
        Some(writer) => kept(id, writer.finish().await),
        None => None,
    };
    Ok(NewUpload {
        id,
        filename,
        raw_storage_id: stored.as_ref().map(|stored| stored.id.clone()),
        size_bytes: i64::try_from(size).unwrap_or(i64::MAX),
        content_md5: stored.map(|stored| stored.md5),
    })
}

/// What was stored; a failure is logged.
fn kept<T>(upload: Uuid, result: std::io::Result<T>) -> Option<T> {
    result
        .inspect_err(|error| tracing::error!(%upload, %error, "a file could not be stored"))
        .ok()
}

async fn give_up(writer: &mut Option<ContentWriter>) {
    if let Some(writer) = writer.take() {
        writer.discard().await;
    }
}

/// The last part of what browsers and programs send as a file's name.
fn filename(given: Option<&str>) -> Result<String, ApiError> {
    let name = given.unwrap_or_default();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    // What reads the events may make a path of the name, or show it to people.
    let leads_elsewhere = matches!(name, "" | "." | "..");
    if leads_elsewhere || name.len() > 255 || name.chars().any(|c| c.is_control() || turns_text(c)) {
        let message =
            "each file needs a name of 1 to 255 bytes, other than `.` and `..`, without control characters";
        return Err(ApiError::bad_request("INVALID_FILE_NAME", message));
    }
    Ok(name.to_owned())
}

/// Whether a character changes the direction in which its neighbours are shown: `essay\u{202e}txt.exe` looks like a text.
fn turns_text(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl From<MultipartError> for ApiError {
    fn from(error: MultipartError) -> Self {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Self::too_large("REQUEST_TOO_LARGE", "the request is larger than is taken")
        } else {
            Self::bad_request("INVALID_FORM", error.body_text())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_stands_behind_the_last_slash() {
        for (given, name) in [
            ("essay.txt", "essay.txt"),
            ("../../etc/passwd", "passwd"),
            (r"C:\Users\åsa\uppsats 1.txt", "uppsats 1.txt"),
        ] {
            assert_eq!(filename(Some(given)).unwrap(), name);
        }
        for given in [
            None,
            Some(""),
            Some("a/"),
            Some(".."),
            Some(r"..\.."),
            Some("a\0b"),
            Some("essay\u{202e}txt.exe"),
            Some(&*"x".repeat(256)),
        ] {
            assert!(filename(given).is_err(), "{given:?} was accepted");
        }
    }
}
