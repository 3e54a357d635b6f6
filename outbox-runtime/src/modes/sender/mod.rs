//! Sends what was committed in mode `direct`: one task that owns the publisher.

mod batch;

use std::collections::{HashMap, VecDeque};
use std::future::{Future, pending};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use self::batch::{Batch, State};
use super::record::Stored;
use super::{Direct, Lost};
use crate::chain::ErrorChain;
use crate::failpoint::{Failpoint, reach};
use crate::message::OutboxMessage;
use crate::publisher::{PublishError, PublishErrorKind, Publisher, Settlement, Ticket};
use crate::record::WireOptions;

/// Between two attempts to reach a broker that does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// How the sender's task works.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) wire: WireOptions,
    pub(super) give_up_after: Duration,
    pub(super) log: String,
}

/// The events of one transaction.
struct Order {
    messages: Vec<OutboxMessage>,
    done: oneshot::Sender<Direct>,
}

type Start = Box<dyn FnOnce(Settings, mpsc::UnboundedReceiver<Order>) -> BoxFuture<'static, ()> + Send>;

/// The handle of the task, which starts with the first events.
pub(super) struct Sender {
    orders: mpsc::UnboundedSender<Order>,
    idle: Mutex<Option<(Start, mpsc::UnboundedReceiver<Order>)>>,
}

impl Sender {
    pub(super) fn new<P: Publisher>(publisher: P) -> Self {
        let (orders, taken) = mpsc::unbounded_channel();
        let start: Start = Box::new(move |settings, orders| Box::pin(run(publisher, settings, orders)));
        Self {
            orders,
            idle: Mutex::new(Some((start, taken))),
        }
    }

    /// Sends the messages in their order. It goes on when nobody waits for it any more.
    pub(super) fn send(
        &self,
        settings: &Settings,
        messages: Vec<OutboxMessage>,
    ) -> impl Future<Output = Direct> + Send + use<> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((start, orders)) = idle {
            tokio::spawn(start(settings.clone(), orders));
        }
        let (done, answer) = oneshot::channel();
        let ids: Vec<(Uuid, String)> = messages
            .iter()
            .map(|message| (message.id(), message.topic().to_owned()))
            .collect();
        // A closed channel answers like a task that ended.
        let _ = self.orders.send(Order { messages, done });
        async move {
            answer.await.unwrap_or_else(|_| Direct {
                delivered: Vec::new(),
                lost: ids
                    .into_iter()
                    .map(|(id, topic)| Lost {
                        id,
                        topic,
                        error: "the task that sends ended".to_owned(),
                    })
                    .collect(),
            })
        }
    }
}

struct Work<P> {
    publisher: P,
    settings: Settings,
    started: bool,
    batches: HashMap<u64, Batch>,
    /// Those with records to hand over, in the order in which they came.
    queue: VecDeque<u64>,
    flights: HashMap<Ticket, (u64, usize)>,
    next: u64,
    retry_at: Option<Instant>,
}

