//! Reads ahead: a task that owns the reader, so that reading, decoding and publishing overlap.

pub(super) mod cluster;
mod pages;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use self::pages::Demand;
pub(in crate::relay) use self::pages::Pages;
use crate::RelayWaker;
use crate::failpoint::{self, Failpoint};
use crate::publisher::Ticket;
use crate::record::RecordPage;
use crate::relay::config::RelayConfig;
use crate::relay::dead_letters::key_order::Revision;
use crate::relay::dead_letters::lookup::{AnnotatedPage, DeadLetterLookup};
use crate::relay::dead_letters::parking::{ParkingQueue, RedeliveryKind};
use crate::relay::topic_health::TopicNumber;
use crate::store::{
    BEHIND_DEAD, DeadLetter, DeadLetterPage, Interventions, Mark, PageLimit, Parked, PoisonProbe, Reader,
    Released, RowId, StoreError, TopicKey, Waiting,
};
use crate::trace;

/// Pages that wait for the publisher. One more is being read, one more handed over.
const PAGES_AHEAD: usize = 2;

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

/// The handle of a reading task. Dropping it ends the task.
pub(in crate::relay) struct ReaderHandle {
    pub(in crate::relay) pages: Pages,
    pub(in crate::relay) done: mpsc::UnboundedReceiver<Done>,
    requests: mpsc::UnboundedSender<Request>,
    task: JoinHandle<StoreError>,
}

impl ReaderHandle {
    pub(in crate::relay) fn start<R: Reader>(
        reader: R,
        config: &RelayConfig,
        waker: RelayWaker,
        lookup: DeadLetterLookup,
    ) -> Self {
        let (pages_tx, pages) = mpsc::channel(PAGES_AHEAD);
        let demand = Arc::<Demand>::default();
        let (done_tx, done) = mpsc::unbounded_channel();
        let (requests, requests_rx) = mpsc::unbounded_channel();
        let worker = Worker {
            reader,
            limit: config.page_limit(),
            pages: pages_tx,
            demand: Arc::clone(&demand),
            done: done_tx,
            requests: requests_rx,
            waker,
            lookup,
            rests: Rests {
                min: config.poll_min,
                max: config.poll_max,
                next: config.poll_min,
            },
            end_check: 0,
        };
        Self {
            pages: Pages::new(pages, demand),
            done,
            requests,
            task: tokio::spawn(worker.run()),
        }
    }

    /// Asks for something. If the task has ended, its error is what [`failed`](Self::failed) returns.
    pub(in crate::relay) fn ask(&self, request: Request) {
        let _ = self.requests.send(request);
    }

    /// Writes something, and returns when it is written.
    pub(in crate::relay) async fn write(&mut self, what: Write) -> Result<(), StoreError> {
        self.answer(|answer| Question::Write { what, answer }).await
    }

    /// Writes a window down before its first record is sent.
    pub(in crate::relay) async fn begin_window(
        &mut self,
        window: u64,
        generation: i64,
    ) -> Result<(), StoreError> {
        self.answer(|answer| Question::BeginWindow {
            window,
            generation,
            answer,
        })
        .await
    }

    /// Which of these rows stand in the dead letters.
    pub(in crate::relay) async fn in_dead_letters(
        &mut self,
        rows: Vec<RowId>,
    ) -> Result<Vec<RowId>, StoreError> {
        self.answer(|answer| Question::InDeadLetters { rows, answer })
            .await
    }

    /// For each of these keys, whether it has rows in the dead letters.
    pub(in crate::relay) async fn blocked_keys(
        &mut self,
        keys: Vec<TopicKey>,
    ) -> Result<Vec<bool>, StoreError> {
        self.answer(|answer| Question::BlockedKeys { keys, answer }).await
    }

    /// Rows of the dead letters to send.
    pub(in crate::relay) async fn dead_letters(
        &mut self,
        which: Waiting,
        limit: PageLimit,
    ) -> Result<DeadLetterPage, StoreError> {
        self.answer(|answer| Question::DeadLetters { which, limit, answer })
            .await
    }

    /// Rows of the dead letters of a topic that blocks, as far as they may go.
    pub(in crate::relay) async fn released(
        &mut self,
        topic: String,
        from: Option<String>,
        limit: PageLimit,
    ) -> Result<Released, StoreError> {
        self.answer(|answer| Question::Released {
            topic,
            from,
            limit,
            answer,
        })
        .await
    }

