//! What the two cursors say together: the rules, without a database or a broker.

use crate::publisher::BrokerCursor;
use crate::store::{ClaimedCursor, Contradiction};

/// Where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResumePoint {
    /// Where the row says. No generation is at work in it yet; this will be the first.
    TakeUp { generation: i64 },
    /// Where the row says: nothing of its window was sent.
    AtTheRow,
    /// In the row's window behind this seq.
    Behind(i64),
}

/// A window is written down before its first record is sent, and only after all before it were: so the broker is in
/// the row's window or at the end of the one before it. A row's position follows the broker's.
pub(super) fn compare(
    row: &ClaimedCursor,
    broker: Option<&BrokerCursor>,
) -> Result<ResumePoint, Contradiction> {
    let Some(generation) = row.generation else {
        return match broker {
            Some(_) if row.went_back => Err(Contradiction::DatabaseWentBack),
            Some(cursor) => Ok(ResumePoint::TakeUp {
                generation: cursor.generation + 1,
            }),
            None => Ok(ResumePoint::TakeUp { generation: 1 }),
        };
    };
    let Some(cursor) = broker else {
        return Err(Contradiction::BrokerLostCursor);
    };
    let written = row.open.map(|open| open.seq);
    if cursor.generation > generation {
        Err(Contradiction::DatabaseWentBack)
    } else if cursor.generation == generation {
        match written.is_some_and(|written| cursor.position < written) {
            true => Err(Contradiction::BrokerWentBack),
            false => Ok(ResumePoint::Behind(cursor.position)),
        }
    } else if cursor.generation + 1 == generation && written == Some(0) {
        Ok(ResumePoint::AtTheRow)
    } else {
        Err(Contradiction::BrokerWentBack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Mark;

    fn row(generation: Option<i64>, open: Option<i64>) -> ClaimedCursor {
        ClaimedCursor {
            log_id: uuid::Uuid::nil(),
            generation,
            open: open.map(|seq| Mark { window: 0, seq }),
            went_back: false,
        }
    }

    fn broker(generation: i64, position: i64) -> BrokerCursor {
        BrokerCursor {
            generation,
            position,
            taken_out: Vec::new(),
        }
    }

    #[test]
    fn without_a_generation_the_row_decides() {
        for open in [None, Some(0), Some(7)] {
            let fresh = compare(&row(None, open), None);
            assert_eq!(fresh, Ok(ResumePoint::TakeUp { generation: 1 }));
            let again = compare(&row(None, open), Some(&broker(4, 9)));
            assert_eq!(
                again,
                Ok(ResumePoint::TakeUp { generation: 5 }),
                "higher than any before"
            );
        }
    }

    #[test]
    fn a_restore_to_before_the_first_generation_is_noticed() {
        let mut before = row(None, Some(7));
        before.went_back = true;
        assert_eq!(compare(&before, None), Ok(ResumePoint::TakeUp { generation: 1 }));
        let back = compare(&before, Some(&broker(1, 9)));
        assert_eq!(back, Err(Contradiction::DatabaseWentBack));
    }

    #[test]
    fn in_one_window_the_broker_knows_how_far_it_is() {
        assert_eq!(
            compare(&row(Some(4), Some(0)), Some(&broker(4, 9))),
            Ok(ResumePoint::Behind(9))
        );
        assert_eq!(
            compare(&row(Some(4), Some(9)), Some(&broker(4, 9))),
            Ok(ResumePoint::Behind(9))
        );
        assert_eq!(
            compare(&row(Some(4), None), Some(&broker(4, 9))),
            Ok(ResumePoint::Behind(9))
        );
    }

    #[test]
    fn a_fail_over_that_kept_both_is_no_contradiction() {
        let mut promoted = row(Some(4), Some(3));
        promoted.went_back = true;
        assert_eq!(
            compare(&promoted, Some(&broker(4, 9))),
            Ok(ResumePoint::Behind(9))
        );
    }

    #[test]
    fn a_window_of_which_nothing_was_sent_is_begun() {
        assert_eq!(
            compare(&row(Some(5), Some(0)), Some(&broker(4, 9))),
            Ok(ResumePoint::AtTheRow)
        );
    }

    #[test]
    fn the_side_that_lost_data_is_named() {
        let database = Err(Contradiction::DatabaseWentBack);
        assert_eq!(compare(&row(Some(3), Some(0)), Some(&broker(4, 9))), database);
        assert_eq!(compare(&row(Some(3), None), Some(&broker(9, 0))), database);
        assert_eq!(
            compare(&row(Some(3), Some(0)), None),
            Err(Contradiction::BrokerLostCursor)
        );
        let back = Err(Contradiction::BrokerWentBack);
        assert_eq!(compare(&row(Some(4), Some(9)), Some(&broker(4, 8))), back);
        assert_eq!(
            compare(&row(Some(5), Some(1)), Some(&broker(4, 9))),
            back,
            "some of it was sent"
        );
        assert_eq!(
            compare(&row(Some(5), None), Some(&broker(4, 9))),
            back,
            "all of it was sent"
        );
        assert_eq!(compare(&row(Some(6), Some(0)), Some(&broker(4, 9))), back);
    }

    mod model {
        use proptest::prelude::*;

        use super::*;

        /// What may happen between two looks at the cursors.
        #[derive(Debug, Clone, Copy)]
        enum Step {
            /// A window of so many rows is written down.
            Begin(i64),
            /// So many rows are sent, and the broker's cursor behind them.
            Commit(i64),
            /// The row's position follows.
            Persist,
            /// The window is found to be at its end, and closed in the row.
            Close,
            /// The relay dies, and another one starts.
            Crash,
        }

        fn step() -> impl Strategy<Value = Step> {
            prop_oneof![
                (1i64..6).prop_map(Step::Begin),
                (1i64..4).prop_map(Step::Commit),
                Just(Step::Persist),
                Just(Step::Close),
                Just(Step::Crash),
            ]
        }

        proptest! {
            /// However windows, transactions, writes of the row and crashes follow each other, who compares the
            /// cursors goes on exactly behind what was delivered.
            #[test]
            fn who_compares_goes_on_behind_what_was_delivered(steps in proptest::collection::vec(step(), 1..80)) {
                // A window's rows have the positions 1 to `rows`.
                let (mut rows, mut sent) = (0, 0);
                let mut at_row = row(Some(1), None);
                let mut at_broker = broker(1, 0);
                for step in steps {
                    match step {
                        Step::Begin(new) if sent == rows => {
                            (rows, sent) = (new, 0);
                            at_row = row(at_row.generation.map(|generation| generation + 1), Some(0));
                        }
                        Step::Commit(more) if sent < rows => {
                            sent = rows.min(sent + more);
                            at_broker = broker(at_row.generation.unwrap_or_default(), sent);
                        }
                        Step::Persist if at_row.open.is_some() => at_row = row(at_row.generation, Some(sent)),
                        Step::Close if sent == rows => at_row = row(at_row.generation, None),
                        Step::Crash => {
                            let goes_on = match compare(&at_row, Some(&at_broker)) {
                                Ok(ResumePoint::AtTheRow) => 0,
                                Ok(ResumePoint::Behind(position)) => position,
                                other => return Err(TestCaseError::fail(format!("{other:?}"))),
                            };
                            prop_assert_eq!(if at_row.open.is_some() { goes_on } else { rows }, sent);
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}
