//! `outbox mode`: how events reach Kafka.

use chrono::SecondsFormat;
use outbox_runtime::modes::{self, ModeSetting};
use outbox_runtime::store::{Controls, Decision, ModeOutlook, StoreError, SwitchError};

use super::{pause, print};
use crate::Exit;
use crate::arguments::{Mode, ModeCommand, ModeList, ModeSet};
use crate::catalog::CatalogSource;
use crate::config::ConfigFile;
use crate::failure::Failure;

pub(crate) async fn run(mode: Mode) -> Result<Exit, Failure> {
    match mode.what {
        ModeCommand::Set(set) => change(set).await,
        ModeCommand::List(list) => show(list).await,
    }
}

async fn change(arguments: ModeSet) -> Result<Exit, Failure> {
    let controls = pause::open(&arguments.place).await?;
    let (scope, mode) = (arguments.scope.scope(), arguments.mode.mode());
    let word = mode.map_or("the default", modes::Mode::as_str);
    if arguments.dry_run {
        let outlook = controls.mode_outlook(&scope, mode).await.map_err(refused)?;
        print(outlook_as_text(&outlook, &scope, mode))?;
        return Ok(match outlook.refused {
            Some(_) => Exit::Differences,
            None => Exit::Done,
        });
    }
    let decision = Decision::new(arguments.operator.by, arguments.reason);
    let changed = controls.set_mode(&scope, mode, &decision, arguments.timeout);
    match changed.await.map_err(refused)? {
        true => print(format_args!("the mode of {scope} is {word} now"))?,
        false => print(format_args!(
            "nothing to do: the mode of {scope} is {word} already"
        ))?,
    }
    Ok(Exit::Done)
}

fn refused(error: SwitchError) -> Failure {
    match error {
        SwitchError::Unsupported => Failure::usage(error.to_string()),
        SwitchError::Store(error) => failed(error),
        other => Failure::failed(other.to_string()),
    }
}

fn failed(error: StoreError) -> Failure {
    Failure::failed(error.to_string()).because(error)
}

fn outlook_as_text(outlook: &ModeOutlook, scope: &modes::ModeScope, mode: Option<modes::Mode>) -> String {
    let word = |mode: Option<modes::Mode>| mode.map_or("default", modes::Mode::as_str);
    let ModeOutlook {
        before,
        waiting,
        relay,
        refused,
        ..
    } = outlook;
    let relay = relay.as_deref().unwrap_or("none is active");
    let verdict = match refused {
        Some(refusal) => format!("it would be refused: {refusal}"),
        None if *before == mode => "nothing would be changed".to_owned(),
        None => "it would be changed, and the change be refused if what waits takes longer than --timeout"
            .to_owned(),
    };
    format!(
        "mode of {scope}: {} -> {}\nwaiting in the log: {waiting}\nrelay: {relay}\n{verdict}",
        word(*before),
        word(mode)
    )
}

async fn show(arguments: ModeList) -> Result<Exit, Failure> {
    let controls: Controls = pause::open(&arguments.place).await?;
    let settings = controls.modes().await.map_err(failed)?;
    if arguments.json {
        let json = serde_json::to_string(&settings)
            .map_err(|error| Failure::failed("cannot write the modes as JSON").because(error))?;
        print(json)?;
        return Ok(Exit::Done);
    }
    if settings.is_empty() {
        print(
            "no mode is set: the default of each service counts, which is `outbox` unless it says otherwise",
        )?;
    }
    for setting in &settings {
        print(text(setting))?;
    }
    let file = ConfigFile::search(&CatalogSource::default())?;
    if let Some(mode) = file.and_then(|file| file.config.mode) {
        print(format_args!(
            "{} for the rest, in services that read this directory's outbox.toml",
            mode.default_mode()
        ))?;
    }
    Ok(Exit::Done)
}

/// A setting on one line.
pub(super) fn text(setting: &ModeSetting) -> String {
    let since = setting.since.to_rfc3339_opts(SecondsFormat::Secs, true);
    let mode = setting.mode.map_or("default", modes::Mode::as_str);
    format!(
        "{mode} for {} since {since} by {}: {}",
        setting.scope, setting.by, setting.reason
    )
}
