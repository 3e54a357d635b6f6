//! Failures of commits that a test asks for. Without the feature `testkit` there are none.

/// How a commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitFault {
    /// The connection breaks before COMMIT is sent: nothing is committed.
    Before,
    /// The connection breaks before COMMIT is answered: everything is committed, and nobody knows.
    After,
}

/// The failures that were asked for, for one commit each.
#[derive(Debug, Default)]
pub(crate) struct CommitFaults {
    #[cfg(feature = "testkit")]
    asked: std::sync::Mutex<std::collections::VecDeque<CommitFault>>,
}

#[cfg(feature = "testkit")]
impl CommitFaults {
    /// Makes a commit fail: the next one, or the one after those that were asked for before.
    pub(crate) fn ask(&self, fault: CommitFault) {
        self.queue().push_back(fault);
    }

    /// What the commit that is due has to suffer.
    pub(crate) fn next(&self) -> Option<CommitFault> {
        self.queue().pop_front()
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, std::collections::VecDeque<CommitFault>> {
        self.asked
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(not(feature = "testkit"))]
impl CommitFaults {
    #[inline(always)]
    pub(crate) fn next(&self) -> Option<CommitFault> {
        None
    }
}

/// As a driver reports it.
pub(crate) fn connection_lost() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(
        std::io::ErrorKind::ConnectionReset,
        "a failure that the test asked for",
    ))
}
