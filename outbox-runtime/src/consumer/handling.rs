//! One message, from the first attempt to its end: processed, recognized, skipped, or given up.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::failure::{Failure, Verdict};
use super::handler::{Handlers, Ready};
use super::progress::ConsumerProgress;
use super::spans;
use super::unknown::UnknownMessages;
use super::{ConsumerConfig, UnknownTypes};
use crate::database::{InboxStatements, OutboxDatabase};
use crate::metrics::{ConsumerMetrics, MessageOutcome, RetryReason};
use crate::outbox::Outbox;
use crate::received::dead_letter::{DeadLetterReason, FailedMessage};
use crate::received::identity::{Identified, Incoming};
use crate::received::message::InboxMessage;
use crate::received::processed::Processed;
use crate::relay::Backoff;
use crate::transaction::{Begun, Judged};

/// A handler that takes longer is worth a word.
const LONG: Duration = Duration::from_secs(30);

/// What it takes to handle messages; shared by all partitions.
pub(super) struct Handling<DB: OutboxDatabase> {
    pub(super) outbox: Outbox<DB>,
    /// The name in the inbox.
    pub(super) consumer: String,
    pub(super) handlers: Handlers<DB>,
    pub(super) config: ConsumerConfig,
    pub(super) progress: ConsumerProgress,
    unknown: UnknownMessages,
    metrics: ConsumerMetrics,
    permits: Semaphore,
}

/// The stop came before the message's end. It will be delivered again.
#[derive(Debug)]
pub(super) struct Stopped;

impl<DB: OutboxDatabase> Handling<DB> {
    pub(super) fn new(
        outbox: Outbox<DB>,
        consumer: String,
        handlers: Handlers<DB>,
        config: ConsumerConfig,
    ) -> Self {
        Self {
            permits: Semaphore::new(config.max_concurrency.min(Semaphore::MAX_PERMITS)),
            metrics: ConsumerMetrics::new(outbox.metrics().log(), &consumer),
            outbox,
            consumer,
            handlers,
            config,
            progress: ConsumerProgress::default(),
            unknown: UnknownMessages::default(),
        }
    }

