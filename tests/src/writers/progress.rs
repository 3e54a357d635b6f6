//! How far all writers are, for those that wait for others to commit first.

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, Default)]
struct State {
    commits: u64,
    waiting: usize,
    finished: usize,
}

#[derive(Debug)]
pub(super) struct Progress {
    writers: usize,
    state: watch::Sender<State>,
}

impl Progress {
    pub(super) fn of(writers: usize) -> Self {
        Self {
            writers,
            state: watch::Sender::default(),
        }
    }

    pub(super) fn committed(&self) {
        self.state.send_modify(|state| state.commits += 1);
    }

    pub(super) fn finished(&self) {
        self.state.send_modify(|state| state.finished += 1);
    }

    /// Waits until the others have committed `count` more transactions; less, if nobody is left who could.
    pub(super) async fn let_others_commit(&self, count: u64) {
        let mut target = 0;
        self.state.send_modify(|state| {
            state.waiting += 1;
            target = state.commits + count;
        });
        let mut states = self.state.subscribe();
        let enough =
            |state: &State| state.commits >= target || state.waiting + state.finished >= self.writers;
        states.wait_for(enough).await.expect("the sender is our own");
        self.state.send_modify(|state| state.waiting -= 1);
    }
}
