//! Which windows are open, how far they are read, and how far they are settled.

use std::collections::VecDeque;

use super::behind::Unasked;
use super::snapshot::Xid;
use super::window::{Edge, Window};
use crate::store::Mark;

/// A window that is being read or waits for its records to settle.
#[derive(Debug)]
pub(super) struct OpenWindow {
    pub(super) number: u64,
    pub(super) window: Window,
    /// Transactions with late rows, once they were looked for.
    pub(super) late: Option<Vec<Xid>>,
    /// Others wrote at or below the lower bound too, so all rows there are looked through.
    pub(super) reads_below: bool,
    /// Transactions that have yet to be asked whether they did.
    pub(super) unasked: Vec<Unasked>,
    /// Everything up to this seq was read.
    pub(super) read_to: i64,
    /// Whether the table has large rows, once that was asked.
    pub(super) has_large_rows: Option<bool>,
    /// The last record that was returned.
    pub(super) last_returned: Option<i64>,
    pub(super) exhausted: bool,
    /// The cursor row names this window.
    resumed: bool,
    /// Everything up to this seq is settled.
    settled_to: i64,
}

impl OpenWindow {
    /// Looks through all rows up to the lower bound. Nothing was returned yet; an earlier reader of the window that
    /// settled something found the same, and went on in the same order.
    pub(super) fn read_below(&mut self) {
        self.reads_below = true;
        self.late = Some(Vec::new());
    }
}

/// What the cursor row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CursorRow {
    pub(super) from: Edge,
    /// The upper edge and the settled seq of a window that is not finished.
    pub(super) open: Option<(Edge, i64)>,
}

/// The reader's place in the log: windows from the first unsettled one to the tip.
#[derive(Debug)]
pub(super) struct Progress {
    windows: VecDeque<OpenWindow>,
    tip: Edge,
    next_number: u64,
    /// The cursor row no longer says what is known.
    unwritten: bool,
    /// The window that a generation was written for last.
    begun: Option<u64>,
}

impl Progress {
    pub(super) fn resume(row: CursorRow) -> Self {
        let mut progress = Self {
            windows: VecDeque::new(),
            tip: row.from,
            next_number: 0,
            unwritten: false,
            begun: None,
        };
        if let Some((to, settled_to)) = row.open {
            let open = progress.open(to);
            open.resumed = true;
            (open.read_to, open.settled_to) = (settled_to, settled_to);
            progress.begun = Some(0);
        }
        progress
    }

    /// Where the next window begins.
    pub(super) fn tip(&self) -> &Edge {
        &self.tip
    }

    /// The window that is being read, if the last one opened is not exhausted.
    pub(super) fn reading(&mut self) -> Option<&mut OpenWindow> {
        self.windows.back_mut().filter(|open| !open.exhausted)
    }

    /// Opens the window from the tip to `to`.
    pub(super) fn open(&mut self, to: Edge) -> &mut OpenWindow {
        let from = std::mem::replace(&mut self.tip, to.clone());
        let number = self.next_number;
        self.next_number += 1;
        self.windows.push_back(OpenWindow {
            number,
            window: Window { from, to },
            late: None,
            reads_below: false,
            unasked: Vec::new(),
            read_to: 0,
            has_large_rows: None,
            last_returned: None,
            exhausted: false,
            resumed: false,
            settled_to: 0,
        });
        let last = self.windows.len() - 1;
        &mut self.windows[last]
    }

    /// The window that is being read has no more rows. One that returned none is forgotten: nothing of it
    /// needs to settle, and only one that the cursor row names leaves something to write.
    pub(super) fn exhaust(&mut self) {
        let Some(open) = self.windows.back_mut() else {
            return;
        };
        open.exhausted = true;
        if open.last_returned.is_none() {
            self.unwritten |= open.resumed;
            self.windows.pop_back();
        }
    }

    /// Takes note that everything up to `mark` is settled.
    pub(super) fn settle(&mut self, mark: Mark) {
        while let Some(front) = self.windows.front_mut() {
            let passed = front.number < mark.window;
            if front.number == mark.window && front.settled_to < mark.seq {
                front.settled_to = mark.seq;
                self.unwritten = true;
            }
            let finished =
                front.exhausted && front.last_returned.is_some_and(|last| last <= front.settled_to);
            if !passed && !finished {
                return;
            }
            self.windows.pop_front();
            self.unwritten = true;
        }
    }

