//! Faults drawn at random on everything at once: relays, PostgreSQL, three Kafka brokers, and each connection
//! between them, while writers write and a watcher reads all that arrives.
//!
//! A run goes in rounds. In each, new writers write into the business table and the outbox, faults fall one
//! after the other and sometimes two at once, and after each of them everything that was committed has to arrive
//! again. At a round's end what was delivered is compared with the business table, and forgotten: a run may last
//! for hours.

mod evidence;
mod fault;
mod inject;
mod journal;
mod kind;
mod operators;
mod passes;
mod pruning;
mod reasons;
mod relays;
mod report;
mod reset;
mod rewinds;
mod round;
mod scene;
mod secrets;
mod verdict;
mod watcher;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;

use self::journal::Journal;
use self::pruning::Pruning;
use self::scene::Scene;
use crate::program::has_failpoints;

pub use kind::Kind;
pub use report::{FaultsOfKind, Report};

/// What a run shall do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What faults, times and events are drawn from. It repeats the choices, though not their timing.
    pub seed: u64,
    /// After how long no new fault is drawn.
    pub duration: Duration,
    /// Where logs go. What is there before is removed; what is needed to look into a failure stays.
    pub folder: PathBuf,
    /// Only faults of these kinds; all if there are none.
    pub kinds: Vec<Kind>,
    /// Relays deliver exactly once: no duplicate has a reason.
    pub exactly_once: bool,
    /// Ends the run before its time, and has it compare and report what there was.
    pub enough: CancellationToken,
}

impl Plan {
    /// Whether no new fault is drawn in a run that began at this time.
    fn is_over(&self, began: Instant) -> bool {
        began.elapsed() >= self.duration || self.enough.is_cancelled()
    }
}

/// Carries a run out.
///
/// # Panics
/// If the servers cannot be started, or the program has no failpoints.
pub async fn run(plan: &Plan) -> Report {
    assert!(
        has_failpoints(),
        "the program `outbox` was built without failpoints: cargo build --workspace --bins builds it with them"
    );
    let mut journal = Journal::begin(plan);
    let mut random = StdRng::seed_from_u64(plan.seed);
    let mut scene = Scene::set_up(plan).await;
    let started = Instant::now();
    if scene.disks.is_none() {
        journal.note("full disks are left out: no file system can be mounted here");
    }
    journal.note(&format!("servers are up; {}", Pruning::of(plan)));
    let mut report = Report::new(plan, scene.disks.is_some());
    while report.failures.is_empty() && !plan.is_over(started) {
        let round = round::run(plan, started, &mut scene, &mut random, &mut journal, &mut report);
        // For example, a server did not come back: what was found until then is reported all the same.
        if AssertUnwindSafe(round).catch_unwind().await.is_err() {
            report.failures.push("the harness gave up, see above".to_owned());
        }
    }
    scene.take_down(&mut report).await;
    report.took = started.elapsed();
    journal.note(&report.to_string());
    report
}
