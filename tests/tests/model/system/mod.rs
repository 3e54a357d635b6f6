//! The whole: what can happen next.

mod promises;
mod protections;

use stateright::{Model, Property};

pub(crate) use self::promises::{
    CURSOR_STAYS_AHEAD, DUPLICATES_HAVE_A_REASON, IN_ORDER, NOTHING_LOST, REWOUND_COMES_AGAIN,
    SILENT_WITHOUT_LEASE,
};
pub(crate) use self::protections::Protections;
use crate::relay::{Fate, Phase, Relay};
use crate::store::{Cursor, NOBODY, RowPlan, Store, Transaction};

/// A model: what is planned, and how often what may go wrong.
#[derive(Debug, Clone)]
pub(crate) struct System {
    pub(crate) protections: Protections,
    pub(crate) rows: Vec<RowPlan>,
    pub(crate) transactions: usize,
    /// Those that have committed when it begins.
    pub(crate) committed: usize,
    pub(crate) relays: usize,
    pub(crate) budget: Budget,
}

/// What may still go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Budget {
    pub(crate) aborts: u8,
    pub(crate) crashes: u8,
    pub(crate) pauses: u8,
    /// Leases that run out while their holder is awake, and notices.
    pub(crate) losses: u8,
    /// Records that the broker refuses for a time, as it does when their topic is gone.
    pub(crate) failures: u8,
    /// Connections to the database that break: a new pass begins.
    pub(crate) breaks: u8,
    /// Orderly stops.
    pub(crate) stops: u8,
    /// Times that the sequence begins anew.
    pub(crate) sequences: u8,
    /// Times that an operator rewinds the log to its beginning.
    pub(crate) rewinds: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) store: Store,
    /// The broker's log: rows, in the order in which they were written.
    pub(crate) log: Vec<usize>,
    pub(crate) relays: Vec<Relay>,
    budget: Budget,
    /// One of the listed reasons for duplicates has come to pass.
    reason: bool,
    /// The cursor was past a row, and a write of somebody who is not the holder took it back.
    went_back: bool,
    /// A record left a relay that knew that its lease was over.
    sent_in_spite: bool,
    /// Rows, as bits, that were there and not delivered when the sequence went back. They are in no order with later ones.
    unordered: u8,
    /// How long the broker's log was when the outbox was rewound.
    rewound: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Begin(usize),
    Insert(usize),
    Commit(usize),
    Abort(usize),
    Take(usize),
    Claim(usize),
    ClaimUnanswered(usize),
    Glance(usize),
    Read(usize),
    Send(usize, usize),
    Land(usize, usize),
    Acknowledge(usize, usize),
    Refuse(usize, usize),
    DeadLetter(usize, usize),
    Persist(usize),
    Arrive(usize),
    Break(usize),
    LoseLease(usize),
    Notice(usize),
    NoticeMove(usize),
    Pause(usize),
    Wake(usize),
    Expire(usize),
    Crash(usize),
    Stop(usize),
    GoBack,
    Rewind,
}

impl System {
    fn keys(&self) -> usize {
        self.rows.iter().map(|row| row.key + 1).max().unwrap_or(0)
    }

    fn bits(rows: impl IntoIterator<Item = usize>) -> u8 {
        rows.into_iter().fold(0, |bits, row| bits | 1 << row)
    }

    fn committed(&self, state: &State) -> u8 {
        Self::bits((0..self.rows.len()).filter(|row| state.store.is_committed(*row, &self.rows)))
    }

    /// Committed rows that the cursor is past: nobody who starts there reads them.
    fn passed(&self, state: &State) -> u8 {
        self.committed(state) & !state.store.ahead(&self.rows, self.protections)
    }

    fn holds_lease(state: &State, relay: &Relay) -> bool {
        !state.store.lease.free && state.store.lease.epoch == relay.epoch
    }

    /// The relay knows that its lease is over.
    fn stand_down(&self, relay: &mut Relay) {
        if self.protections.purge_at_loss {
            relay.purge();
        }
        relay.phase = Phase::Standby;
    }