    async fn answer<T>(
        &mut self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Question(question(answer)));
        match answered.await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(self.failed().await),
        }
    }

    /// Why the task ended. Only to be called when a channel of it is closed.
    pub(in crate::relay) async fn failed(&mut self) -> StoreError {
        match (&mut self.task).await {
            Ok(error) => error,
            Err(panicked) => StoreError::timed_out("reading ahead").with_source(panicked),
        }
    }
}

impl Drop for ReaderHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Worker<R> {
    reader: R,
    limit: PageLimit,
    pages: mpsc::Sender<Read>,
    demand: Arc<Demand>,
    done: mpsc::UnboundedSender<Done>,
    requests: mpsc::UnboundedReceiver<Request>,
    waker: RelayWaker,
    lookup: DeadLetterLookup,
    rests: Rests,
    end_check: u64,
}

impl<R: Reader> Worker<R> {
    async fn run(mut self) -> StoreError {
        loop {
            if let Err(ended) = self.step().await {
                return ended;
            }
        }
    }

    /// Reads one page and passes it on, or rests.
    async fn step(&mut self) -> Result<(), StoreError> {
        self.serve_waiting().await?;
        self.wait_for_demand().await?;
        let end_check = self.end_check;
        match self.reader.next_page(self.limit).await? {
            Some(page) => {
                self.rests.found_something();
                let page = self.lookup.annotate(&mut self.reader, page).await?;
                if !is_full(&page.page, self.limit) {
                    self.demand.is_met();
                }
                self.pass_on(Read::Page(page)).await
            }
            None => {
                self.pass_on(Read::Nothing { end_check }).await?;
                if self.end_check == end_check {
                    self.rest().await
                } else {
                    Ok(())
                }
            }
        }
    }

    /// After a page that was all there was, waits until the next one is wanted: the later a window opens, the more of
    /// what was written meanwhile is in it.
    async fn wait_for_demand(&mut self) -> Result<(), StoreError> {
        while !self.demand.exists() {
            tokio::select! {
                () = self.demand.rises() => {}
                request = self.requests.recv() => match request {
                    Some(request) => self.serve(request).await?,
                    None => return abandoned().await,
                },
            }
        }
        Ok(())
    }

    /// Waits for room, and serves requests meanwhile: what is written makes room.
    async fn pass_on(&mut self, read: Read) -> Result<(), StoreError> {
        let pages = self.pages.clone();
        let room = pages.reserve();
        tokio::pin!(room);
        loop {
            tokio::select! {
                permit = &mut room => {
                    let Ok(permit) = permit else { return abandoned().await };
                    permit.send(read);
                    return Ok(());
                }
                request = self.requests.recv() => match request {
                    Some(request) => self.serve(request).await?,
                    None => return abandoned().await,
                },
            }
        }
    }

    /// Waits until there may be something new.
    async fn rest(&mut self) -> Result<(), StoreError> {
        let rest = self.rests.next_rest();
        let until = tokio::time::Instant::now() + rest;
        loop {
            tokio::select! {
                () = self.waker.woken() => {
                    self.rests.found_something();
                    return Ok(());
                }
                () = tokio::time::sleep_until(until) => return Ok(()),
                request = self.requests.recv() => match request {
                    Some(request @ Request::CheckEnd(_)) => return self.serve(request).await,
                    Some(request) => self.serve(request).await?,
                    None => return abandoned().await,
                },
            }
        }
    }

    async fn serve_waiting(&mut self) -> Result<(), StoreError> {
        while let Ok(request) = self.requests.try_recv() {
            self.serve(request).await?;
        }
        Ok(())
    }

