//! What has to be done, from what was found: the rules, without a database.

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use super::{Order, UNDELIVERED};
use crate::Tables;
use crate::store::postgres::claim::Origin;
use crate::store::postgres::home::Home;
use crate::store::postgres::progress::CursorRow;
use crate::store::postgres::snapshot::{Snapshot, Xid};
use crate::store::postgres::window::Edge;
use crate::store::{StoreError, StoreErrorKind, WithoutCursor};

/// The log in the transaction's snapshot.
pub(super) struct Found {
    pub(super) snapshot: Snapshot,
    pub(super) home: Home,
    /// The greatest transaction id of a row.
    pub(super) newest: Option<Xid>,
    pub(super) cursor: Option<CursorRow>,
    pub(super) origin: Origin,
    pub(super) log_id: Option<uuid::Uuid>,
    /// The last seq that the sequence has given out.
    pub(super) last_seq: i64,
    /// A transaction id that was taken after that.
    pub(super) next: Xid,
    /// The highest seq of a row.
    pub(super) highest: i64,
    pub(super) has_lease: bool,
}

impl Found {
    /// Whether rows or cursor come from elsewhere. A row that is visible though its transaction is not: that
    /// transaction was another cluster's.
    fn is_foreign(&self) -> bool {
        self.origin.is_elsewhere(&self.home) || self.newest.is_some_and(|newest| !self.snapshot.sees(newest))
    }

    /// Up to where the cursor calls rows delivered.
    fn cursor_high(&self) -> i64 {
        let bounds = self.cursor.as_ref().map(|cursor| {
            let open = cursor.open.as_ref().map_or(0, |(to, _)| to.high);
            cursor.from.high.max(open)
        });
        bounds.unwrap_or(0)
    }

    /// Seqs were given out anew that the cursor calls delivered: it can no longer distinguish them.
    fn sequence_started_over(&self) -> bool {
        self.last_seq > 0 && self.last_seq < self.cursor_high()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) to_send: u64,
    pub(super) delivered: u64,
    pub(super) skipped: u64,
    pub(super) parked: u64,
}

/// What counts as delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct GoingBy {
    all: bool,
    from: Option<(String, i64)>,
    open: Option<(String, i64)>,
}

impl GoingBy {
    fn nothing_delivered() -> Self {
        Self::default()
    }

    fn all_delivered() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    pub(super) fn the_cursor(cursor: Option<&CursorRow>) -> Self {
        let Some(cursor) = cursor else {
            return Self::nothing_delivered();
        };
        Self {
            all: false,
            from: Some((cursor.from.snapshot.to_string(), cursor.from.high)),
            open: cursor
                .open
                .as_ref()
                .map(|(to, settled)| (to.snapshot.to_string(), to.high.min(*settled))),
        }
    }

    pub(super) fn bind<'q>(
        &'q self,
        query: Query<'q, Postgres, PgArguments>,
    ) -> Query<'q, Postgres, PgArguments> {
        let (from, open) = (self.from.as_ref(), self.open.as_ref());
        query
            .bind(self.all)
            .bind(from.map(|(snapshot, _)| snapshot))
            .bind(from.map(|(_, seq)| *seq))
            .bind(open.map(|(snapshot, _)| snapshot))
            .bind(open.map(|(_, seq)| *seq))
    }
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Nothing,
    /// The lease's row is gone, and all else is well.
    Lease,
    /// The log is at home, and goes by its own cursor alone from now on.
    ForgetKafkasCursor,
    Sort(GoingBy),
}

