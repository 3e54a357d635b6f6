//! Under what a run works: one leader term, until a stop is asked for or its goal is reached.

use super::config::RelayConfig;
use super::goal::Goal;
use super::leadership::Leadership;
use super::stop::Stop;

/// What every run is given, at least once or exactly once.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) leadership: &'a Leadership,
    pub(super) goal: Goal,
    pub(super) stop: &'a Stop,
    pub(super) config: &'a RelayConfig,
}
