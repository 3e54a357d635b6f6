//! PostgreSQL's snapshots as values: which transactions had committed at a point in time.

use std::fmt;
use std::str::FromStr;

/// A transaction id that never wraps around (`xid8`).
pub(crate) type Xid = u64;

/// The value of a `pg_snapshot`: everything below `xmin` is finished, nothing from `xmax` on is, and of those
/// between them exactly the listed ones are still running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    xmin: Xid,
    xmax: Xid,
    /// Sorted, without repetition.
    running: Vec<Xid>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a pg_snapshot (xmin:xmax:xip,xip)")]
pub(crate) struct NotASnapshot(String);

impl Snapshot {
    /// In this snapshot nothing is visible: the log's beginning.
    pub(crate) fn before_everything() -> Self {
        // 0, 1 and 2 are special ids that are always visible; 3 is the first of an ordinary transaction.
        Self {
            xmin: 3,
            xmax: 3,
            running: Vec::new(),
        }
    }

    #[cfg(test)]
    pub(crate) fn new(xmin: Xid, xmax: Xid, mut running: Vec<Xid>) -> Self {
        running.sort_unstable();
        running.dedup();
        Self { xmin, xmax, running }
    }

    /// Whether a transaction had committed, provided that it committed at all.
    pub(crate) fn sees(&self, xid: Xid) -> bool {
        xid < self.xmin || (xid < self.xmax && self.running.binary_search(&xid).is_err())
    }

    /// The same snapshot, had this transaction, an older one than all that were running, been running too.
    pub(crate) fn as_if_running(&self, xid: Xid) -> Self {
        let mut running = vec![xid];
        running.extend(self.running.iter().copied().filter(|other| *other > xid));
        Self {
            xmin: xid.min(self.xmin),
            xmax: self.xmax,
            running,
        }
    }

    /// The same snapshot, with every transaction that was running in the list, also those at or above `xmax`.
    ///
    /// `next` is an id that no transaction had when it was read. It is listed too, which distinguishes such a snapshot
    /// from one of the server's: that one ends behind a transaction that had finished.
    pub(crate) fn listing_all_below(&self, next: Xid) -> Self {
        let next = next.max(self.xmax);
        Self {
            xmin: self.xmin,
            xmax: next + 1,
            running: self.running.iter().copied().chain(self.xmax..=next).collect(),
        }
    }

    /// Whether no transaction can have been running that is not in the list.
    pub(crate) fn lists_all(&self) -> bool {
        self.running.last().is_some_and(|last| last + 1 == self.xmax)
    }

    /// The transactions that were running. Unless it [lists all](Self::lists_all), others at or above
    /// [`xmax`](Self::xmax) may have been running too.
    pub(crate) fn running(&self) -> &[Xid] {
        &self.running
    }

    /// All transactions below it had finished.
    pub(crate) fn xmin(&self) -> Xid {
        self.xmin
    }

    /// One past the last transaction that had finished.
    pub(crate) fn xmax(&self) -> Xid {
        self.xmax
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:", self.xmin, self.xmax)?;
        for (index, xid) in self.running.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(formatter, "{comma}{xid}")?;
        }
        Ok(())
    }
}

impl FromStr for Snapshot {
    type Err = NotASnapshot;

    fn from_str(text: &str) -> Result<Self, NotASnapshot> {
        let wrong = || NotASnapshot(text.to_owned());
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or_else(wrong);
        let number = |part: &str| part.parse::<Xid>().map_err(|_| wrong());
        let (xmin, xmax, list) = (number(next()?)?, number(next()?)?, next()?);
        let running = match list {
            "" => Vec::new(),
            list => list.split(',').map(number).collect::<Result<Vec<_>, _>>()?,
        };
        let in_order = running.windows(2).all(|pair| pair[0] < pair[1]);
        let in_range = running.iter().all(|xid| (xmin..xmax).contains(xid));
        if parts.next().is_some() || !in_order || !in_range || xmin > xmax {
            return Err(wrong());
        }
        Ok(Self { xmin, xmax, running })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in ["3:3:", "10:20:10,14,15", "7:9:8"] {
            assert_eq!(text.parse::<Snapshot>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "1",
            "1:2",
            "2:1:",
            "1:2:3:4",
            "10:20:9",
            "10:20:20",
            "10:20:12,11",
            "a:b:",
        ] {
            assert!(bad.parse::<Snapshot>().is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn a_snapshot_that_lists_all_sees_what_it_saw_before() {
        for (text, next, listing) in [
            ("10:20:10,14", 23, "10:24:10,14,20,21,22,23"),
            ("10:20:10,14", 20, "10:21:10,14,20"),
            ("20:20:", 20, "20:21:20"),
            // One that was read earlier than it should have been.
            ("20:20:", 18, "20:21:20"),
        ] {
            let snapshot: Snapshot = text.parse().unwrap();
            let all = snapshot.listing_all_below(next);
            assert_eq!(all.to_string(), listing);
            assert!(all.lists_all() && !snapshot.lists_all());
            assert!((0..30).all(|xid| all.sees(xid) == snapshot.sees(xid)));
            assert!(listing.parse::<Snapshot>().unwrap().lists_all());
        }
    }

    #[test]
    fn a_snapshot_sees_what_had_finished() {
        let snapshot: Snapshot = "10:20:10,14".parse().unwrap();
        let seen: Vec<Xid> = (8..22).filter(|xid| snapshot.sees(*xid)).collect();
        assert_eq!(seen, [8, 9, 11, 12, 13, 15, 16, 17, 18, 19]);
        assert!(!Snapshot::before_everything().sees(3));
    }
}
