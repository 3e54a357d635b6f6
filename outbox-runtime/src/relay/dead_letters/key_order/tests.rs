//! The keys between a log, a table of dead letters and a broker that are all made of vectors, with every answer as late
//! as it may be.

use std::collections::{BTreeMap, HashMap, VecDeque};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const NAMES: [&str; 3] = ["a", "b", "c"];
const TOPIC: TopicNumber = 0;
const DEAD_LETTERS: Ticket = 1 << 62;

/// Rows of one key that are read at a time.
const AT_A_TIME: usize = 2;

#[derive(Debug, Clone, Copy)]
enum Action {
    Commit(usize),
    ReadPage,
    Offer,
    /// The store does what it was asked for next.
    Serve,
    /// An answer of the store is heard.
    Hear,
    LookForDeadLetters,
    Acknowledge(usize),
    Kill(usize),
    Replay,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        5 => (0..NAMES.len()).prop_map(Action::Commit),
        2 => Just(Action::ReadPage),
        8 => Just(Action::Offer),
        4 => Just(Action::Serve),
        4 => Just(Action::Hear),
        3 => Just(Action::LookForDeadLetters),
        6 => any::<usize>().prop_map(Action::Acknowledge),
        2 => any::<usize>().prop_map(Action::Kill),
        1 => Just(Action::Replay),
    ]
}

fn row(seq: i64) -> RowId {
    (seq, Uuid::from_u128(seq as u128))
}

