//! An Apache Kafka broker of one's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::Rng;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::Signal;

use super::certificates::Certificates;
use super::environment::kafka_libs;
use super::folder::ServerFolder;
use super::port::free_port;
use super::process::ServerProcess;
use crate::wait_until;

/// How long a start may take, on a machine that is busy compiling: a broker that crashed looks through its log first.
const START: Duration = Duration::from_secs(300);

/// Tests' brokers do not live long enough for Java's second compiler to pay; measurements run in release builds.
const COMPILER: &str = if cfg!(debug_assertions) {
    "-XX:TieredStopAtLevel=1"
} else {
    "-XX:+TieredCompilation"
};

/// One Kafka broker (and its own controller) in a temporary folder, on a port of the loopback address.
///
/// It creates no topics by itself. Dropping it kills it and removes the folder.
#[derive(Debug)]
pub struct KafkaServer {
    cluster_id: String,
    settings: Vec<(String, String)>,
    port: u16,
    controller_port: u16,
    // Before the folder: fields are dropped in order, and the process writes there.
    process: Option<ServerProcess>,
    folder: ServerFolder,
}

/// The addresses of a broker's listeners that encrypt.
#[derive(Debug, Clone)]
pub struct Encrypted {
    /// SASL_SSL.
    pub sasl: String,
    /// SSL, with a certificate at both ends.
    pub mutual: String,
}

impl KafkaServer {
    /// A new broker.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Lets Java write an archive of the classes that a broker loads, unless there is one. Brokers that find it start in
    /// half the time. Java ignores one that it cannot use.
    pub async fn archive_classes() {
        let archive = class_archive();
        if archive.exists() {
            return;
        }
        let unfinished = archive.with_extension(format!("{}.unfinished", std::process::id()));
        let mut server = Self::unformatted(&[]);
        server.format().await;
        let option = format!("-XX:ArchiveClassesAtExit={}", unfinished.display());
        if server.launch_with(&option).await.is_err() {
            // Brokers start without it, and say why if they do not.
            return;
        }
        server.stop().await;
        // A Java without an archive of its own classes writes none.
        if unfinished.exists() {
            fs::rename(&unfinished, &archive).expect("a file can be renamed where it was written");
        }
    }

