//! What the writers of all stacks have in common.

use std::borrow::Cow;
use std::marker::PhantomData;

use super::Insert;
use crate::database::chunks::chunks;
use crate::enqueue::Enqueued;
use crate::error::{Error, advice};
use crate::event::OutboxEvent;
use crate::message::{Limits, OutboxMessage};
use crate::schema::Tables;
use crate::wake::RelayWaker;

/// Rows in one statement. Each has eleven parameters, and a statement at most 65,535.
const CHUNK_ROWS: usize = 1_000;
/// Bytes in one statement.
const CHUNK_BYTES: usize = 16 * 1024 * 1024;

/// PostgreSQL's code of an error, and its message.
pub(super) type Answer<'e> = (Cow<'e, str>, &'e str);

/// What is done, for errors.
const WRITING: &str = "write the outbox messages";

/// Writes events in transactions of the crate `S`: `Diesel`, `TokioPostgres` or `SeaOrm`, each with the
/// feature of its name.
///
/// ```
/// # #[cfg(feature = "diesel")] {
/// use outbox_runtime::RelayWaker;
/// use outbox_runtime::writers::{Diesel, Writer};
///
/// let waker = RelayWaker::new(); // for the builder of a relay in this process, too
/// let writer = Writer::<Diesel>::new().waker(waker.clone());
/// # let _ = writer; }
/// ```
///
/// It knows no [modes](crate::modes): its events always go through the log, and switches do not wait for its
/// transactions. It counts nothing in [metrics](crate::metrics); the relay does.
#[derive(Debug, Clone)]
#[must_use]
pub struct Writer<S> {
    tables: Tables,
    limits: Limits,
    waker: RelayWaker,
    stack: PhantomData<fn() -> S>,
}

impl<S> Default for Writer<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Writer<S> {
    /// A writer with the default tables and limits.
    pub fn new() -> Self {
        Self {
            tables: Tables::default(),
            limits: Limits::default(),
            waker: RelayWaker::new(),
            stack: PhantomData,
        }
    }

    /// Sets the tables. Default: names that begin with `outbox_`.
    pub fn tables(mut self, tables: Tables) -> Self {
        self.tables = tables;
        self
    }

    /// Maximum size of a payload in bytes, as
    /// [`OutboxBuilder::max_payload_bytes`](crate::OutboxBuilder::max_payload_bytes).
    pub fn max_payload_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_payload_bytes = bytes;
        self
    }

    /// Maximum size of a record in bytes, as
    /// [`OutboxBuilder::max_record_bytes`](crate::OutboxBuilder::max_record_bytes).
    pub fn max_record_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_record_bytes = bytes;
        self
    }

    /// Sets the waker of the relay in this process, which [`Enqueued::wake`] calls. Default: a waker without
    /// a relay.
    pub fn waker(mut self, waker: RelayWaker) -> Self {
        self.waker = waker;
        self
    }

    /// The statements for events, in their order. All are checked before the first one is made.
    pub(super) fn inserts_of<I>(&self, events: I) -> Result<Vec<Insert>, Error>
    where
        I: IntoIterator,
        I::Item: OutboxEvent,
    {
        let messages = events.into_iter().map(|event| OutboxMessage::from_event(&event));
        self.inserts(messages.collect::<Result<_, _>>()?)
    }

    /// As [`inserts_of`](Self::inserts_of), for messages.
    pub(super) fn inserts(&self, messages: Vec<OutboxMessage>) -> Result<Vec<Insert>, Error> {
        messages
            .iter()
            .try_for_each(|message| self.limits.check(message))?;
        let lengths: Vec<usize> = chunks(&messages, CHUNK_ROWS, CHUNK_BYTES)
            .map(<[_]>::len)
            .collect();
        let mut messages = messages.into_iter();
        lengths
            .into_iter()
            .map(|length| Insert::new(&self.tables, messages.by_ref().take(length)))
            .collect()
    }

    /// Whether so many rows are all that an insert has.
    pub(super) fn confirm(&self, insert: &Insert, rows: u64) -> Result<(), Error> {
        if rows == insert.ids().len() as u64 {
            return Ok(());
        }
        Err(Error::left_out(WRITING, &self.tables))
    }

    /// What a driver says of a statement. `answer` finds PostgreSQL's code and message in it.
    pub(super) fn failed<E>(&self, error: E, answer: fn(&E) -> Option<Answer<'_>>) -> Error
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let advice = answer(&error).and_then(|(code, says)| advice(&self.tables, &code, says));
        Error::advised(WRITING, advice).with_source(error)
    }

    /// All of them are in the transaction.
    pub(super) fn enqueued(&self, inserts: Vec<Insert>) -> Enqueued {
        let ids = inserts.into_iter().flat_map(Insert::into_ids).collect();
        Enqueued::new(ids, self.waker.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::event::Payload;

    fn message(key: &str, bytes: usize) -> OutboxMessage {
        OutboxMessage::builder("orders", key)
            .event_type("OrderPlacedV1")
            .aggregate_type("order")
            .payload(Payload::Binary(vec![0; bytes]))
            .build()
    }

    #[test]
    fn many_messages_are_few_statements_in_their_order() {
        let writer = Writer::<()>::new();
        let messages: Vec<_> = (0..2_500).map(|_| message("k", 0)).collect();
        let ids: Vec<_> = messages.iter().map(OutboxMessage::id).collect();
        let inserts = writer.inserts(messages).unwrap();
        let lengths: Vec<_> = inserts.iter().map(|insert| insert.ids().len()).collect();
        assert_eq!(lengths, [1_000, 1_000, 500]);
        assert_eq!(writer.enqueued(inserts).ids(), ids);
        let large: Vec<_> = (0..20).map(|_| message("k", 900_000)).collect();
        assert_eq!(writer.inserts(large).unwrap().len(), 2);
        assert!(writer.inserts(Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn limits_are_those_of_the_writer() {
        let writer = Writer::<()>::new().max_payload_bytes(8);
        let refused = writer
            .inserts(vec![message("k", 8), message("k", 9)])
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PayloadTooLarge { bytes: 9, limit: 8 });
        let writer = Writer::<()>::new().max_record_bytes(100);
        let refused = writer.inserts(vec![message("k", 8)]).unwrap_err();
        assert!(matches!(
            refused.kind(),
            ErrorKind::RecordTooLarge { limit: 100, .. }
        ));
    }

    #[test]
    fn a_row_that_is_left_out_is_an_error() {
        let writer = Writer::<()>::new();
        let inserts = writer.inserts(vec![message("k", 0), message("k", 0)]).unwrap();
        assert!(writer.confirm(&inserts[0], 2).is_ok());
        let refused = writer.confirm(&inserts[0], 1).unwrap_err();
        assert!(
            refused.to_string().contains("a trigger before INSERT"),
            "{refused}"
        );
    }
}
