//! `outbox skip`: skips a message, with a dead letter.

use std::time::{Duration, Instant};

use outbox_runtime::store::{Controls, Decision, Skip};
use uuid::Uuid;

use super::pause::{failed, open};
use super::print;
use crate::Exit;
use crate::arguments::Skip as Arguments;
use crate::failure::Failure;

/// Between two looks at what became of it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let controls = open(&arguments.place).await?;
    let (id, decision) = (
        arguments.id,
        Decision::new(arguments.operator.by, arguments.reason),
    );
    if arguments.cancel {
        match controls.cancel_skip(id, &decision).await.map_err(failed)? {
            true => print(format_args!("the message {id} is not skipped"))?,
            false => print(format_args!(
                "nothing to do: the message {id} was not to be skipped"
            ))?,
        }
        return Ok(Exit::Done);
    }
    let asked = controls.skip(id, &decision).await.map_err(failed)?;
    match outcome(&controls, id, asked, arguments.timeout).await? {
        Skip::Done => {
            print(format_args!(
                "skipped the message {id}: it stands in the dead letters; `outbox dead-letters replay {id}` sends it"
            ))?;
            Ok(Exit::Done)
        }
        Skip::Requested => {
            print(format_args!(
                "the message {id} waits, and is skipped when its turn comes: no relay is active, or the log is paused"
            ))?;
            Ok(Exit::Done)
        }
        _ if asked == Skip::Requested => Err(Failure::failed(format!(
            "the message {id} was already in flight and is delivered; nothing is skipped"
        ))),
        _ => Err(Failure::failed(format!(
            "there is no undelivered message {id}; `outbox inspect {id}` shows its state"
        ))),
    }
}

/// Waits until it is known, for a while.
async fn outcome(controls: &Controls, id: Uuid, asked: Skip, timeout: Duration) -> Result<Skip, Failure> {
    let begun = Instant::now();
    let mut now = asked;
    while now == Skip::Requested && begun.elapsed() < timeout {
        tokio::time::sleep(LOOK_EVERY).await;
        now = controls.skipped(id).await.map_err(failed)?;
    }
    Ok(now)
}