impl Verdict {
    /// # Errors
    /// Only the operator can say what is right.
    pub(super) fn of(order: Order, found: &Found, tables: &Tables) -> Result<Self, StoreError> {
        let names = tables.as_arguments();
        let undecided = |text: String| Err(StoreError::new(StoreErrorKind::Undecided, text));
        if let Order::Fork(fork) = order
            && !fork.physical_copy
            && !found.is_foreign()
        {
            return undecided(format!(
                "nothing here distinguishes this log from its original: its cursor was written in this very table, or never. If \
                 it is the original, leave it as it is; if it is a copy of the server's files (a base backup, an \
                 image of its disk, a promoted replica), say so with `outbox fork{names} --physical-copy`"
            ));
        }
        match order.without_cursor() {
            Some(WithoutCursor::SkipAll) => return Ok(Self::Sort(GoingBy::all_delivered())),
            Some(WithoutCursor::SendAll) => return Ok(Self::Sort(GoingBy::nothing_delivered())),
            None => {}
        }
        let Some(cursor) = &found.cursor else {
            return Err(StoreError::lost_cursor(tables).of_kind(StoreErrorKind::Undecided));
        };
        let sorts = order.is_fork() || found.is_foreign();
        // In the cluster of origin, transaction ids distinguish them, and the relay uses those.
        if sorts && found.sequence_started_over() {
            return undecided(format!(
                "the sequence behind {messages}.seq stands at {last}, below {high}, up to where the cursor calls \
                 messages delivered: those written here cannot be distinguished from delivered ones. `outbox adopt{names} \
                 --without-cursor send` sends all that is in the log, `… --without-cursor skip` none of it",
                messages = tables.messages(),
                last = found.last_seq,
                high = found.cursor_high(),
            ));
        }
        Ok(if sorts {
            Self::Sort(GoingBy::the_cursor(Some(cursor)))
        } else if matches!(order, Order::Adopt(adopt) if adopt.without_kafka_cursor) {
            Self::ForgetKafkasCursor
        } else if !found.has_lease {
            Self::Lease
        } else {
            Self::Nothing
        })
    }

    pub(super) fn is_needed(&self) -> bool {
        *self != Self::Nothing
    }

    pub(super) fn sorts(&self) -> Option<GoingBy> {
        match self {
            Self::Sort(going_by) => Some(going_by.clone()),
            Self::Nothing | Self::Lease | Self::ForgetKafkasCursor => None,
        }
    }

    /// Whether nothing of what is there will be sent.
    pub(super) fn skips(&self) -> bool {
        matches!(self, Self::Sort(going_by) if going_by.all)
    }
}

/// The cursor behind the sorted rows.
pub(super) fn cursor(found: &Found, counts: &Counts) -> CursorRow {
    // Where the sequence moves, transactions may still write below its new place, whatever their ids.
    let snapshot = match sequence_moves_to(found) {
        Some(_) => found.snapshot.clone(),
        None => found.snapshot.listing_all_below(found.next),
    };
    let high = found.last_seq.max(found.highest).max(found.cursor_high());
    let now = Edge::new(snapshot, high, None);
    if counts.to_send == 0 {
        return CursorRow {
            from: now,
            open: None,
        };
    }
    let before = Edge::new(now.snapshot.as_if_running(UNDELIVERED), high, None);
    CursorRow {
        from: before,
        open: Some((now, 0)),
    }
}

