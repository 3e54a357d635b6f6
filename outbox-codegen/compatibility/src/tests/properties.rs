//! Data made from the old type decodes with the new one whenever it is said that it does, and the reverse.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::judge;
use super::model::{Program, program, reads, schema, value, varied};

/// Values of `writer` that `reader` cannot read, out of some.
fn unread(
    reader: &Program,
    writer: &Program,
    random: &mut SmallRng,
    tries: usize,
) -> Option<serde_json::Value> {
    let mut written = (0..tries).filter_map(|_| value(writer, random));
    written.find(|value| {
        assert!(reads(writer, value), "{writer:?} does not read its own {value}");
        !reads(reader, value)
    })
}

fn pair(seed: u64) -> (Program, Program, SmallRng) {
    let mut random = SmallRng::seed_from_u64(seed);
    let old = program(&mut random);
    let new = varied(&old, &mut random);
    (old, new, random)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn what_is_said_to_be_read_is_read(seed: u64) {
        let (old, new, mut random) = pair(seed);
        let [backward, forward] = judge(&schema(&old), &schema(&new));
        if backward.is_empty() {
            let value = unread(&new, &old, &mut random, 30);
            prop_assert!(value.is_none(), "backward, but {new:?}\ndoes not read {value:?}\nof {old:?}");
        }
        if forward.is_empty() {
            let value = unread(&old, &new, &mut random, 30);
            prop_assert!(value.is_none(), "forward, but {old:?}\ndoes not read {value:?}\nof {new:?}");
        }
    }

    #[test]
    fn a_type_reads_what_it_writes(seed: u64) {
        let (old, _, _) = pair(seed);
        let renamed = Program { prefix: "Other", ..old.clone() };
        let findings = judge(&schema(&old), &schema(&renamed));
        prop_assert!(findings.iter().all(Vec::is_empty), "{findings:#?}\nof {old:?}");
    }
}

/// "Breaks" has to mean something: nearly always there is a value that shows it.
#[test]
fn what_is_said_to_break_breaks() {
    let (mut fine, mut shown, mut unshown) = (0, 0, Vec::new());
    for seed in 0..2_000 {
        let (old, new, mut random) = pair(seed);
        let [backward, forward] = judge(&schema(&old), &schema(&new));
        for (findings, reader, writer) in [(backward, &new, &old), (forward, &old, &new)] {
            if findings.is_empty() {
                fine += 1;
            } else if unread(reader, writer, &mut random, 300).is_some() {
                shown += 1;
            } else {
                unshown.push((seed, findings));
            }
        }
    }
    assert!(fine > 1_000 && shown > 700, "{fine} fine, {shown} broken");
    assert!(
        unshown.len() * 20 < shown,
        "{fine} fine, {shown} broken, and not shown: {} {unshown:#?}",
        unshown.len()
    );
}
