//! Under what a run works: one leader term, until a stop is asked for or its goal is reached.

use super::config::RelayConfig;
use super::goal::Goal;
use super::leadership::Leadership;
use super::stop::Stop;
use crate::store::Store;

/// What every run is given, at least once or exactly once.
pub(super) struct Scope<'a, S: Store> {
    pub(super) leadership: &'a Leadership<S>,
    pub(super) goal: Goal,
    pub(super) stop: &'a Stop,
    pub(super) config: &'a RelayConfig,
}

impl<S: Store> Clone for Scope<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Store> Copy for Scope<'_, S> {}