    async fn serve(&mut self, request: Request) -> Result<(), StoreError> {
        let done = match request {
            Request::Persist(mark) => {
                self.write(Write::Persist(mark)).await?;
                Done::Persisted(mark)
            }
            Request::WriteDeadLetter(ticket, dead_letter) => {
                let reason = dead_letter.reason;
                self.write(Write::DeadLetter(dead_letter)).await?;
                Done::DeadLetterWritten(ticket, reason, self.lookup.wrote())
            }
            Request::NoteBroker(now) => {
                let before = self.reader.note_broker(&now).await?;
                Done::NotedBroker { before, now }
            }
            Request::Park { queue, rows, why } => {
                let (ids, reason) = (ids_of(&rows), why.reason);
                self.write(Write::Park(ids, why)).await?;
                Done::Parked(queue, rows, reason, self.lookup.wrote())
            }
            Request::ParkBehind { queue, rows } => {
                self.write(Write::ParkBehind(ids_of(&rows))).await?;
                Done::Parked(queue, rows, BEHIND_DEAD, self.lookup.wrote())
            }
            Request::Released {
                topic,
                name,
                from,
                limit,
            } => {
                let page = self.reader.released(&name, from.as_deref(), limit).await?;
                Done::Released(topic, page, self.lookup.revision)
            }
            Request::ReadDeadLetters { kind, which, limit } => {
                Done::DeadLettersRead(kind, self.reader.dead_letters(&which, limit).await?)
            }
            Request::TakeOut(rows) => {
                self.write(Write::TakeOut(rows)).await?;
                Done::TakenOut(self.lookup.wrote())
            }
            Request::FailAgain(dead_letter) => {
                self.write(Write::FailAgain(dead_letter)).await?;
                Done::FailedAgain(self.lookup.wrote())
            }
            Request::ReadInterventions => Done::InterventionsRead(self.reader.interventions().await?),
            Request::ClearPoison => {
                self.reader.note_probe(PoisonProbe::Cleared).await?;
                return Ok(());
            }
            Request::CheckEnd(number) => {
                self.end_check = number;
                return Ok(());
            }
            Request::Question(question) => return self.answer(question).await,
        };
        // Whoever asked may be gone; the work is done all the same.
        let _ = self.done.send(done);
        Ok(())
    }

    async fn write(&mut self, what: Write) -> Result<(), StoreError> {
        match what {
            Write::Persist(mark) => {
                failpoint::reach(Failpoint::CursorBefore);
                self.reader.persist(mark).instrument(trace::settle()).await?;
                failpoint::reach(Failpoint::CursorAfter);
                Ok(())
            }
            Write::DeadLetter(dead_letter) => self.reader.dead_letter(&dead_letter).await,
            Write::Park(rows, why) => self.reader.park(&rows, &why).await,
            Write::ParkBehind(rows) => self.reader.park_behind(&rows).await,
            Write::TakeOut(rows) => self.reader.take_out(&rows).await,
            Write::FailAgain(dead_letter) => self.reader.fail_again(&dead_letter).await,
        }
    }

    /// Answers a question. Whoever asked may be gone; the work is done all the same.
    async fn answer(&mut self, question: Question) -> Result<(), StoreError> {
        match question {
            Question::Write { what, answer } => {
                self.write(what).await?;
                let _ = answer.send(());
            }
            Question::BeginWindow {
                window,
                generation,
                answer,
            } => {
                self.reader.begin_window(window, generation).await?;
                let _ = answer.send(());
            }
            Question::InDeadLetters { rows, answer } => {
                let _ = answer.send(self.reader.in_dead_letters(&rows).await?);
            }
            Question::BlockedKeys { keys, answer } => {
                let _ = answer.send(self.reader.have_dead_letters(&keys).await?);
            }
            Question::DeadLetters { which, limit, answer } => {
                let _ = answer.send(self.reader.dead_letters(&which, limit).await?);
            }
            Question::Released {
                topic,
                from,
                limit,
                answer,
            } => {
                let _ = answer.send(self.reader.released(&topic, from.as_deref(), limit).await?);
            }
        }
        Ok(())
    }
}

/// Whether there may have been more. A page that is full in bytes has no room for its next row, of a size that is not known.
fn is_full(page: &RecordPage, limit: PageLimit) -> bool {
    page.len() >= limit.rows || page.size() >= limit.bytes / 2
}

fn ids_of(rows: &[(Ticket, RowId)]) -> Vec<RowId> {
    rows.iter().map(|(_, row)| *row).collect()
}

/// The handle was dropped, and with it this task is being aborted.
async fn abandoned() -> Result<(), StoreError> {
    std::future::pending().await
}

/// How long to rest: short while there is work, longer and longer while there is none.
struct Rests {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Rests {
    fn found_something(&mut self) {
        self.next = self.min;
    }

    fn next_rest(&mut self) -> Duration {
        let rest = self.next;
        self.next = (rest * 3 / 2).min(self.max);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_until_something_is_found() {
        let mut rests = Rests {
            min: Duration::from_millis(4),
            max: Duration::from_millis(10),
            next: Duration::from_millis(4),
        };
        let taken: Vec<u64> = (0..5).map(|_| rests.next_rest().as_millis() as u64).collect();
        assert_eq!(taken, [4, 6, 9, 10, 10]);
        rests.found_something();
        assert_eq!(rests.next_rest(), Duration::from_millis(4));
    }
}