    /// Handles a message until it needs no more handling. A stop ends it between two attempts.
    pub(super) async fn handle(
        &self,
        message: &InboxMessage,
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        let mut backoff = Backoff::between(self.config.backoff_min, self.config.backoff_max);
        let mut failed_attempts = 0;
        loop {
            let failure = match self.attempt(message, stop).await? {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            match failure.verdict {
                Verdict::Outage => {
                    self.progress.count_outage();
                    self.metrics.retry(RetryReason::Outage);
                    self.warn(message, &failure, "retrying after an outage");
                }
                Verdict::Failed => {
                    failed_attempts += 1;
                    self.progress.count_failure();
                    if failed_attempts >= self.config.max_attempts {
                        return self
                            .give_up(message, DeadLetterReason::Failed, &failure, failed_attempts, stop)
                            .await;
                    }
                    self.metrics.retry(RetryReason::Failure);
                    self.warn(message, &failure, "a handler failed; retrying");
                }
                Verdict::Hopeless(reason) => {
                    self.progress.count_failure();
                    return self
                        .give_up(message, reason, &failure, failed_attempts + 1, stop)
                        .await;
                }
            }
            pause(backoff.next(), stop).await?;
        }
    }

    /// One attempt; a stop ends it before it begins.
    async fn attempt(
        &self,
        message: &InboxMessage,
        stop: &CancellationToken,
    ) -> Result<Result<(), Failure>, Stopped> {
        let ready = match self.handlers.read(message) {
            Some(Ok(ready)) => ready,
            Some(Err(failure)) => return Ok(Err(failure)),
            None => return Ok(self.unknown(message)),
        };
        let _permit = tokio::select! {
            permit = self.permits.acquire() => permit,
            () = stop.cancelled() => return Err(Stopped),
        };
        let span = spans::process(&self.consumer, message);
        let processed = watched(message, self.transaction(ready, message))
            .instrument(span.clone())
            .await;
        match &processed {
            Ok(processed) => spans::processed(&span, outcome_of(*processed).as_str()),
            Err(failure) => spans::failed(&span, failure.verdict.as_str()),
        }
        Ok(processed.map(|processed| self.count(message, processed)))
    }

    fn unknown(&self, message: &InboxMessage) -> Result<(), Failure> {
        match self.config.unknown_types {
            UnknownTypes::Skip => {
                self.progress.count_unknown();
                self.ended(message, MessageOutcome::Unknown);
                if self.unknown.is_new(message) {
                    tracing::warn!(
                        event_type = message.event_type(),
                        topic = message.topic(),
                        consumer = self.consumer,
                        "no handler for this type; skipping its messages"
                    );
                }
                Ok(())
            }
            UnknownTypes::DeadLetter => Err(no_handler(message)),
        }
    }

    /// Inbox, handler and events in one transaction.
    async fn transaction(&self, ready: Ready<DB>, message: &InboxMessage) -> Result<Processed<()>, Failure> {
        let mut begun = Begun::on(&self.outbox).await;
        begun.receive(&self.consumer, Incoming::of(message)).await;
        let outcome = self.run_in(&mut begun, ready, message).await;
        begun
            .settle(Judged::of_message(outcome.map(|ended| ended.map(Processed::Now))))
            .await
    }

    /// Tries a dead letter again, which leaves the table in the same transaction; `false` if it is not there.
    /// The inbox keeps its row.
    pub(super) async fn replay(&self, message_id: &str) -> Result<bool, Failure> {
        let mut begun = Begun::on(&self.outbox).await;
        let taken = match begun.open() {
            Some((tx, _)) => Some(DB::take(&mut **tx, self.statements(), &self.consumer, message_id).await),
            None => None,
        };
        let taken = taken.map(|taken| taken.map_err(|error| Failure::of(&error)));
        let dead_letter = match taken {
            Some(Ok(Some(dead_letter))) => dead_letter,
            other => {
                let outcome = other.map(|taken| taken.map(|_| false));
                return begun.settle(Judged::new(outcome)).await;
            }
        };
        let ready = match self.handlers.read(&dead_letter.message) {
            Some(ready) => ready,
            None => Err(no_handler(&dead_letter.message)),
        };
        let outcome = match ready {
            Ok(ready) => {
                begun
                    .receive_again(&self.consumer, Incoming::of(&dead_letter.message))
                    .await;
                self.run_in(&mut begun, ready, &dead_letter.message).await
            }
            Err(failure) => Some(Err(failure)),
        };
        let outcome = outcome.map(|ended| ended.map(|()| true));
        begun.settle(Judged::new(outcome)).await
    }

    fn statements(&self) -> &InboxStatements {
        &self.outbox.statements().inbox
    }

    /// Writes the message to the dead letters: for as long as it takes, since its offset is committed after that.
    async fn give_up(
        &self,
        message: &InboxMessage,
        reason: DeadLetterReason,
        failure: &Failure,
        attempts: u32,
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        let message_id = message.message_id();
        let dead_letter = FailedMessage {
            consumer: &self.consumer,
            message_id: &message_id,
            message,
            reason,
            error: &failure.text,
            attempts: i32::try_from(attempts).unwrap_or(i32::MAX),
        };
        let mut backoff = Backoff::between(self.config.backoff_min, self.config.backoff_max);
        loop {
            match self.dead_letter(message, dead_letter).await {
                Ok(Processed::Now(())) => {
                    self.progress.count_dead_letter();
                    self.ended(message, MessageOutcome::DeadLettered);
                    self.warn(message, failure, "a message was dead-lettered");
                    return Ok(());
                }
                // Another member has processed it, or given up on it.
                Ok(Processed::Before) => {
                    self.count(message, Processed::Before);
                    return Ok(());
                }
                Err(failure) => {
                    self.progress.count_outage();
                    self.metrics.retry(RetryReason::Outage);
                    self.warn(message, &failure, "cannot write a dead letter; retrying");
                }
            }
            pause(backoff.next(), stop).await?;
        }
    }

    /// The dead letter and the inbox's row in one transaction: so no message is both processed and given up.
    async fn dead_letter(
        &self,
        message: &InboxMessage,
        dead_letter: FailedMessage<'_>,
    ) -> Result<Processed<()>, Failure> {
        let mut begun = Begun::on(&self.outbox).await;
        begun.receive(&self.consumer, Incoming::of(message)).await;
        let outcome = match begun.open() {
            Some((tx, _)) => Some(DB::dead_letter(&mut **tx, self.statements(), dead_letter).await),
            None => None,
        };
        let outcome = outcome.map(|written| match written {
            Ok(()) => Ok(Processed::Now(())),
            Err(error) => Err(Failure::of(&error)),
        });
        begun.settle(Judged::of_message(outcome)).await
    }

    /// Runs a handler in a transaction that is open; none if it is not, or there is nothing to do in it.
    async fn run_in(
        &self,
        begun: &mut Begun<'static, DB>,
        ready: Ready<DB>,
        message: &InboxMessage,
    ) -> Option<Result<(), Failure>> {
        let (tx, body) = begun.open()?;
        let running = AssertUnwindSafe(async { body.run(Box::pin(ready(tx, message))).await });
        let timed = self.metrics.timed(message.event_type(), running.catch_unwind());
        let ended = timed.await;
        Some(ended.unwrap_or_else(|panic| Err(Failure::panicked(&*panic))))
    }

    fn count(&self, message: &InboxMessage, processed: Processed<()>) {
        let outcome = outcome_of(processed);
        self.progress.count(processed);
        self.ended(message, outcome);
    }

    /// A message needs no more handling.
    fn ended(&self, message: &InboxMessage, outcome: MessageOutcome) {
        self.metrics
            .message(message.topic(), message.event_type(), outcome);
    }

    fn warn(&self, message: &InboxMessage, failure: &Failure, what: &str) {
        tracing::warn!(
            error = failure.text,
            consumer = self.consumer,
            topic = message.topic(),
            partition = message.partition(),
            offset = message.offset(),
            message_id = &*message.message_id(),
            "{what}"
        );
    }
}

fn outcome_of(processed: Processed<()>) -> MessageOutcome {
    match processed {
        Processed::Now(()) => MessageOutcome::Processed,
        Processed::Before => MessageOutcome::Duplicate,
    }
}

fn no_handler(message: &InboxMessage) -> Failure {
    Failure {
        verdict: Verdict::Hopeless(DeadLetterReason::UnknownType),
        text: format!(
            "no handler for the type `{}`",
            message.event_type().unwrap_or("none")
        ),
    }
}

async fn pause(lasts: Duration, stop: &CancellationToken) -> Result<(), Stopped> {
    tokio::select! {
        () = tokio::time::sleep(lasts) => Ok(()),
        () = stop.cancelled() => Err(Stopped),
    }
}

/// Says so now and then while an attempt takes long.
async fn watched<F: Future>(message: &InboxMessage, attempt: F) -> F::Output {
    let mut attempt = std::pin::pin!(attempt);
    let mut lasts = Duration::ZERO;
    loop {
        match tokio::time::timeout(LONG, &mut attempt).await {
            Ok(ended) => return ended,
            Err(_) => {
                lasts += LONG;
                tracing::warn!(
                    seconds = lasts.as_secs(),
                    topic = message.topic(),
                    partition = message.partition(),
                    offset = message.offset(),
                    "a handler has been running for a long time; its partition waits"
                );
            }
        }
    }
}