    /// The row to write, unless it says nothing that is not written already. An idle reader's tip moves on
    /// without being written: a window with no rows is soon looked through again.
    pub(super) fn unwritten(&self) -> Option<CursorRow> {
        self.unwritten.then(|| self.row())
    }

    /// The row as it would be written now.
    pub(super) fn row(&self) -> CursorRow {
        match self.windows.front() {
            Some(front) => CursorRow {
                from: front.window.from.clone(),
                open: Some((front.window.to.clone(), front.settled_to)),
            },
            None => CursorRow {
                from: self.tip.clone(),
                open: None,
            },
        }
    }

    /// The row that says that `window` is being worked off, and all before it are settled.
    pub(super) fn begin(&mut self, window: u64) -> CursorRow {
        self.settle(Mark { window, seq: 0 });
        self.begun = Some(window);
        self.row()
    }

    /// The row of [`unwritten`](Self::unwritten) while generations are at work. A window that was read ahead is not
    /// part of it before it is [begun](Self::begin): it would be taken for the one that the generation speaks of.
    pub(super) fn unwritten_of_generation(&self) -> Option<CursorRow> {
        let row = self.unwritten()?;
        let front = self.windows.front().map(|front| front.number);
        Some(match front == self.begun {
            true => row,
            false => CursorRow { open: None, ..row },
        })
    }

    /// The window that the cursor row left open, as long as nothing was read.
    pub(super) fn resumed(&self) -> Option<Mark> {
        let front = self.windows.front().filter(|front| front.resumed)?;
        Some(Mark {
            window: front.number,
            seq: front.settled_to,
        })
    }

    /// The window that the cursor row left open is settled up to `seq`.
    pub(super) fn resume_behind(&mut self, seq: i64) {
        if let Some(front) = self.windows.front_mut().filter(|front| front.resumed)
            && front.settled_to < seq
        {
            (front.read_to, front.settled_to) = (seq, seq);
            self.unwritten = true;
        }
    }

