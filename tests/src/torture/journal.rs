//! The run's own log: what was drawn, what happened, and when.

use std::fs::{self, File};
use std::io::Write;
use std::time::Instant;

use super::Plan;

/// A file with a line for each event, which also goes to standard error.
pub(super) struct Journal {
    file: File,
    started: Instant,
}

impl Journal {
    pub(super) fn begin(plan: &Plan) -> Self {
        let _ = fs::remove_dir_all(&plan.folder);
        fs::create_dir_all(&plan.folder).expect("the folder for logs can be made");
        let file = File::create(plan.folder.join("events.log")).expect("the event log can be made");
        let mut journal = Self {
            file,
            started: Instant::now(),
        };
        journal.note(&format!("seed {}, {:?}", plan.seed, plan.duration));
        journal
    }

    pub(super) fn note(&mut self, text: &str) {
        let line = format!("{:9.3} {text}\n", self.started.elapsed().as_secs_f64());
        eprint!("torture: {line}");
        // A log that cannot be written is no reason to stop.
        let _ = self.file.write_all(line.as_bytes());
    }
}
