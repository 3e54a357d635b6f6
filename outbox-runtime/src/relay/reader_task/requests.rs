//! What the reader task is asked, and what it answers.

use tokio::sync::oneshot;

use crate::publisher::Ticket;
use crate::relay::dead_letters::key_order::Revision;
use crate::relay::dead_letters::lookup::AnnotatedPage;
use crate::relay::dead_letters::parking::{ParkingQueue, RedeliveryKind};
use crate::relay::topic_health::TopicNumber;
use crate::store::{
    DeadLetter, DeadLetterPage, Interventions, Mark, PageLimit, Parked, Released, RowId, TopicKey, Waiting,
};

/// What the reader task is asked to do between two pages.
pub(in crate::relay) enum Request {
    Persist(Mark),
    WriteDeadLetter(Ticket, DeadLetter),
    /// Write down which cluster of brokers it is.
    NoteBroker(String),
    /// Rows of a topic that is suspended, or of keys that are paused.
    Park {
        queue: ParkingQueue,
        rows: Vec<(Ticket, RowId)>,
        why: Parked,
    },
    /// Rows of a topic that blocks, behind others of their keys.
    ParkBehind {
        queue: ParkingQueue,
        rows: Vec<(Ticket, RowId)>,
    },
    /// Rows of the dead letters of a topic that blocks, as far as they may go.
    Released {
        topic: TopicNumber,
        name: String,
        from: Option<String>,
        limit: PageLimit,
    },
    /// Rows of the dead letters to send.
    ReadDeadLetters {
        kind: RedeliveryKind,
        which: Waiting,
        limit: PageLimit,
    },
    /// Rows of the dead letters that were delivered.
    TakeOut(Vec<RowId>),
    /// The term has made progress: no record is suspected.
    ClearPoison,
    /// A row of the dead letters that failed again.
    FailAgain(DeadLetter),
    /// Look for what operators have decided.
    ReadInterventions,
    /// Look now, and say with this number when there was nothing.
    CheckEnd(u64),
    /// Something whose answer is waited for.
    Question(Question),
}

/// What is written while the task that wants it waits.
pub(in crate::relay) enum Write {
    Persist(Mark),
    DeadLetter(DeadLetter),
    /// Rows of a topic that is suspended, or of keys that are paused.
    Park(Vec<RowId>, Parked),
    /// Rows of a topic that blocks, behind others of their keys.
    ParkBehind(Vec<RowId>),
    /// Rows of the dead letters that were delivered.
    TakeOut(Vec<RowId>),
    /// A row of the dead letters that failed again.
    FailAgain(DeadLetter),
}

/// A question, and where its answer goes. Asked through the methods of [`ReaderHandle`].
pub(in crate::relay) enum Question {
    Write {
        what: Write,
        answer: oneshot::Sender<()>,
    },
    BeginWindow {
        window: u64,
        generation: i64,
        answer: oneshot::Sender<()>,
    },
    InDeadLetters {
        rows: Vec<RowId>,
        answer: oneshot::Sender<Vec<RowId>>,
    },
    BlockedKeys {
        keys: Vec<TopicKey>,
        answer: oneshot::Sender<Vec<bool>>,
    },
    DeadLetters {
        which: Waiting,
        limit: PageLimit,
        answer: oneshot::Sender<DeadLetterPage>,
    },
    Released {
        topic: String,
        from: Option<String>,
        limit: PageLimit,
        answer: oneshot::Sender<Released>,
    },
}

/// What the reader task has read.
pub(in crate::relay) enum Read {
    Page(AnnotatedPage),
    /// Nothing else is committed. The number is that of the last end_check received before the look.
    Nothing {
        end_check: u64,
    },
}

/// What the reader task has done.
pub(in crate::relay) enum Done {
    Persisted(Mark),
    DeadLetterWritten(Ticket, &'static str, Revision),
    NotedBroker {
        before: Option<String>,
        now: String,
    },
    /// With the reason.
    Parked(ParkingQueue, Vec<(Ticket, RowId)>, &'static str, Revision),
    Released(TopicNumber, Released, Revision),
    DeadLettersRead(RedeliveryKind, DeadLetterPage),
    TakenOut(Revision),
    FailedAgain(Revision),
    InterventionsRead(Interventions),
}
