//! Pages that know which of their records' keys have dead letters.

use std::collections::HashMap;

use super::keys::Revision;
use super::on_dead::Blocking;
use crate::record::{OutboxRecord, RecordPage};
use crate::store::{Reader, StoreError, TopicKey};

/// A page of the log, and what the dead letters had to say to it.
pub(super) struct AnnotatedPage {
    pub(super) page: RecordPage,
    /// For each record whether its key has dead letters; empty if none has. Asked for topics that block only.
    blocked: Vec<bool>,
    /// When that was so.
    pub(super) revision: Revision,
}

impl AnnotatedPage {
    pub(super) fn is_blocked(&self, index: usize) -> bool {
        self.blocked.get(index).copied().unwrap_or(false)
    }
}

/// What a reader does for topics that block.
pub(super) struct DeadLetterLookup {
    blocking: Blocking,
    /// Whether there may be dead letters of such topics.
    dead_letters: bool,
    /// How many writes to the dead letters are done.
    pub(super) revision: Revision,
}

impl DeadLetterLookup {
    pub(super) fn new(blocking: Blocking, topics_with_dead_letters: &[String]) -> Self {
        Self {
            dead_letters: topics_with_dead_letters
                .iter()
                .any(|topic| blocking.covers(topic)),
            blocking,
            revision: 0,
        }
    }

    /// A write to the dead letters is done. Returns its revision.
    pub(super) fn wrote(&mut self) -> Revision {
        self.revision += 1;
        self.dead_letters = !self.blocking.is_empty();
        self.revision
    }

    /// Asks once for each key, and not at all where there is nothing to be found.
    pub(super) async fn annotate<R: Reader>(
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
pub(super) struct KeyQuery {
    pub(super) keys: Vec<TopicKey>,
    /// The number of each record's key, if its topic blocks.
    of_records: Vec<Option<usize>>,
}

impl KeyQuery {
    pub(super) fn about<'a>(records: impl Iterator<Item = OutboxRecord<'a>>, blocking: &Blocking) -> Self {
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
    pub(super) fn answer(&self, have: &[bool]) -> Vec<bool> {
        let blocked = |number: &Option<usize>| number.is_some_and(|number| have.get(number) == Some(&true));
        self.of_records.iter().map(blocked).collect()
    }
}
