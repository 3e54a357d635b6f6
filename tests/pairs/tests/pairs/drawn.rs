//! Pairs that the build script draws: `OUTBOX_PAIRS` of them, from `OUTBOX_PAIRS_SEED` on.
//!
//! "Compatible" must never be wrong. "Breaks" without a value that shows it has to be of a kind that docs/schemas.md lists.

use std::collections::BTreeMap;

use outbox_pairs::*;
use outbox_runtime::OutboxEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::judge::{Pair, pair, strip};

include!(concat!(env!("OUT_DIR"), "/pairs.rs"));

/// Of these changes "breaks" may be said without a value that shows it: to a schema they look like others.
const NEEDLESS: [&str; 3] = ["kind other", "kind alias", "kind tagged"];
/// For these reasons as well: what a function does is not known, and digits are lost without an error.
const STRICTER: [&str; 2] = ["cannot tell", "more digits"];

#[test]
fn what_is_said_is_what_serde_does() {
    let (mut right, mut wrong, mut needless, mut unlisted) = ([0, 0], Vec::new(), 0, Vec::new());
    for pair in drawn() {
        for judged in pair.judged() {
            let breaks = !judged.said.is_empty();
            if !breaks && !judged.blamed.is_empty() {
                wrong.push(pair.described(&judged));
            } else if breaks && judged.unread.is_empty() {
                needless += 1;
                let stricter = |said: &String| STRICTER.iter().any(|reason| said.contains(reason));
                let is_listed = judged.said.iter().all(stricter)
                    || NEEDLESS.iter().any(|kind| pair.change.contains(kind));
                if !is_listed {
                    unlisted.push(pair.described(&judged));
                }
            } else {
                right[usize::from(breaks)] += 1;
            }
        }
    }
    let [compatible, broken] = right;
    eprintln!(
        "{compatible} compatible, {broken} broken, {needless} said to be broken without a value that shows it"
    );
    assert!(
        wrong.is_empty(),
        "{} said to be read, and are not:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(
        unlisted.is_empty(),
        "{} said to break, and do not:\n{}",
        unlisted.len(),
        unlisted.join("\n")
    );
    assert!(
        compatible > broken && broken > needless,
        "they are drawn so that both happen"
    );
}

/// A check that loses what the derive notes of serde's attributes does not pass.
#[test]
fn it_is_noticed_if_the_attributes_are_not_seen() {
    let mut wrong = 0;
    for mut pair in drawn() {
        for side in [&mut pair.old, &mut pair.new] {
            side.event.schema.iter_mut().for_each(strip);
        }
        let judged = pair.judged();
        wrong += judged
            .iter()
            .filter(|it| it.said.is_empty() && !it.blamed.is_empty())
            .count();
    }
    assert!(wrong > 0, "no pair shows it");
}
