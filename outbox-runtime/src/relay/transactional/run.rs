//! One reader's and one producer's worth of work: pages in, transactions out, the row in the database after them.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::page_progress::PageProgress;
use super::redeliveries::Redeliveries;
use super::start::LogPosition;
use super::transaction_size::TransactionSize;
use super::unavailable_topic::Trouble;
use crate::RelayWaker;
use crate::publisher::{PublishError, PublishErrorKind, Transactions};
use crate::record::WireOptions;
use crate::relay::blocking::Blocking;
use crate::relay::config::RelayConfig;
use crate::relay::dead_letters::lookup::DeadLetterLookup;
use crate::relay::goal::Goal;
use crate::relay::interventions::InterventionWatch;
use crate::relay::leadership::Leadership;
use crate::relay::reader_task::cluster::Broker;
use crate::relay::reader_task::{Done, Read, ReaderHandle, Request, Write};
use crate::relay::run_end::RunEnd;
use crate::relay::scope::Scope;
use crate::relay::stop::Stop;
use crate::relay::telemetry::Telemetry;
use crate::relay::throttle::Throttling;
use crate::store::{Interventions, Mark, Reader};

/// Age of a client that is taken for stuck when a suspended topic's records time out.
const STUCK: Duration = Duration::from_secs(30);

/// What is read while a topic is waited for, to see whether others take records; in full pages.
const PAGES_AHEAD: usize = 2;

pub(in crate::relay) struct TransactionalRun<'a> {
    pub(super) transactions: &'a mut dyn Transactions,
    pub(super) feed: ReaderHandle,
    pub(super) leadership: &'a Leadership,
    pub(super) stop: &'a Stop,
    pub(super) goal: Goal,
    pub(super) config: &'a RelayConfig,
    pub(super) telemetry: &'a mut Telemetry,
    pub(super) wire: WireOptions,
    pub(super) position: LogPosition,
    /// Pages that were read and are not settled, the first of them perhaps in part.
    pub(super) pages: VecDeque<PageProgress>,
    pub(super) trouble: Trouble,
    pub(super) redeliveries: Redeliveries,
    /// The window that an earlier session left open. Some of its rows may stand in the dead letters though no
    /// transaction that leaves them out was committed.
    pub(super) resumed: Option<u64>,
    /// The same in this session: rows were dead-lettered, and the transaction that leaves them out is not committed.
    pub(super) dead_lettered_ahead: bool,
    pub(super) size: TransactionSize,
    row: RowWrites,
    pub(super) interventions: InterventionWatch,
    pub(super) throttling: Throttling,
    end_checked: u64,
    offered: u64,
    made_progress: bool,
    /// When the client was opened.
    opened: Instant,
}

/// When the row in the database is written. It may lag: Kafka's cursor completes it.
struct RowWrites {
    next_at: Instant,
    due: bool,
    /// The log was found to end here, and the row's window was closed.
    closed: bool,
}

/// What a run begins with.
pub(in crate::relay) struct Begun<R> {
    pub(in crate::relay) reader: R,
    pub(in crate::relay) position: LogPosition,
    pub(in crate::relay) redeliveries: Redeliveries,
    /// What operators have decided.
    pub(in crate::relay) interventions: Interventions,
}

/// Where a run sends records, and reports what it did.
pub(in crate::relay) struct Outlet<'a> {
    pub(in crate::relay) transactions: &'a mut dyn Transactions,
    pub(in crate::relay) telemetry: &'a mut Telemetry,
    pub(in crate::relay) wire: WireOptions,
}

impl<'a> TransactionalRun<'a> {
    pub(in crate::relay) fn new<R: Reader>(
        begun: Begun<R>,
        outlet: Outlet<'a>,
        scope: Scope<'a>,
        waker: RelayWaker,
    ) -> Self {
        let Begun {
            reader,
            position,
            redeliveries,
            interventions,
        } = begun;
        let config = scope.config;
        let mut throttling = Throttling::default();
        throttling.follow(&interventions.throttles, Instant::now());
        Self {
            // Each transaction asks about its keys for itself.
            feed: ReaderHandle::start(
                reader,
                config,
                waker,
                DeadLetterLookup::new(Blocking::default(), &[]),
            ),
            transactions: outlet.transactions,
            leadership: scope.leadership,
            stop: scope.stop,
            goal: scope.goal,
            config,
            telemetry: outlet.telemetry,
            wire: outlet.wire,
            position,
            pages: VecDeque::new(),
            trouble: Trouble::new(config),
            redeliveries,
            resumed: position.window,
            dead_lettered_ahead: false,
            size: TransactionSize::new(config),
            row: RowWrites {
                next_at: Instant::now(),
                due: false,
                closed: false,
            },
            interventions: InterventionWatch::new(interventions),
            throttling,
            end_checked: 0,
            offered: 0,
            made_progress: false,
            opened: Instant::now(),
        }
    }

