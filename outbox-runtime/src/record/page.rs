//! A page of records in two buffers: one allocation grows for many rows, none is made for each.

use std::collections::BTreeSet;
use std::ops::Range;

use uuid::Uuid;

/// One stored message, borrowed from its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxRecord<'a> {
    /// The row's `seq`, which identifies the row but does not order events.
    pub seq: i64,
    /// The event id, the same at every attempt to send.
    pub id: Uuid,
    /// The Kafka topic.
    pub topic: &'a str,
    /// The aggregate's id, which is the Kafka key.
    pub key: &'a str,
    /// The event's type, sent as `ce_type`.
    pub event_type: &'a str,
    /// The payload's media type, sent as `content-type`.
    pub content_type: &'a str,
    /// The CloudEvents source, if the row has one.
    pub source: Option<&'a str>,
    /// Further headers: the text of a JSON object.
    pub headers: &'a str,
    /// The value's bytes; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// When the event occurred, in milliseconds since the Unix epoch.
    pub occurred_at_ms: i64,
}

/// The fields of one row.
///
/// The same fields as [`OutboxRecord`]; a name of its own keeps `push` readable at its call.
pub type RecordFields<'a> = OutboxRecord<'a>;

/// Records in the order in which they are sent.
#[derive(Debug, Default)]
pub struct RecordPage {
    window: u64,
    text: String,
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    seq: i64,
    id: Uuid,
    occurred_at_ms: i64,
    topic: Range<u32>,
    key: Range<u32>,
    event_type: Range<u32>,
    content_type: Range<u32>,
    source: Option<Range<u32>>,
    headers: Range<u32>,
    payload: Option<Range<usize>>,
}

impl RecordPage {
    /// An empty page of the reader's `window`, with room for `rows` rows.
    pub fn new(window: u64, rows: usize) -> Self {
        Self {
            window,
            rows: Vec::with_capacity(rows),
            ..Self::default()
        }
    }

    /// The topics of the rows from this one on.
    pub(crate) fn topics_from(&self, row: usize) -> BTreeSet<&str> {
        let rows = row..self.len();
        rows.filter_map(|row| Some(self.get(row)?.topic)).collect()
    }

    /// Appends a row. All texts of a page must stay below 4 GiB in total, which the page's byte limit ensures.
    pub fn push(&mut self, fields: RecordFields<'_>) {
        let row = Row {
            seq: fields.seq,
            id: fields.id,
            occurred_at_ms: fields.occurred_at_ms,
            topic: self.text(fields.topic),
            key: self.text(fields.key),
            event_type: self.text(fields.event_type),
            content_type: self.text(fields.content_type),
            source: fields.source.map(|source| self.text(source)),
            headers: self.text(fields.headers),
            payload: fields.payload.map(|payload| {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(payload);
                start..self.bytes.len()
            }),
        };
        self.rows.push(row);
    }

    /// Appends the rows of a later page of the same window.
    pub(crate) fn append(&mut self, later: &RecordPage) {
        debug_assert_eq!(
            self.window, later.window,
            "rows of two windows do not go together"
        );
        self.rows.reserve(later.len());
        for record in later.iter() {
            self.push(record);
        }
    }

    /// Gives back the room that it has for more, for a page that is kept.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.text.shrink_to_fit();
        self.bytes.shrink_to_fit();
        self.rows.shrink_to_fit();
    }

    /// The reader's window that contains these rows.
    pub fn window(&self) -> u64 {
        self.window
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the page is empty.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The size of all texts and payloads in bytes.
    pub fn size(&self) -> usize {
        self.text.len() + self.bytes.len()
    }

    /// The `seq` of the last record, if any.
    pub fn last_seq(&self) -> Option<i64> {
        self.rows.last().map(|row| row.seq)
    }

    /// The record at `index`, counted from 0.
    pub fn get(&self, index: usize) -> Option<OutboxRecord<'_>> {
        self.rows.get(index).map(|row| self.view(row))
    }

    /// All records, in order.
    pub fn iter(&self) -> impl Iterator<Item = OutboxRecord<'_>> {
        self.rows.iter().map(|row| self.view(row))
    }

    fn text(&mut self, text: &str) -> Range<u32> {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        start..self.text.len() as u32
    }

    fn view<'a>(&'a self, row: &Row) -> OutboxRecord<'a> {
        let text = |range: &Range<u32>| &self.text[range.start as usize..range.end as usize];
        OutboxRecord {
            seq: row.seq,
            id: row.id,
            topic: text(&row.topic),
            key: text(&row.key),
            event_type: text(&row.event_type),
            content_type: text(&row.content_type),
            source: row.source.as_ref().map(text),
            headers: text(&row.headers),
            payload: row.payload.as_ref().map(|range| &self.bytes[range.clone()]),
            occurred_at_ms: row.occurred_at_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_pushed() {
        let first = OutboxRecord {
            seq: 7,
            id: Uuid::from_u128(1),
            topic: "orders",
            key: "k-ö",
            event_type: "OrderPlacedV1",
            content_type: "application/json",
            source: Some("/shop"),
            headers: "{}",
            payload: Some(b"{}"),
            occurred_at_ms: 12,
        };
        let tombstone = OutboxRecord {
            seq: 9,
            source: None,
            payload: None,
            key: "",
            ..first
        };
        let mut page = RecordPage::new(3, 2);
        page.push(first);
        page.push(tombstone);
        assert_eq!(page.iter().collect::<Vec<_>>(), [first, tombstone]);
        assert_eq!((page.window(), page.last_seq(), page.get(2)), (3, Some(9), None));
        let mut both = RecordPage::new(3, 0);
        both.push(first);
        both.append(&page);
        assert_eq!(both.iter().collect::<Vec<_>>(), [first, first, tombstone]);
    }
}
