//! `outbox tail`: the log as it is committed.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

use chrono::{DateTime, SecondsFormat};
use outbox_runtime::Outbox;
use outbox_runtime::record::{OutboxRecord, RecordPage};
use outbox_runtime::tail::{LogTail, TailDatabase};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::Exit;
use crate::arguments::Tail as Arguments;
use crate::connect::{Database, IfMissing, connect};
use crate::failure::Failure;
use crate::say::say;
use crate::signals::Signals;

pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let address = arguments.database.address()?;
    let tables = arguments.tables.tables(address.dialect())?;
    let signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let work = async {
        match connect(&address, IfMissing::Fail, arguments.patience.connect_timeout).await? {
            Database::Postgres(pool) => {
                follow(Outbox::builder(pool).tables(tables).build(), &arguments).await
            }
            Database::Sqlite(pool) => follow(Outbox::builder(pool).tables(tables).build(), &arguments).await,
        }
    };
    // Whatever was printed is complete: a line is written as a whole, and nothing else is done.
    tokio::select! {
        ended = work => ended,
        _ = signals.cancel(&stop) => Ok(Exit::Done),
        () = stop.cancelled() => Ok(Exit::Done),
    }
}

async fn follow<DB: TailDatabase>(outbox: Outbox<DB>, arguments: &Arguments) -> Result<Exit, Failure> {
    let unreadable = |error: outbox_runtime::store::StoreError| {
        Failure::failed("cannot follow the log")
            .because(error)
            .advise("`outbox tail --from <seq>` continues after the last message that was shown")
    };
    let mut tail = outbox.tail(arguments.from).await.map_err(unreadable)?;
    if !arguments.no_follow {
        say("following the log");
    }
    let mut left = arguments.number.unwrap_or(u64::MAX);
    loop {
        let Some(page) = tail.next_page().await.map_err(unreadable)? else {
            if arguments.no_follow {
                return Ok(Exit::Done);
            }
            tokio::time::sleep(arguments.interval).await;
            continue;
        };
        let types = aggregates(&mut tail, &page, arguments)
            .await
            .map_err(unreadable)?;
        let lines = lines(&page, &types, arguments);
        let shown = u64::try_from(lines.len()).unwrap_or(u64::MAX).min(left);
        left -= shown;
        let open = print(
            lines
                .into_iter()
                .take(usize::try_from(shown).unwrap_or(usize::MAX)),
        )?;
        if left == 0 || !open {
            return Ok(Exit::Done);
        }
    }
}

/// Types of aggregates, if they are shown or asked for.
async fn aggregates(
    tail: &mut LogTail,
    page: &RecordPage,
    arguments: &Arguments,
) -> Result<HashMap<i64, String>, outbox_runtime::store::StoreError> {
    let wanted = arguments.json || !arguments.aggregate.is_empty();
    match wanted && page.iter().any(|record| is_wanted(&record, arguments)) {
        true => tail.aggregate_types(page).await,
        false => Ok(HashMap::new()),
    }
}

fn is_wanted(record: &OutboxRecord<'_>, arguments: &Arguments) -> bool {
    let among = |wanted: &[String], is: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == is);
    among(&arguments.topic, record.topic)
        && among(&arguments.event_type, record.event_type)
        && among(&arguments.key, record.key)
}

fn lines(page: &RecordPage, types: &HashMap<i64, String>, arguments: &Arguments) -> Vec<String> {
    let of_aggregate = |record: &OutboxRecord<'_>| {
        let is = types.get(&record.seq);
        arguments.aggregate.is_empty() || is.is_some_and(|is| arguments.aggregate.contains(is))
    };
    page.iter()
        .filter(|record| is_wanted(record, arguments) && of_aggregate(record))
        .map(|record| match arguments.json {
            true => json(&record, types.get(&record.seq)),
            false => text(&record),
        })
        .collect()
}

/// Prints whole lines; `false` if nobody reads them any more.
fn print(mut lines: impl Iterator<Item = String>) -> Result<bool, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = lines
        .try_for_each(|line| writeln!(out, "{line}"))
        .and_then(|()| out.flush());
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::failed("cannot print the messages").because(error)),
    }
}

fn text(record: &OutboxRecord<'_>) -> String {
    let payload = match Payload::of(record) {
        Payload::Text(text) => text.to_owned(),
        Payload::Bytes(hex) => format!("\\x{hex}"),
        Payload::Tombstone => "none (a tombstone)".to_owned(),
    };
    let OutboxRecord {
        seq,
        topic,
        key,
        event_type,
        ..
    } = record;
    format!("{}  {seq}  {topic}  {key}  {event_type}  {payload}", time(record))
}

/// The value as it is shown.
enum Payload<'a> {
    /// JSON, as it is stored.
    Text(&'a str),
    /// Anything else, in hexadecimal digits.
    Bytes(String),
    Tombstone,
}

impl<'a> Payload<'a> {
    fn of(record: &OutboxRecord<'a>) -> Self {
        let Some(bytes) = record.payload else {
            return Self::Tombstone;
        };
        match std::str::from_utf8(bytes) {
            Ok(text) if serde_json::from_str::<&RawValue>(text).is_ok() => Self::Text(text),
            Ok(_) | Err(_) => Self::Bytes(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }
}

/// A line of `--json`; the fields are a promise to programs.
#[derive(Serialize)]
struct Line<'a> {
    seq: i64,
    id: String,
    topic: &'a str,
    key: &'a str,
    event_type: &'a str,
    /// Null if the row was pruned before it was asked for.
    aggregate_type: Option<&'a str>,
    content_type: &'a str,
    source: Option<&'a str>,
    occurred_at: String,
    headers: Option<&'a RawValue>,
    /// The value, if it is JSON.
    payload: Option<&'a RawValue>,
    /// The value in hexadecimal digits, if it is not JSON.
    payload_hex: Option<String>,
}

fn json(record: &OutboxRecord<'_>, aggregate: Option<&String>) -> String {
    let payload = Payload::of(record);
    let line = Line {
        seq: record.seq,
        id: record.id.hyphenated().to_string(),
        topic: record.topic,
        key: record.key,
        event_type: record.event_type,
        aggregate_type: aggregate.map(String::as_str),
        content_type: record.content_type,
        source: record.source,
        occurred_at: time(record),
        headers: serde_json::from_str(record.headers).ok(),
        payload: match &payload {
            Payload::Text(text) => serde_json::from_str(text).ok(),
            Payload::Bytes(_) | Payload::Tombstone => None,
        },
        payload_hex: match payload {
            Payload::Bytes(hex) => Some(hex),
            Payload::Text(_) | Payload::Tombstone => None,
        },
    };
    // A JSON value may be written over several lines; a line of output is one.
    let text = serde_json::to_string(&line).unwrap_or_default();
    text.replace(['\n', '\r'], " ")
}

fn time(record: &OutboxRecord<'_>) -> String {
    DateTime::from_timestamp_millis(record.occurred_at_ms)
        .map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
        .unwrap_or_default()
}