    pub(in crate::relay) async fn run(mut self) -> RunEnd {
        if let Some(cluster) = self.transactions.cluster() {
            self.feed.ask(Request::NoteBroker(cluster));
        }
        match self.work().await {
            Ok(end) | Err(end) => end,
        }
    }

    async fn work(&mut self) -> Result<RunEnd, RunEnd> {
        loop {
            if self.row.due && Instant::now() >= self.row.next_at {
                self.write_row();
            }
            if self.interventions.changed_at().is_some() {
                return self.finish(RunEnd::Again).await;
            }
            if self.interventions.is_due() {
                self.interventions.asked();
                self.feed.ask(Request::ReadInterventions);
            }
            self.check_end_if_done();
            self.telemetry
                .suspended_topics(self.redeliveries.suspended_count());
            let kind = self.due_redelivery();
            let busy = !self.pages.is_empty();
            let next_redelivery = self.next_redelivery();
            tokio::select! {
                biased;
                () = self.leadership.over() => return Err(RunEnd::LeaseLost),
                () = self.stop.asked() => return self.finish(RunEnd::Stopped).await,
                // Before the work: a log that is never idle is paused like any other.
                done = self.feed.done.recv() => self.done(done).await?,
                () = std::future::ready(()), if kind.is_some() => {
                    if let Some(kind) = kind {
                        self.run_redelivery(kind).await?;
                    }
                }
                () = std::future::ready(()), if busy => self.work_off().await?,
                () = tokio::time::sleep_until(self.row.next_at), if self.row.due => {}
                read = self.feed.pages.next() => match read {
                    Some(Read::Page(page)) => self.take(PageProgress::new(page.page)),
                    Some(Read::Nothing { end_check }) => {
                        if self.met_the_end(end_check) {
                            return self.finish(RunEnd::Drained).await;
                        }
                    }
                    None => return Err(RunEnd::Store(self.feed.failed().await)),
                },
                () = tokio::time::sleep_until(next_redelivery.min(self.interventions.next_look())) => {}
            }
        }
    }

    fn take(&mut self, page: PageProgress) {
        self.row.closed = false;
        self.offered += page.page.len() as u64;
        self.telemetry
            .page(page.page.window(), page.page.len(), page.page.size());
        self.pages.push_back(page);
    }

    /// Takes a page that was read meanwhile, if there is one.
    pub(super) fn read_more(&mut self) -> bool {
        match self.feed.pages.read_ahead() {
            Some(Read::Page(page)) => {
                self.take(PageProgress::new(page.page));
                true
            }
            // That nothing was there means little while pages are: it is said again.
            Some(Read::Nothing { .. }) | None => false,
        }
    }

    /// Nothing else is committed. Whether that ends the work.
    fn met_the_end(&mut self, end_check: u64) -> bool {
        self.telemetry.well();
        self.telemetry.end_of_log();
        self.made_progress();
        self.resumed = None;
        self.row.due |= !self.row.closed;
        self.row.closed = true;
        if self.goal != Goal::Drain || end_check != self.offered + 1 {
            return false;
        }
        if !self.redeliveries.are_done() {
            // Something came up; it is asked again afterwards.
            self.end_checked = 0;
            return false;
        }
        true
    }

    /// Asks whether the log has ended, once everything that was read is settled.
    fn check_end_if_done(&mut self) {
        let idle = self.goal == Goal::Drain && self.pages.is_empty() && self.redeliveries.are_done();
        if idle && self.end_checked != self.offered + 1 {
            self.end_checked = self.offered + 1;
            self.feed.ask(Request::CheckEnd(self.end_checked));
        }
    }

    /// Whatever ends this term now, no record has kept it from working.
    fn made_progress(&mut self) {
        if !std::mem::replace(&mut self.made_progress, true) {
            self.feed.ask(Request::ClearPoison);
        }
    }

    /// Whether the client may be stuck with a topic whose records time out: it takes the leader of a topic that was
    /// created again for an outdated one. A new client does not. It is not opened again and again, because a topic can
    /// also have too few replicas for hours.
    pub(super) fn may_be_stuck(&self, error: &PublishError) -> bool {
        error.kind() == PublishErrorKind::Unavailable && self.opened.elapsed() >= STUCK
    }

    /// The place has moved.
    pub(in crate::relay) fn moved(&mut self) {
        self.made_progress();
        self.row.due = true;
    }

