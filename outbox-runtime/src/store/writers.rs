//! Transactions that have written messages and have not ended.

use std::time::Duration;

use serde::Serialize;

use super::observed::seconds;

/// An open transaction that has written messages.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OpenWriter {
    /// The server process; `None` if the transaction is prepared.
    pub pid: Option<i32>,
    /// The name under which it was prepared.
    pub prepared: Option<String>,
    /// The connection's `application_name`.
    pub application: Option<String>,
    /// The role.
    pub role: Option<String>,
    /// Time for which it has been open.
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub age: Duration,
}
