//! What Prometheus says of its alerts, from the beginning on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use outbox_tests::servers::{Alert, Prometheus};
use outbox_tests::wait_until;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A long outage and slow machines are within it.
const LIMIT: Duration = Duration::from_secs(240);

/// Shorter than the time between two evaluations.
const PACE: Duration = Duration::from_millis(250);

/// Alerts that fire, and that fired since the beginning.
#[derive(Debug, Default)]
struct State {
    now: BTreeSet<Alert>,
    ever: BTreeSet<Alert>,
}

/// Looks at the alerts all the time, so that none that fires briefly is missed.
pub(super) struct Watch {
    prometheus: Arc<Prometheus>,
    state: watch::Receiver<State>,
    /// The names of those that were seen to resolve.
    resolved: Mutex<BTreeSet<String>>,
    looking: AbortHandle,
    started: Instant,
}

impl Watch {
    pub(super) fn new(prometheus: Prometheus) -> Self {
        let prometheus = Arc::new(prometheus);
        let (sender, state) = watch::channel(State::default());
        let asked = prometheus.clone();
        let looking = tokio::spawn(async move {
            let mut pace = tokio::time::interval(PACE);
            loop {
                pace.tick().await;
                let now = asked.firing().await;
                sender.send_modify(|state| {
                    state.ever.extend(now.iter().cloned());
                    state.now = now;
                });
            }
        });
        Self {
            prometheus,
            state,
            resolved: Mutex::default(),
            looking: looking.abort_handle(),
            started: Instant::now(),
        }
    }

    pub(super) fn prometheus(&self) -> &Prometheus {
        &self.prometheus
    }

    /// It never fired with these labels.
    #[track_caller]
    pub(super) fn is_silent(&self, name: &str, labels: &[(&str, &str)]) {
        let state = self.state.borrow();
        let found = state.ever.iter().find(|alert| alert.is(name, labels));
        assert_eq!(found, None, "fired without its fault");
    }

    /// Waits until it has fired.
    pub(super) async fn fires(&self, name: &str, labels: &[(&str, &str)]) {
        let fired = |state: &State| state.ever.iter().any(|alert| alert.is(name, labels));
        self.until(&format!("{name}{labels:?} to fire"), fired).await;
        eprintln!("{:.0?}: {name} fired", self.started.elapsed());
    }

    /// Waits until it has fired and does not fire any more.
    pub(super) async fn ends(&self, name: &str, labels: &[(&str, &str)]) {
        let is_it = |alert: &Alert| alert.is(name, labels);
        let over = |state: &State| state.ever.iter().any(is_it) && !state.now.iter().any(is_it);
        self.until(&format!("{name}{labels:?} to resolve"), over).await;
        eprintln!("{:.0?}: {name} resolved", self.started.elapsed());
        self.resolved.lock().unwrap().insert(name.to_owned());
    }

    /// The names of all that [`ends`](Self::ends) was waited for.
    pub(super) fn have_resolved(&self) -> BTreeSet<String> {
        self.resolved.lock().unwrap().clone()
    }

    /// Waits until an expression has one value, which is this one.
    pub(super) async fn value(&self, expression: &str, wanted: f64) {
        value(&self.prometheus, expression, wanted).await;
    }

    async fn until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let mut state = self.state.clone();
        let waiting = async move { state.wait_for(condition).await.is_ok() };
        let came = tokio::time::timeout(LIMIT, waiting).await;
        assert_eq!(
            came,
            Ok(true),
            "waited in vain for {what}; alerts: {:?}",
            self.state.borrow().now
        );
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// Waits until an expression has one value, which is this one.
pub(super) async fn value(prometheus: &Prometheus, expression: &str, wanted: f64) {
    wait_until(&format!("{expression} to be {wanted}"), LIMIT, async || {
        let samples = prometheus.query(expression).await;
        matches!(&samples[..], [only] if only.value == wanted).then_some(())
    })
    .await;
}
