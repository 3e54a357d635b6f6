//! How often a record may come.

use serde::{Deserialize, Serialize};

/// What a relay promises of the records that it delivers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryMode {
    /// Each comes, and after a crash some come twice.
    #[default]
    AtLeastOnce,
    /// Each comes once to a consumer that reads committed records only: records and cursor are one transaction of the
    /// broker. It costs latency, and a little throughput.
    ExactlyOnce,
}
