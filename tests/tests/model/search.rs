//! The search: with all protections every promise holds, and without any one of them one is broken.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use crate::bounds::{commits, crashes, failures, pauses, rewinds, sequence};
use crate::system::{self, Protections, System};

fn holds(system: System) {
    let checker = system.checker().threads(2).spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
}

/// The way in which it is broken is printed, for those who want to see it.
fn is_broken(system: System, promise: &'static str) {
    let found = HasDiscoveries::AnyOf(BTreeSet::from([promise]));
    let checker = system.checker().threads(2).finish_when(found).spawn_bfs().join();
    let way = checker.discovery(promise);
    let way = way.unwrap_or_else(|| panic!("`{promise}` holds without it, so it is not needed"));
    println!("{promise}: broken by {:?}", way.into_actions());
}

const ALL: Protections = Protections::ALL;

#[test]
fn commits_in_every_order_keep_all_promises() {
    holds(commits(ALL));
}

#[test]
fn a_sequence_that_begins_anew_at_every_step_keeps_all_promises() {
    holds(sequence(ALL));
}

#[test]
fn pauses_at_every_step_keep_all_promises() {
    holds(pauses(ALL));
}

#[test]
fn crashes_at_every_step_keep_all_promises() {
    holds(crashes(ALL));
}

#[test]
fn failures_at_every_step_keep_all_promises() {
    holds(failures(ALL));
}

#[test]
fn rewinds_at_every_step_keep_all_promises() {
    holds(rewinds(ALL));
}

#[test]
fn without_a_look_at_what_happened_to_the_cursor_rewound_messages_do_not_come_again() {
    let protections = Protections {
        notices_moves: false,
        ..ALL
    };
    is_broken(rewinds(protections), system::REWOUND_COMES_AGAIN);
}

#[test]
fn with_a_mark_that_a_claim_takes_away_unanswered_rewound_messages_do_not_come_again() {
    let protections = Protections {
        moves_outlive_claims: false,
        ..ALL
    };
    is_broken(rewinds(protections), system::REWOUND_COMES_AGAIN);
}

#[test]
fn without_the_list_of_running_transactions_their_rows_are_lost() {
    let protections = Protections {
        late_listed: false,
        ..ALL
    };
    is_broken(commits(protections), system::NOTHING_LOST);
}

/// A look below the cursor would find them too; it is there for a sequence that goes back, and costs a search through all.
#[test]
fn without_those_that_began_after_the_last_one_that_finished_rows_are_lost() {
    let protections = Protections {
        lists_all: false,
        below: false,
        ..ALL
    };
    is_broken(commits(protections), system::NOTHING_LOST);
}

#[test]
fn with_a_look_at_the_next_transaction_before_the_sequence_rows_are_lost() {
    let protections = Protections {
        next_after_high: false,
        below: false,
        ..ALL
    };
    is_broken(commits(protections), system::NOTHING_LOST);
}

#[test]
fn without_a_look_below_the_cursor_rows_are_lost_after_the_sequence_began_anew() {
    let protections = Protections { below: false, ..ALL };
    is_broken(sequence(protections), system::NOTHING_LOST);
}

#[test]
fn without_the_watermark_what_is_on_its_way_is_lost() {
    let protections = Protections {
        watermark: false,
        ..ALL
    };
    is_broken(crashes(protections), system::NOTHING_LOST);
}

#[test]
fn without_waiting_for_the_acknowledgement_what_is_on_its_way_is_lost() {
    let protections = Protections {
        acknowledged: false,
        ..ALL
    };
    is_broken(crashes(protections), system::NOTHING_LOST);
}

/// The zombie: it wakes up, and its statement arrives.
#[test]
fn without_fencing_a_late_write_takes_the_cursor_back() {
    let protections = Protections {
        fencing: false,
        ..ALL
    };
    is_broken(pauses(protections), system::CURSOR_STAYS_AHEAD);
}

#[test]
fn without_a_purge_when_the_lease_is_over_records_leave_all_the_same() {
    let protections = Protections {
        purge_at_loss: false,
        ..ALL
    };
    is_broken(crashes(protections), system::SILENT_WITHOUT_LEASE);
}

#[test]
fn without_a_purge_when_a_record_failed_later_ones_overtake_it() {
    let protections = Protections {
        purge_at_failure: false,
        ..ALL
    };
    is_broken(failures(protections), system::IN_ORDER);
}

#[test]
fn without_waiting_for_what_is_on_its_way_a_new_pass_makes_duplicates() {
    let protections = Protections {
        settle_first: false,
        ..ALL
    };
    is_broken(failures(protections), system::DUPLICATES_HAVE_A_REASON);
}

#[test]
fn without_remembering_what_was_settled_a_new_pass_makes_duplicates() {
    let protections = Protections {
        remembers: false,
        ..ALL
    };
    is_broken(failures(protections), system::DUPLICATES_HAVE_A_REASON);
}
