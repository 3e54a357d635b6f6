//! A process of the platform, as the platform sees it: started, killed, started again.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result};
use tokio::process::{Child, Command};

/// This program again, as one of its parts.
pub(crate) struct Process {
    arguments: Vec<OsString>,
    log: PathBuf,
    child: Option<Child>,
    /// Since when nothing runs.
    ended: Option<Instant>,
}

impl Process {
    /// Starts it. It ends with this value.
    pub(crate) fn start(arguments: Vec<OsString>, log: PathBuf) -> Result<Self> {
        let mut process = Self {
            arguments,
            log,
            child: None,
            ended: None,
        };
        process.start_again()?;
        Ok(process)
    }

    /// Starts it with the same arguments.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let child = Command::new(program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a process")?;
        self.child = Some(child);
        self.ended = None;
        Ok(())
    }

    /// Kills it with SIGKILL: it cannot clean up.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await.context("cannot kill a process")?;
        }
        self.ended.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Since when it does not run, by a kill or by itself; none if it runs.
    pub(crate) fn ended(&mut self) -> Option<Instant> {
        if let Some(child) = &mut self.child
            && let Ok(Some(_)) = child.try_wait()
        {
            self.child = None;
            self.ended = Some(Instant::now());
        }
        self.ended
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}
