//! Pages that know which of their records' keys have dead letters.

use std::collections::HashMap;

use super::key_order::Revision;
use crate::record::{OutboxRecord, RecordPage};
use crate::relay::blocking::Blocking;
use crate::store::{Reader, StoreError, TopicKey};

/// A page of the log, and what the dead letters had to say to it.
pub(in crate::relay) struct AnnotatedPage {
    pub(in crate::relay) page: RecordPage,
    /// For each record whether its key has dead letters; empty if none has. Asked for topics that block only.
    blocked: Vec<bool>,
    /// When that was so.
    pub(in crate::relay) revision: Revision,
}

impl AnnotatedPage {
    pub(in crate::relay) fn is_blocked(&self, index: usize) -> bool {
        self.blocked.get(index).copied().unwrap_or(false)
    }
}

/// What a reader does for topics that block.
pub(in crate::relay) struct DeadLetterLookup {
    blocking: Blocking,
    /// Whether there may be dead letters of such topics.
    dead_letters: bool,
    /// How many writes to the dead letters are done.
    pub(in crate::relay) revision: Revision,
}

impl DeadLetterLookup {
    pub(in crate::relay) fn new(blocking: Blocking, topics_with_dead_letters: &[String]) -> Self {
        Self {
            dead_letters: topics_with_dead_letters
                .iter()
                .any(|topic| blocking.covers(topic)),
            blocking,
            revision: 0,
        }
    }

    /// A write to the dead letters is done. Returns its revision.
    pub(in crate::relay) fn wrote(&mut self) -> Revision {
        self.revision += 1;
        self.dead_letters = !self.blocking.is_empty();
        self.revision
    }

    /// Asks once for each key, and not at all where there is nothing to be found.
    pub(in crate::relay) async fn annotate<R: Reader>(
        &self,
        reader: &mut R,
        page: RecordPage,
    ) -> Result<AnnotatedPage, StoreError> {
        let blocked = match self.dead_letters {
            true => self.ask(reader, &page).await?,
            false => Vec::new(),
        };
        Ok(AnnotatedPage {
            page,
            blocked,
            revision: self.revision,
        })
    }

    async fn ask<R: Reader>(&self, reader: &mut R, page: &RecordPage) -> Result<Vec<bool>, StoreError> {
        let question = KeyQuery::about(page.iter(), &self.blocking);
        if question.keys.is_empty() {
            return Ok(Vec::new());
        }
        let have = reader.have_dead_letters(&question.keys).await?;
        Ok(question.answer(&have))
    }
}

/// Whether the keys of some records have dead letters, asked once for each key of a topic that blocks.
pub(in crate::relay) struct KeyQuery {
    pub(in crate::relay) keys: Vec<TopicKey>,
    /// The number of each record's key, if its topic blocks.
    of_records: Vec<Option<usize>>,
}

impl KeyQuery {
    pub(in crate::relay) fn about<'a>(
        records: impl Iterator<Item = OutboxRecord<'a>>,
        blocking: &Blocking,
    ) -> Self {
        let mut numbers: HashMap<(&str, &str), usize> = HashMap::new();
        let mut keys: Vec<TopicKey> = Vec::new();
        let mut of_records = Vec::with_capacity(records.size_hint().0);
        for record in records {
            if !blocking.covers(record.topic) {
                of_records.push(None);
                continue;
            }
            let number = *numbers.entry((record.topic, record.key)).or_insert_with(|| {
                keys.push((record.topic.to_owned(), record.key.to_owned()));
                keys.len() - 1
            });
            of_records.push(Some(number));
        }
        Self { keys, of_records }
    }

    /// For each record whether its key has some, given the same for each key.
    pub(in crate::relay) fn answer(&self, have: &[bool]) -> Vec<bool> {
        let blocked = |number: &Option<usize>| number.is_some_and(|number| have.get(number) == Some(&true));
        self.of_records.iter().map(blocked).collect()
    }
}
