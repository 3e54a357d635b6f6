//! A file service of a test's own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use file_service::uploads::{FileUpload, UploadStatus};
use file_service::{Config, Service};
use outbox_runtime::PostgresStore;
use outbox_runtime::store::Store;
use outbox_tests::{TestDatabase, servers, wait_until};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use sqlx::{ConnectOptions, Postgres};
use tempfile::TempDir;
use uuid::Uuid;

use super::events;

/// How long anything may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Who uploads.
pub(crate) const USER: &str = "user-1";

/// A text that passes.
pub(crate) const ESSAY: &str =
    "An essay has to have fifty characters at least, and this one has some more than that.";

/// A service with a database, a content folder and a batch of its own. It can be stopped and started again.
pub(crate) struct Running {
    pub(crate) database: TestDatabase<Postgres>,
    pub(crate) batch: String,
    pub(crate) http: Client,
    folder: TempDir,
    service: Option<Service>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With other settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut running = Self::stopped().await;
        running.start_again(change).await;
        running
    }

    /// Not started yet.
    pub(crate) async fn stopped() -> Self {
        events::ensure_topics().await;
        Self {
            database: TestDatabase::postgres().await,
            batch: format!("batch-{}", Uuid::new_v4()),
            http: Client::new(),
            folder: tempfile::tempdir().unwrap(),
            service: None,
        }
    }

    /// Starts on what is there.
    pub(crate) async fn start_again(&mut self, change: impl FnOnce(&mut Config)) {
        let mut config = self.config();
        change(&mut config);
        self.service = Some(Service::start(config).await.unwrap());
    }

    fn config(&self) -> Config {
        Config {
            database_url: self.database_url(),
            brokers: servers::brokers(),
            listen: ([127, 0, 0, 1], 0).into(),
            content_dir: self.content_dir(),
            workers: 4,
            claim: Duration::from_secs(1),
            shutdown_timeout: Duration::from_secs(10),
            min_text: 50,
            max_text: 5_000,
            max_file_bytes: 100_000,
            max_request_bytes: 1_000_000,
            max_files: 50,
        }
    }

    pub(crate) fn database_url(&self) -> String {
        self.database.pool.connect_options().to_url_lossy().into()
    }

    pub(crate) fn content_dir(&self) -> PathBuf {
        self.folder.path().join("content")
    }

    /// The service's address of the batch's files.
    pub(crate) fn files_url(&self) -> String {
        let service = self.service.as_ref().expect("the service runs");
        self.files_url_at(&service.address().to_string())
    }

    pub(crate) fn files_url_at(&self, address: &str) -> String {
        format!("http://{address}/v1/batches/{}/files", self.batch)
    }

    /// An upload of these files by the test's user.
    pub(crate) fn upload(&self, files: &[(&str, &[u8])]) -> RequestBuilder {
        self.upload_to(&self.files_url(), files)
    }

    pub(crate) fn upload_to(&self, url: &str, files: &[(&str, &[u8])]) -> RequestBuilder {
        let form = files.iter().fold(Form::new(), |form, (name, bytes)| {
            form.part("files", Part::bytes(bytes.to_vec()).file_name((*name).to_owned()))
        });
        self.http.post(url).header("x-user-id", USER).multipart(form)
    }

    /// Uploads files and returns their ids.
    pub(crate) async fn accepted(&self, files: &[(&str, &[u8])]) -> Vec<Uuid> {
        accepted(self.upload(files).send().await.unwrap()).await
    }

    pub(crate) async fn remove(&self, upload: Uuid) -> Response {
        let url = format!("{}/{upload}", self.files_url());
        self.http
            .delete(url)
            .header("x-user-id", USER)
            .send()
            .await
            .unwrap()
    }

    /// The batch's files, as the service lists them.
    pub(crate) async fn files(&self) -> Vec<FileUpload> {
        let request = self.http.get(self.files_url()).header("x-user-id", USER);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// The batch's files, once all of them are processed.
    pub(crate) async fn processed(&self) -> Vec<FileUpload> {
        wait_until("all files to be processed", LIMIT, async || {
            let files = self.files().await;
            let pending = files.iter().any(|file| file.status == UploadStatus::Pending);
            (!pending).then_some(files)
        })
        .await
    }

    /// Waits until nothing is left to relay; nothing of this service can end in the dead letters.
    pub(crate) async fn relayed(&self) {
        let store = PostgresStore::new(&self.database.pool);
        let status = wait_until("everything to be relayed", LIMIT, async || {
            let status = store.status().await.unwrap();
            (status.backlog.messages == 0).then_some(status)
        })
        .await;
        assert_eq!(
            (status.dead, status.parked),
            (0, 0),
            "events are in the dead letters"
        );
    }

    /// Stops the service as a signal does.
    pub(crate) async fn stop(&mut self) {
        let service = self.service.take().expect("the service runs");
        service.stop().await.unwrap();
    }

    /// Hands the running service out; another one can be started beside it.
    pub(crate) fn take(&mut self) -> Service {
        self.service.take().expect("the service runs")
    }

    /// Drops the service where it stands.
    pub(crate) fn crash(&mut self) {
        self.service = None;
    }

    /// Lets everything arrive, stops, and reads back all events of the batch.
    pub(crate) async fn finish(&mut self) -> Vec<events::Event> {
        self.relayed().await;
        self.stop().await;
        events::of_batch(&self.batch).await
    }

    /// How many files lie in a folder of the content store.
    pub(crate) fn contents(&self, kind: &str) -> usize {
        std::fs::read_dir(self.content_dir().join(kind)).unwrap().count()
    }

    pub(crate) async fn content(&self, id: &str) -> Vec<u8> {
        std::fs::read(self.content_dir().join(id)).unwrap()
    }
}

/// The ids in the answer to an upload.
pub(crate) async fn accepted(response: Response) -> Vec<Uuid> {
    let (status, body) = (response.status(), response.json::<Value>().await.unwrap());
    assert_eq!(status, 202, "{body}");
    let files = body["files"].as_array().unwrap();
    files
        .iter()
        .map(|file| file["file_upload_id"].as_str().unwrap().parse().unwrap())
        .collect()
}

/// The essays that ship with the example, by name.
pub(crate) fn essays() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/file-service/essays");
    let mut essays: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                std::fs::read(path).unwrap(),
            )
        })
        .collect();
    essays.sort();
    essays
}

/// Files as [`Running::upload`] takes them.
pub(crate) fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect()
}

/// So many files with texts that pass.
pub(crate) fn many(count: usize) -> Vec<(String, Vec<u8>)> {
    (0..count)
        .map(|number| {
            (
                format!("essay-{number:03}.txt"),
                format!("{number}. {ESSAY}").into_bytes(),
            )
        })
        .collect()
}
