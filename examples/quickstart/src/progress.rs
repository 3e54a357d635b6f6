//! What a person sees meanwhile, on stderr: two bars on a terminal, a line each second elsewhere.

use std::convert::Infallible;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::consumer::Consumer;
use crate::ledger::Ledger;

const MOVE_EVERY: Duration = Duration::from_millis(50);
const SAY_EVERY: Duration = Duration::from_secs(1);

/// Events of one order.
const EVENTS: u64 = 2;

/// Where progress is shown. Clones share it.
#[derive(Clone)]
pub(crate) struct Progress {
    bars: Option<Bars>,
    since: Instant,
}

#[derive(Clone)]
struct Bars {
    both: MultiProgress,
    written: ProgressBar,
    arrived: ProgressBar,
}

impl Progress {
    pub(crate) fn start(orders: u32) -> Self {
        let since = Instant::now();
        if !io::stderr().is_terminal() {
            return Self { bars: None, since };
        }
        let both = MultiProgress::new();
        let bar = |name: &'static str, length| {
            let bar = both.add(ProgressBar::new(length)).with_prefix(name);
            let template = "{prefix:17} {bar:40} {human_pos:>7} / {human_len}";
            // The template is ours; if it were wrong, the default one would do.
            match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        };
        let written = bar("orders written", u64::from(orders));
        let arrived = bar("events arrived", 0);
        let bars = Some(Bars {
            both,
            written,
            arrived,
        });
        Self { bars, since }
    }

    /// Says something that has happened.
    pub(crate) fn say(&self, line: &str) {
        let line = format!("{:4.1} s  {line}", self.since.elapsed().as_secs_f64());
        match &self.bars {
            Some(bars) => bars.both.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Follows the counters until the future is dropped.
    pub(crate) async fn follow(&self, ledger: &Ledger, consumer: &Consumer) -> Infallible {
        let pace = if self.bars.is_some() {
            MOVE_EVERY
        } else {
            SAY_EVERY
        };
        let mut ticks = tokio::time::interval(pace);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let (orders, refused, arrived) = (ledger.orders(), ledger.refused(), consumer.seen());
            match &self.bars {
                Some(bars) => {
                    bars.written.set_position(orders + refused);
                    bars.arrived.set_length(orders * EVENTS);
                    bars.arrived.set_position(arrived);
                }
                None => self.say(&format!("{orders} orders committed, {arrived} events arrived")),
            }
        }
    }

    /// Takes the bars away.
    pub(crate) fn clear(&self) {
        if let Some(bars) = &self.bars {
            // A terminal that cannot be written to needs no clearing.
            let _ = bars.both.clear();
        }
    }

    /// Starts logging, above the bars. `RUST_LOG` says what; by default only troubles of the outbox.
    pub(crate) fn log(&self) {
        let filter =
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("outbox_runtime=error"));
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(io::stderr().is_terminal())
            .with_writer(self.clone())
            .try_init();
    }
}

impl Write for Progress {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.bars {
            Some(bars) => bars.both.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Progress {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
