//! A relay: what it has read, what became of it, and the statement that is on its way to the database.

use crate::store::{Cursor, Edge, NOBODY, RowPlan, Store, Xid};
use crate::system::Protections;

/// Epochs begin above it.
const EPOCH_OF_NOBODY: u8 = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// It waits for the lease.
    Standby,
    /// It has the lease, and waits for what is on its way before it claims the cursor and reads from there.
    Elected,
    /// It reads and sends.
    Active,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    /// In the producer's queue.
    Queued,
    /// It has left the process.
    OnItsWay,
    /// It is in the log, and the relay does not know.
    Written,
    /// It has to be sent again, or dead-lettered.
    Failed,
    Settled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) row: usize,
    window: usize,
    pub(crate) fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    from: Edge,
    to: Edge,
    /// The seq at which it was taken up.
    resumed_at: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Relay {
    pub(crate) phase: Phase,
    /// Its process runs; else it stands still, and may be woken.
    pub(crate) awake: bool,
    pub(crate) epoch: u8,
    pub(crate) slots: Vec<Slot>,
    windows: Vec<Window>,
    tip: Edge,
    written: Option<Cursor>,
    /// A cursor write that has left the process.
    pub(crate) statement: Option<(u8, Cursor)>,
    /// Rows that it knows to be settled and will read again, as bits.
    settled_before: u8,
    /// What its last claim of the cursor wrote, as far as that was answered.
    pub(crate) lineage: u8,
    /// The next transaction id, if it was read before the rest of a snapshot.
    pub(crate) next_xid: Option<Xid>,
}

impl Relay {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Standby,
            awake: true,
            epoch: 0,
            slots: Vec::new(),
            windows: Vec::new(),
            tip: Edge::BEFORE_EVERYTHING,
            written: None,
            statement: None,
            settled_before: 0,
            lineage: NOBODY,
            next_xid: None,
        }
    }

    /// The producer still has records: a pass begins only once their fate is known.
    pub(crate) fn has_outstanding(&self) -> bool {
        let outstanding = |slot: &Slot| matches!(slot.fate, Fate::Queued | Fate::OnItsWay | Fate::Written);
        self.slots.iter().any(outstanding)
    }

    /// The cursor is not where it has left it: what it knows to be settled is to be sent again.
    pub(crate) fn forget(&mut self) {
        self.slots.clear();
        self.settled_before = 0;
    }

    /// The cursor is this relay's: it starts reading there.
    pub(crate) fn start_over(&mut self, store: &Store, plan: &[RowPlan], protections: Protections) {
        for slot in self.slots.drain(..) {
            if slot.fate == Fate::Settled {
                self.settled_before |= 1 << slot.row;
            }
        }
        self.windows.clear();
        self.phase = Phase::Active;
        self.written = Some(store.cursor);
        self.tip = store.cursor.from;
        if let Some((to, settled)) = store.cursor.open {
            self.read_window(store, to, settled, plan, protections);
        }
    }

    /// Reads the window from the tip to `to`, and queues its rows.
    pub(crate) fn read_window(
        &mut self,
        store: &Store,
        to: Edge,
        resumed_at: u8,
        plan: &[RowPlan],
        protections: Protections,
    ) {
        let from = std::mem::replace(&mut self.tip, to);
        let mut rows = store.window(from, to, plan, protections);
        rows.retain(|row| store.seq(*row) > resumed_at);
        if rows.is_empty() {
            return;
        }
        self.windows.push(Window { from, to, resumed_at });
        for row in rows {
            let fate = match () {
                () if plan[row].poison => Fate::Failed,
                () if self.settled_before & (1 << row) != 0 => Fate::Settled,
                () => Fate::Queued,
            };
            self.slots.push(Slot {
                row,
                window: self.windows.len() - 1,
                fate,
            });
        }
    }

    /// The present snapshot, as the relay sees it.
    pub(crate) fn look(&self, store: &Store, plan: &[RowPlan], protections: Protections) -> Edge {
        store.look(self.next_xid.unwrap_or(store.next_xid), plan, protections)
    }

    pub(crate) fn tip(&self) -> Edge {
        self.tip
    }

    /// The first record of a key with this fate: those of a key move in order.
    pub(crate) fn first(&self, key: usize, fate: Fate, plan: &[RowPlan]) -> Option<usize> {
        let matches = |slot: &Slot| slot.fate == fate && plan[slot.row].key == key;
        self.slots.iter().position(matches)
    }

    /// Takes back what has not left the process.
    pub(crate) fn purge(&mut self) {
        for slot in &mut self.slots {
            if slot.fate == Fate::Queued {
                slot.fate = Fate::Failed;
            }
        }
    }

    /// What it would write to the cursor, if that is news.
    pub(crate) fn cursor(&self, store: &Store, protections: Protections) -> Option<Cursor> {
        let settled = |slot: &Slot| match slot.fate {
            Fate::OnItsWay | Fate::Written => !protections.acknowledged,
            Fate::Settled => true,
            Fate::Queued | Fate::Failed => false,
        };
        let prefix = match protections.watermark {
            true => self.slots.iter().take_while(|slot| settled(slot)).count(),
            false => self.slots.iter().rposition(settled).map_or(0, |last| last + 1),
        };
        let cursor = match self.slots.get(prefix) {
            None => Cursor {
                from: self.tip,
                open: None,
            },
            Some(next) => {
                let window = self.windows[next.window];
                let last = self.slots[..prefix]
                    .iter()
                    .rev()
                    .find(|slot| slot.window == next.window);
                Cursor {
                    from: window.from,
                    open: Some((
                        window.to,
                        last.map_or(window.resumed_at, |slot| store.seq(slot.row)),
                    )),
                }
            }
        };
        (self.written != Some(cursor) && prefix > 0).then_some(cursor)
    }

    /// A statement that is still on its way names a reader that has the cursor no more.
    pub(crate) fn void_statement(&mut self) {
        if let Some((epoch, _)) = &mut self.statement {
            *epoch = EPOCH_OF_NOBODY;
        }
    }

    pub(crate) fn wrote(&mut self, cursor: Cursor) {
        self.written = Some(cursor);
    }

    /// Everything is settled, and the cursor says so.
    pub(crate) fn is_done(&self, store: &Store, protections: Protections) -> bool {
        self.statement.is_none()
            && self.slots.iter().all(|slot| slot.fate == Fate::Settled)
            && self.cursor(store, protections).is_none()
    }
}
