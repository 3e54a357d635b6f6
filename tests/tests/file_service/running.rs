//! A file service of a test's own.

use std::path::PathBuf;
use std::time::Duration;

use file_service::events::{BatchFileAddedV1, EssayContentProvisionedV1};
use file_service::uploads::{FileUpload, UploadStatus};
use file_service::{Config, Service};
use outbox_runtime::modes::Mode;
use outbox_runtime::testkit::{TestBroker, TestOutbox};
use outbox_tests::{servers, wait_until};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use sqlx::{ConnectOptions, Postgres};
use tempfile::TempDir;
use uuid::Uuid;

/// How long anything may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Who uploads.
pub(crate) const USER: &str = "user-1";

/// A text that passes.
pub(crate) const ESSAY: &str =
    "An essay has to have fifty characters at least, and this one has some more than that.";

/// A service with a database, a broker, a content folder and a batch of its own. It can be stopped and started again.
pub(crate) struct Running {
    service: Option<Service>,
    pub(crate) test: TestOutbox<Postgres>,
    pub(crate) batch: String,
    pub(crate) http: Client,
    pub(crate) mock: bool,
    folder: TempDir,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With other settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut running = Self::stopped(TestBroker::mock_kafka()).await;
        running.start_again(change).await;
        running
    }

    /// Not started yet, with the real brokers that all tests share: the service has no prefix for its topics.
    pub(crate) async fn stopped_with_kafka() -> Self {
        let mut running = Self::stopped(TestBroker::kafka_at(servers::brokers()).await).await;
        running.mock = false;
        running
    }

    async fn stopped(broker: TestBroker) -> Self {
        Self {
            service: None,
            test: TestOutbox::new().await.with_broker(&broker),
            batch: format!("batch-{}", Uuid::new_v4()),
            http: Client::new(),
            mock: true,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Starts on what is there.
    pub(crate) async fn start_again(&mut self, change: impl FnOnce(&mut Config)) {
        let mut config = Config {
            database_url: self.database_url(),
            brokers: self.test.broker().brokers().to_owned(),
            mock_brokers: self.mock,
            failover: Duration::from_secs(6),
            mode: Mode::Outbox,
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
        };
        change(&mut config);
        self.service = Some(Service::start(config).await.unwrap());
    }

    pub(crate) fn database_url(&self) -> String {
        self.test.pool().connect_options().to_url_lossy().into()
    }

    pub(crate) fn content_dir(&self) -> PathBuf {
        self.folder.path().join("content")
    }

    /// The address of the batch's files.
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

    pub(crate) async fn remove(&self, upload: Uuid) -> StatusCode {
        let url = format!("{}/{upload}", self.files_url());
        let request = self.http.delete(url).header("x-user-id", USER);
        request.send().await.unwrap().status()
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

    /// Each of these uploads was announced once as added, in their order, and once as ready.
    pub(crate) async fn announced_once(&self, ids: &[Uuid]) {
        let added = self.test.emitted::<BatchFileAddedV1>().await;
        let added: Vec<Uuid> = added.iter().map(|event| event.file_upload_id).collect();
        assert_eq!(added, ids);
        let ready = self.test.emitted::<EssayContentProvisionedV1>().await;
        let mut ready: Vec<Uuid> = ready.iter().map(|event| event.file_upload_id).collect();
        ready.sort();
        let mut ids = ids.to_vec();
        ids.sort();
        assert_eq!(ready, ids);
    }

    /// Stops the service as a signal does, which sends what is on its way.
    pub(crate) async fn stop(&mut self) {
        self.take().stop().await.unwrap();
    }

    /// Hands the running service out; another one can be started beside it.
    pub(crate) fn take(&mut self) -> Service {
        self.service.take().expect("the service runs")
    }

    /// Drops the service where it stands.
    pub(crate) fn crash(&mut self) {
        self.service = None;
    }

    /// How many contents are stored, once those that nobody refers to are removed.
    pub(crate) async fn contents(&self) -> usize {
        let store = file_service::ContentStore::open(&self.content_dir())
            .await
            .unwrap();
        let swept = file_service::sweep(&store, self.test.pool(), Duration::ZERO).await;
        swept.unwrap();
        let count = |kind| std::fs::read_dir(self.content_dir().join(kind)).unwrap().count();
        count("raw") + count("text") + count("drafts")
    }

    pub(crate) fn content(&self, id: &str) -> Vec<u8> {
        std::fs::read(self.content_dir().join(id)).unwrap()
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(self.test.pool()).await.unwrap();
    }
}

/// The ids in the answer to an upload.
pub(crate) async fn accepted(response: Response) -> Vec<Uuid> {
    let (status, body) = (response.status(), response.json::<Value>().await.unwrap());
    assert_eq!(status, 202, "{body}");
    let files = body["files"].as_array().unwrap();
    let id = |file: &Value| file["file_upload_id"].as_str().unwrap().parse().unwrap();
    files.iter().map(id).collect()
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
    let file = |number| {
        (
            format!("essay-{number:03}.txt"),
            format!("{number}. {ESSAY}").into_bytes(),
        )
    };
    (0..count).map(file).collect()
}
