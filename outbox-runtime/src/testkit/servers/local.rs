//! Servers from programs of this machine.
//!
//! A shell script starts the server in a new folder, and waits for the end of its standard input, which is a pipe from
//! this process. The kernel closes it however this process ends: then the script stops the server and removes the folder.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

/// What a script says before the address when the server is started.
const READY: &str = "ready";

/// Who runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum User {
    /// The user of this process.
    #[cfg(any(feature = "kafka", feature = "testcontainers", test))]
    Own,
    /// The same, but somebody else for the superuser, whom PostgreSQL refuses.
    #[cfg(feature = "postgres")]
    Ordinary,
}

/// A server that runs as long as this value is there, and no longer than this process.
pub(super) struct LocalServer {
    /// What the script says of where it is.
    pub(super) address: String,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl LocalServer {
    /// Runs the script with these arguments until it says where the server is; else returns what it said.
    pub(super) fn start(script: &str, arguments: &[&OsStr], user: User) -> Result<Self, String> {
        let mut command = Command::new("sh");
        command
            .args(["-c", script, "outbox-testkit"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        apart(&mut command, user);
        let mut shell = command
            .spawn()
            .map_err(|error| format!("sh does not start: {error}"))?;
        let pipes = (shell.stdin.take(), shell.stdout.take());
        let (Some(stdin), Some(stdout)) = pipes else {
            return Err("sh has no pipes".to_owned());
        };
        let mut server = Self {
            address: String::new(),
            stdin,
            stdout: BufReader::new(stdout),
        };
        let (mut said, mut line) = (String::new(), String::new());
        while server.stdout.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            if let Some(address) = line.strip_prefix(READY) {
                server.address = address.trim().to_owned();
                return Ok(server);
            }
            said += &line;
            line.clear();
        }
        let _ = shell.wait();
        Err(said)
    }

    /// Ends it, and returns what the script says of that.
    #[cfg(feature = "kafka")]
    pub(super) fn end(self) -> String {
        let Self {
            stdin, mut stdout, ..
        } = self;
        drop(stdin);
        let mut said = String::new();
        let _ = std::io::Read::read_to_string(&mut stdout, &mut said);
        said
    }

    /// Lets it run until this process ends, and returns its address.
    pub(super) fn keep(self) -> String {
        std::mem::forget(self.stdin);
        self.address
    }
}

/// In a process group of its own, which Ctrl-C does not reach.
#[cfg(unix)]
fn apart(command: &mut Command, user: User) {
    use std::os::unix::process::CommandExt;

    command.process_group(0);
    #[cfg(all(feature = "postgres", target_os = "linux"))]
    if user == User::Ordinary
        && rustix::process::geteuid().is_root()
        && let Some((user, group)) = somebody_else()
    {
        command.uid(user).gid(group);
    }
    #[cfg(not(all(feature = "postgres", target_os = "linux")))]
    let _ = user;
}

#[cfg(not(unix))]
fn apart(_: &mut Command, _: User) {}

/// Numbers of the user `postgres` and its group, or else of `nobody`.
#[cfg(all(feature = "postgres", target_os = "linux"))]
fn somebody_else() -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let find = |name: &str| users.lines().find_map(|line| ids(line, name));
    find("postgres").or_else(|| find("nobody"))
}

/// `name:password:user:group:…`
#[cfg(all(feature = "postgres", target_os = "linux"))]
fn ids(line: &str, name: &str) -> Option<(u32, u32)> {
    let fields: Vec<&str> = line.split(':').collect();
    match fields[..] {
        [this, _, user, group, ..] if this == name => Some((user.parse().ok()?, group.parse().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(feature = "postgres", target_os = "linux"))]
    fn a_user_is_found_by_the_whole_name() {
        let line = "postgres:x:101:103:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash";
        assert_eq!(ids(line, "postgres"), Some((101, 103)));
        assert_eq!(ids(line, "post"), None);
    }

    #[test]
    fn what_a_script_says_is_the_report_if_it_ends() {
        let script = "echo \"no $1\"; echo at all; exit 1";
        let ended = LocalServer::start(script, &[OsStr::new("server")], User::Own);
        assert_eq!(ended.err().as_deref(), Some("no server\nat all\n"));
    }
}
