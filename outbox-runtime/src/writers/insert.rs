//! Messages as a statement that any driver of PostgreSQL can execute.

use chrono::SecondsFormat;
use uuid::Uuid;

use crate::database::columns::COLUMNS;
use crate::error::{Error, ErrorKind};
use crate::event::Payload;
use crate::message::{Limits, OutboxMessage};
use crate::schema::Tables;

/// What is written behind the parameter of each column. With its type given, a driver has to know nothing but text and
/// bytes.
pub(super) const CASTS: [&str; 11] = [
    "::text::uuid",
    "::text",
    "::text",
    "::text",
    "::text",
    "::text::json",
    "::bytea",
    "::text",
    "::text",
    "::text::jsonb",
    "::text::timestamptz",
];

/// A parameter of an [`Insert`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// PostgreSQL's `text`, or NULL.
    Text(Option<String>),
    /// PostgreSQL's `bytea`, or NULL.
    Bytes(Option<Vec<u8>>),
}

/// The statement that inserts messages in PostgreSQL, with its parameters. [`OutboxMessage::insert`] creates
/// it.
///
/// Its messages are checked. The row is the same as that of [`OutboxTx::emit`](crate::OutboxTx::emit).
///
/// With the feature `diesel`, it is a query of diesel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the messages are written when the statement is executed"]
pub struct Insert {
    head: String,
    sql: String,
    parameters: Vec<Parameter>,
    ids: Vec<Uuid>,
}

impl Insert {
    /// Of messages that are checked.
    pub(super) fn new(
        tables: &Tables,
        messages: impl IntoIterator<Item = OutboxMessage>,
    ) -> Result<Self, Error> {
        let (mut ids, mut parameters) = (Vec::new(), Vec::new());
        for message in messages {
            ids.push(message.id);
            parameters.extend(row(message)?);
        }
        let mut insert = Self {
            head: format!("INSERT INTO {} ({COLUMNS}) VALUES ", tables.messages()),
            sql: String::new(),
            parameters,
            ids,
        };
        insert.sql = insert.written();
        Ok(insert)
    }

    /// The text of the statement, with parameters from `$1` on. It is the same for each message of a log.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The parameters, in their order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The ids of the messages. The statement inserts one row per id. If the database reports fewer rows, a
    /// trigger omitted some: roll back.
    pub fn ids(&self) -> &[Uuid] {
        &self.ids
    }

    #[cfg(any(feature = "diesel", feature = "tokio-postgres", feature = "sea-orm"))]
    pub(super) fn into_ids(self) -> Vec<Uuid> {
        self.ids
    }

    /// The statement in its parts: what comes before each parameter, the parameter, and its cast.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&str, &Parameter, &'static str)> {
        self.parameters.iter().enumerate().map(|(position, parameter)| {
            let column = position % CASTS.len();
            let before = match (position, column) {
                (0, _) => "(",
                (_, 0) => "), (",
                _ => ", ",
            };
            (before, parameter, CASTS[column])
        })
    }

    /// What comes before all parts; behind them is a parenthesis.
    pub(super) fn head(&self) -> &str {
        &self.head
    }

    fn written(&self) -> String {
        let mut sql = self.head().to_owned();
        for (position, (before, _, cast)) in self.parts().enumerate() {
            sql += &format!("{before}${}{cast}", position + 1);
        }
        sql + ")"
    }
}

/// The parameters of a row, in the order of the columns.
fn row(message: OutboxMessage) -> Result<[Parameter; CASTS.len()], Error> {
    let headers = message.headers_json().map_err(|error| {
        let says = format!(
            "the headers of the event `{}` cannot be written",
            message.event_type
        );
        Error::new(ErrorKind::InvalidHeader, says).with_source(error)
    })?;
    let occurred_at = message.occurred_at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let (json, binary) = match message.payload {
        Payload::Json(text) => (Some(text), None),
        Payload::Binary(bytes) => (None, Some(bytes)),
        Payload::Tombstone => (None, None),
    };
    let text = |text: String| Parameter::Text(Some(text));
    Ok([
        text(message.id.to_string()),
        text(message.aggregate_type),
        text(message.key),
        text(message.event_type),
        text(message.topic),
        Parameter::Text(json),
        Parameter::Bytes(binary),
        text(message.content_type),
        Parameter::Text(message.source),
        text(headers),
        text(occurred_at),
    ])
}

