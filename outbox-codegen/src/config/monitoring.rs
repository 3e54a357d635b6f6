//! `[alerts]`, `[dashboard]`

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use crate::alerts::Thresholds;
use crate::dashboard;
use crate::duration::duration;

/// Recording and alerting rules for Prometheus. The dashboard shows the same thresholds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Alerts {
    /// File of the rules, relative to `outbox.toml`.
    pub(crate) file: PathBuf,
    /// Where the runbooks lie that alerts link to: a URL or a path.
    pub(crate) runbooks: String,
    /// Maximum age of the oldest message in the backlog, such as `1m`.
    backlog_age: Time,
    /// Messages in a growing backlog.
    backlog_records: u64,
    /// Bytes that the messages' table must not reach within a day, at the speed of the last six hours.
    table_bytes: u64,
    /// Maximum age of an open transaction, such as `10m`.
    transaction_age: Time,
    /// Messages that a consumer may be behind while it processes none.
    consumer_lag: u64,
    /// Changes of the active relay within 15 minutes.
    leader_changes: u64,
}

impl Alerts {
    pub(crate) fn thresholds(&self) -> Thresholds {
        Thresholds {
            backlog_age: self.backlog_age.0,
            backlog_records: self.backlog_records,
            table_bytes: self.table_bytes,
            transaction_age: self.transaction_age.0,
            consumer_lag: self.consumer_lag,
            leader_changes: self.leader_changes,
        }
    }
}

impl Default for Alerts {
    fn default() -> Self {
        let usual = Thresholds::default();
        Self {
            file: "outbox.rules.yml".into(),
            runbooks: "docs/runbooks".to_owned(),
            backlog_age: Time(usual.backlog_age),
            backlog_records: usual.backlog_records,
            table_bytes: usual.table_bytes,
            transaction_age: Time(usual.transaction_age),
            consumer_lag: usual.consumer_lag,
            leader_changes: usual.leader_changes,
        }
    }
}

/// A dashboard for Grafana.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dashboard {
    /// File of the dashboard, relative to `outbox.toml`.
    pub(crate) file: PathBuf,
    /// Title of the dashboard.
    pub(crate) title: String,
    /// Identifier of the dashboard in Grafana's links.
    pub(crate) uid: Uid,
}

impl Default for Dashboard {
    fn default() -> Self {
        Self {
            file: "outbox.dashboard.json".into(),
            title: "Outbox".to_owned(),
            uid: Uid("outbox".to_owned()),
        }
    }
}

/// A duration, as options take it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Time(Duration);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |reason| format!("`{text}` is not a duration: {reason}");
        duration(&text).map(Self).map_err(wrong)
    }
}

/// As it is written, for the schema's defaults.
impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h)?$" })
    }
}

/// The identifier of a dashboard.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub(crate) struct Uid(String);

impl TryFrom<String> for Uid {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |reason| format!("`{text}` is not an identifier: {reason}");
        dashboard::uid(&text).map(Self).map_err(wrong)
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.0
    }
}

impl JsonSchema for Uid {
    fn schema_name() -> Cow<'static, str> {
        "Uid".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$" })
    }
}