/// A copy made by logical replication does not carry the sequence along.
pub(super) fn sequence_moves_to(found: &Found) -> Option<i64> {
    let at_least = found.highest.max(found.cursor_high());
    (found.last_seq < at_least).then_some(at_least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Adopt, Fork};

    fn found() -> Found {
        let edge = |snapshot: &str, high| Edge::new(snapshot.parse().unwrap(), high, None);
        Found {
            snapshot: "700:702:700".parse().unwrap(),
            home: Home {
                system_identifier: Some("8".to_owned()),
                database_oid: "5".to_owned(),
                table_oid: "16".to_owned(),
                timeline: Some("00000001".to_owned()),
            },
            newest: Some(699),
            cursor: Some(CursorRow {
                from: edge("5000:5000:", 40),
                open: Some((edge("6000:6000:", 90), 60)),
            }),
            origin: Origin {
                system_identifier: Some("7".to_owned()),
                database_oid: Some("5".to_owned()),
                table_oid: Some("16".to_owned()),
                timeline: None,
            },
            log_id: None,
            last_seq: 100,
            next: 705,
            highest: 99,
            has_lease: true,
        }
    }

    fn at_home() -> Found {
        let mut found = found();
        found.origin.system_identifier = Some("8".to_owned());
        found
    }

    fn verdict(order: Order, found: &Found) -> Result<Verdict, StoreErrorKind> {
        Verdict::of(order, found, &Tables::default()).map_err(|error| error.kind())
    }

    const ADOPT: Order = Order::Adopt(Adopt {
        without_cursor: None,
        without_kafka_cursor: false,
        dry_run: false,
    });
    const FORK: Fork = Fork {
        send_backlog: false,
        physical_copy: false,
        dry_run: false,
    };

    #[test]
    fn a_log_that_is_at_home_is_left_alone() {
        assert_eq!(verdict(ADOPT, &at_home()), Ok(Verdict::Nothing));
        let without_lease = Found {
            has_lease: false,
            ..at_home()
        };
        assert_eq!(verdict(ADOPT, &without_lease), Ok(Verdict::Lease));
    }

    #[test]
    fn a_row_whose_transaction_has_not_happened_is_foreign() {
        for newest in [700, 702, 9000] {
            let found = Found {
                newest: Some(newest),
                ..at_home()
            };
            assert!(verdict(ADOPT, &found).unwrap().is_needed(), "{newest}");
        }
    }

    #[test]
    fn a_fork_of_what_may_be_the_original_is_refused() {
        assert_eq!(
            verdict(Order::Fork(FORK), &at_home()),
            Err(StoreErrorKind::Undecided)
        );
        let physical = Fork {
            physical_copy: true,
            ..FORK
        };
        assert!(verdict(Order::Fork(physical), &at_home()).unwrap().skips());
        assert!(verdict(Order::Fork(FORK), &found()).unwrap().skips());
        let sending = Fork {
            send_backlog: true,
            ..FORK
        };
        assert!(!verdict(Order::Fork(sending), &found()).unwrap().skips());
    }

    #[test]
    fn a_cursor_that_cannot_be_gone_by_has_to_be_decided_about() {
        let without = |assumed| {
            Order::Adopt(Adopt {
                without_cursor: Some(assumed),
                without_kafka_cursor: false,
                dry_run: false,
            })
        };
        for unusable in [
            Found {
                cursor: None,
                ..found()
            },
            Found {
                last_seq: 50,
                ..found()
            },
        ] {
            assert_eq!(verdict(ADOPT, &unusable), Err(StoreErrorKind::Undecided));
            assert!(
                verdict(without(WithoutCursor::SkipAll), &unusable)
                    .unwrap()
                    .skips()
            );
            assert_eq!(
                verdict(without(WithoutCursor::SendAll), &unusable),
                Ok(Verdict::Sort(GoingBy::nothing_delivered()))
            );
        }
        let at_home_again = Found {
            last_seq: 50,
            ..at_home()
        };
        assert_eq!(verdict(ADOPT, &at_home_again), Ok(Verdict::Nothing));
        let never_used = Found {
            last_seq: 0,
            ..found()
        };
        assert!(verdict(ADOPT, &never_used).unwrap().is_needed());
        assert_eq!(sequence_moves_to(&never_used), Some(99));
        assert_eq!(sequence_moves_to(&found()), None);
    }

    #[test]
    fn the_window_holds_what_is_to_be_sent_and_nothing_else() {
        let some = Counts {
            to_send: 1,
            ..Counts::default()
        };
        let row = cursor(&found(), &some);
        let (to, position) = row.open.unwrap();
        let window = crate::store::postgres::window::Window { from: row.from, to };
        assert_eq!(position, 0);
        assert_eq!(window.late_listed().collect::<Vec<_>>(), [UNDELIVERED]);
        assert_eq!(window.late_unlisted(), None);
        for (xid, is_in) in [(3, false), (4, true), (699, false), (700, false), (702, false)] {
            assert_eq!(window.contains(xid, 100), is_in, "{xid}");
        }
        assert_eq!(cursor(&found(), &Counts::default()).open, None);
    }

    #[test]
    fn the_new_cursor_lists_all_that_may_be_late_unless_the_sequence_moves() {
        let row = cursor(&found(), &Counts::default());
        assert_eq!(
            row.from.snapshot.to_string(),
            "700:706:700,702,703,704,705",
            "not all are listed"
        );
        let behind = Found {
            highest: 150,
            ..found()
        };
        assert!(sequence_moves_to(&behind).is_some());
        assert_eq!(cursor(&behind, &Counts::default()).from.xid_bound, None);
    }
}
