//! `outbox rewind`: delivered messages are sent again.

use chrono::SecondsFormat;
use outbox_runtime::store::{Decision, RewindError, RewindOutlook};

use super::pause::open;
use super::print;
use crate::Exit;
use crate::arguments::Rewind as Arguments;
use crate::failure::Failure;

fn failed(error: RewindError) -> Failure {
    Failure::failed(error.to_string()).because(error)
}

pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let controls = open(&arguments.place).await?;
    let to = arguments.beginning.to();
    let outlook = match arguments.send_again {
        true => {
            let decision = Decision::new(arguments.operator.by, arguments.reason.unwrap_or_default());
            controls.rewind(to, &decision).await.map_err(failed)?
        }
        false => controls.rewind_outlook(to).await.map_err(failed)?,
    };
    if arguments.json {
        let json = serde_json::to_string(&outlook)
            .map_err(|error| Failure::failed("cannot write the outlook as JSON").because(error))?;
        print(json)?;
        return Ok(Exit::Done);
    }
    print(text(&outlook, arguments.send_again))?;
    Ok(Exit::Done)
}

fn text(outlook: &RewindOutlook, done: bool) -> String {
    let (Some(seq), Some(time)) = (outlook.from_seq, outlook.from_time) else {
        return "nothing to do: no delivered message is there from then on".to_owned();
    };
    let (messages, are) = match done {
        true => (outlook.messages, "are"),
        false => (outlook.messages, "would be"),
    };
    let time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut text = format!("{messages} delivered messages {are} sent again, from seq {seq} of {time} on");
    if outlook.missing > 0 {
        text += &format!(
            "\n{} numbers in between have no message: their transactions were rolled back, or they were deleted",
            outlook.missing
        );
    }
    if outlook.dead_letters > 0 {
        text += &format!(
            "\n{} of these stand in the dead letters, skipped ones among them, and {are} sent again all the same",
            outlook.dead_letters
        );
    }
    text += match done {
        true => "\nthe active relay follows within a second, or the next one if there is none",
        false => {
            "\nconsumers get them a second time, with the same ids, also with exactly-once delivery\n\
             nothing was changed: add --send-again and --reason to do it"
        }
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert!(text(&RewindOutlook::default(), true).starts_with("nothing to do"));
    }
}