    /// A write that carries an epoch gets to the database. Says whether it found its row.
    fn is_fenced_off(&self, state: &State, epoch: u8) -> bool {
        self.protections.fencing && (state.store.cursor_epoch != epoch || state.store.lineage == NOBODY)
    }

    /// A write of a relay found nothing to write: the next claim shows whether its lease is lost or the cursor was moved.
    fn fenced_off(&self, state: &mut State, number: usize) {
        let epoch = state.relays[number].epoch;
        let relay = &mut state.relays[number];
        if state.store.cursor_epoch == epoch {
            relay.phase = Phase::Elected;
        } else {
            self.stand_down(relay);
        }
    }

    /// The relay claims the cursor, if no later one has.
    fn claim(&self, state: &mut State, number: usize) {
        let (store, relay) = (&mut state.store, &mut state.relays[number]);
        if self.protections.fencing && store.cursor_epoch > relay.epoch {
            self.stand_down(relay);
            return;
        }
        relay.void_statement();
        let changed = store.claim(relay.epoch, relay.lineage);
        if changed && self.protections.notices_moves || !self.protections.remembers {
            relay.forget();
        }
        relay.lineage = store.lineage;
        relay.start_over(store, &self.rows, self.protections);
    }

    /// The same, without an answer.
    fn claim_unanswered(&self, state: &mut State, number: usize) {
        let (store, relay) = (&mut state.store, &mut state.relays[number]);
        if self.protections.fencing && store.cursor_epoch > relay.epoch {
            return;
        }
        relay.void_statement();
        store.claim(relay.epoch, relay.lineage);
        if !self.protections.moves_outlive_claims && relay.lineage != NOBODY {
            store.lineage = relay.lineage;
        }
    }
}

