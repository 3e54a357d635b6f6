//! Tortures relays, servers and connections for as long as it is told to:
//! `./tests/run --torture --seed 7 --duration 10m`. Ctrl-C ends it early, with a report. Ends with 1 if a promise was broken.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use outbox_tests::torture::{self, Kind, Plan};
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Arguments {
    /// What faults, moments and events are drawn from [default: by chance].
    #[arg(long)]
    seed: Option<u64>,

    /// After how long no new fault is drawn, such as 90s or 2h.
    #[arg(long, default_value = "2m", value_parser = humantime::parse_duration)]
    duration: Duration,

    /// Only faults of this kind; may be repeated.
    #[arg(long = "kind", value_enum, value_name = "KIND")]
    kinds: Vec<Kind>,

    /// Where logs go, and stay if something fails [default: below the temporary folder].
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let folder = arguments.folder;
    let enough = CancellationToken::new();
    tokio::spawn({
        let enough = enough.clone();
        async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                eprintln!("torture: the last fault's recovery and the comparison are still to come");
                enough.cancel();
            }
        }
    });
    let plan = Plan {
        seed,
        duration: arguments.duration,
        folder: folder.unwrap_or_else(|| std::env::temp_dir().join(format!("outbox-torture-{seed}"))),
        kinds: arguments.kinds,
        enough,
    };
    let report = torture::run(&plan).await;
    println!("{report}");
    if report.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
