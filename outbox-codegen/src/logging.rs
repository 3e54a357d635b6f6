//! Log lines on stderr, above the progress bar if there is one.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use indicatif::ProgressBar;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

#[cfg(feature = "otlp")]
use crate::otlp::SpanExport;

/// Without `RUST_LOG`: what the relay has to say, and of others only their troubles.
const DEFAULT_FILTER: &str = "info,sqlx=warn";

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object on each line.
    Json,
}

/// A layer that receives all events, beside the one that logs lines.
type Other = Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync>;

/// Changes which lines are logged.
pub(crate) struct LogFilter(Box<dyn Fn(EnvFilter) -> bool + Send + Sync>);

impl LogFilter {
    /// Follows this filter from now on, or the default one. The error is for people.
    pub(crate) fn set(&self, filter: Option<&str>) -> Result<(), String> {
        let filter =
            EnvFilter::try_new(filter.unwrap_or(DEFAULT_FILTER)).map_err(|error| error.to_string())?;
        match (self.0)(filter) {
            true => Ok(()),
            false => Err("something else in the process writes the log".to_owned()),
        }
    }
}

/// Starts logging; the bar is hidden while a line is printed. Does nothing if something in the process logs already.
pub(crate) fn start(bar: &ProgressBar, format: LogFormat) -> LogFilter {
    start_with(bar, format, None)
}

/// As [`start`], and exports spans.
#[cfg(feature = "otlp")]
pub(crate) fn start_exporting(
    bar: &ProgressBar,
    format: LogFormat,
    export: Option<&SpanExport>,
) -> LogFilter {
    use opentelemetry::trace::TracerProvider as _;
    let spans = export.map(|export| {
        let tracer = export.provider.tracer("outbox");
        tracing_opentelemetry::layer().with_tracer(tracer).boxed()
    });
    start_with(bar, format, spans)
}

fn start_with(bar: &ProgressBar, format: LogFormat, other: Option<Other>) -> LogFilter {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        // Whoever read the log may be gone: that is no reason to say so there, which would panic.
        .log_internal_errors(false)
        .with_writer(AboveBar(bar.clone()));
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        // One object a line, the fields beside level, timestamp and message.
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let layers = other.into_iter().chain([lines]).collect::<Vec<Other>>();
    let (filter, handle) = reload::Layer::new(filter);
    let _ = tracing_subscriber::registry()
        .with(layers)
        .with(filter)
        .try_init();
    LogFilter(Box::new(move |filter| handle.reload(filter).is_ok()))
}

#[derive(Clone)]
struct AboveBar(ProgressBar);

impl Write for AboveBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Lines that nobody can read any more are dropped, and the command goes on.
        let _ = self.0.suspend(|| io::stderr().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for AboveBar {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
