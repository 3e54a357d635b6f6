//! `outbox top` in a pseudo-terminal: it shows the log, follows the terminal's size, and gives the terminal back.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use outbox_tests::TestDatabase;
use outbox_tests::program::{self, Ran};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use vt100::Screen;

use crate::scene::{LIMIT, commit};

/// Rows and columns.
type Size = (NonZero<u16>, NonZero<u16>);

const WIDE: Size = (NonZero::new(30).unwrap(), NonZero::new(120).unwrap());
const NARROW: Size = (NonZero::new(20).unwrap(), NonZero::new(60).unwrap());

/// A terminal with a program in it, and what it shows.
struct Terminal {
    own: File,
    other: File,
    program: Child,
    output: Receiver<Vec<u8>>,
    shows: vt100::Parser,
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
        set_size(&own, WIDE);
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
            shows: vt100::Parser::new(WIDE.0, WIDE.1, 0),
        }
    }

    /// Waits until the terminal shows what is wanted. It is drawn again and again, so that only a deadline ends this.
    fn until(&mut self, wanted: &str, shown: impl Fn(&Screen) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !shown(self.shows.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.shows.process(&bytes),
                Err(error) => panic!("{wanted}: {error}; {}", self.shows.screen().contents()),
            }
        }
    }

    fn resize(&mut self, (rows, columns): Size) {
        self.shows.screen_mut().set_size(rows, columns);
        set_size(&self.own, (rows, columns));
    }

    fn press(&mut self, key: &[u8]) {
        self.own.write_all(key).unwrap();
    }

    /// Reads on until the program has ended.
    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.program.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the program does not end");
            if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(10)) {
                self.shows.process(&bytes);
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Where a test failed; otherwise it has ended.
        let _ = self.program.kill();
    }
}

fn set_size(terminal: &File, (rows, columns): Size) {
    let size = Winsize {
        ws_row: rows.get(),
        ws_col: columns.get(),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

/// The word behind this name in the frame.
fn value<'screen>(contents: &'screen str, name: &str) -> Option<&'screen str> {
    let line = contents
        .lines()
        .find_map(|line| line.strip_prefix('│')?.strip_prefix(name))?;
    line.split_whitespace().next()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_follows_the_log_and_the_terminal_and_leaves_both_as_they_were() {
    let database = TestDatabase::postgres().await;
    let arguments = format!("top -D {} --interval 100ms --timeout 30s", database.url());
    for (waiting, quit) in [(1, &b"q"[..]), (2, b"\x03")] {
        let mut terminal = Terminal::start(&arguments);
        let shows = |messages: usize| {
            move |screen: &Screen| value(&screen.contents(), "backlog") == Some(messages.to_string().as_str())
        };
        terminal.until("the backlog before", shows(waiting - 1));
        assert!(terminal.shows.screen().alternate_screen());
        commit(&database.pool, "orders", 1).await;
        terminal.until("one message more", shows(waiting));
        terminal.resize(NARROW);
        terminal.until("a frame as wide as the terminal", |screen| {
            screen.cell(1, 59).is_some_and(|cell| cell.contents() == "│")
        });
        terminal.press(quit);
        terminal.until("the screen from before", |screen| !screen.alternate_screen());
        assert_eq!(terminal.ended().code(), Some(0), "after {quit:?}");
        assert_eq!(terminal.shows.screen().contents(), "", "after {quit:?}");
        // The settings of the first start are those from before.
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
