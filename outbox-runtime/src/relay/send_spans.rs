//! The relay's "send" spans: one for a batch of records, or for each, linked to the spans that created them.

use std::collections::VecDeque;

use tracing::Span;
use tracing::field::Empty;

use crate::publisher::Ticket;
use crate::record::OutboxRecord;
use crate::trace::{self, TraceContext};

/// Links of one span. It is the SDK's default limit for them: what is beyond it would be dropped without a word.
const MOST_LINKS: usize = 128;

/// Batches whose records are on their way. A batch has a span if a record of it belongs to a trace that is recorded.
pub(in crate::relay) struct SendSpans {
    /// How many links a span may have.
    most_links: usize,
    /// The batch to which the next record belongs.
    filling: Option<Batch>,
    sent: VecDeque<Batch>,
}

struct Batch {
    span: Span,
    links: usize,
    records: usize,
    last: Ticket,
    /// The topic of all records; none if they have several.
    topic: Option<String>,
}

impl SendSpans {
    /// With a span for each record that belongs to a recorded trace, or for each batch.
    pub(super) fn new(for_each_record: bool) -> Self {
        Self {
            most_links: if for_each_record { 1 } else { MOST_LINKS },
            filling: None,
            sent: VecDeque::new(),
        }
    }

    /// A record was handed over.
    pub(super) fn sent(&mut self, ticket: Ticket, record: &OutboxRecord<'_>) {
        if !tracing::enabled!(target: trace::TARGET, tracing::Level::INFO) {
            return;
        }
        let context = TraceContext::in_headers(record.headers).filter(TraceContext::is_sampled);
        let is_full = self
            .filling
            .as_ref()
            .is_some_and(|batch| batch.links >= self.most_links);
        if is_full && (context.is_some() || self.most_links == 1) {
            self.end_batch();
        }
        let batch = match (&mut self.filling, &context) {
            (Some(batch), _) => batch,
            (None, Some(_)) => self.filling.insert(Batch::begin(ticket, record.topic)),
            (None, None) => return,
        };
        batch.add(ticket, record.topic, context.as_ref());
    }

    /// The next record belongs to another batch.
    pub(super) fn end_batch(&mut self) {
        self.sent.extend(self.filling.take());
    }

    /// All records before `oldest` are settled; all there are if it is none.
    pub(super) fn settled(&mut self, oldest: Option<Ticket>) {
        if oldest.is_none() {
            self.end_batch();
        }
        let is_over = |batch: &mut Batch| oldest.is_none_or(|oldest| batch.last < oldest);
        while let Some(batch) = self.sent.pop_front_if(is_over) {
            batch.end();
        }
    }

    /// This record was not taken, by an error of this kind.
    pub(super) fn failed(&self, ticket: Ticket, kind: &'static str) {
        if let Some(batch) = self.batches().find(|batch| batch.last >= ticket) {
            batch.failed(kind);
        }
    }

    /// None of the records that are on their way was taken.
    pub(super) fn all_failed(&self, kind: &'static str) {
        self.batches().for_each(|batch| batch.failed(kind));
    }

    fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.sent.iter().chain(&self.filling)
    }

    /// Nobody waits for the records any more.
    pub(super) fn interrupted(&mut self) {
        self.end_batch();
        for batch in self.sent.drain(..) {
            batch.failed("interrupted");
            batch.end();
        }
    }
}

impl Batch {
    fn begin(ticket: Ticket, topic: &str) -> Self {
        let span = tracing::info_span!(
            target: trace::TARGET,
            parent: None,
            "send",
            otel.name = Empty,
            otel.kind = "client",
            otel.status_code = Empty,
            error.type = Empty,
            messaging.system = trace::SYSTEM,
            messaging.operation.name = "send",
            messaging.operation.type = "send",
            messaging.destination.name = Empty,
            messaging.batch.message_count = Empty,
        );
        Self {
            span,
            links: 0,
            records: 0,
            last: ticket,
            topic: Some(topic.to_owned()),
        }
    }

    fn add(&mut self, ticket: Ticket, topic: &str, context: Option<&TraceContext>) {
        self.records += 1;
        self.last = self.last.max(ticket);
        if self.topic.as_ref().is_some_and(|only| only != topic) {
            self.topic = None;
        }
        if let Some(context) = context {
            trace::link(&self.span, context);
            self.links += 1;
        }
    }

    fn failed(&self, kind: &'static str) {
        self.span.record("otel.status_code", "ERROR");
        self.span.record("error.type", kind);
    }

    fn end(self) {
        self.span.record("messaging.batch.message_count", self.records);
        if let Some(topic) = self.topic {
            self.span.record("messaging.destination.name", &topic);
            self.span.record("otel.name", format!("send {topic}"));
        }
    }
}