fn record(seq: i64, key: &'static str) -> OutboxRecord<'static> {
    OutboxRecord {
        seq,
        id: row(seq).1,
        topic: "t",
        key,
        event_type: "E",
        content_type: "application/json",
        source: None,
        headers: "{}",
        payload: None,
        occurred_at_ms: 0,
    }
}

enum Request {
    Write(Ticket, i64, &'static str, bool),
    TakeOut(i64),
    FailAgain(i64),
    Look,
}

enum Answer {
    Written(Ticket, Revision),
    TakenOut(i64, Revision),
    Failed(Revision),
    Found(Vec<(i64, &'static str, bool)>, Revision),
}

#[derive(Clone, Copy)]
struct DeadLetter {
    seq: i64,
    key: &'static str,
    waits: bool,
}

#[derive(Default)]
struct World {
    keys: Keys,
    committed: HashMap<&'static str, Vec<i64>>,
    next_seq: i64,
    unread: VecDeque<(i64, &'static str)>,
    /// Records of pages, each with what its page knew.
    read: VecDeque<(i64, &'static str, bool, Revision)>,
    dead_letters: Vec<DeadLetter>,
    revision: Revision,
    requests: VecDeque<Request>,
    answers: VecDeque<Answer>,
    on_their_way: BTreeMap<Ticket, (i64, &'static str)>,
    next_dead_letter: Ticket,
    /// Dead letters that were found and are not out of the table, nor known to stay there.
    under_way: usize,
    looking: bool,
    log: HashMap<&'static str, Vec<i64>>,
}

impl World {
    fn act(&mut self, action: Action) {
        match action {
            Action::Commit(key) => {
                self.next_seq += 1;
                self.committed.entry(NAMES[key]).or_default().push(self.next_seq);
                self.unread.push_back((self.next_seq, NAMES[key]));
            }
            Action::ReadPage => {
                let many = self.unread.len().min(4);
                for (seq, key) in self.unread.drain(..many).collect::<Vec<_>>() {
                    let blocked = self.dead_letters.iter().any(|dead_letter| dead_letter.key == key);
                    self.read.push_back((seq, key, blocked, self.revision));
                }
            }
            Action::Offer => self.offer(),
            Action::Serve => self.serve(),
            Action::Hear => self.hear(),
            Action::LookForDeadLetters if self.under_way == 0 && !self.looking => {
                self.looking = true;
                self.requests.push_back(Request::Look);
            }
            Action::LookForDeadLetters => {}
            Action::Acknowledge(any) => {
                if let Some((ticket, (seq, key))) = self.any(any) {
                    self.log.entry(key).or_default().push(seq);
                    self.keys.acknowledged(ticket);
                    if ticket >= DEAD_LETTERS {
                        self.requests.push_back(Request::TakeOut(seq));
                    }
                }
            }
            Action::Kill(any) => {
                if let Some((ticket, (seq, key))) = self.any(any) {
                    self.kill(ticket, seq, key);
                }
            }
            Action::Replay => self
                .dead_letters
                .iter_mut()
                .for_each(|dead_letter| dead_letter.waits = false),
        }
        self.send_ready();
    }

    fn any(&mut self, any: usize) -> Option<(Ticket, (i64, &'static str))> {
        let tickets: Vec<Ticket> = self.on_their_way.keys().copied().collect();
        let ticket = *tickets.get(any % tickets.len().max(1))?;
        Some((ticket, self.on_their_way.remove(&ticket)?))
    }

    fn offer(&mut self) {
        let Some((seq, key, blocked, revision)) = self.read.pop_front() else {
            return;
        };
        self.keys.forget(revision);
        let ticket = seq as Ticket;
        match self.keys.admission(TOPIC, key, revision, blocked) {
            Admission::Free => self.send(ticket, seq, key),
            Admission::Busy => {
                let next = QueuedRecord::new(Source::Log(ticket, row(seq)), &record(seq, key));
                self.keys.wait(TOPIC, key, next);
            }
            Admission::Blocked => self.mark_pending(ticket, seq, key, false),
        }
    }

    fn mark_pending(&mut self, ticket: Ticket, seq: i64, key: &'static str, dead: bool) {
        self.keys.mark_pending(TOPIC, key, ticket);
        self.requests.push_back(Request::Write(ticket, seq, key, dead));
    }

    fn send(&mut self, ticket: Ticket, seq: i64, key: &'static str) {
        assert!(
            !self.on_their_way.values().any(|(_, other)| *other == key),
            "two of {key} are on their way"
        );
        self.on_their_way.insert(ticket, (seq, key));
        self.keys.sent(TOPIC, key, ticket);
    }

    fn send_ready(&mut self) {
        while let Some((_, _, next)) = self.keys.ready() {
            let record = next.record().unwrap();
            let (seq, source) = (record.seq, next.source);
            let key = NAMES.into_iter().find(|name| *name == record.key).unwrap();
            self.keys.take_ready();
            let ticket = match source {
                Source::Log(ticket, _) => ticket,
                Source::DeadLetter(_) => {
                    self.next_dead_letter += 1;
                    DEAD_LETTERS + self.next_dead_letter
                }
            };
            self.send(ticket, seq, key);
        }
    }

    fn kill(&mut self, ticket: Ticket, seq: i64, key: &'static str) {
        let before = self.keys.dead_letters_waiting(TOPIC);
        if ticket >= DEAD_LETTERS {
            self.keys.stays(row(seq));
            self.requests.push_back(Request::FailAgain(seq));
        }
        let (_, _, behind) = self.keys.failed(ticket).unwrap();
        // Dead letters behind it are not sent any more, and simply stay.
        self.under_way -= before - self.keys.dead_letters_waiting(TOPIC);
        if ticket < DEAD_LETTERS {
            self.mark_pending(ticket, seq, key, true);
        }
        for (ticket, (seq, _)) in behind {
            self.mark_pending(ticket, seq, key, false);
        }
    }

    fn serve(&mut self) {
        let Some(request) = self.requests.pop_front() else {
            return;
        };
        if !matches!(request, Request::Look) {
            self.revision += 1;
        }
        let answer = match request {
            Request::Write(ticket, seq, key, waits) => {
                self.dead_letters.push(DeadLetter { seq, key, waits });
                Answer::Written(ticket, self.revision)
            }
            Request::TakeOut(seq) => {
                self.dead_letters.retain(|dead_letter| dead_letter.seq != seq);
                Answer::TakenOut(seq, self.revision)
            }
            Request::FailAgain(seq) => {
                let dead_letter = self
                    .dead_letters
                    .iter_mut()
                    .find(|dead_letter| dead_letter.seq == seq);
                dead_letter.unwrap().waits = true;
                Answer::Failed(self.revision)
            }
            Request::Look => Answer::Found(self.may_go(), self.revision),
        };
        self.answers.push_back(answer);
    }

    fn may_go(&self) -> Vec<(i64, &'static str, bool)> {
        let mut found = Vec::new();
        for key in NAMES {
            let of_key: Vec<DeadLetter> = self
                .dead_letters
                .iter()
                .copied()
                .filter(|dead_letter| dead_letter.key == key)
                .collect();
            let free = of_key
                .iter()
                .take_while(|dead_letter| !dead_letter.waits)
                .take(AT_A_TIME);
            for (index, dead_letter) in free.enumerate() {
                found.push((dead_letter.seq, key, index + 1 == of_key.len()));
            }
        }
        found
    }

    fn hear(&mut self) {
        match self.answers.pop_front() {
            None => {}
            Some(Answer::Written(ticket, at)) => {
                self.keys.passed(at);
                self.keys.written(ticket, at);
            }
            Some(Answer::TakenOut(seq, at)) => {
                self.keys.passed(at);
                self.keys.taken_out(row(seq), at);
                self.under_way -= 1;
            }
            Some(Answer::Failed(at)) => {
                self.keys.passed(at);
                self.under_way -= 1;
            }
            Some(Answer::Found(found, at)) => {
                self.looking = false;
                self.under_way += found.len();
                for (seq, key, last) in found {
                    self.keys.release(TOPIC, &record(seq, key), last, at);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever happens when: in the end each key's records are in the log once and in order, those that died and were
    /// replayed too; and never were two of a key on their way.
    #[test]
    fn a_key_stays_in_order(actions in proptest::collection::vec(action(), 1..250)) {
        let mut world = World::default();
        for action in actions {
            world.act(action);
        }
        for _ in 0..2_000 {
            for action in [
                Action::Replay,
                Action::ReadPage,
                Action::Offer,
                Action::Serve,
                Action::Hear,
                Action::LookForDeadLetters,
                Action::Acknowledge(0),
            ] {
                world.act(action);
            }
        }
        prop_assert!(world.dead_letters.is_empty(), "{} dead letters are left", world.dead_letters.len());
        for (key, committed) in &world.committed {
            prop_assert_eq!(world.log.get(key), Some(committed), "{}", key);
        }
        // Nothing is remembered for longer than it is needed.
        world.keys.forget(world.revision);
        prop_assert!(world.keys.topics.values().all(HashMap::is_empty), "{:?}", world.keys);
        prop_assert_eq!((world.keys.all_waiting().records, world.keys.dead_letters_waiting(TOPIC)), (0, 0));
    }
}
