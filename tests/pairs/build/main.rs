//! Draws pairs of types and writes them as a module: real serde, schemars and our derive then say what they mean.
//!
//! `OUTBOX_PAIRS` is their number, `OUTBOX_PAIRS_SEED` where they start. The same seed draws the same pairs.

mod emit;
mod model;
mod random;
mod types;

use std::fmt::Write as _;
use std::path::PathBuf;

use random::Random;

fn main() {
    println!("cargo:rerun-if-changed=build");
    let number = |name: &str, default: u64| {
        println!("cargo:rerun-if-env-changed={name}");
        let given = std::env::var(name).ok();
        given.map_or(default, |text| {
            text.parse()
                .unwrap_or_else(|_| panic!("{name}={text} is no number"))
        })
    };
    let (pairs, seed) = (number("OUTBOX_PAIRS", 60), number("OUTBOX_PAIRS_SEED", 1));
    let mut text = String::new();
    let mut table = String::new();
    for pair in 0..pairs {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(pair));
        let (versions, changes) = loop {
            let (old, new, changes) = model::pair(&mut random);
            let written = [old, new].map(|version| emit::version(&version));
            if written[0] != written[1] {
                break (written, changes);
            }
        };
        let _ = writeln!(text, "mod pair_{pair} {{ // {changes}");
        for (name, version) in ["old", "new"].iter().zip(versions) {
            let _ = writeln!(text, "pub mod {name} {{\n use super::super::*;\n{version}}}");
        }
        text += "}\n";
        let _ = writeln!(table, "pair!(\"pair {pair}: {changes}\", pair_{pair}),");
    }
    let _ = writeln!(text, "fn drawn() -> Vec<Pair> {{ vec![{table}] }}");
    let place = std::env::var_os("OUT_DIR").expect("cargo sets it");
    std::fs::write(PathBuf::from(place).join("pairs.rs"), text).expect("the folder is there");
}
