//! Rows that cannot be read as records.
//!
//! Such a row takes its place in the page as a record that no broker is ever given, because its headers are not JSON. So it
//! comes to the dead letters at its turn, in both delivery modes; and the reader, which knows it, keeps the whole row there.

use std::collections::HashMap;

use uuid::Uuid;

use super::RowId;
use crate::record::{OutboxRecord, RecordPage};

/// Stands for the headers of a row that could not be read: no JSON, so nothing is sent.
const NO_HEADERS: &str = "unreadable";

/// The rows of one reader that could not be read, until they are in the dead letters.
#[derive(Debug, Default)]
pub(super) struct Unreadable(HashMap<RowId, Why>);

/// What is known of such a row.
#[derive(Debug)]
pub(super) struct Why {
    /// What was wrong, for people.
    pub(super) error: String,
    #[cfg(feature = "sqlite")]
    pub(super) topic: String,
    #[cfg(feature = "sqlite")]
    pub(super) key: String,
    #[cfg(feature = "sqlite")]
    pub(super) event_type: String,
}

impl Unreadable {
    /// Puts a row into the page that could not be read; its texts as far as they are texts.
    pub(super) fn push(&mut self, page: &mut RecordPage, row: RowId, texts: [&[u8]; 3], error: &sqlx::Error) {
        let (seq, id): (i64, Uuid) = row;
        let [topic, key, event_type] = texts.map(printable);
        tracing::error!(seq, %id, %error, "cannot read a row; it is dead-lettered");
        page.push(OutboxRecord {
            seq,
            id,
            topic: &topic,
            key: &key,
            event_type: &event_type,
            content_type: "application/octet-stream",
            source: None,
            headers: NO_HEADERS,
            payload: None,
            occurred_at_ms: 0,
        });
        let why = Why {
            error: error.to_string(),
            #[cfg(feature = "sqlite")]
            topic,
            #[cfg(feature = "sqlite")]
            key,
            #[cfg(feature = "sqlite")]
            event_type,
        };
        self.0.insert(row, why);
    }

    /// Why a row could not be read; asked once, when it goes to the dead letters.
    pub(super) fn take(&mut self, row: &RowId) -> Option<Why> {
        match self.0.is_empty() {
            true => None,
            false => self.0.remove(row),
        }
    }

    /// Those of these rows that could not be read, and the others.
    pub(super) fn part(&mut self, rows: &[RowId]) -> (Vec<(RowId, Why)>, Vec<RowId>) {
        let (mut unreadable, mut others) = (Vec::new(), Vec::with_capacity(rows.len()));
        for row in rows {
            match self.take(row) {
                Some(why) => unreadable.push((*row, why)),
                None => others.push(*row),
            }
        }
        (unreadable, others)
    }
}

/// The beginning of a text in printable ASCII.
pub(super) fn printable(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(200).map(|byte| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '?',
    });
    shown.collect()
}

/// A sentence in the part of ASCII that every database takes, of bounded length.
#[cfg(feature = "postgres")]
pub(super) fn plain_error(error: &str) -> String {
    let shown = error.chars().take(2_000).map(|character| match character {
        ' '..='~' => character,
        _ => '?',
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_row_keeps_its_place_and_is_never_sent() {
        let (mut unreadable, mut page) = (Unreadable::default(), RecordPage::new(0, 1));
        let row = (7, Uuid::from_u128(1));
        let texts: [&[u8]; 3] = [b"orders", b"a\xff\x00b", b"E"];
        unreadable.push(&mut page, row, texts, &sqlx::Error::Decode("not UTF-8".into()));
        let record = page.get(0).unwrap();
        assert_eq!((record.seq, record.topic, record.key), (7, "orders", "a??b"));
        let wire = crate::record::WireOptions {
            default_source: "/s".to_owned(),
            time_and_subject: false,
        };
        assert!(wire.headers(&record, |_, _| {}).is_err());
        let (found, others) = unreadable.part(&[row, (8, row.1)]);
        assert_eq!((found.len(), others), (1, vec![(8, row.1)]));
        assert!(unreadable.take(&row).is_none());
    }
}
