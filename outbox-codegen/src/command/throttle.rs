//! `outbox throttle`: how much is sent in a second.

use outbox_runtime::store::Decision;

use super::pause::{failed, open};
use super::print;
use crate::Exit;
use crate::arguments::Throttle as Arguments;
use crate::failure::Failure;

pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let controls = open(&arguments.place).await?;
    let (scope, rate) = (arguments.scope.scope(), arguments.limit.rate());
    let decision = Decision::new(arguments.operator.by, arguments.reason);
    let changed = controls.throttle(&scope, rate, &decision).await.map_err(failed)?;
    match (changed, rate.is_unlimited()) {
        (true, false) => print(format_args!("throttled {scope} to {rate}"))?,
        (true, true) => print(format_args!("{scope} is not throttled any more"))?,
        (false, false) => print(format_args!(
            "nothing to do: {scope} is throttled to {rate} already"
        ))?,
        (false, true) => print(format_args!("nothing to do: {scope} is not throttled"))?,
    }
    Ok(Exit::Done)
}
