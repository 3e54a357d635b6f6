//! `outbox completions`, asked by real shells.

use std::fs;
use std::process::Command;

use crate::Place;

/// What bash offers behind these words.
fn offered(place: &Place, words: &str) -> String {
    fs::write(
        place.path().join("outbox.bash"),
        place.run("completions bash").done(),
    )
    .unwrap();
    let ask = format!(
        "source outbox.bash\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _outbox outbox \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
         echo \"${{COMPREPLY[@]}}\""
    );
    let bash = Command::new("bash")
        .args(["--norc", "-euc", &ask])
        .current_dir(place.path())
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
fn fish_completes_commands_options_and_values() {
    let place = Place::new();
    fs::write(
        place.path().join("outbox.fish"),
        place.run("completions fish").done(),
    )
    .unwrap();
    let offered = |words: &str| -> Vec<String> {
        let ask = format!("source outbox.fish; complete -C '{words}'");
        let mut fish = Command::new("fish");
        let fish = fish
            .args(["--no-config", "-c", &ask])
            .current_dir(place.path())
            .output();
        let fish = fish.expect("fish is installed (Debian: fish)");
        assert!(fish.status.success(), "{}", String::from_utf8_lossy(&fish.stderr));
        let offered = String::from_utf8(fish.stdout).unwrap();
        // Behind each there is what it is for.
        let words = offered.lines().filter_map(|line| line.split('\t').next());
        words.map(str::to_owned).collect()
    };
    assert_eq!(offered("outbox stat"), ["status"]);
    assert_eq!(offered("outbox topics pl"), ["plan"]);
    assert_eq!(offered("outbox generate migration --data"), ["--database"]);
    assert_eq!(offered("outbox generate migration --database s"), ["sqlite"]);
}

/// zsh completes at a terminal only, so it gets one, and somebody who presses the key.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PROMPT=; fpath=($PWD \$fpath); autoload -Uz compinit; compinit -u -D; print rea''dy"
zpty -r shell said '*ready*'
zpty -w -n shell "$1"$'\t'
zpty -r shell said "*$2*" && print found
zpty -d shell
"#;

#[test]
fn zsh_completes_commands_options_and_values() {
    let place = Place::new();
    fs::write(place.path().join("_outbox"), place.run("completions zsh").done()).unwrap();
    for (words, completed) in [
        ("outbox stat", "outbox status"),
        ("outbox topics pl", "outbox topics plan"),
        ("outbox generate migration --database s", "--database sqlite"),
    ] {
        let zsh = Command::new("timeout")
            .args(["60", "zsh", "-f", "-c", ZSH, "zsh", words, completed])
            .current_dir(place.path())
            .output();
        let said = String::from_utf8_lossy(&zsh.unwrap().stdout).into_owned();
        assert_eq!(said, "found\n", "{words} (Debian's package: zsh)");
    }
}

#[test]
fn other_shells_have_a_script_as_well() {
    let place = Place::new();
    for shell in ["elvish", "powershell"] {
        let script = place.run(&format!("completions {shell}")).done();
        assert!(script.contains("topics") && script.contains("relay"), "{shell}");
    }
    place.run("completions tcsh").fails(2, &["bash", "zsh", "fish"]);
}
