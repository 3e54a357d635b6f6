//! How often a record may come.

use serde::{Deserialize, Serialize};

/// Delivery mode of a relay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryMode {
    /// Each record is delivered. After a crash, some may be delivered twice.
    #[default]
    AtLeastOnce,
    /// A consumer that reads only committed records sees each record once: the broker commits records and
    /// cursor in one transaction. Costs latency and some throughput.
    ExactlyOnce,
}
