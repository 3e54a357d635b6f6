//! `outbox dead-letters`: what could not be delivered, and what becomes of it.

use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::time::Duration;

use outbox_runtime::schema::check_schema;
use outbox_runtime::store::{
    DeadLetterFilter, DeadLetterState, DeadLetters, ListedDeadLetter, ShownDeadLetter, StoreError,
};
use serde::Serialize;
use sqlx::{Postgres, Sqlite};
use tokio::time::Instant;

use super::print;
use crate::Exit;
use crate::arguments::{DeadLettersCommand, Discard, List, Replay, Selection, Show, State, Where};
use crate::connect::{Database, IfMissing, connect};
use crate::failure::Failure;

/// How often a waiting replay looks.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

pub(crate) async fn run(command: DeadLettersCommand) -> Result<Exit, Failure> {
    match command {
        DeadLettersCommand::List(arguments) => list(arguments).await,
        DeadLettersCommand::Show(arguments) => show(arguments).await,
        DeadLettersCommand::Replay(arguments) => replay(arguments).await,
        DeadLettersCommand::Discard(arguments) => discard(arguments).await,
    }
}

async fn open(place: &Where) -> Result<DeadLetters, Failure> {
    let address = place.database.address()?;
    let tables = place.tables.tables(address.dialect())?;
    let unreadable = |error| Failure::failed("cannot read the dead letters").because(error);
    match connect(&address, IfMissing::Fail, place.patience.connect_timeout).await? {
        Database::Postgres(pool) => {
            let mut connection = pool.acquire().await.map_err(unreadable)?;
            check_schema::<Postgres>(&mut connection, &tables).await?;
            Ok(DeadLetters::in_postgres(&pool, &tables))
        }
        Database::Sqlite(pool) => {
            let mut connection = pool.acquire().await.map_err(unreadable)?;
            check_schema::<Sqlite>(&mut connection, &tables).await?;
            Ok(DeadLetters::in_sqlite(&pool, &tables))
        }
    }
}

fn failed(error: StoreError) -> Failure {
    Failure::failed(error.to_string()).because(error)
}

fn filter(selection: Selection, state: Option<DeadLetterState>) -> DeadLetterFilter {
    DeadLetterFilter {
        ids: selection.ids,
        topic: selection.topic,
        key: selection.key,
        event_type: selection.event_type,
        since: selection.since,
        until: selection.until,
        state,
    }
}

/// A command that changes something needs ids or filters.
fn chosen(selection: Selection, all: bool, state: DeadLetterState) -> Result<DeadLetterFilter, Failure> {
    let filter = filter(selection, Some(state));
    let anything = DeadLetterFilter {
        state: Some(state),
        ..DeadLetterFilter::default()
    };
    match (filter == anything, all) {
        (true, false) => Err(Failure::usage("no dead letters are selected")
            .advise("give ids, --topic, --key, --event-type, --since, --until, or --all")),
        (false, true) => Err(Failure::usage("--all cannot be combined with a filter").advise("omit --all")),
        _ => Ok(filter),
    }
}

async fn list(arguments: List) -> Result<Exit, Failure> {
    let dead_letters = open(&arguments.place).await?;
    let state = arguments.state.map(|state| match state {
        State::Dead => DeadLetterState::Dead,
        State::Parked => DeadLetterState::Parked,
    });
    let filter = filter(arguments.selection, state);
    let mut listing = Listing {
        out: BufWriter::new(io::stdout().lock()),
        json: arguments.json,
        printed: 0,
        failed: None,
    };
    dead_letters
        .list(&filter, arguments.limit, |dead_letter| {
            listing.print(&dead_letter)
        })
        .await
        .map_err(failed)?;
    listing.end()?;
    Ok(Exit::Done)
}

/// Dead letters as they are printed, one by one.
struct Listing<'a> {
    out: BufWriter<io::StdoutLock<'a>>,
    json: bool,
    printed: u64,
    failed: Option<io::Error>,
}

impl Listing<'_> {
    fn print(&mut self, dead_letter: &ListedDeadLetter) -> ControlFlow<()> {
        let line = match self.json {
            true => serde_json::to_string(dead_letter).map_err(io::Error::from),
            false => Ok(text(dead_letter)),
        };
        let before = match (self.json, self.printed) {
            (false, _) => "",
            (true, 0) => "[",
            (true, _) => ",\n",
        };
        let after = if self.json { "" } else { "\n" };
        let written = line.and_then(|line| write!(self.out, "{before}{line}{after}"));
        self.printed += 1;
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn end(mut self) -> Result<(), Failure> {
        let end = match (self.json, self.printed) {
            (false, _) => "",
            (true, 0) => "[]\n",
            (true, _) => "]\n",
        };
        let ended = match self.failed.take() {
            Some(error) => Err(error),
            None => write!(self.out, "{end}").and_then(|()| self.out.flush()),
        };
        match ended {
            // Whoever closed the pipe has read enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::failed("cannot print the result").because(error))
            }
            _ => Ok(()),
        }
    }
}

fn word(state: DeadLetterState) -> &'static str {
    match state {
        DeadLetterState::Dead => "dead",
        DeadLetterState::Parked => "parked",
    }
}

fn text(dead_letter: &ListedDeadLetter) -> String {
    let ListedDeadLetter {
        id,
        topic,
        key,
        event_type,
        state,
        error,
        reason,
        attempts,
        first_failed_at,
        ..
    } = dead_letter;
    let state = word(*state);
    format!(
        "{state:6}  {id}  {first_failed_at}  {attempts}x  {topic}  {key}  {event_type}  {reason}: {error}"
    )
}

