//! What a person sees while it runs: on a terminal a table that moves, else a line when something has changed.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use outbox_runtime::store::Store as _;
use service_kit::Store;
use tokio::time::Instant;
use uuid::Uuid;

use crate::arguments::Name;
use crate::services::{Platform, Service};

/// How often numbers are read.
const PACE: Duration = Duration::from_millis(250);

/// What a batch is made of: its files come in, get a slot, are checked and ranked.
const STEPS: [(Name, &str); 4] = [
    (Name::FileService, "SELECT count(*) FROM file_uploads"),
    (
        Name::EssayLifecycle,
        "SELECT count(*) FROM slots WHERE file_upload_id IS NOT NULL",
    ),
    (Name::Spellcheck, "SELECT count(*) FROM jobs"),
    (
        Name::ResultAggregator,
        "SELECT count(*) FROM essay_results WHERE rank IS NOT NULL",
    ),
];

/// Where lines are written.
pub(crate) struct View {
    lines: MultiProgress,
    terminal: bool,
}

impl View {
    pub(crate) fn new() -> Self {
        Self {
            lines: MultiProgress::new(),
            terminal: std::io::stdout().is_terminal() && std::io::stderr().is_terminal(),
        }
    }

    /// A line that stays.
    pub(crate) fn say(&self, line: &str) {
        // Lines above what moves are written by what moves it.
        if !self.terminal || self.lines.println(line).is_err() {
            println!("{line}");
        }
    }

    /// Takes away what moves.
    pub(crate) fn clear(&self) {
        let _ = self.lines.clear();
    }

    /// Shows how far it is, until this future is dropped.
    pub(crate) async fn watch(&self, platform: &Platform, batches: &[Uuid], files: usize) {
        let mut numbers: Vec<Numbers> = platform.services.iter().map(|_| Numbers::new()).collect();
        let bars = self.terminal.then(|| self.bars(batches.len() * files));
        let mut ticks = tokio::time::interval(PACE);
        let mut said = String::new();
        loop {
            ticks.tick().await;
            for (service, numbers) in platform.services.iter().zip(&mut numbers) {
                numbers.read(service).await;
            }
            let steps = steps(platform).await;
            match &bars {
                Some((services, batch)) => {
                    for (bar, numbers) in services.iter().zip(&numbers) {
                        bar.set_message(numbers.text());
                        bar.tick();
                    }
                    batch.set_position(steps.iter().sum());
                    batch.set_message(step_text(&steps));
                }
                None => {
                    let line = step_text(&steps);
                    if line != said {
                        println!("{line}");
                        said = line;
                    }
                }
            }
        }
    }

    fn bars(&self, files: usize) -> (Vec<ProgressBar>, ProgressBar) {
        // The templates are ours; if they were wrong, the default ones would do.
        let line = ProgressStyle::with_template("{spinner} {prefix:<20} {msg}");
        let line = line.unwrap_or_else(|_| ProgressStyle::default_spinner());
        let services = Name::ALL.map(|name| {
            let bar = self
                .lines
                .add(ProgressBar::new_spinner().with_style(line.clone()));
            bar.with_prefix(name.as_str())
        });
        let style = ProgressStyle::with_template("  {prefix:<20} {wide_bar:.green/black} {msg} {elapsed}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let length = files * STEPS.len();
        let batch = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX)).with_style(style);
        (services.into(), self.lines.add(batch.with_prefix("essays")))
    }
}

/// How many files have come to each step.
async fn steps(platform: &Platform) -> [u64; 4] {
    let mut counts = [0; 4];
    for (count, (name, sql)) in counts.iter_mut().zip(STEPS) {
        // A database that does not answer now does later.
        let found = sqlx::query_scalar::<_, i64>(sql).fetch_one(platform.pool(name));
        *count = found
            .await
            .map_or(0, |found| u64::try_from(found).unwrap_or_default());
    }
    counts
}

fn step_text([files, slots, checked, ranked]: &[u64; 4]) -> String {
    format!("{files} handed in, {slots} in a slot, {checked} checked, {ranked} ranked")
}

/// What a service has done.
struct Numbers {
    backlog: u64,
    events: u64,
    rate: f64,
    read: Instant,
    answers: bool,
}

impl Numbers {
    fn new() -> Self {
        Self {
            backlog: 0,
            events: 0,
            rate: 0.0,
            read: Instant::now(),
            answers: false,
        }
    }

    async fn read(&mut self, service: &Service) {
        let status = Store::new(&service.pool).status().await;
        let events = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM outbox_messages")
            .fetch_one(&service.pool)
            .await;
        self.answers = service.process.lock().await.ended().is_none();
        let (Ok(status), Ok(events)) = (status, events) else {
            self.answers = false;
            return;
        };
        let events = u64::try_from(events).unwrap_or_default();
        let passed = self.read.elapsed().as_secs_f64().max(0.001);
        let now = events.saturating_sub(self.events) as f64 / passed;
        // Falls slowly, so that eyes can follow.
        self.rate = now.max(self.rate * 0.7);
        (self.backlog, self.events, self.read) = (status.backlog.messages, events, Instant::now());
    }

    fn text(&self) -> String {
        let state = if self.answers { "" } else { "  away" };
        format!(
            "{:>5} events {:>6.0}/s  backlog {:>4}{state}",
            self.events, self.rate, self.backlog
        )
    }
}
