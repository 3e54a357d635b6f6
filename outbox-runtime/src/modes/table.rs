//! The modes that are in force, and what follows for a message.

use std::collections::{BTreeSet, HashMap};

use super::{Mode, ModeScope};
use crate::message::OutboxMessage;

/// The modes as they are in the database, or were.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct InForce {
    /// Grows with each change; `None` before the first.
    version: Option<i64>,
    default: Mode,
    set: HashMap<ModeScope, Mode>,
}

#[cfg_attr(
    not(feature = "postgres"),
    expect(dead_code, reason = "only PostgreSQL has modes")
)]
impl InForce {
    pub(crate) fn new(
        version: Option<i64>,
        default: Mode,
        set: impl IntoIterator<Item = (ModeScope, Mode)>,
    ) -> Self {
        Self {
            version,
            default,
            set: set.into_iter().collect(),
        }
    }

    pub(crate) fn is_of(&self, version: Option<i64>) -> bool {
        self.version == version
    }
}

impl InForce {
    /// The narrowest scope decides.
    pub(crate) fn mode(&self, aggregate_type: &str, topic: &str, event_type: &str) -> Mode {
        if self.set.is_empty() {
            return self.default;
        }
        let scopes = [
            ModeScope::EventType(event_type.to_owned()),
            ModeScope::Topic(topic.to_owned()),
            ModeScope::Aggregate(aggregate_type.to_owned()),
            ModeScope::Log,
        ];
        let found = scopes.iter().find_map(|scope| self.set.get(scope).copied());
        found.unwrap_or(self.default)
    }

    pub(crate) fn of(&self, message: &OutboxMessage) -> Mode {
        self.mode(message.aggregate_type(), message.topic(), message.event_type())
    }
}

/// How many locks there are for the keys of a log. Keys that share one wait for each other, and nothing else follows from it.
const KEY_LOCKS: u64 = 256;

/// The locks of keys whose records are sent directly, in the order in which everybody takes them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SendLocks {
    pub(crate) keys: Vec<i64>,
}

impl SendLocks {
    /// Of the topics and keys of these messages.
    pub(crate) fn of(messages: &[OutboxMessage]) -> Self {
        let locks = messages
            .iter()
            .map(|message| key_lock(message.topic(), message.key()))
            .collect::<BTreeSet<_>>();
        Self {
            keys: locks.into_iter().collect(),
        }
    }
}

/// The same in every process and every version: FNV-1a, with the last step of MurmurHash3. FNV alone leaves the ends of
/// similar keys in the low bits.
fn key_lock(topic: &str, key: &str) -> i64 {
    let bytes = topic.bytes().chain([0]).chain(key.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    ((hash ^ (hash >> 33)) % KEY_LOCKS) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_scope_decides() {
        let all = [
            (ModeScope::Log, Mode::Direct),
            (ModeScope::Aggregate("order".into()), Mode::Outbox),
            (ModeScope::Topic("orders".into()), Mode::Shadow),
            (ModeScope::EventType("OrderPlacedV1".into()), Mode::Direct),
        ];
        let modes = |set: &[(ModeScope, Mode)]| {
            let in_force = InForce::new(Some(1), Mode::Outbox, set.iter().cloned());
            in_force.mode("order", "orders", "OrderPlacedV1")
        };
        for (known, expected) in [
            (0, Mode::Outbox),
            (1, Mode::Direct),
            (2, Mode::Outbox),
            (3, Mode::Shadow),
            (4, Mode::Direct),
        ] {
            assert_eq!(modes(&all[..known]), expected, "{known}");
        }
        let of_others = InForce::new(None, Mode::Shadow, all[1..].iter().cloned());
        assert_eq!(of_others.mode("cart", "carts", "CartOpened"), Mode::Shadow);
    }

    #[test]
    fn locks_of_keys_are_what_they_were_and_well_spread() {
        // A process of another version has to take the same ones.
        assert_eq!((key_lock("orders", "42"), key_lock("carts", "42")), (35, 243));
        let used: BTreeSet<i64> = (0..2_000)
            .map(|key| key_lock("orders", &format!("order-{key}")))
            .collect();
        assert!(used.len() > 240, "{}", used.len());
        assert!(used.iter().all(|lock| (0..256).contains(lock)));
    }
}
