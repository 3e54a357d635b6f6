//! What cannot have a catalog, and what to do about it.

use crate::shop;

#[test]
fn a_wrong_path_or_package_is_wrong_usage() {
    let empty = tempfile::tempdir().unwrap();
    let above = format!("catalog --manifest-path {}/Cargo.toml", empty.path().display());
    for (arguments, words) in [
        (above.as_str(), &["does not exist", "--manifest-path"][..]),
        (
            "catalog",
            &["several packages", "--package NAME", "shop-events", "shop-worker"],
        ),
        ("catalog -p shop-event", &["`shop-event`", "shop-events"]),
        (
            "catalog -p shop-events --features nope,loyalty",
            &["`shop-events` has no feature `nope`", "loyalty"],
        ),
        (
            "catalog -p shop-plain",
            &[
                "`shop-plain` does not depend on outbox-runtime",
                "cargo add outbox-runtime",
            ],
        ),
        (
            "catalog -p shop-worker",
            &["`shop-worker` has no library", "src/lib.rs"],
        ),
        ("catalog -p shop-plugin", &["`shop-plugin`", "crate-type"]),
        ("catalog --catalog x.json -p shop-events", &["--catalog"]),
        ("catalog --catalog nowhere.json", &["`nowhere.json`", "because:"]),
        (
            "catalog --catalog Cargo.toml",
            &["`Cargo.toml` does not contain a catalog", "outbox catalog --json"],
        ),
    ] {
        shop().outbox(arguments).fails(2, words);
    }
    shop()
        .outbox_in("/", "catalog")
        .fails(2, &["no Cargo.toml in this directory", "--manifest-path"]);
    shop()
        .outbox_in("events/src", "catalog --manifest-path orders.rs")
        .fails(2, &["orders.rs", "because:"]);
}

#[test]
fn a_crate_that_does_not_compile_speaks_for_itself() {
    shop().outbox("catalog -p shop-broken").fails(
        1,
        &[
            "error[E0308]",
            "expected `u8`",
            "error: `shop-broken` does not compile: see above\n",
        ],
    );
}

#[test]
fn a_runtime_without_a_catalog_is_reported() {
    shop().outbox("catalog -p shop-old").fails(
        1,
        &["cannot read the catalog of the outbox-runtime that `shop-old` uses"],
    );
}
