//! A process that ends while clients of Kafka are still connecting.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use outbox_runtime::KafkaPublisher;
use outbox_runtime::publisher::Publisher as _;

/// Where the process that ends looks for its broker.
const BROKER: &str = "OUTBOX_TEST_CLOSING_BROKER";
/// What it says when everything that has to be done at its end is done.
const ENDING: &str = "the last handler runs";

/// How long clients connect before the process ends, and again before it is gone.
const CONNECTING: Duration = Duration::from_millis(500);

/// A broker that closes each connection as soon as its handshake begins.
struct ClosingBroker {
    address: String,
    handshakes: Arc<AtomicU32>,
}

impl ClosingBroker {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let handshakes = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&handshakes);
        let begins = |mut connection: TcpStream| connection.read(&mut [0; 4096]).is_ok_and(|bytes| bytes > 0);
        thread::spawn(move || {
            for connection in listener.incoming().filter_map(Result::ok) {
                counted.fetch_add(u32::from(begins(connection)), Ordering::Relaxed);
            }
        });
        Self { address, handshakes }
    }

    fn handshakes(&self) -> u32 {
        self.handshakes.load(Ordering::Relaxed)
    }
}

#[expect(unsafe_code, reason = "std knows no handlers of a process's end")]
mod handlers {
    unsafe extern "C" {
        /// The handler that is given first runs last.
        pub(super) safe fn atexit(handler: extern "C" fn()) -> std::ffi::c_int;
    }
}

extern "C" fn linger() {
    eprintln!("{ENDING}");
    thread::sleep(CONNECTING);
}

#[test]
#[ignore = "ends its process; the test below starts it"]
fn ends_while_a_client_connects() {
    let broker = std::env::var(BROKER).expect("the test below names a broker");
    assert_eq!(handlers::atexit(linger), 0, "one more handler is possible");
    let mut publisher = KafkaPublisher::builder(broker)
        .property("security.protocol", "ssl")
        .property("enable.sparse.connections", "false")
        .property("reconnect.backoff.ms", "1")
        .property("reconnect.backoff.max.ms", "1")
        .build()
        .expect("nothing is wrong with the properties");
    publisher.start().expect("a producer starts");
    thread::sleep(CONNECTING);
    std::process::exit(0);
}

/// A client that is left behind goes on as if nothing had happened. By itself, OpenSSL frees what it has when `main`
/// returns, and a client in the middle of a handshake then crashes the process.
#[test]
fn openssl_serves_clients_until_the_process_is_gone() {
    let broker = ClosingBroker::start();
    let mut process = Command::new(std::env::current_exe().expect("a process knows where its program is"))
        .args(["--exact", "process_end::ends_while_a_client_connects"])
        .args(["--ignored", "--nocapture"])
        .env(BROKER, &broker.address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the process starts");
    let mut log = BufReader::new(process.stderr.take().expect("its log is piped")).lines();
    let ending = |line: Result<String, _>| line.expect("the log can be read") == ENDING;
    let handler_ran = log.any(ending);
    let before = broker.handshakes();
    let rest: Vec<_> = log.collect();
    let ended = process.wait().expect("the process can be waited for");
    assert!(ended.success() && handler_ran, "{ended}: {rest:?}");
    let after = broker.handshakes();
    assert!(
        before > 10 && after > before + 10,
        "{before}, and {after} at the end"
    );
}
