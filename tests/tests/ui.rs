//! What the compiler says about mistakes: in `tests/ui`, one folder for each kind of mistake.
//!
//! After a wanted change, `TRYBUILD=overwrite cargo test -p outbox-tests --test ui` writes the new texts.

#[test]
fn mistakes_are_told_as_a_person_would() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/derive/*/*.rs");
    cases.compile_fail("ui/transactional/*/*.rs");
    cases.compile_fail("ui/api/*.rs");
}
