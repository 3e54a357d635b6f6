//! `[mode]`: how events reach Kafka where the database says nothing.

use outbox_runtime::modes;
use schemars::JsonSchema;
use serde::Deserialize;

/// How events reach Kafka where the database says nothing, for services that read this file
/// (`Modes::default_mode_of`). Change modes of a running service with `outbox mode set`, not here.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mode {
    /// The mode of what is set nowhere in the database.
    default: DefaultMode,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum DefaultMode {
    /// Through the log and a relay.
    #[default]
    Outbox,
    /// Sent by the service after its commit; what was not sent when it dies is lost.
    Direct,
    /// The service publishes itself; the outbox sends to a shadow topic, or nowhere.
    Shadow,
}

impl Mode {
    pub(crate) fn default_mode(&self) -> modes::Mode {
        match self.default {
            DefaultMode::Outbox => modes::Mode::Outbox,
            DefaultMode::Direct => modes::Mode::Direct,
            DefaultMode::Shadow => modes::Mode::Shadow,
        }
    }
}
