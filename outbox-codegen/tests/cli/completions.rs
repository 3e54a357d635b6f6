//! `outbox completions`, asked by a real shell.

use std::process::Command;

use crate::Place;

/// What bash offers behind these words.
fn offered(place: &Place, words: &str) -> String {
    let script = place.run("completions bash").done();
    let ask = format!(
        "{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _outbox outbox \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
         echo \"${{COMPREPLY[@]}}\""
    );
    let bash = Command::new("bash")
        .args(["--norc", "-euc", &ask])
        .output()
        .unwrap();
    assert!(bash.status.success(), "{}", String::from_utf8_lossy(&bash.stderr));
    String::from_utf8(bash.stdout).unwrap().trim().to_owned()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let place = Place::new();
    assert_eq!(offered(&place, "outbox stat"), "status");
    assert_eq!(offered(&place, "outbox topics pl"), "plan");
    assert_eq!(offered(&place, "outbox generate migration --data"), "--database");
    assert_eq!(
        offered(&place, "outbox generate migration --database s"),
        "sqlite"
    );
}

#[test]
fn each_shell_has_a_script() {
    let place = Place::new();
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&format!("completions {shell}")).done();
        assert!(script.contains("topics") && script.contains("relay"), "{shell}");
    }
    place.run("completions tcsh").fails(2, &["bash", "zsh", "fish"]);
}
