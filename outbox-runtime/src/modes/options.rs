//! What a service says of modes when it builds its outbox.

use std::fmt;
use std::time::Duration;

use super::sender::Sender;
use super::{Mode, ShadowTarget};
use crate::publisher::Publisher;
use crate::record::WireOptions;

/// Makes an outbox follow the modes that operators set: [`OutboxBuilder::modes`](crate::OutboxBuilder::modes).
///
/// ```no_run
/// # #[cfg(feature = "kafka")]
/// # fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// use outbox_runtime::modes::Modes;
/// use outbox_runtime::{KafkaPublisher, Outbox};
///
/// let publisher = KafkaPublisher::builder("kafka:9092").build()?;
/// let outbox = Outbox::builder(pool).modes(Modes::new(publisher)).build();
/// # Ok(()) }
/// ```
#[must_use]
pub struct Modes {
    pub(super) default: Mode,
    pub(super) shadow: ShadowTarget,
    pub(super) source: Option<String>,
    pub(super) time_and_subject: bool,
    pub(super) give_up_after: Duration,
    pub(super) sender: Sender,
}

impl Modes {
    /// Creates modes that send direct events with this publisher. It connects when it is first used. Use the
    /// same settings as for the relay's publisher.
    pub fn new<P: Publisher>(publisher: P) -> Self {
        Self {
            default: Mode::Outbox,
            shadow: ShadowTarget::Suffix(".shadow".to_owned()),
            source: None,
            time_and_subject: false,
            give_up_after: Duration::from_secs(30),
            sender: Sender::new(publisher),
        }
    }

    /// The mode of events for which the database sets none. Default: [`Mode::Outbox`]. It must be the same in
    /// all processes that write to a log, because a change of the default does not keep the order as a switch
    /// does.
    pub fn default_mode(mut self, mode: Mode) -> Self {
        self.default = mode;
        self
    }

    /// Reads the default mode from `default` in `[mode]` of an `outbox.toml`. A file without it changes nothing. As
    /// with [`default_mode`](Self::default_mode), it must be the same in all processes.
    ///
    /// ```toml
    /// [mode]
    /// default = "direct"
    /// ```
    ///
    /// # Errors
    /// The file cannot be read, or the mode is unknown.
    #[cfg(feature = "toml")]
    pub fn default_mode_of(
        mut self,
        path: impl AsRef<std::path::Path>,
    ) -> Result<Self, super::DefaultModeError> {
        self.default = super::file::read(path.as_ref())?.unwrap_or(self.default);
        Ok(self)
    }

    /// Topic of the messages of [`Mode::Shadow`]. Default: the event's topic with the suffix `.shadow`.
    pub fn shadow(mut self, target: ShadowTarget) -> Self {
        self.shadow = target;
        self
    }

    /// CloudEvents source of directly sent events without one, as the relay's `--source`. Default: `/<database name>`.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Also send `ce_time` and `ce_subject` with directly sent events, as the relay's setting of that name.
    pub fn time_and_subject(mut self, send: bool) -> Self {
        self.time_and_subject = send;
        self
    }

    /// Time after which a directly sent event that is not acknowledged counts as lost. Default: 30 s. The call of its
    /// transaction returns when the event is acknowledged or lost, so a caller waits at most this long for an
    /// unavailable broker, and at most twice as long if the broker accepted a record and does not answer.
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.give_up_after = time;
        self
    }

    /// What the sender needs, once the database is known.
    pub(super) fn wire(&self, database: &str) -> WireOptions {
        WireOptions {
            default_source: self.source.clone().unwrap_or_else(|| format!("/{database}")),
            time_and_subject: self.time_and_subject,
        }
    }
}

impl fmt::Debug for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Modes")
            .field("default", &self.default)
            .field("shadow", &self.shadow)
            .field("give_up_after", &self.give_up_after)
            .finish_non_exhaustive()
    }
}
