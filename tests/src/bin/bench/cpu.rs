//! The processor time of this process.

use std::time::Duration;

/// Time spent so far by all threads of this process, in it and in the kernel on its behalf.
pub(crate) fn spent() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells what a process spent");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: u64 =
        fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number");
    // Linux counts in hundredths of a second for user space.
    Duration::from_millis(ticks * 10)
}

/// The resident memory of this process, in bytes, at its highest.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells what a process holds");
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
