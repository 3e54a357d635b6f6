//! What the compiler says about errors: one folder for each kind of error.
//!
//! After a wanted change, `TRYBUILD=overwrite cargo test -p outbox-ui-tests` writes the new texts.

#[test]
fn errors_are_reported_as_a_person_would() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("derive/*/*.rs");
    cases.compile_fail("transactional/*/*.rs");
    cases.compile_fail("api/*.rs");
}
