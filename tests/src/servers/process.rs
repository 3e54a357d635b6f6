//! A server's process with everything below it: started, frozen, crashed, stopped.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::folder::ServerUser;
use crate::wait_until;

/// A running server; it is killed when this value goes.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts `program` with its output going to the end of `log`.
    ///
    /// It gets a process group of its own, so that Ctrl-C reaches the tests and not their servers, and the
    /// kernel kills it when our process is gone, however that came about.
    pub(crate) fn start(program: &Path, args: &[String], user: Option<ServerUser>, log: &Path) -> Self {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log can be written");
        let errors = output.try_clone().expect("the log can be written twice");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(ServerUser { uid, gid }) = user {
            command.args([
                "--reuid",
                &uid.to_string(),
                "--regid",
                &gid.to_string(),
                "--clear-groups",
            ]);
        }
        command
            .arg("--")
            .arg(program)
            .args(args)
            .current_dir(log.parent().expect("the log lies in a folder"))
            .process_group(0);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = spawn(command).unwrap_or_else(|error| panic!("cannot start {program:?}: {error}"));
        Self {
            child,
            log: log.to_owned(),
        }
    }

    /// The process id that its program sees.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child can be waited for")
    }

    /// What it wrote last.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Stops all its processes where they are.
    pub(crate) fn freeze(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Lets all its processes go on.
    pub(crate) fn thaw(&self) {
        self.signal_all(Signal::CONT);
    }

    /// Sends it a signal, and not to what it started.
    pub(crate) fn signal(&self, signal: Signal) {
        signal_process(self.pid(), signal);
    }

    /// Whether it stands still.
    pub(crate) fn is_frozen(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let state = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().next());
        state == Some("T")
    }

    /// Asks it to end with `signal`, frozen or not, and waits until it has.
    pub(crate) async fn stop(mut self, signal: Signal) {
        if self.exited().is_some() {
            return;
        }
        signal_process(self.pid(), signal);
        self.thaw();
        wait_until("a server to stop", Duration::from_secs(60), || {
            std::future::ready(self.exited())
        })
        .await;
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The process itself comes first: stopped, it starts no more children.
    fn signal_all(&self, signal: Signal) {
        signal_process(self.pid(), signal);
        for child in children(self.pid()) {
            signal_process(child, signal);
        }
    }
}

impl Drop for ServerProcess {
    /// A crash: nothing in it gets to do anything more, and all of it is gone when this returns.
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        signal_process(self.pid(), Signal::STOP);
        let children = children(self.pid());
        let handles: Vec<OwnedFd> = children
            .iter()
            .filter_map(|pid| pidfd_open(*pid, PidfdFlags::empty()).ok())
            .collect();
        for pid in [self.pid()].into_iter().chain(children) {
            signal_process(pid, Signal::KILL);
        }
        let _ = self.child.wait();
        let patience = Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        for handle in &handles {
            let _ = poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&patience));
        }
    }
}

/// Starts a process from a thread that lives as long as we do: the kernel's "kill it when its parent is gone"
/// goes by the thread that started it, and a test's thread ends before its process.
fn spawn(command: Command) -> io::Result<Child> {
    type Request = (Command, mpsc::Sender<io::Result<Child>>);
    static STARTER: LazyLock<mpsc::Sender<Request>> = LazyLock::new(|| {
        let (requests, inbox) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        requests
    });
    let (answer, started) = mpsc::channel();
    STARTER
        .send((command, answer))
        .expect("the starting thread never ends");
    started.recv().expect("the starting thread always answers")
}

/// A process that is already gone is no error.
fn signal_process(pid: Pid, signal: Signal) {
    let _ = kill_process(pid, signal);
}

/// The processes that `parent` started, from what the kernel says of all processes.
fn children(parent: Pid) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").expect("the processes can be listed");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| parent_of(*pid) == Some(parent.as_raw_nonzero().get()))
        .filter_map(Pid::from_raw)
        .collect()
}

/// `pid (name) state parent …`, where the name may contain anything.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(1)?.parse().ok()
}
