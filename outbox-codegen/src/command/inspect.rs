//! `outbox inspect`: where messages are now.

use std::fmt::Write;
use std::time::Duration;

use outbox_runtime::Outbox;
use outbox_runtime::inspect::{
    Inspect, InspectDatabase, InspectedMessage, Inspection, MessageState, RecordLookup, RecordSearch,
    RecordSearchError, WaitsFor,
};
use outbox_runtime::schema::{SchemaDatabase, check_schema};
use sqlx::Pool;
use uuid::Uuid;

use super::print;
use crate::Exit;
use crate::arguments::Inspect as Arguments;
use crate::connect::{Database, IfMissing, connect};
use crate::failure::Failure;
use crate::properties::{ADVICE, Properties};

pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let address = arguments.database.address()?;
    let tables = arguments.tables.tables(address.dialect())?;
    let search = search(&arguments)?;
    let wanted = wanted(&arguments)?;
    let patience = arguments.patience.connect_timeout;
    let mut found = match connect(&address, IfMissing::Fail, patience).await? {
        Database::Postgres(pool) => {
            look(
                &pool,
                Outbox::builder(pool.clone()).tables(tables).build(),
                &wanted,
            )
            .await
        }
        Database::Sqlite(pool) => {
            look(
                &pool,
                Outbox::builder(pool.clone()).tables(tables).build(),
                &wanted,
            )
            .await
        }
    }?;
    let asked = match &search {
        Some(search) => ask_kafka(search, &mut found, &arguments).await,
        None => Ok(None),
    };
    let pruned = asked.as_ref().ok().and_then(Option::as_ref);
    // What the database says is an answer, whatever becomes of Kafka's.
    match arguments.json {
        true => print(
            serde_json::to_string(&found)
                .map_err(|error| Failure::failed("cannot write the result as JSON").because(error))?,
        )?,
        false => print(text(&found, pruned, search.is_some()))?,
    }
    asked.map(|_| Exit::Done)
}

/// The messages that the options describe.
fn wanted(arguments: &Arguments) -> Result<Inspect, Failure> {
    let wanted = match (&arguments.id, &arguments.key, &arguments.correlation_id) {
        (Some(id), _, _) => Inspect::id(*id),
        (None, Some(key), _) => Inspect::key(key),
        (None, None, Some(id)) => Inspect::correlation_id(id),
        (None, None, None) => {
            return Err(
                Failure::usage("no message is described").advise("give an id, --key or --correlation-id")
            );
        }
    };
    let wanted = wanted
        .scan(arguments.scan)
        .limit(usize::try_from(arguments.limit).unwrap_or(usize::MAX));
    Ok(match &arguments.topic {
        Some(topic) => wanted.topic(topic),
        None => wanted,
    })
}

async fn look<DB: SchemaDatabase + InspectDatabase>(
    pool: &Pool<DB>,
    outbox: Outbox<DB>,
    wanted: &Inspect,
) -> Result<Inspection, Failure> {
    let unreadable = || Failure::failed("cannot look for messages");
    let mut connection = pool
        .acquire()
        .await
        .map_err(|error| unreadable().because(error))?;
    check_schema::<DB>(&mut connection, outbox.tables()).await?;
    drop(connection);
    let inspected = outbox.inspect(wanted).await;
    inspected.map_err(|error| unreadable().because(error))
}

fn search(arguments: &Arguments) -> Result<Option<RecordSearch>, Failure> {
    let Some(brokers) = &arguments.brokers else {
        return Ok(None);
    };
    let properties = Properties::read(&arguments.properties)?;
    let search = RecordSearch::with_tokens(brokers, properties.tokens)
        .topic_prefix(&arguments.topic_prefix)
        .max_records(arguments.records)
        .timeout(arguments.patience.connect_timeout);
    let given = properties.given.into_iter();
    let search = given.fold(search, |search, (key, value)| search.property(key, value));
    search
        .check()
        .map_err(|says| Failure::usage(says).advise(ADVICE))?;
    Ok(Some(search))
}

/// What Kafka says of a message that the database does not know.
async fn ask_kafka(
    search: &RecordSearch,
    found: &mut Inspection,
    arguments: &Arguments,
) -> Result<Option<RecordLookup>, Failure> {
    let asked = async {
        found.look_for_records(search).await?;
        match (arguments.id, &arguments.topic) {
            (Some(id), Some(topic)) if found.messages.is_empty() => {
                found.look_for_pruned(search, id, topic).await
            }
            _ => Ok(None),
        }
    };
    asked.await.map_err(|error: RecordSearchError| {
        let exit = match error.is_unreachable() {
            true => Exit::Unreachable,
            false => Exit::Failed,
        };
        Failure::new(exit, "Kafka cannot be asked for the records")
            .because(error)
            .advise("check --brokers and -X; without --brokers, only the database is asked")
    })
}

fn text(found: &Inspection, pruned: Option<&RecordLookup>, kafka: bool) -> String {
    let mut text = String::new();
    for message in &found.messages {
        if !text.is_empty() {
            text += "\n\n";
        }
        text += &one(message);
    }
    if found.messages.is_empty() {
        text += &unknown(found, pruned, kafka);
    } else if !found.search.complete {
        let _ = write!(
            text,
            "\n\nThe newest {} messages of the log were looked through; --scan and --limit show more.",
            found.search.looked_at
        );
    }
    text
}

