//! What the comparison found.

use std::fmt;

use uuid::Uuid;

/// Where a record was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a topic.
    Log {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The place in the partition.
        offset: i64,
    },
    /// In the dead letters.
    DeadLetters,
}

/// A delivered event that was never committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invented {
    /// The id, if any.
    pub id: Option<Uuid>,
    /// Where it was found.
    pub place: Place,
    /// Whether it was written and rolled back.
    pub rolled_back: bool,
}

/// A violation of order: `first` precedes `second`, but arrived after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inversion {
    /// The event that arrived too late.
    pub first: Uuid,
    /// An event before which it should have arrived.
    pub second: Uuid,
}

/// A duplicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// The event's id.
    pub id: Uuid,
    /// Where the duplicate was found.
    pub place: Place,
}

/// A record that differs from its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Altered {
    /// The event's id.
    pub id: Uuid,
    /// Where the record is.
    pub place: Place,
    /// The difference, as the continuation of "the record".
    pub what: &'static str,
}

/// An event in another partition than earlier events of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scattered {
    /// The event's id.
    pub id: Uuid,
    /// The partition and offset.
    pub place: Place,
    /// The partition of the earlier events.
    pub others: i32,
}

/// The result of a comparison. `Display` summarizes it in a few lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Number of committed events.
    pub committed: usize,
    /// Number of records, including duplicates.
    pub delivered: usize,
    /// Committed events that are neither in a topic nor in the dead letters.
    pub lost: Vec<Uuid>,
    /// Delivered or dead-lettered events that were never committed.
    pub invented: Vec<Invented>,
    /// Each event that arrived after one that it precedes, once, with an example.
    pub out_of_order: Vec<Inversion>,
    /// Records that differ from their event or from its first occurrence.
    pub altered: Vec<Altered>,
    /// Keys in more than one partition, which have no order.
    pub scattered: Vec<Scattered>,
    /// All occurrences of each event except the first.
    pub duplicates: Vec<Occurrence>,
}

impl Report {
    /// Whether every event was delivered at least once, in order and unchanged. Duplicates are permitted.
    pub fn holds(&self) -> bool {
        self.lost.is_empty()
            && self.invented.is_empty()
            && self.out_of_order.is_empty()
            && self.altered.is_empty()
            && self.scattered.is_empty()
    }

    /// Whether [`holds`](Self::holds) and there is no duplicate.
    pub fn is_exact(&self) -> bool {
        self.holds() && self.duplicates.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} committed, {} delivered",
            self.committed, self.delivered
        )?;
        list(formatter, "lost", &self.lost)?;
        list(formatter, "invented", &self.invented)?;
        list(formatter, "out of order", &self.out_of_order)?;
        list(formatter, "altered", &self.altered)?;
        list(formatter, "scattered", &self.scattered)?;
        list(formatter, "duplicates", &self.duplicates)
    }
}

/// How many there are, and the first few.
fn list<T: fmt::Display>(formatter: &mut fmt::Formatter<'_>, name: &str, found: &[T]) -> fmt::Result {
    const SHOWN: usize = 5;
    if found.is_empty() {
        return Ok(());
    }
    write!(formatter, "\n{name}: {}", found.len())?;
    for one in found.iter().take(SHOWN) {
        write!(formatter, "\n  {one}")?;
    }
    if found.len() > SHOWN {
        write!(formatter, "\n  …")?;
    }
    Ok(())
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log {
                topic,
                partition,
                offset,
            } => write!(formatter, "{topic}/{partition} at {offset}"),
            Self::DeadLetters => write!(formatter, "the dead letters"),
        }
    }
}

impl fmt::Display for Invented {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(formatter, "{id} in {}", self.place)?,
            None => write!(formatter, "a record without an id in {}", self.place)?,
        }
        if self.rolled_back {
            write!(formatter, " (it was rolled back)")
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Inversion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} came after {}, which it precedes",
            self.first, self.second
        )
    }
}

impl fmt::Display for Occurrence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} again in {}", self.id, self.place)
    }
}

impl fmt::Display for Altered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: the record in {} {}",
            self.id, self.place, self.what
        )
    }
}

impl fmt::Display for Scattered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} in {}, others of its key in partition {}",
            self.id, self.place, self.others
        )
    }
}
