//! What `outbox adopt` and `outbox fork` have to say.

use std::fmt::Write;

use outbox_runtime::store::{Relocated, StoreError, StoreErrorKind};
use serde::Serialize;

use super::print;
use crate::Exit;
use crate::failure::Failure;

/// How it is said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) done: &'static str,
    /// What is to be known of messages that are not sent though no cursor calls them delivered.
    pub(super) skipped: &'static str,
    pub(super) dry_run: bool,
    pub(super) json: bool,
}

/// The fields and their order are a promise to programs.
#[derive(Debug, Serialize)]
struct RelocationOutput {
    changed: bool,
    dry_run: bool,
    log_id: String,
    to_send: u64,
    delivered: u64,
    skipped: u64,
    parked: u64,
}

pub(super) fn report(relocated: &Relocated, form: Form) -> Result<Exit, Failure> {
    if form.json {
        let output = RelocationOutput {
            changed: relocated.needed && !form.dry_run,
            dry_run: form.dry_run,
            log_id: relocated.log_id.to_string(),
            to_send: relocated.to_send,
            delivered: relocated.delivered,
            skipped: relocated.skipped,
            parked: relocated.parked,
        };
        let json = serde_json::to_string(&output)
            .map_err(|error| Failure::failed("cannot write the result as JSON").because(error))?;
        print(json)?;
    } else {
        print(text(relocated, form))?;
    }
    Ok(Exit::Done)
}

fn text(relocated: &Relocated, form: Form) -> String {
    if !relocated.needed {
        return "nothing to do: the log was not moved".to_owned();
    }
    let mut text = match form.dry_run {
        true => "dry run: nothing was changed".to_owned(),
        false => form.done.to_owned(),
    };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\nto send    {} messages\ndelivered  {} messages",
        relocated.to_send, relocated.delivered
    );
    if relocated.skipped > 0 {
        let _ = write!(
            text,
            "\nskipped    {} of these, which no cursor calls delivered{}",
            relocated.skipped, form.skipped
        );
    }
    let _ = write!(
        text,
        "\nparked     {} dead letters\nlog id     {}",
        relocated.parked, relocated.log_id
    );
    text
}

pub(super) fn failure(error: StoreError, what: &str) -> Failure {
    let failure = match error.kind() {
        StoreErrorKind::Undecided => Failure::usage(what),
        _ => Failure::failed(what),
    };
    failure.because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_is_sent_and_what_is_not() {
        let relocated = Relocated {
            needed: true,
            log_id: "b4d5b2a4-7a4c-4a8c-9b0b-0f8c4b9e6c11".parse().unwrap(),
            to_send: 0,
            delivered: 12,
            skipped: 5,
            parked: 2,
        };
        let mut form = Form {
            done: "the copy is now a separate log",
            skipped: ": the copy's own",
            dry_run: false,
            json: false,
        };
        let forked = text(&relocated, form);
        assert!(
            forked.starts_with("the copy is now a separate log\nto send    0 messages\n"),
            "{forked}"
        );
        assert!(
            forked.contains("delivered  12 messages\nskipped    5 of these, which no cursor calls delivered: the copy's own\n"),
            "{forked}"
        );
        form.dry_run = true;
        assert!(text(&relocated, form).starts_with("dry run: nothing was changed\n"));
        let at_home = Relocated {
            needed: false,
            ..relocated
        };
        assert!(text(&at_home, form).starts_with("nothing to do"));
    }
}