    /// The row of [`unwritten`](Self::unwritten) was written.
    pub(super) fn written(&mut self) {
        self.unwritten = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::snapshot::Snapshot;
    use super::*;

    fn edge(xmax: Xid, high: i64) -> Edge {
        Edge {
            snapshot: Snapshot::new(xmax, xmax, Vec::new()),
            high,
            xid_bound: None,
        }
    }

    fn start() -> Progress {
        Progress::resume(CursorRow {
            from: edge(10, 0),
            open: None,
        })
    }

    fn returned(progress: &mut Progress, seq: i64) {
        let reading = progress.reading().unwrap();
        reading.read_to = seq;
        reading.last_returned = Some(seq);
    }

    #[test]
    fn a_window_is_written_until_it_is_finished() {
        let mut progress = start();
        progress.open(edge(20, 5));
        returned(&mut progress, 4);
        progress.settle(Mark { window: 0, seq: 2 });
        let row = progress.unwritten().unwrap();
        assert_eq!(
            row,
            CursorRow {
                from: edge(10, 0),
                open: Some((edge(20, 5), 2))
            }
        );
        progress.written();
        assert_eq!(progress.unwritten(), None, "written already");

        progress.settle(Mark { window: 0, seq: 4 });
        assert!(
            progress.unwritten().unwrap().open.is_some(),
            "more rows may follow"
        );
        progress.exhaust();
        progress.settle(Mark { window: 0, seq: 4 });
        assert_eq!(
            progress.unwritten().unwrap(),
            CursorRow {
                from: edge(20, 5),
                open: None
            }
        );
    }

    #[test]
    fn a_mark_in_a_later_window_finishes_the_earlier_ones() {
        let mut progress = start();
        for (number, xmax) in [(0, 20), (1, 30), (2, 40)] {
            progress.open(edge(xmax, xmax as i64));
            returned(&mut progress, xmax as i64);
            if number < 2 {
                progress.exhaust();
            }
        }
        progress.settle(Mark { window: 2, seq: 33 });
        assert_eq!(
            progress.unwritten().unwrap(),
            CursorRow {
                from: edge(30, 30),
                open: Some((edge(40, 40), 33))
            }
        );
    }

    #[test]
    fn a_window_that_was_read_ahead_is_not_written_before_it_is_begun() {
        let mut progress = start();
        for (window, xmax) in [(0, 20), (1, 30)] {
            progress.open(edge(xmax, xmax as i64));
            returned(&mut progress, xmax as i64);
            if window == 0 {
                assert!(progress.begin(0).open.is_some());
                progress.exhaust();
            }
        }
        progress.settle(Mark { window: 0, seq: 20 });
        let closed = CursorRow {
            from: edge(20, 20),
            open: None,
        };
        assert_eq!(progress.unwritten_of_generation(), Some(closed));
        let begun = progress.begin(1);
        assert_eq!((begun.from, begun.open), (edge(20, 20), Some((edge(30, 30), 0))));
    }

    #[test]
    fn windows_without_rows_move_the_tip_and_write_nothing() {
        let mut progress = start();
        progress.open(edge(20, 0));
        progress.exhaust();
        assert_eq!(progress.tip(), &edge(20, 0));
        assert_eq!(progress.unwritten(), None);
    }

    #[test]
    fn late_rows_that_settled_are_written_though_no_seq_is_new() {
        let mut progress = start();
        progress.open(edge(20, 9));
        returned(&mut progress, 9);
        progress.exhaust();
        progress.settle(Mark { window: 0, seq: 9 });
        assert!(progress.unwritten().is_some());
        progress.written();
        progress.open(edge(30, 9));
        returned(&mut progress, 3);
        progress.exhaust();
        assert_eq!(progress.unwritten(), None, "nothing of it settled");
        progress.settle(Mark { window: 1, seq: 3 });
        assert_eq!(
            progress.unwritten().unwrap().from,
            edge(30, 9),
            "a late row must not come again"
        );
    }

    #[test]
    fn a_row_is_resumed_where_it_was_left() {
        let progress = Progress::resume(CursorRow {
            from: edge(10, 3),
            open: Some((edge(20, 9), 5)),
        });
        assert_eq!(progress.windows[0].read_to, 5);
        assert_eq!(progress.tip(), &edge(20, 9));
    }

    /// The edge at which the nth window begins.
    fn nth_edge(number: usize) -> Edge {
        edge(10 * (number as Xid + 1), number as i64)
    }

    /// What somebody would read who starts at this cursor row, of windows with these rows.
    fn ahead(row: &CursorRow, windows: &[Vec<i64>]) -> Vec<(usize, i64)> {
        let first = (0..=windows.len())
            .find(|number| nth_edge(*number) == row.from)
            .expect("a window begins there");
        let settled = row.open.as_ref().map_or(0, |(to, settled)| {
            assert_eq!(to, &nth_edge(first + 1), "windows follow each other");
            *settled
        });
        let all = windows.iter().enumerate().skip(first);
        all.flat_map(|(number, rows)| rows.iter().map(move |seq| (number, *seq)))
            .filter(|(number, seq)| *number > first || *seq > settled)
            .collect()
    }

    proptest! {
        /// In whatever order windows are opened, read, found to be at their end, settled and written.
        #[test]
        fn who_starts_at_the_written_row_reads_what_was_not_settled(
            windows in proptest::collection::vec(proptest::collection::btree_set(1i64..50, 0..6), 1..6),
            steps in proptest::collection::vec(0usize..5, 0..80),
        ) {
            let windows: Vec<Vec<i64>> = windows.into_iter().map(|rows| rows.into_iter().collect()).collect();
            let mut row = CursorRow { from: nth_edge(0), open: None };
            let mut progress = Progress::resume(row.clone());
            let (mut opened, mut returned_rows, mut settled) = (0, Vec::new(), 0);
            for step in steps {
                match step {
                    0 | 1 => match progress.reading() {
                        Some(reading) => {
                            let rows = &windows[opened - 1];
                            match rows.iter().find(|seq| **seq > reading.read_to) {
                                Some(seq) => {
                                    (reading.read_to, reading.last_returned) = (*seq, Some(*seq));
                                    returned_rows.push((opened - 1, *seq));
                                }
                                None => progress.exhaust(),
                            }
                        }
                        None if opened < windows.len() => {
                            opened += 1;
                            progress.open(nth_edge(opened));
                        }
                        None => {}
                    },
                    2 | 3 => {
                        settled = if step == 2 { returned_rows.len() } else { returned_rows.len().min(settled + 1) };
                        if let Some((number, seq)) = settled.checked_sub(1).map(|last| returned_rows[last]) {
                            progress.settle(Mark { window: number as u64, seq });
                        }
                    }
                    _ => {
                        if let Some(unwritten) = progress.unwritten() {
                            row = unwritten;
                            progress.written();
                        }
                        let all = windows.iter().enumerate();
                        let all = all.flat_map(|(number, rows)| rows.iter().map(move |seq| (number, *seq)));
                        prop_assert_eq!(ahead(&row, &windows), all.skip(settled).collect::<Vec<_>>());
                    }
                }
            }
        }
    }
}
