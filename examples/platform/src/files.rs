//! What a class hands in, and which ranking it deserves.

use std::path::Path;

use anyhow::{Context, Result};
use cj_assessment::judge::FeatureJudge;
use cj_assessment::{Essay, rank};
use reqwest::multipart::{Form, Part};
use spellcheck::spelling::Dictionaries;
use uuid::Uuid;

use crate::arguments::Name;
use crate::services::Platform;

/// The shortest text that is an essay, in characters.
const SHORTEST: usize = 50;

/// A file that was handed in.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The text files in a folder, by name, and two that are no essays.
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
    if files.is_empty() {
        anyhow::bail!("there is no essay in {}: put text files there", folder.display());
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    for (name, text) in [("empty.txt", ""), ("too-short.txt", "I forgot.")] {
        files.push(File {
            name: name.to_owned(),
            text: text.to_owned(),
        });
    }
    Ok(files)
}

/// The files that pass, best first, with their scores: what the services have to find out, in one process and without any
/// event.
pub(crate) fn deserved(files: &[File], dictionaries: &Dictionaries) -> Vec<(String, f64)> {
    let passing = files
        .iter()
        .filter(|file| file.text.trim().chars().count() >= SHORTEST);
    let corrected = passing.map(|file| Essay {
        essay_id: file.name.clone(),
        text: dictionaries
            .correct("en", &file.text)
            .map_or_else(|| file.text.clone(), |corrected| corrected.text),
    });
    let ranked = rank(&FeatureJudge, &corrected.collect::<Vec<_>>()).into_iter();
    ranked.map(|essay| (essay.essay_id, essay.score)).collect()
}

/// Hands in these files by one request, which is sent again until it is answered, so many times. Its key shows the File
/// Service that it is the same request.
pub(crate) async fn upload(
    platform: &Platform,
    batch_id: Uuid,
    files: &[File],
    traceparent: &str,
    times: usize,
) -> Result<()> {
    let key = Uuid::new_v4().to_string();
    let path = format!("/v1/batches/{batch_id}/files");
    let send = |client: &reqwest::Client, url| {
        let form = files.iter().fold(Form::new(), |form, file| {
            form.part(
                "files",
                Part::text(file.text.clone()).file_name(file.name.clone()),
            )
        });
        client
            .post(url)
            .header("x-user-id", "teacher-1")
            .header("idempotency-key", &key)
            .header("traceparent", traceparent)
            .multipart(form)
    };
    for _ in 0..times {
        platform.request(Name::FileService, &path, send).await?;
    }
    Ok(())
}
