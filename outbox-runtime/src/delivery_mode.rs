//! How often a record may come.

use serde::{Deserialize, Serialize};

/// Delivery mode of a relay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryMode {
    /// Each record is delivered at least once. After a crash, some records may be delivered twice.
    #[default]
    AtLeastOnce,
    /// A consumer that reads only committed records sees each record once, because the broker commits records
    /// and cursor in one transaction. Costs latency and some throughput.
    ExactlyOnce,
}