    /// A new broker with further settings, as in `server.properties`.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut server = Self::unformatted(settings);
        server.format().await;
        while let Err(reason) = server.launch().await {
            // Somebody took a port between our look at it and the broker's.
            assert!(
                reason.contains("Address already in use"),
                "Kafka did not start:\n{reason}"
            );
            (server.port, server.controller_port) = (free_port(), free_port());
        }
        server
    }

    fn unformatted(settings: &[(&str, &str)]) -> Self {
        let settings = settings
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        Self {
            cluster_id: cluster_id(),
            settings,
            port: free_port(),
            controller_port: free_port(),
            process: None,
            folder: ServerFolder::new("kafka", None),
        }
    }

    /// A new broker with further listeners, whose clients shall use these ports: those of proxies. Returns the ports
    /// on which the broker really listens.
    pub async fn start_with_listeners(advertised: &[u16]) -> (Self, Vec<u16>) {
        let mut server = Self::start().await;
        let (port, controller_port) = (server.port, server.controller_port);
        let ports: Vec<u16> = advertised.iter().map(|_| free_port()).collect();
        let mut bound = format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}");
        let mut advertised_listeners = format!("PLAINTEXT://127.0.0.1:{port}");
        let mut protocols = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned();
        for (number, (port, advertised)) in ports.iter().zip(advertised).enumerate() {
            bound += &format!(",FURTHER{number}://127.0.0.1:{port}");
            advertised_listeners += &format!(",FURTHER{number}://127.0.0.1:{advertised}");
            protocols += &format!(",FURTHER{number}:PLAINTEXT");
        }
        server.set("listeners", &bound);
        server.set("advertised.listeners", &advertised_listeners);
        server.set("listener.security.protocol.map", &protocols);
        server.restart().await;
        (server, ports)
    }

    /// A new broker with a further listener, at the address that is returned, which asks for a user and a password
    /// (SASL/PLAIN).
    pub async fn start_with_users(users: &[(&str, &str)]) -> (Self, String) {
        let asking = free_port();
        let mut server = Self::start_with(&[
            (
                "listener.security.protocol.map",
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,ASKING:SASL_PLAINTEXT",
            ),
            ("sasl.enabled.mechanisms", "PLAIN"),
        ])
        .await;
        let (port, controller_port) = (server.port, server.controller_port);
        let listeners = format!("PLAINTEXT://127.0.0.1:{port},ASKING://127.0.0.1:{asking}");
        server.set("advertised.listeners", &listeners);
        server.set(
            "listeners",
            &format!("{listeners},CONTROLLER://127.0.0.1:{controller_port}"),
        );
        server.set_users(users);
        server.restart().await;
        (server, format!("127.0.0.1:{asking}"))
    }

    fn set_encryption(&mut self, certificates: &Certificates) {
        for (name, value) in [
            ("ssl.keystore.type", "PEM"),
            (
                "ssl.keystore.location",
                certificates.text("server-all.pem").as_str(),
            ),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.location", certificates.text("ca.pem").as_str()),
            ("listener.name.mutual.ssl.client.auth", "required"),
            ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-512,OAUTHBEARER"),
            (
                "listener.name.sasl.scram-sha-512.sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            ),
            (
                "listener.name.sasl.oauthbearer.sasl.jaas.config",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                 unsecuredLoginStringClaim_sub=\"broker\";",
            ),
        ] {
            self.set(name, value);
        }
    }

    /// A new broker with two further listeners that encrypt, with this certificate's server half. One logs in by
    /// SASL/PLAIN, SCRAM-SHA-512 and OAUTHBEARER (with tokens that nobody signed), as these users with these passwords;
    /// the other by a client's certificate.
    pub async fn start_encrypted(
        certificates: &Certificates,
        users: &[(&str, &str)],
        settings: &[(&str, &str)],
    ) -> (Self, Encrypted) {
        let mut server = Self::unformatted(&[]);
        let (port, controller_port) = (server.port, server.controller_port);
        let (sasl, mutual) = (free_port(), free_port());
        let listeners =
            format!("PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{sasl},MUTUAL://127.0.0.1:{mutual}");
        server.set(
            "listeners",
            &format!("{listeners},CONTROLLER://127.0.0.1:{controller_port}"),
        );
        // By the name that is in the certificate.
        let advertised_listeners =
            format!("PLAINTEXT://127.0.0.1:{port},SASL://localhost:{sasl},MUTUAL://localhost:{mutual}");
        server.set("advertised.listeners", &advertised_listeners);
        server.set(
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_SSL,MUTUAL:SSL",
        );
        server.set_encryption(certificates);
        server.set_users_of("sasl", users);
        for (name, value) in settings {
            server.set(name, value);
        }
        let scram: Vec<String> = users
            .iter()
            .flat_map(|(name, password)| {
                let user = format!("SCRAM-SHA-512=[name={name},password={password}]");
                ["-S".to_owned(), user]
            })
            .collect();
        server.format_with(&scram).await;
        if let Err(reason) = server.launch().await {
            panic!("Kafka did not start:\n{reason}");
        }
        let encrypted = Encrypted {
            sasl: format!("localhost:{sasl}"),
            mutual: format!("localhost:{mutual}"),
        };
        (server, encrypted)
    }

    /// Whom the listener that asks lets in, from the next start on.
    pub fn set_users(&mut self, users: &[(&str, &str)]) {
        self.set_users_of("asking", users);
    }

    fn set_users_of(&mut self, listener: &str, users: &[(&str, &str)]) {
        let users: String = users
            .iter()
            .map(|(name, password)| format!(" user_{name}=\"{password}\""))
            .collect();
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule required";
        self.set(
            &format!("listener.name.{listener}.plain.sasl.jaas.config"),
            &format!("{module}{users};"),
        );
    }

    /// A setting from the next start on.
    fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// One broker of several: its settings say which one, and where the others are.
    pub(super) async fn start_node(
        parent: &Path,
        cluster_id: &str,
        settings: Vec<(String, String)>,
        port: u16,
        controller_port: u16,
    ) -> Self {
        let mut server = Self {
            cluster_id: cluster_id.to_owned(),
            settings,
            port,
            controller_port,
            process: None,
            folder: ServerFolder::within(parent, "kafka", None),
        };
        server.format().await;
        if let Err(reason) = server.launch().await {
            panic!("Kafka did not start:\n{reason}");
        }
        server
    }

    /// Whether it was started, and neither stopped nor killed nor ended by itself since.
    pub fn runs(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.exited().is_none())
    }

    /// Its folder, with its log files and, in `log`, the records.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its address, for `bootstrap.servers`; the same after a restart.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The name of the cluster that it belongs to; one that was started alone is a cluster of its own.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Stops it in order.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop(Signal::TERM).await;
        }
    }

    /// Crashes it: the process is gone when this returns.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same log and port; stops it in order before, if it still runs.
    pub async fn restart(&mut self) {
        self.stop().await;
        if let Err(reason) = self.launch().await {
            panic!("Kafka did not start again:\n{reason}");
        }
    }

    /// Stops the process where it is, until [`thaw`](Self::thaw): connections stay open, nothing answers.
    pub fn freeze(&self) {
        self.running().freeze();
    }

    /// Lets a frozen broker go on.
    pub fn thaw(&self) {
        self.running().thaw();
    }

    fn running(&self) -> &ServerProcess {
        self.process.as_ref().expect("the broker runs")
    }

    fn properties(&self) -> String {
        let Self {
            port,
            controller_port,
            settings,
            ..
        } = self;
        let log = self.folder.file("log");
        let own: String = settings
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
             controller.listener.names=CONTROLLER\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             inter.broker.listener.name=PLAINTEXT\n\
             log.dirs={log}\n\
             auto.create.topics.enable=false\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=4\n\
             group.initial.rebalance.delay.ms=0\n\
             group.min.session.timeout.ms=1000\n\
             group.consumer.min.heartbeat.interval.ms=100\n\
             group.consumer.heartbeat.interval.ms=300\n\
             broker.session.timeout.ms=2000\n\
             broker.heartbeat.interval.ms=500\n\
             {own}",
            log = log.display(),
        )
    }

    async fn format(&self) {
        self.format_with(&[]).await;
    }

    async fn format_with(&self, further: &[String]) {
        let args = ["kafka.tools.StorageTool", "format", "-t", &self.cluster_id];
        let further = further.iter().map(String::as_str);
        let args: Vec<_> = args.into_iter().chain(further).chain(["-c"]).collect();
        let mut formatter = self.java(&archived_classes(), &args);
        let status = wait_until("Kafka's storage to be formatted", START, || {
            std::future::ready(formatter.exited())
        });
        assert!(
            status.await.success(),
            "formatting failed:\n{}",
            formatter.last_words()
        );
    }

    /// Starts the broker and waits until it answers; else says what it said last.
    async fn launch(&mut self) -> Result<(), String> {
        self.launch_with(&archived_classes()).await
    }

    async fn launch_with(&mut self, option: &str) -> Result<(), String> {
        let mut process = self.java(option, &["kafka.Kafka"]);
        let brokers = self.brokers();
        let started = wait_until("Kafka to start", START, || {
            let exited = process.exited().map(|_| process.last_words());
            let brokers = brokers.clone();
            async {
                match exited {
                    Some(words) => Some(Err(words)),
                    None => answers(brokers).await.then_some(Ok(())),
                }
            }
        });
        started.await?;
        self.process = Some(process);
        Ok(())
    }

    /// One of Kafka's programs with a further option of Java's, and with our properties' path behind its arguments.
    fn java(&self, option: &str, args: &[&str]) -> ServerProcess {
        let properties = self.folder.file("server.properties");
        fs::write(&properties, self.properties()).expect("the properties can be written");
        let libs = kafka_libs().join("*");
        let classpath = libs.to_str().expect("the folder of the jars has a readable name");
        // A small heap and the plain collector: several brokers may run beside the tests on two cores.
        let fixed = [
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
            option,
            COMPILER,
            "-Dlog4j2.level=WARN",
            "-cp",
            classpath,
        ];
        let args = fixed.iter().chain(args).map(|arg| arg.to_string());
        let args: Vec<_> = args.chain([properties.display().to_string()]).collect();
        ServerProcess::start(
            &PathBuf::from("java"),
            &args,
            None,
            &self.folder.file("server.log"),
        )
    }
}

/// Where the classes are archived: beside the jars, with which it goes when others are fetched.
fn class_archive() -> PathBuf {
    kafka_libs().join("classes.jsa")
}

/// Java's option for that. It does without if there is no such file.
fn archived_classes() -> String {
    format!("-XX:SharedArchiveFile={}", class_archive().display())
}

/// A name as Kafka makes it: 16 random bytes in 22 letters, the last of which carries two bits.
pub(super) fn cluster_id() -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    let mut letter = || char::from(letters[random.random_range(0..letters.len())]);
    (0..21).map(|_| letter()).chain(['A']).collect()
}

/// Whether a client gets the list of brokers, with this one in it.
async fn answers(brokers: String) -> bool {
    let look = move || {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("log_level", "0");
        let client: BaseConsumer = config.create().expect("a client can be made");
        client
            .fetch_metadata(None, Duration::from_millis(500))
            .is_ok_and(|found| !found.brokers().is_empty())
    };
    tokio::task::spawn_blocking(look)
        .await
        .expect("looking does not panic")
}
