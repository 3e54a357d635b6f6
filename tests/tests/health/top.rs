//! `outbox top` in a pseudo-terminal: it shows the log, follows the terminal's size, and gives the terminal back.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use outbox_tests::TestDatabase;
use outbox_tests::program::{self, Ran};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::scene::{LIMIT, commit};

/// A terminal with a program in it.
struct Terminal {
    own: File,
    other: File,
    program: Child,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn start(arguments: &str) -> Self {
        let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&own).unwrap();
        unlockpt(&own).unwrap();
        let path = ptsname(&own, Vec::new()).unwrap();
        let open = File::options()
            .read(true)
            .write(true)
            .open(path.to_str().unwrap());
        let (own, other) = (File::from(own), open.unwrap());
        let end = || Stdio::from(other.try_clone().unwrap());
        resize(&own, 120, 30);
        // A session of its own, whose terminal this is: so it hears of new sizes.
        let program = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(program::program())
            .args(arguments.split_whitespace())
            .arg("--no-dotenv")
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let (sender, output) = channel();
        let mut reading = own.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = reading.read(&mut bytes) {
                if count == 0 || sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            own,
            other,
            program,
            output,
            seen: String::new(),
        }
    }

    /// Reads on until this was drawn; what came before is forgotten.
    fn until(&mut self, words: &str) {
        while !self.seen.contains(words) {
            match self.output.recv_timeout(LIMIT) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(error) => panic!("no {words:?}: {error}; {:?}", self.seen),
            }
        }
        let end = self.seen.find(words).unwrap() + words.len();
        self.seen.drain(..end);
    }

    fn press(&mut self, key: &[u8]) {
        self.own.write_all(key).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Where a test failed; otherwise it has ended.
        let _ = self.program.kill();
    }
}

fn resize(terminal: &File, columns: u16, rows: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_follows_the_log_and_the_terminal_and_leaves_both_as_they_were() {
    let database = TestDatabase::postgres().await;
    let arguments = format!("top -D {} --interval 100ms --timeout 30s", database.url());
    for (waiting, quit) in [(1, &b"q"[..]), (2, b"\x03")] {
        let mut terminal = Terminal::start(&arguments);
        // Before it draws, it takes the terminal; the settings from before are read here, or those of the first start.
        terminal.until("\x1b[?1049h");
        terminal.until("backlog");
        terminal.until("leader");
        commit(&database.pool, "orders", 1).await;
        // Only the number is drawn again.
        terminal.until(&format!("\x1b[2;18H{waiting}"));
        // The right border is where the terminal ends.
        resize(&terminal.own, 60, 20);
        terminal.until("\x1b[2;60H");
        terminal.press(quit);
        terminal.until("\x1b[?1049l");
        assert_eq!(terminal.program.wait().unwrap().code(), Some(0), "after {quit:?}");
        let settings = tcgetattr(&terminal.other).unwrap();
        let local = settings.local_modes;
        assert!(
            local.contains(rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO),
            "the terminal stays raw after {quit:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_can_be_printed_without_a_terminal() {
    let database = TestDatabase::postgres().await;
    commit(&database.pool, "orders", 1).await;
    let line = format!("top -D {} --timeout 30s --max-without-relay 0s", database.url());
    let printed = Ran::of(&mut program::command(&format!("{line} --once")))
        .await
        .done();
    for words in [
        "outbox top  /test_",
        "degraded",
        "backlog         1 messages",
        "leader          none",
        "1 messages wait, and no relay has ever been active",
    ] {
        assert!(printed.contains(words), "no {words:?} in\n{printed}");
    }
    assert!(!printed.contains('\x1b'), "{printed:?}");
    let without = Ran::of(&mut program::command(&line)).await;
    without.fails(2, &["needs a terminal", "--once"]);
}