/// Why a message may be nowhere, as far as that is known.
fn unknown(found: &Inspection, pruned: Option<&RecordLookup>, kafka: bool) -> String {
    let search = &found.search;
    let mut text = match search.complete {
        true => format!(
            "unknown: not among the {} messages of the log, nor in the dead letters",
            search.looked_at
        ),
        false => format!(
            "unknown: not among the newest {} messages of the log, nor in the dead letters; --scan looks further",
            search.looked_at
        ),
    };
    match &search.log_begins_at {
        Some(at) => {
            let _ = write!(
                text,
                "\n- the log begins at {at}: an older message was delivered and pruned, if it was committed"
            );
        }
        None => text += "\n- the log is empty: the message was delivered and pruned, if it was committed",
    }
    match pruned {
        Some(RecordLookup::NotFound { read, complete: true }) => {
            let _ = write!(text, "\n- Kafka has no record of it: {read} records were read");
        }
        Some(RecordLookup::NotFound { read, .. }) => {
            let _ = write!(text, "\n- Kafka: not among {read} records; --records reads more");
        }
        _ if kafka => {
            text += "\n- Kafka can be asked for an id of version 7 and a topic: give ID and --topic"
        }
        _ => text += "\n- Kafka was not asked: give ID, --topic and --brokers to look for its record",
    }
    for writer in &search.open_writers {
        let who = match (&writer.pid, &writer.prepared) {
            (Some(pid), _) => format!("process {pid}"),
            (None, Some(name)) => format!("prepared transaction {name}"),
            (None, None) => "a transaction".to_owned(),
        };
        let of = |what: &str, who: &Option<String>| {
            who.as_ref()
                .map(|who| format!(" of {what} {who}"))
                .unwrap_or_default()
        };
        let _ = write!(
            text,
            "\n- it may be in an open transaction, which nobody sees before it commits: {who}{}{}, open for {}",
            of("application", &writer.application),
            of("role", &writer.role),
            seconds(writer.age)
        );
    }
    text
}

fn one(message: &InspectedMessage) -> String {
    let InspectedMessage {
        id,
        seq,
        topic,
        key,
        event_type,
        correlation_id,
        ..
    } = message;
    let id = Uuid::hyphenated(*id);
    let mut text = format!("id            {id}\nstate         {}", state(message));
    let optional = |text: &mut String, name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = write!(text, "\n{name:<14}{value}");
        }
    };
    optional(&mut text, "seq", seq.map(|seq| seq.to_string()));
    optional(&mut text, "topic", Some(topic.clone()));
    optional(&mut text, "key", Some(key.clone()));
    optional(&mut text, "event type", Some(event_type.clone()));
    optional(&mut text, "correlation", correlation_id.clone());
    optional(
        &mut text,
        "record",
        message.record.as_ref().map(|record| lookup(record, message)),
    );
    if !message.in_log && seq.is_some() {
        text += "\nrow           deleted from the log";
    }
    for event in &message.timeline {
        let _ = write!(text, "\n{}  {}", event.at, event.what);
    }
    text
}

fn lookup(record: &RecordLookup, message: &InspectedMessage) -> String {
    match record {
        RecordLookup::Found {
            topic,
            partition,
            offset,
            ..
        } => format!("topic {topic}, partition {partition}, offset {offset}"),
        RecordLookup::NotFound {
            read,
            complete: false,
        } => {
            format!("not among {read} records; --records reads more")
        }
        _ if message.state == MessageState::Acknowledged => {
            "none: Kafka has deleted it, or it was discarded from the dead letters".to_owned()
        }
        _ => "none".to_owned(),
    }
}

fn state(message: &InspectedMessage) -> String {
    match &message.state {
        MessageState::Waiting { ahead, waits_for } => {
            let ahead = match ahead {
                Some(0) => " (the next one)".to_owned(),
                Some(ahead) => format!(" (about {ahead} messages before it)"),
                None => " (committed later than its neighbours)".to_owned(),
            };
            format!("waiting for {}{ahead}", waits(waits_for))
        }
        MessageState::Acknowledged => "acknowledged".to_owned(),
        MessageState::Parked {
            reason,
            error,
            attempts,
            waits_for,
        } => format!(
            "parked, waiting for {}; {reason}: {error} (attempts: {attempts})",
            waits(waits_for)
        ),
        MessageState::Dead {
            reason,
            error,
            attempts,
            replay_requested,
        } => {
            let next = match replay_requested {
                true => "to be sent again by the active relay",
                false => "replay or discard it with `outbox dead-letters`",
            };
            format!("dead, {next}; {reason}: {error} (attempts: {attempts})")
        }
        MessageState::Pruned => "pruned: it was acknowledged, and its row deleted".to_owned(),
        _ => "of a state that this program does not know".to_owned(),
    }
}

fn waits(all: &[WaitsFor]) -> String {
    let words: Vec<&str> = all
        .iter()
        .map(|wait| match wait {
            WaitsFor::ARelay => "a relay: none is active",
            WaitsFor::ItsTurn => "its turn: the relay is at its window, and it may be in flight",
            WaitsFor::TheCursor => "the cursor: the relay has not come to it",
            WaitsFor::ItsTopic => "its topic, which takes no records",
            WaitsFor::ItsKey => "dead letters of its key, if the topic blocks",
            WaitsFor::AnOperator => "an operator, who has paused its topic or its key",
            WaitsFor::AThrottle => "its topic's throttle",
            _ => "something that this program does not know",
        })
        .collect();
    words.join("; ")
}

fn seconds(age: Duration) -> String {
    format!("{:.1} s", age.as_secs_f64())
}
