//! The processor time of this process.

use std::time::Duration;

/// Time spent so far by all threads of this process, in it and in the kernel on its behalf.
pub(crate) fn spent() -> Duration {
    Stat::of("self")
        .expect("Linux reports what a process spent")
        .spent
}

/// As [`spent`], with the commands that ended and all that the server did for this database. The server has no other
/// database whose connections end meanwhile.
pub(crate) fn spent_with_server(database: &str) -> Duration {
    let own = Stat::of("self").expect("Linux reports what a process spent");
    let processes = std::fs::read_dir("/proc").expect("the processes can be listed");
    let processes = processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // A connection's process is called by its database.
    let serves = |process: &String| {
        let title = std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
        title.starts_with("postgres: ") && title.contains(&format!(" {database} "))
    };
    let serving: Vec<Stat> = processes
        .filter(serves)
        .filter_map(|process| Stat::of(&process))
        .collect();
    let server = serving.first().and_then(|stat| Stat::of(&stat.parent));
    let ended = own.of_children + server.map_or(Duration::ZERO, |server| server.of_children);
    own.spent + ended + serving.iter().map(|stat| stat.spent).sum::<Duration>()
}

/// What Linux says of a process.
struct Stat {
    parent: String,
    spent: Duration,
    /// Of those that have ended.
    of_children: Duration,
}

impl Stat {
    /// None if it has ended.
    fn of(process: &str) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
        let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
        // Linux counts in hundredths of a second for user space.
        let time = |field: usize| Some(Duration::from_millis((number(field)? + number(field + 1)?) * 10));
        Some(Self {
            parent: (*fields.get(1)?).to_owned(),
            spent: time(11)?,
            of_children: time(13)?,
        })
    }
}

/// The resident memory of this process, in bytes, at its highest.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux reports what a process holds");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .expect("the line is there");
    let kilobytes = line
        .split_whitespace()
        .nth(1)
        .and_then(|number| number.parse::<u64>().ok());
    kilobytes.expect("a number") * 1024
}