impl Model for System {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let room = match self.budget.sequences {
            0 => 0,
            _ => u8::try_from(self.rows.len()).expect("few rows"),
        };
        let mut store = Store::new(self.transactions, self.rows.len(), 1 + room);
        for transaction in 0..self.committed {
            store.begin(transaction);
            for row in (0..self.rows.len()).filter(|row| self.rows[*row].transaction == transaction) {
                store.insert(row, &self.rows);
            }
            store.finish(transaction, true);
        }
        vec![State {
            store,
            log: Vec::new(),
            relays: vec![Relay::new(); self.relays],
            budget: self.budget,
            reason: false,
            went_back: false,
            sent_in_spite: false,
            unordered: 0,
            rewound: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.actions_of_writers(state, actions);
        if state.budget.sequences > 0 {
            actions.push(Action::GoBack);
        }
        if state.budget.rewinds > 0 && self.passed(state) != 0 {
            actions.push(Action::Rewind);
        }
        for (number, relay) in state.relays.iter().enumerate() {
            self.actions_on_the_way(state, number, actions);
            if relay.awake {
                self.actions_of_producer(relay, number, actions);
                self.actions_of_phase(state, number, actions);
                if relay.phase != Phase::Standby {
                    Self::actions_of_leader(state, number, actions);
                }
            } else {
                actions.push(Action::Wake(number));
                if Self::holds_lease(state, relay) {
                    actions.push(Action::Expire(number));
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let State { store, relays, .. } = &mut state;
        match action {
            Action::Begin(transaction) => store.begin(transaction),
            Action::Insert(row) => store.insert(row, &self.rows),
            Action::Commit(transaction) => store.finish(transaction, true),
            Action::Abort(transaction) => {
                store.finish(transaction, false);
                state.budget.aborts -= 1;
            }
            Action::Take(relay) => {
                store.lease.epoch += 1;
                store.lease.free = false;
                relays[relay].epoch = store.lease.epoch;
                relays[relay].phase = Phase::Elected;
            }
            Action::Claim(number) => self.claim(&mut state, number),
            Action::ClaimUnanswered(number) => {
                self.claim_unanswered(&mut state, number);
                state.budget.breaks -= 1;
            }
            Action::Glance(relay) => relays[relay].next_xid = Some(store.next_xid),
            Action::Read(relay) => {
                let to = relays[relay].look(store, &self.rows, self.protections);
                relays[relay].next_xid = None;
                relays[relay].read_window(store, to, 0, &self.rows, self.protections);
            }
            Action::Send(relay, key) => {
                let slot = relays[relay].first(key, Fate::Queued, &self.rows)?;
                relays[relay].slots[slot].fate = Fate::OnItsWay;
                state.sent_in_spite |= relays[relay].phase == Phase::Standby;
            }
            Action::Land(relay, key) => {
                let slot = relays[relay].first(key, Fate::OnItsWay, &self.rows)?;
                let slot = &mut relays[relay].slots[slot];
                slot.fate = Fate::Written;
                let row = slot.row;
                state.log.push(row);
            }
            Action::Acknowledge(relay, key) => {
                let slot = relays[relay].first(key, Fate::Written, &self.rows)?;
                relays[relay].slots[slot].fate = Fate::Settled;
            }
            Action::Refuse(relay, key) => {
                // An idempotent producer's later records of the partition fail with it.
                for slot in &mut relays[relay].slots {
                    if slot.fate == Fate::OnItsWay && self.rows[slot.row].key == key {
                        slot.fate = Fate::Failed;
                    }
                }
                if self.protections.purge_at_failure {
                    relays[relay].purge();
                }
                if relays[relay].phase == Phase::Active {
                    relays[relay].phase = Phase::Elected;
                }
                state.budget.failures -= 1;
            }
            Action::DeadLetter(number, slot) => {
                let epoch = relays[number].epoch;
                if self.is_fenced_off(last, epoch) {
                    self.fenced_off(&mut state, number);
                } else {
                    let slot = &mut relays[number].slots[slot];
                    slot.fate = Fate::Settled;
                    store.dead |= 1 << slot.row;
                }
            }
            Action::Persist(number) => {
                let relay = &mut relays[number];
                let cursor = relay.cursor(store, self.protections)?;
                relay.statement = Some((relay.epoch, cursor));
            }
            Action::Arrive(number) => {
                let (epoch, cursor) = relays[number].statement.take()?;
                if self.is_fenced_off(last, epoch) {
                    if relays[number].epoch == epoch && relays[number].phase != Phase::Standby {
                        self.fenced_off(&mut state, number);
                    }
                } else {
                    self.write(&mut state, number, cursor);
                }
            }
            Action::Break(relay) => {
                // The statement may have been lost with its connection.
                relays[relay].statement = None;
                relays[relay].phase = Phase::Elected;
                state.budget.breaks -= 1;
            }
            Action::LoseLease(relay) => {
                store.lease.free = true;
                self.stand_down(&mut relays[relay]);
                state.budget.losses -= 1;
                state.reason = true;
            }
            Action::Notice(relay) => self.stand_down(&mut relays[relay]),
            Action::NoticeMove(number) => self.fenced_off(&mut state, number),
            Action::Pause(relay) => {
                relays[relay].awake = false;
                state.budget.pauses -= 1;
            }
            Action::Wake(relay) => relays[relay].awake = true,
            Action::Expire(_) => {
                store.lease.free = true;
                state.reason = true;
            }
            Action::Crash(number) => {
                // A statement that has left arrives or not; so do records.
                let statement = relays[number].statement.take();
                if Self::holds_lease(last, &last.relays[number]) {
                    store.lease.free = true;
                }
                relays[number] = Relay::new();
                relays[number].statement = statement;
                state.budget.crashes -= 1;
                state.reason = true;
            }
            Action::Stop(relay) => {
                store.lease.free = true;
                relays[relay] = Relay::new();
                state.budget.stops -= 1;
            }
            Action::GoBack => {
                store.go_back();
                let there = (0..self.rows.len()).filter(|row| store.rows[*row].is_some());
                let delivered = Self::bits(last.log.iter().copied());
                state.unordered = Self::bits(there) & !delivered;
                state.budget.sequences -= 1;
            }
            Action::Rewind => {
                store.rewind();
                relays.iter_mut().for_each(Relay::void_statement);
                state.rewound = Some(last.log.len());
                state.reason = true;
                state.budget.rewinds -= 1;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::all()
    }
}

impl System {
    fn actions_of_writers(&self, state: &State, actions: &mut Vec<Action>) {
        let State { store, budget, .. } = state;
        for (number, transaction) in store.transactions.iter().enumerate() {
            let mut rows = (0..self.rows.len()).filter(|row| self.rows[*row].transaction == number);
            match transaction {
                Transaction::NotBegun => actions.push(Action::Begin(number)),
                Transaction::Open(_) => {
                    match rows.find(|row| store.rows[*row].is_none()) {
                        Some(row) => actions.push(Action::Insert(row)),
                        None => actions.push(Action::Commit(number)),
                    }
                    if budget.aborts > 0 {
                        actions.push(Action::Abort(number));
                    }
                }
                Transaction::Committed(_) | Transaction::Aborted => {}
            }
        }
    }

    /// What has left the process goes its way, whatever becomes of the process.
    fn actions_on_the_way(&self, state: &State, number: usize, actions: &mut Vec<Action>) {
        let relay = &state.relays[number];
        for key in 0..self.keys() {
            if relay.first(key, Fate::OnItsWay, &self.rows).is_some() {
                actions.push(Action::Land(number, key));
                if state.budget.failures > 0 {
                    actions.push(Action::Refuse(number, key));
                }
            }
        }
        if relay.statement.is_some() {
            actions.push(Action::Arrive(number));
        }
    }

    fn actions_of_producer(&self, relay: &Relay, number: usize, actions: &mut Vec<Action>) {
        for key in 0..self.keys() {
            if relay.first(key, Fate::Queued, &self.rows).is_some() {
                actions.push(Action::Send(number, key));
            }
            if relay.first(key, Fate::Written, &self.rows).is_some() {
                actions.push(Action::Acknowledge(number, key));
            }
        }
    }

    fn actions_of_phase(&self, state: &State, number: usize, actions: &mut Vec<Action>) {
        let relay = &state.relays[number];
        match relay.phase {
            Phase::Standby if state.store.lease.free => actions.push(Action::Take(number)),
            Phase::Standby => {}
            Phase::Elected => {
                if !relay.has_outstanding() || !self.protections.settle_first {
                    actions.push(Action::Claim(number));
                    if state.budget.breaks > 0 && self.budget.rewinds > 0 {
                        actions.push(Action::ClaimUnanswered(number));
                    }
                }
            }
            Phase::Active => self.actions_of_active(state, number, actions),
        }
    }

    fn actions_of_active(&self, state: &State, number: usize, actions: &mut Vec<Action>) {
        let State { store, budget, .. } = state;
        let relay = &state.relays[number];
        if relay.look(store, &self.rows, self.protections) != relay.tip() {
            actions.push(Action::Read(number));
        }
        if !self.protections.next_after_high && relay.next_xid.is_none() {
            actions.push(Action::Glance(number));
        }
        for (slot, found) in relay.slots.iter().enumerate() {
            if found.fate == Fate::Failed && self.rows[found.row].poison {
                actions.push(Action::DeadLetter(number, slot));
            }
        }
        if relay.statement.is_none() && relay.cursor(store, self.protections).is_some() {
            actions.push(Action::Persist(number));
        }
        if store.lineage == NOBODY {
            actions.push(Action::NoticeMove(number));
        }
        if budget.breaks > 0 {
            actions.push(Action::Break(number));
        }
        if budget.stops > 0 && relay.is_done(store, self.protections) {
            actions.push(Action::Stop(number));
        }
    }

    fn actions_of_leader(state: &State, number: usize, actions: &mut Vec<Action>) {
        let budget = &state.budget;
        if !Self::holds_lease(state, &state.relays[number]) {
            actions.push(Action::Notice(number));
        } else if budget.losses > 0 {
            actions.push(Action::LoseLease(number));
        }
        if budget.pauses > 0 {
            actions.push(Action::Pause(number));
        }
        if budget.crashes > 0 {
            actions.push(Action::Crash(number));
        }
    }

    fn write(&self, state: &mut State, relay: usize, cursor: Cursor) {
        let before = self.passed(state);
        state.store.cursor = cursor;
        state.went_back |= before & !self.passed(state) != 0;
        state.relays[relay].wrote(cursor);
    }
}
