//! The harness for two minutes: a seed that is always the same, and one that is new each day, so that what it finds can be
//! looked at again on that day.
//!
//! Longer runs are made by `./tests/run --torture`; what a failed one needs to be looked into stays in its folder.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outbox_tests::torture::{Plan, run};
use tokio_util::sync::CancellationToken;

async fn survives(seed: u64, folder: &str) {
    let plan = Plan {
        seed,
        duration: Duration::from_secs(45),
        folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder),
        kinds: Vec::new(),
        enough: CancellationToken::new(),
    };
    let report = run(&plan).await;
    println!("{report}");
    assert!(report.failures.is_empty(), "{report}");
    assert!(
        report.rounds > 0 && report.committed > 0 && report.met() > 0,
        "it proves nothing: {report}"
    );
}

/// Days since 1970.
fn today() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is past 1970").as_secs() / 86_400
}

/// One after the other: two clusters at once would be more than a small machine has room for.
#[tokio::test(flavor = "multi_thread")]
async fn faults_of_a_fixed_and_of_a_fresh_seed_break_no_promise() {
    survives(20_240_229, "torture-fixed").await;
    survives(today(), "torture-fresh").await;
}
