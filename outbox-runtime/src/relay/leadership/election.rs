//! Who may take the lease, and until when it holds: the rules, without a database.

use std::time::Duration;

use uuid::Uuid;

use crate::store::LeaseRow;

/// A standby's view of the lease row.
///
/// It compares no clocks: the holder counts its time from before it sent a renewal, the standby from after it
/// saw that renewal. So the holder's time is always over first.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: Option<(LeaseRow, Duration)>,
}

impl Watch {
    /// Takes note of the row. `asked` is when the question was sent, `answered` when the row was there. Says
    /// whether the lease may be taken now, provided that the row is still the same when it is taken.
    ///
    /// `mine` is the token of this process's last leadership, which is over: nobody else writes with it, so there
    /// is nothing to wait for.
    pub(super) fn may_take(
        &mut self,
        row: &LeaseRow,
        mine: Option<Uuid>,
        asked: Duration,
        answered: Duration,
    ) -> bool {
        if row.token.is_none() || row.token == mine {
            return true;
        }
        match &self.seen {
            Some((seen, since)) if seen == row => asked.saturating_sub(*since) >= row.ttl,
            _ => {
                self.seen = Some((row.clone(), answered));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_secs(6);

    fn row(epoch: i64, renewals: i64) -> LeaseRow {
        LeaseRow {
            epoch,
            token: Some(Uuid::from_u128(7)),
            renewals,
            ttl: TTL,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_free_lease_is_taken_at_once() {
        let free = LeaseRow {
            token: None,
            ..row(3, 9)
        };
        assert!(Watch::default().may_take(&free, None, at(0), at(0)));
    }

    #[test]
    fn a_lease_that_moves_is_never_taken() {
        let mut watch = Watch::default();
        for second in 0..60 {
            assert!(!watch.may_take(&row(3, second as i64), None, at(second), at(second)));
        }
    }

    #[test]
    fn a_silent_holder_is_waited_for_from_when_it_was_seen() {
        let mut watch = Watch::default();
        assert!(
            !watch.may_take(&row(3, 1), None, at(0), at(4)),
            "the answer took long"
        );
        assert!(!watch.may_take(&row(3, 1), None, at(9), at(9)));
        assert!(watch.may_take(&row(3, 1), None, at(10), at(10)));
    }

    #[test]
    fn the_holders_own_duration_counts() {
        let mut watch = Watch::default();
        let patient = LeaseRow {
            ttl: at(60),
            ..row(3, 1)
        };
        assert!(!watch.may_take(&patient, None, at(0), at(0)));
        assert!(!watch.may_take(&patient, None, at(59), at(59)));
        assert!(watch.may_take(&patient, None, at(60), at(60)));
    }

    #[test]
    fn ones_own_lost_lease_is_taken_back_at_once() {
        assert!(Watch::default().may_take(&row(3, 1), Some(Uuid::from_u128(7)), at(0), at(0)));
        assert!(!Watch::default().may_take(&row(3, 1), Some(Uuid::from_u128(8)), at(0), at(0)));
    }

    /// What a holder and a standby may do, each with the time that its messages take.
    #[derive(Debug, Clone)]
    enum Step {
        Rest(u64),
        Renew {
            takes: u64,
        },
        Look {
            there: u64,
            renewed_meanwhile: bool,
            back: u64,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u64..8).prop_map(Step::Rest),
            (0u64..8).prop_map(|takes| Step::Renew { takes }),
            (0u64..8, any::<bool>(), 0u64..8).prop_map(|(there, renewed_meanwhile, back)| Step::Look {
                there,
                renewed_meanwhile,
                back
            }),
        ]
    }

    proptest! {
        /// However long messages take: when a standby may take the lease, the holder's own time is over.
        #[test]
        fn nobody_takes_a_lease_that_its_holder_still_believes_in(
            steps in proptest::collection::vec(step(), 1..60)
        ) {
            let (mut now, mut lease, mut deadline) = (at(0), row(1, 0), TTL);
            let mut watch = Watch::default();
            for step in steps {
                match step {
                    Step::Rest(seconds) => now += at(seconds),
                    Step::Renew { takes } => {
                        if now < deadline {
                            deadline = now + TTL;
                            now += at(takes);
                            lease.renewals += 1;
                        }
                    }
                    Step::Look { there, renewed_meanwhile, back } => {
                        let asked = now;
                        now += at(there);
                        let seen = lease.clone();
                        if renewed_meanwhile && now < deadline {
                            deadline = now + TTL;
                            lease.renewals += 1;
                        }
                        now += at(back);
                        // It is taken only if the row is still the same.
                        if watch.may_take(&seen, None, asked, now) && seen == lease {
                            prop_assert!(asked >= deadline, "taken at {asked:?}, held until {deadline:?}");
                        }
                    }
                }
            }
        }
    }
}
