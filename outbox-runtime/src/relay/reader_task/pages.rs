//! Pages on their way from the task that reads them, and whether more are wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, mpsc};

use super::requests::Read;

/// Pages that were read, in order.
pub(in crate::relay) struct Pages {
    read: mpsc::Receiver<Read>,
    demand: Arc<Demand>,
}

impl Pages {
    pub(super) fn new(read: mpsc::Receiver<Read>, demand: Arc<Demand>) -> Self {
        Self { read, demand }
    }

    /// The next one; none if the task has ended. Dropping the future loses no page.
    pub(in crate::relay) async fn next(&mut self) -> Option<Read> {
        self.demand.rise();
        self.read.recv().await
    }

    /// One that was read ahead, if there is one.
    pub(in crate::relay) fn read_ahead(&mut self) -> Option<Read> {
        self.read.try_recv().ok()
    }
}

/// Whether whoever sends records waits for a page.
pub(super) struct Demand {
    exists: AtomicBool,
    risen: Notify,
}

impl Default for Demand {
    fn default() -> Self {
        Self {
            exists: AtomicBool::new(true),
            risen: Notify::new(),
        }
    }
}

impl Demand {
    fn rise(&self) {
        if !self.exists.swap(true, Ordering::SeqCst) {
            self.risen.notify_one();
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.exists.load(Ordering::SeqCst)
    }

    /// The page that is passed on now is what was waited for.
    pub(super) fn is_met(&self) {
        self.exists.store(false, Ordering::SeqCst);
    }

    pub(super) async fn rises(&self) {
        self.risen.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_page_is_wanted_until_it_comes() {
        let demand = Arc::<Demand>::default();
        let (sender, read) = mpsc::channel(1);
        let mut pages = Pages::new(read, Arc::clone(&demand));
        assert!(demand.exists(), "the first one always is");
        demand.is_met();
        sender.send(Read::Nothing { end_check: 0 }).await.unwrap();
        assert!(pages.read_ahead().is_some() && pages.read_ahead().is_none());
        assert!(!demand.exists() && demand.rises().now_or_never().is_none());
        assert!(pages.next().now_or_never().is_none());
        assert!(demand.exists() && demand.rises().now_or_never().is_some());
    }
}