    fn mark(&self) -> Option<Mark> {
        self.position.window.map(|window| Mark {
            window,
            seq: self.position.position,
        })
    }

    fn write_row(&mut self) {
        if let Some(mark) = self.mark() {
            self.feed.ask(Request::Persist(mark));
        }
        self.row.due = false;
        self.row.next_at = Instant::now() + self.config.persist_interval;
    }

    /// Writes the row a last time.
    async fn finish(&mut self, end: RunEnd) -> Result<RunEnd, RunEnd> {
        if let Some(mark) = self.mark() {
            self.write(Write::Persist(mark)).await?;
        }
        Ok(end)
    }

    /// Waits until the reader has written something.
    pub(super) async fn write(&mut self, what: Write) -> Result<(), RunEnd> {
        let written = self.feed.write(what);
        within(self.leadership, self.stop, written)
            .await?
            .map_err(RunEnd::Store)
    }

    /// Takes note of what the reader has done.
    async fn done(&mut self, done: Option<Done>) -> Result<(), RunEnd> {
        match done {
            Some(Done::InterventionsRead(found)) => {
                self.throttling.follow(&found.throttles, Instant::now());
                self.interventions.found(&found);
            }
            Some(Done::NotedBroker { before, now }) => Broker::default().noted(before.as_deref(), &now),
            Some(
                Done::Persisted(_)
                | Done::DeadLetterWritten(..)
                | Done::Parked(..)
                | Done::Released(..)
                | Done::DeadLettersRead(..)
                | Done::TakenOut(_)
                | Done::FailedAgain(_),
            ) => {}
            None => return Err(RunEnd::Store(self.feed.failed().await)),
        }
        Ok(())
    }

    /// Whether so much waits that no more is read.
    pub(super) fn has_read_enough(&self) -> bool {
        let rows: usize = self
            .pages
            .iter()
            .map(|pending| pending.page.len() - pending.next)
            .sum();
        let bytes: usize = self.pages.iter().map(|pending| pending.page.size()).sum();
        rows >= self.config.page_rows.saturating_mul(PAGES_AHEAD)
            || bytes >= self.config.page_bytes.saturating_mul(PAGES_AHEAD)
    }

    /// Waits until `until` and reads ahead meanwhile. An end is returned if the wait is cut short.
    pub(super) async fn pause_until(&mut self, until: Instant) -> Result<(), RunEnd> {
        let room = !self.has_read_enough();
        tokio::select! {
            biased;
            () = self.leadership.over() => Err(RunEnd::LeaseLost),
            () = self.stop.asked() => match self.finish(RunEnd::Stopped).await {
                Ok(end) | Err(end) => Err(end),
            },
            () = tokio::time::sleep_until(until) => Ok(()),
            read = self.feed.pages.next(), if room => match read {
                Some(Read::Page(mut page)) => {
                    // There may be thousands, each a window of a single row.
                    page.page.shrink_to_fit();
                    self.take(PageProgress::new(page.page));
                    Ok(())
                }
                Some(Read::Nothing { .. }) => Ok(()),
                None => Err(RunEnd::Store(self.feed.failed().await)),
            },
        }
    }

    /// Waits for the broker, as long as the lease lasts and a stop may take.
    pub(super) async fn prepare(&mut self, topic: &str) -> Result<Ready, RunEnd> {
        use crate::publisher::Prepared;
        let asked = within(self.leadership, self.stop, self.transactions.prepare(topic)).await?;
        match asked {
            Ok(Prepared::Ready) => Ok(Ready::Yes),
            Ok(Prepared::OpenAgain) => Ok(Ready::OpenAgain),
            Err(error) if matches!(error.kind(), PublishErrorKind::Topic) => Ok(Ready::No(error)),
            Err(error) => Err(RunEnd::Refused(error)),
        }
    }
}

/// Whether a topic takes records, as far as the broker says.
pub(super) enum Ready {
    Yes,
    /// Yes, by a producer with smaller batches.
    OpenAgain,
    No(PublishError),
}

/// Waits for something, as long as the lease lasts and a stop may take.
pub(in crate::relay) async fn within<T>(
    leadership: &Leadership,
    stop: &Stop,
    work: impl Future<Output = T>,
) -> Result<T, RunEnd> {
    let out_of_time = async {
        stop.asked().await;
        tokio::time::sleep_until(stop.deadline()).await;
    };
    tokio::select! {
        biased;
        () = leadership.over() => Err(RunEnd::LeaseLost),
        done = work => Ok(done),
        () = out_of_time => Err(RunEnd::Stopped),
    }
}
