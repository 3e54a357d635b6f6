//! The statements that put events into the table: what a service in any language might write.

use outbox_runtime::Tables;
use sqlx::{AssertSqlSafe, PgConnection};

use super::event::{EVENT_TYPE, Event};

/// How several events get into one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statement {
    /// A statement for each.
    Single,
    /// One INSERT with several rows.
    Rows,
    /// One INSERT from arrays.
    Arrays,
    /// COPY, in its text format.
    Copy,
}

const COLUMNS: &str =
    "(id, aggregate_type, aggregate_id, event_type, topic, payload, payload_binary, headers)";

/// Writes the events in their order.
pub(super) async fn write(
    connection: &mut PgConnection,
    tables: &Tables,
    statement: Statement,
    events: &[Event],
) -> sqlx::Result<()> {
    match statement {
        Statement::Single => {
            for event in events {
                rows(connection, tables, std::slice::from_ref(event)).await?;
            }
            Ok(())
        }
        Statement::Rows => rows(connection, tables, events).await,
        Statement::Arrays => arrays(connection, tables, events).await,
        Statement::Copy => copy(connection, tables, events).await,
    }
}

async fn rows(connection: &mut PgConnection, tables: &Tables, events: &[Event]) -> sqlx::Result<()> {
    let row = |n: usize| {
        let at = |column: usize| n * 6 + column;
        format!(
            "(${}, 'test', ${}, '{EVENT_TYPE}', ${}, ${}::json, ${}, ${}::jsonb)",
            at(1),
            at(2),
            at(3),
            at(4),
            at(5),
            at(6)
        )
    };
    let rows: Vec<_> = (0..events.len()).map(row).collect();
    let insert = format!(
        "INSERT INTO {} {COLUMNS} VALUES {}",
        tables.messages(),
        rows.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(insert)).persistent(events.len() == 1);
    for event in events {
        query = query.bind(event.id).bind(&event.key).bind(&event.topic);
        query = query
            .bind(event.value.json())
            .bind(event.value.binary())
            .bind(event.headers());
    }
    query.execute(connection).await.map(drop)
}

async fn arrays(connection: &mut PgConnection, tables: &Tables, events: &[Event]) -> sqlx::Result<()> {
    let insert = format!(
        "INSERT INTO {} {COLUMNS} \
         SELECT id, 'test', key, '{EVENT_TYPE}', topic, payload::json, payload_binary, headers::jsonb \
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[]) \
              WITH ORDINALITY AS event (id, key, topic, payload, payload_binary, headers, place) \
         ORDER BY place",
        tables.messages()
    );
    sqlx::query(AssertSqlSafe(insert))
        .bind(events.iter().map(|event| event.id).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.key.clone()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.topic.clone()).collect::<Vec<_>>())
        .bind(
            events
                .iter()
                .map(|event| event.value.json().map(str::to_owned))
                .collect::<Vec<_>>(),
        )
        .bind(
            events
                .iter()
                .map(|event| event.value.binary().map(<[u8]>::to_vec))
                .collect::<Vec<_>>(),
        )
        .bind(events.iter().map(Event::headers).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}

async fn copy(connection: &mut PgConnection, tables: &Tables, events: &[Event]) -> sqlx::Result<()> {
    let statement = format!("COPY {} {COLUMNS} FROM STDIN", tables.messages());
    let mut copy = connection.copy_in_raw(&statement).await?;
    let lines: String = events.iter().map(copied).collect();
    copy.send(lines.into_bytes()).await?;
    copy.finish().await.map(drop)
}

fn copied(event: &Event) -> String {
    let null = || "\\N".to_owned();
    let payload = event.value.json().map_or_else(null, escaped);
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .fold("\\\\x".to_owned(), |hex, byte| format!("{hex}{byte:02x}"))
    };
    let binary = event.value.binary().map_or_else(null, hex);
    let Event { id, key, topic, .. } = event;
    let headers = escaped(&event.headers());
    format!("{id}\ttest\t{key}\t{EVENT_TYPE}\t{topic}\t{payload}\t{binary}\t{headers}\n")
}

/// What COPY's text format asks for; there are no tabs and line feeds in what we write.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
}
