//! Time as leases need it: it goes on while the machine sleeps, and nobody can set it.

use std::time::Duration;

/// A clock that never goes back. Only differences of its readings mean something.
pub(crate) trait Clock: Send + Sync + 'static {
    fn now(&self) -> Duration;
}

/// The machine's own clock. On Linux it counts suspended time too: a laptop or a virtual machine that slept
/// through its lease must know so when it wakes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BootClock;

impl Clock for BootClock {
    #[cfg(target_os = "linux")]
    fn now(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
    }

    #[cfg(not(target_os = "linux"))]
    fn now(&self) -> Duration {
        use std::sync::OnceLock;
        use std::time::Instant;
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}