async fn show(arguments: Show) -> Result<Exit, Failure> {
    let dead_letters = open(&arguments.place).await?;
    let found = dead_letters.show(arguments.id).await.map_err(failed)?;
    if found.is_empty() {
        return Err(
            Failure::failed(format!("no dead letter has the id {}", arguments.id))
                .advise("`outbox dead-letters list` shows the existing ones"),
        );
    }
    if arguments.json {
        print(json(&found)?)?;
    } else {
        for dead_letter in &found {
            print(details(dead_letter))?;
        }
    }
    Ok(Exit::Done)
}

fn details(dead_letter: &ShownDeadLetter) -> String {
    let ListedDeadLetter {
        id,
        seq,
        topic,
        key,
        event_type,
        state,
        error,
        reason,
        attempts,
        first_failed_at,
        last_failed_at,
    } = &dead_letter.listed;
    let replay = match dead_letter.replay_requested {
        true => ", to be sent again",
        false => "",
    };
    let payload = match (&dead_letter.payload, &dead_letter.payload_hex) {
        (Some(text), _) => text.clone(),
        (None, Some(hex)) => format!("\\x{hex}"),
        (None, None) => "none (a tombstone)".to_owned(),
    };
    let state = word(*state);
    format!(
        "id            {id}\nseq           {seq}\nstate         {state}{replay}\ntopic         {topic}\n\
         key           {key}\nevent type    {event_type}\nreason        {reason}\nerror         {error}\n\
         attempts      {attempts}\nfirst failed  {first_failed_at}\nlast failed   {last_failed_at}\n\
         content type  {}\nheaders       {}\npayload       {payload}",
        dead_letter.content_type, dead_letter.headers
    )
}

async fn replay(arguments: Replay) -> Result<Exit, Failure> {
    let filter = chosen(arguments.selection, arguments.all, DeadLetterState::Dead)?;
    let dead_letters = open(&arguments.place).await?;
    if arguments.dry_run {
        let messages = dead_letters.count(&filter).await.map_err(failed)?;
        report("would be sent again", "would_replay", messages, arguments.json)?;
        return Ok(Exit::Done);
    }
    let asked = dead_letters.request_replay(&filter).await.map_err(failed)?;
    if !arguments.wait {
        report(
            "will be sent again by the active relay",
            "replay_requested",
            asked,
            arguments.json,
        )?;
        return Ok(Exit::Done);
    }
    let deadline = Instant::now() + arguments.timeout;
    loop {
        let waiting = dead_letters.waiting_for_replay(&filter).await.map_err(failed)?;
        if waiting == 0 {
            break;
        }
        if Instant::now() >= deadline {
            return Err(Failure::failed(format!(
                "{waiting} of {asked} messages were not sent within {:?}",
                arguments.timeout
            ))
            .advise(
                "the requests remain, and the active relay will carry them out; `outbox status` shows whether a relay is active",
            ));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    // All that were meant were to be sent: what is still there, and not for the first time, failed again.
    let mut again = 0;
    dead_letters
        .list(&filter, None, |dead_letter| {
            again += u64::from(dead_letter.attempts > 1);
            ControlFlow::Continue(())
        })
        .await
        .map_err(failed)?;
    report(
        "were delivered",
        "replayed",
        asked.saturating_sub(again),
        arguments.json,
    )?;
    match again {
        0 => Ok(Exit::Done),
        _ => Err(
            Failure::failed(format!("{again} of {asked} messages failed again"))
                .advise("`outbox dead-letters list` shows why"),
        ),
    }
}

async fn discard(arguments: Discard) -> Result<Exit, Failure> {
    let state = match arguments.parked {
        true => DeadLetterState::Parked,
        false => DeadLetterState::Dead,
    };
    let filter = chosen(arguments.selection, arguments.all, state)?;
    let dead_letters = open(&arguments.place).await?;
    if arguments.dry_run {
        let messages = dead_letters.count(&filter).await.map_err(failed)?;
        report("would be discarded", "would_discard", messages, arguments.json)?;
        return Ok(Exit::Done);
    }
    let messages = dead_letters.discard(&filter, state).await.map_err(failed)?;
    report("were discarded", "discarded", messages, arguments.json)?;
    if state == DeadLetterState::Dead {
        refuse_parked(&dead_letters, filter).await?;
    }
    Ok(Exit::Done)
}

/// Somebody who names a parked message has to know that it stays.
async fn refuse_parked(dead_letters: &DeadLetters, filter: DeadLetterFilter) -> Result<(), Failure> {
    let parked = DeadLetterFilter {
        state: Some(DeadLetterState::Parked),
        ..filter
    };
    let messages = dead_letters.count(&parked).await.map_err(failed)?;
    if messages > 0 && !parked.ids.is_empty() {
        return Err(
            Failure::failed(format!("{messages} of them are parked and were not discarded"))
                .advise("they will be sent when their topic accepts records; --parked discards them"),
        );
    }
    Ok(())
}

fn report(what: &str, key: &str, messages: u64, as_json: bool) -> Result<(), Failure> {
    match as_json {
        true => print(json(&serde_json::json!({ key: messages }))?),
        false => print(format!("{messages} messages {what}")),
    }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::failed("cannot write the result as JSON").because(error))
}