async fn run<P: Publisher>(publisher: P, settings: Settings, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut work = Work {
        publisher,
        settings,
        started: false,
        batches: HashMap::new(),
        queue: VecDeque::new(),
        flights: HashMap::new(),
        next: 0,
        retry_at: None,
    };
    let log = work.settings.log.clone();
    work.publisher.name_log(&log);
    let mut settled = Vec::new();
    let mut open = true;
    while open || !work.batches.is_empty() {
        work.hand_over().await;
        let (retry_at, deadline) = (work.retry_at, work.next_deadline());
        let in_flight = !work.flights.is_empty();
        tokio::select! {
            order = orders.recv(), if open => match order {
                Some(order) => work.take(order),
                None => open = false,
            },
            () = work.publisher.settled(&mut settled), if in_flight => work.settle(&mut settled).await,
            () = at(retry_at) => work.retry_at = None,
            () = at(deadline) => work.give_up().await,
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

impl<P: Publisher> Work<P> {
    fn take(&mut self, order: Order) {
        let records: Vec<_> = order
            .messages
            .into_iter()
            .map(|message| (Stored::new(message), State::Waiting))
            .collect();
        let number = self.ticket();
        let batch = Batch {
            open: records.len(),
            records,
            deadline: Instant::now() + self.settings.give_up_after,
            withdrawn: false,
            outcome: Direct::default(),
            done: Some(order.done),
        };
        self.batches.insert(number, batch);
        self.queue.push_back(number);
    }

    fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Hands over what the publisher takes now.
    async fn hand_over(&mut self) {
        while self.retry_at.is_none()
            && let Some(&number) = self.queue.front()
        {
            let Some((index, deadline)) = self.next_record(number) else {
                self.queue.pop_front();
                continue;
            };
            if let Err(error) = self.start().and_then(|()| self.send(number, index)) {
                match error.kind() {
                    PublishErrorKind::Full => return,
                    PublishErrorKind::Unprepared => self.prepare(number, index, deadline).await,
                    PublishErrorKind::Fatal => self.rebuild().await,
                    PublishErrorKind::Topic | PublishErrorKind::Unavailable | PublishErrorKind::Withdrawn => {
                        self.retry_at = Some(Instant::now() + RETRY);
                    }
                    PublishErrorKind::Record(_) | PublishErrorKind::Configuration => {
                        self.settle_one(number, index, Err(ErrorChain::new(&error).to_string()));
                    }
                }
            }
        }
    }

    fn next_record(&self, number: u64) -> Option<(usize, Instant)> {
        let batch = self.batches.get(&number)?;
        Some((batch.next_waiting()?, batch.deadline))
    }

    fn start(&mut self) -> Result<(), PublishError> {
        if !self.started {
            self.publisher.start()?;
            self.started = true;
        }
        Ok(())
    }

    fn send(&mut self, number: u64, index: usize) -> Result<(), PublishError> {
        let ticket = self.ticket();
        let Some((stored, state)) = self
            .batches
            .get_mut(&number)
            .and_then(|batch| batch.records.get_mut(index))
        else {
            return Ok(());
        };
        self.publisher
            .send(ticket, &stored.record(), &self.settings.wire)?;
        *state = State::InFlight;
        self.flights.insert(ticket, (number, index));
        reach(Failpoint::Produced);
        Ok(())
    }

    async fn prepare(&mut self, number: u64, index: usize, deadline: Instant) {
        let Some((stored, _)) = self
            .batches
            .get(&number)
            .and_then(|batch| batch.records.get(index))
        else {
            return;
        };
        let prepared = self.publisher.prepare(stored.message().topic());
        match tokio::time::timeout_at(deadline, prepared).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %ErrorChain::new(&error), "a topic cannot be prepared for direct sending; trying again");
                self.retry_at = Some(Instant::now() + RETRY);
            }
            Err(_) => self.give_up().await,
        }
    }

    async fn settle(&mut self, settled: &mut Vec<Settlement>) {
        let mut broken = false;
        for Settlement { ticket, result } in settled.drain(..) {
            let Some((number, index)) = self.flights.remove(&ticket) else {
                continue;
            };
            match result {
                Ok(()) => self.settle_one(number, index, Ok(())),
                Err(error) if error.kind() == PublishErrorKind::Withdrawn => self.put_back(number, index),
                Err(error) => {
                    broken |= error.kind() == PublishErrorKind::Fatal;
                    self.settle_one(number, index, Err(ErrorChain::new(&*error).to_string()));
                }
            }
        }
        if broken {
            self.rebuild().await;
        }
    }

    fn settle_one(&mut self, number: u64, index: usize, result: Result<(), String>) {
        let Some(batch) = self.batches.get_mut(&number) else {
            return;
        };
        batch.settle(index, result);
        if batch.open == 0 {
            self.batches.remove(&number);
        }
    }

    /// It did not leave this process.
    fn put_back(&mut self, number: u64, index: usize) {
        let Some(batch) = self.batches.get_mut(&number) else {
            return;
        };
        if batch.deadline <= Instant::now() {
            self.settle_one(number, index, Err(too_late("it was not sent")));
            return;
        }
        if let Some((_, state)) = batch.records.get_mut(index) {
            *state = State::Waiting;
        }
        if !self.queue.contains(&number) {
            self.queue.push_front(number);
        }
    }

    /// When something has to be given up.
    fn next_deadline(&self) -> Option<Instant> {
        let last = self.settings.give_up_after;
        let of = |batch: &Batch| match batch.withdrawn {
            true => batch.deadline + last,
            false => batch.deadline,
        };
        self.batches.values().map(of).min()
    }

    /// Gives up records that are past their time: first those that are still here, then those whose outcome nobody knows.
    async fn give_up(&mut self) {
        let now = Instant::now();
        let last = self.settings.give_up_after;
        let (mut withdraw, mut stuck) = (false, false);
        let late: Vec<u64> = self
            .batches
            .iter_mut()
            .filter(|(_, batch)| batch.deadline <= now)
            .map(|(number, batch)| {
                withdraw |= !batch.withdrawn;
                stuck |= batch.withdrawn && batch.deadline + last <= now;
                batch.withdrawn = true;
                *number
            })
            .collect();
        for number in late {
            while let Some((index, _)) = self.next_record(number) {
                self.settle_one(number, index, Err(too_late("it was not sent")));
            }
        }
        if withdraw {
            self.publisher.withdraw();
        }
        if stuck {
            self.rebuild().await;
        }
    }

    /// Everything in flight counts as lost: some of it may have reached the broker, and to send it again would make it
    /// twice.
    async fn rebuild(&mut self) {
        let flights: Vec<_> = self.flights.drain().map(|(_, flight)| flight).collect();
        for (number, index) in flights {
            self.settle_one(
                number,
                index,
                Err(too_late("it was sent, and its outcome is unknown")),
            );
        }
        if let Err(error) = self.publisher.rebuild().await {
            tracing::error!(error = %ErrorChain::new(&error), "the producer for direct sending could not be rebuilt");
        }
        self.started = false;
        self.retry_at = Some(Instant::now() + RETRY);
    }
}

fn too_late(what: &str) -> String {
    format!("the broker did not acknowledge it in time; {what}")
}
