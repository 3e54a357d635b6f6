//! What a person sees while a relay works: a line that moves on a terminal, a log line now and then elsewhere.

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use outbox_runtime::RelayProgress;
use outbox_runtime::store::Store;

const MOVE_EVERY: Duration = Duration::from_millis(100);
const LOG_EVERY: Duration = Duration::from_secs(10);

/// A line for the terminal; hidden where stderr is none.
pub(crate) fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    // The template is ours; if it were wrong, the default one would do.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} delivered, {per_sec:.0} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Shows a relay's counters until the future is dropped.
pub(crate) async fn show(bar: &ProgressBar, progress: &RelayProgress) -> Infallible {
    if bar.is_hidden() {
        log(progress).await
    } else {
        animate(bar, progress).await
    }
}

async fn animate(bar: &ProgressBar, progress: &RelayProgress) -> Infallible {
    let mut ticks = tokio::time::interval(MOVE_EVERY);
    loop {
        ticks.tick().await;
        bar.set_position(progress.delivered());
        bar.set_message(match progress.is_active() {
            true => format!("({} in flight)", progress.in_flight()),
            false => "(waiting for the lease)".to_owned(),
        });
        bar.tick();
    }
}

async fn log(progress: &RelayProgress) -> Infallible {
    let mut ticks = tokio::time::interval(LOG_EVERY);
    ticks.tick().await;
    let mut said = progress.delivered();
    loop {
        ticks.tick().await;
        let delivered = progress.delivered();
        if delivered != said {
            let rate = (delivered - said) / LOG_EVERY.as_secs();
            tracing::info!(delivered, rate, in_flight = progress.in_flight(), "relaying");
            said = delivered;
        }
    }
}

/// Gives the bar a length: what is left to deliver, as far as the store knows.
pub(crate) async fn measure(bar: &ProgressBar, store: &impl Store) {
    if bar.is_hidden() {
        return;
    }
    if let Ok(status) = store.status().await {
        let template = "{bar:30} {human_pos}/{human_len} delivered, {per_sec:.0} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_length(status.backlog.messages);
    }
}
