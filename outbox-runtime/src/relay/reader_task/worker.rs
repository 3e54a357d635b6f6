//! The task: pages in the order of the log, and requests between two of them.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::Instrument as _;

use super::pages::Demand;
use super::requests::{Done, Question, Read, Request, Write};
use super::rests::Rests;
use crate::RelayWaker;
use crate::failpoint::{self, Failpoint};
use crate::publisher::Ticket;
use crate::record::RecordPage;
use crate::relay::config::RelayConfig;
use crate::relay::dead_letters::lookup::DeadLetterLookup;
use crate::store::{BEHIND_DEAD, PageLimit, PoisonProbe, Reader, RowId, StoreError};
use crate::trace;

/// The task itself.
pub(super) struct Worker<R> {
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

/// What connects it with its handle.
pub(super) struct Channels {
    pub(super) pages: mpsc::Sender<Read>,
    pub(super) demand: Arc<Demand>,
    pub(super) done: mpsc::UnboundedSender<Done>,
    pub(super) requests: mpsc::UnboundedReceiver<Request>,
}

impl<R: Reader> Worker<R> {
    pub(super) fn new(
        reader: R,
        config: &RelayConfig,
        waker: RelayWaker,
        lookup: DeadLetterLookup,
        channels: Channels,
    ) -> Self {
        Self {
            reader,
            limit: config.page_limit(),
            pages: channels.pages,
            demand: channels.demand,
            done: channels.done,
            requests: channels.requests,
            waker,
            lookup,
            rests: Rests::new(config.poll_min, config.poll_max),
            end_check: 0,
        }
    }

    /// Reads until something fails, and returns that.
    pub(super) async fn run(mut self) -> StoreError {
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
