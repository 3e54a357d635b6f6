//! SIGHUP: the relay reads its `.env` file again, follows what can change, and says what cannot.

use std::convert::Infallible;
use std::env;
use std::time::Duration;

use outbox_runtime::retention::{Keep, Retention, RetentionHandle};

use crate::arguments::retention::{age, keep, size};
use crate::duration::duration;
use crate::environment::{self, EnvironmentFile};
use crate::logging::LogFilter;
use crate::signals::Hangups;

/// Variables of the retention, with their flags.
const RETENTION: [(&str, &str); 4] = [
    ("OUTBOX_RETENTION", "--retention"),
    ("OUTBOX_RETENTION_BYTES", "--retention-bytes"),
    ("OUTBOX_RETENTION_DEAD_LETTERS", "--retention-dead-letters"),
    ("OUTBOX_RETENTION_INTERVAL", "--retention-interval"),
];

/// The variable of the log's filter.
const LOG_FILTER: &str = "RUST_LOG";

/// What the relay's options say of the retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RetentionOptions {
    pub(super) keep: Option<Keep>,
    pub(super) max_bytes: Option<u64>,
    pub(super) dead_letters: Option<Duration>,
    pub(super) interval: Duration,
}

impl RetentionOptions {
    /// What a variable that is not set says.
    const INTERVAL: Duration = Duration::from_secs(10);

    pub(super) fn retention(self) -> Retention {
        Retention::off()
            .keep(self.keep.unwrap_or_default())
            .max_bytes(self.max_bytes)
            .dead_letters(self.dead_letters)
            .interval(self.interval)
    }

    /// The options with these variables, but for those that the command line gives.
    fn with(self, file: &EnvironmentFile, given: impl Fn(&str) -> bool) -> Result<Self, String> {
        let mut options = self;
        for (variable, flag) in RETENTION {
            if given(flag) || file.is_set_elsewhere(variable) {
                continue;
            }
            let value = file.value(variable);
            let wrong = |error| format!("{variable}: {error}");
            match variable {
                "OUTBOX_RETENTION" => options.keep = value.map(keep).transpose().map_err(wrong)?,
                "OUTBOX_RETENTION_BYTES" => options.max_bytes = value.map(size).transpose().map_err(wrong)?,
                "OUTBOX_RETENTION_DEAD_LETTERS" => {
                    options.dead_letters = value.map(age).transpose().map_err(wrong)?;
                }
                _ => {
                    let interval = value.map(duration).transpose().map_err(wrong)?;
                    options.interval = interval.unwrap_or(Self::INTERVAL);
                }
            }
        }
        Ok(options)
    }
}

/// What a running relay can follow.
pub(super) struct Reload {
    pub(super) hangups: Hangups,
    pub(super) log: LogFilter,
    pub(super) retention: RetentionHandle,
    pub(super) options: RetentionOptions,
}

impl Reload {
    /// Reads the file again at each signal; never ends by itself.
    pub(super) async fn follow(mut self) -> Infallible {
        let mut before = environment::file();
        loop {
            self.hangups.next().await;
            let Some(known) = &before else {
                tracing::warn!(
                    event = "reloaded",
                    "SIGHUP: nothing to read again, because no `.env` file was read at the start; the \
                     password's file is read at each connect"
                );
                continue;
            };
            match known.read_again() {
                Ok(now) => {
                    self.apply(known, &now);
                    before = Some(now);
                }
                Err(failure) => tracing::error!(
                    event = "reload_failed",
                    error = failure.sentence(),
                    "SIGHUP: the `.env` file cannot be read, and nothing was changed"
                ),
            }
        }
    }

    fn apply(&mut self, before: &EnvironmentFile, now: &EnvironmentFile) {
        let changes = before.changes(now);
        let (mut followed, mut left) = (Vec::new(), Vec::new());
        for name in &changes {
            match name.as_str() {
                LOG_FILTER => followed.push(name.as_str()),
                name if RETENTION.iter().any(|(variable, _)| *variable == name) => followed.push(name),
                name => left.push(name),
            }
        }
        if followed.contains(&LOG_FILTER)
            && let Err(error) = self.log.set(now.value(LOG_FILTER))
        {
            tracing::error!(
                event = "reload_failed",
                error,
                "SIGHUP: {LOG_FILTER} is invalid; the previous value stays in force"
            );
            followed.retain(|name| *name != LOG_FILTER);
        }
        if let Err(error) = self.follow_retention(now) {
            tracing::error!(
                event = "reload_failed",
                error,
                "SIGHUP: the retention is invalid; the previous value stays in force"
            );
            followed.retain(|name| *name == LOG_FILTER);
        }
        tracing::info!(
            event = "reloaded",
            file = %now.path().display(),
            changed = followed.join(" "),
            "SIGHUP: read the `.env` file again"
        );
        if !left.is_empty() {
            tracing::warn!(
                event = "restart_needed",
                variables = left.join(" "),
                "SIGHUP: these variables have changed and are read at the start only: start the relay again"
            );
        }
    }

    fn follow_retention(&mut self, now: &EnvironmentFile) -> Result<(), String> {
        let options = self.options.with(now, is_given)?;
        if options != self.options {
            let changed = self.retention.set(options.retention());
            changed.map_err(|error| error.to_string())?;
            self.options = options;
        }
        Ok(())
    }
}

/// Whether the command line gives a flag.
fn is_given(flag: &str) -> bool {
    env::args_os().any(|argument| {
        let argument = argument.to_string_lossy();
        argument
            .strip_prefix(flag)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}