impl OutboxMessage {
    /// Returns the statement that inserts this message in PostgreSQL, for any driver. Execute it in the
    /// transaction that changes the rows.
    ///
    /// Every parameter is a text, but for one of bytes. A driver that is not known here binds them like this:
    ///
    /// ```no_run
    /// # async fn example(tx: &mut sqlx::Transaction<'_, sqlx::Postgres>) -> Result<(), Box<dyn std::error::Error>> {
    /// use outbox_runtime::writers::Parameter;
    /// use outbox_runtime::{OutboxMessage, Payload};
    ///
    /// let message = OutboxMessage::builder("shop.order.placed.v1", "order-7")
    ///     .event_type("OrderPlacedV1")
    ///     .aggregate_type("order")
    ///     .payload(Payload::Json(r#"{"order_id":7}"#.to_owned()))
    ///     .build();
    /// let insert = message.insert()?;
    /// let mut query = sqlx::query(sqlx::AssertSqlSafe(insert.sql()));
    /// for parameter in insert.parameters() {
    ///     query = match parameter {
    ///         Parameter::Text(text) => query.bind(text),
    ///         Parameter::Bytes(bytes) => query.bind(bytes),
    ///     };
    /// }
    /// query.execute(&mut **tx).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// A relay finds the row at its next poll; [`RelayWaker::wake`](crate::RelayWaker::wake) after the commit makes the
    /// relay of this process look at once. What [modes](crate::modes) say is not asked.
    ///
    /// # Errors
    /// A message that could not be stored or sent, checked against the default limits. [`Writer`](super::Writer) has
    /// others.
    pub fn insert(self) -> Result<Insert, Error> {
        self.insert_into(&Tables::default())
    }

    /// Like [`insert`](Self::insert), for tables with other names.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn insert_into(self, tables: &Tables) -> Result<Insert, Error> {
        Limits::default().check(&self)?;
        Insert::new(tables, [self])
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};

    use super::*;

    fn message(payload: Payload) -> OutboxMessage {
        OutboxMessage::builder("orders", "7")
            .id(Uuid::from_u128(1))
            .event_type("OrderPlacedV1")
            .aggregate_type("order")
            .payload(payload)
            .header("b", "1")
            .header("a", "\"")
            .occurred_at(Utc.timestamp_nanos(1_700_000_000_123_456_789))
            .build()
    }

    fn texts(insert: &Insert) -> Vec<Option<&str>> {
        let texts = insert.parameters().iter().map(|parameter| match parameter {
            Parameter::Text(text) => text.as_deref(),
            Parameter::Bytes(_) => Some("bytes"),
        });
        texts.collect()
    }

    #[test]
    fn a_statement_has_a_parameter_for_each_column() {
        let insert = message(Payload::Json("{ }".to_owned())).insert().unwrap();
        assert_eq!(
            insert.sql(),
            "INSERT INTO \"outbox_messages\" (id, aggregate_type, aggregate_id, event_type, topic, payload, \
             payload_binary, content_type, source, headers, occurred_at) VALUES ($1::text::uuid, $2::text, $3::text, \
             $4::text, $5::text, $6::text::json, $7::bytea, $8::text, $9::text, $10::text::jsonb, \
             $11::text::timestamptz)"
        );
        assert_eq!(
            texts(&insert),
            [
                Some("00000000-0000-0000-0000-000000000001"),
                Some("order"),
                Some("7"),
                Some("OrderPlacedV1"),
                Some("orders"),
                Some("{ }"),
                Some("bytes"),
                Some("application/json"),
                None,
                Some(r#"{"b":"1","a":"\""}"#),
                Some("2023-11-14T22:13:20.123456Z"),
            ]
        );
        assert_eq!(insert.parameters()[6], Parameter::Bytes(None));
        assert_eq!(insert.ids(), [Uuid::from_u128(1)]);
    }

    #[test]
    fn several_messages_are_several_rows() {
        let messages = [
            message(Payload::Binary(vec![0, 255])),
            message(Payload::Tombstone),
        ];
        let tables = Tables::new(Some("app"), "x_").unwrap();
        let insert = Insert::new(&tables, messages).unwrap();
        assert!(insert.sql().starts_with("INSERT INTO \"app\".\"x_messages\" ("));
        assert!(
            insert
                .sql()
                .contains("$11::text::timestamptz), ($12::text::uuid, $13::text")
        );
        assert!(insert.sql().ends_with("$22::text::timestamptz)"));
        assert_eq!(insert.parameters()[6], Parameter::Bytes(Some(vec![0, 255])));
        assert_eq!(
            (&insert.parameters()[5], &insert.parameters()[16]),
            (&Parameter::Text(None), &Parameter::Text(None))
        );
        assert_eq!(insert.parameters()[17], Parameter::Bytes(None));
    }

    #[test]
    fn what_emit_refuses_makes_no_statement() {
        let refused = OutboxMessage::builder("orders", "").build().insert().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::EmptyKey);
        let tables = Tables::new(None, "x_").unwrap();
        let refused = message(Payload::Json("{".to_owned()))
            .insert_into(&tables)
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Payload);
    }
}
