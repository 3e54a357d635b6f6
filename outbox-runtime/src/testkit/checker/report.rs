//! What the comparison found.

use std::fmt;

use uuid::Uuid;

/// Where something was found.
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

/// An event that nobody committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invented {
    /// Its id, if it has one.
    pub id: Option<Uuid>,
    /// Where it was found.
    pub place: Place,
    /// It had been written, and rolled back.
    pub rolled_back: bool,
}

/// `first` precedes `second`, and came after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inversion {
    /// The event that came too late.
    pub first: Uuid,
    /// One of those that it should have come before.
    pub second: Uuid,
}

/// A further occurrence of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// The event's id.
    pub id: Uuid,
    /// Where it was found again.
    pub place: Place,
}

/// A record that is not like its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Altered {
    /// The event's id.
    pub id: Uuid,
    /// Where the record is.
    pub place: Place,
    /// What is wrong with it, to be read behind "the record".
    pub what: &'static str,
}

/// An event that is in another partition than the events of its key before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scattered {
    /// The event's id.
    pub id: Uuid,
    /// Where it is.
    pub place: Place,
    /// The partition of the others.
    pub others: i32,
}

/// The outcome of a comparison; its display says all that matters in a few lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many events were committed.
    pub committed: usize,
    /// How many records there are, duplicates included.
    pub delivered: usize,
    /// Committed, and neither in the log nor in the dead letters.
    pub lost: Vec<Uuid>,
    /// Delivered or dead-lettered, and never committed.
    pub invented: Vec<Invented>,
    /// Each event that came after one that it precedes, once, with a witness.
    pub out_of_order: Vec<Inversion>,
    /// Records with other bytes than their event, or than its first occurrence.
    pub altered: Vec<Altered>,
    /// Keys that are in more than one partition, so that there is no order between their events.
    pub scattered: Vec<Scattered>,
    /// All occurrences but the first of each event.
    pub duplicates: Vec<Occurrence>,
}

impl Report {
    /// At least once, in order, with the right bytes. Duplicates may be there.
    pub fn holds(&self) -> bool {
        self.lost.is_empty()
            && self.invented.is_empty()
            && self.out_of_order.is_empty()
            && self.altered.is_empty()
            && self.scattered.is_empty()
    }

    /// The guarantee [`holds`](Self::holds), and there is no duplicate.
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
