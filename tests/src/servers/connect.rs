//! A Kafka Connect of one's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::environment::connect_libs;
use super::folder::ServerFolder;
use super::port::free_port;
use super::process::ServerProcess;
use crate::wait_until;

/// How long a start may take, on a machine that is busy compiling.
const START: Duration = Duration::from_secs(120);

/// Kafka Connect with Debezium, one process, run with configuration files as an operator has them.
///
/// Dropping it kills it and removes its offsets.
#[derive(Debug)]
pub struct KafkaConnect {
    process: ServerProcess,
    port: u16,
    connectors: Vec<String>,
}

/// Where Kafka Connect keeps how far it has read, from one run to the next.
#[derive(Debug)]
pub struct ConnectOffsets(ServerFolder);

impl Default for ConnectOffsets {
    fn default() -> Self {
        Self(ServerFolder::new("connect", None))
    }
}

impl KafkaConnect {
    /// Starts a worker with `worker.properties` and these connectors' files of `directory`, and waits until they
    /// run. Of the worker's properties, only its port and the place of its offsets are others.
    pub async fn start(
        directory: &Path,
        connectors: &[&str],
        environment: &[(&str, &str)],
        offsets: &ConnectOffsets,
    ) -> Self {
        let port = free_port();
        let own = format!(
            "\nlisteners=http://127.0.0.1:{port}\noffset.storage.file.filename={}\n",
            offsets.0.file("offsets").display()
        );
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let worker = offsets.0.file("worker.properties");
        fs::write(&worker, read("worker.properties") + &own).expect("the properties can be written");
        let files: Vec<String> = connectors
            .iter()
            .map(|name| format!("{name}.properties"))
            .collect();
        let names = files.iter().map(|file| property(&read(file), "name")).collect();

        let libs = connect_libs().join("*");
        let mut args: Vec<String> = environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let java = [
            "java",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
            "-Dlog4j2.level=WARN",
            "-cp",
        ];
        args.extend(java.map(str::to_owned));
        args.push(libs.display().to_string());
        args.push("org.apache.kafka.connect.cli.ConnectStandalone".to_owned());
        args.push(worker.display().to_string());
        args.extend(
            files
                .iter()
                .map(|file| directory.join(file).display().to_string()),
        );
        let process =
            ServerProcess::start(&PathBuf::from("env"), &args, None, &offsets.0.file("connect.log"));
        let mut connect = Self {
            process,
            port,
            connectors: names,
        };
        connect.wait_until_running().await;
        connect
    }

    /// Stops it in order: what was read is written, and how far that was.
    pub async fn stop(self) {
        self.process.stop(Signal::TERM).await;
    }

    async fn wait_until_running(&mut self) {
        let client = reqwest::Client::new();
        let urls: Vec<String> = self
            .connectors
            .iter()
            .map(|name| format!("http://127.0.0.1:{}/connectors/{name}/status", self.port))
            .collect();
        wait_until("Kafka Connect to run its connectors", START, || {
            assert!(
                self.process.exited().is_none(),
                "Kafka Connect ended:\n{}",
                self.process.last_words()
            );
            let (client, urls, last_words) = (client.clone(), urls.clone(), self.process.last_words());
            async move {
                for url in urls {
                    let status: serde_json::Value = client.get(url).send().await.ok()?.json().await.ok()?;
                    let task = &status["tasks"][0];
                    assert_ne!(task["state"], "FAILED", "{status:#}\n{last_words}");
                    (task["state"] == "RUNNING").then_some(())?;
                }
                Some(())
            }
        })
        .await;
    }
}

fn property(text: &str, name: &str) -> String {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name}= in {text}")).to_owned()
}
