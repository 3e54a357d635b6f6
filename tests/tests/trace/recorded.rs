//! What was exported in this process, and the traces that requests bring along.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::{SpanKind, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData};
use outbox_tests::wait_until;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use uuid::Uuid;

pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// All spans of this library, and those that a service has at the level `info`.
pub(crate) const FILTER: &str = "info,sqlx=off,outbox_runtime::trace=debug";

/// The exporter of this process.
pub(crate) fn exporter() -> &'static InMemorySpanExporter {
    static EXPORTER: OnceLock<InMemorySpanExporter> = OnceLock::new();
    EXPORTER.get_or_init(|| {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing_subscriber::registry()
            .with(EnvFilter::new(FILTER))
            .with(layer)
            .init();
        exporter
    })
}

/// The trace of one request.
pub(crate) struct Trace {
    id: String,
    pub(crate) traceparent: String,
}

impl Trace {
    pub(crate) fn new(sampled: bool) -> Self {
        exporter();
        let id = Uuid::new_v4().simple().to_string();
        let flags = if sampled { "01" } else { "00" };
        Self {
            traceparent: format!("00-{id}-00f067aa0ba902b7-{flags}"),
            id,
        }
    }

    /// The spans of this trace that have ended.
    pub(crate) fn spans(&self) -> Vec<SpanData> {
        let mut spans = exporter().get_finished_spans().unwrap();
        spans.retain(|span| span.span_context.trace_id().to_string() == self.id);
        spans
    }

    pub(crate) fn named(&self, name: &str) -> Vec<SpanData> {
        let mut spans = self.spans();
        spans.retain(|span| span.name == name);
        spans.sort_by_key(|span| span.start_time);
        spans
    }

    /// The only span of this name.
    pub(crate) fn only(&self, name: &str) -> SpanData {
        let mut spans = self.named(name);
        assert_eq!(spans.len(), 1, "{name}: {spans:#?}");
        spans.remove(0)
    }

    /// The spans outside of this trace with links into it.
    pub(crate) fn linked(&self) -> Vec<SpanData> {
        let mut spans = exporter().get_finished_spans().unwrap();
        spans.retain(|span| {
            span.span_context.trace_id().to_string() != self.id
                && span
                    .links
                    .iter()
                    .any(|link| link.span_context.trace_id().to_string() == self.id)
        });
        spans
    }

    pub(crate) async fn until(&self, name: &str, spans: usize) {
        wait_until(&format!("{spans} spans {name}"), LIMIT, async || {
            (self.named(name).len() >= spans).then_some(())
        })
        .await;
    }
}

/// The value of an attribute, as text.
pub(crate) fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|found| found.key.as_str() == key)?;
    Some(found.value.as_str().into_owned())
}

/// The span has this kind and these attributes.
pub(crate) fn assert_is(span: &SpanData, kind: SpanKind, attributes: &[(&str, &str)]) {
    assert_eq!(span.span_kind, kind, "{span:#?}");
    for (key, value) in attributes {
        assert_eq!(
            attribute(span, key).as_deref(),
            Some(*value),
            "{key} of {span:#?}"
        );
    }
}

pub(crate) fn assert_child(child: &SpanData, parent: &SpanData) {
    assert_eq!(
        child.parent_span_id,
        parent.span_context.span_id(),
        "{} is not below {}",
        child.name,
        parent.name
    );
}

/// The only link of `span` leads to `to`.
pub(crate) fn assert_linked(span: &SpanData, to: &SpanData) {
    let links: Vec<_> = span
        .links
        .iter()
        .map(|link| link.span_context.span_id())
        .collect();
    assert_eq!(links, [to.span_context.span_id()], "{}", span.name);
}
