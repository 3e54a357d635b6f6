//! The terminal: taken when this begins, and given back as it was, also after a panic.

use std::io;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use super::looks::Look;
use super::view;

pub(super) struct Screen(DefaultTerminal);

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }

    pub(super) fn draw(&mut self, look: &Look) -> io::Result<()> {
        self.0.draw(|frame| view::draw(frame, look)).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is there to read it.
        let _ = ratatui::try_restore();
    }
}

/// What somebody wants.
pub(super) enum Key {
    Quit,
    Redraw,
}

impl Key {
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => match key.code {
                KeyCode::Char('q') | KeyCode::Esc => Some(Self::Quit),
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Self::Quit),
                _ => None,
            },
            Event::Resize(..) => Some(Self::Redraw),
            _ => None,
        }
    }
}

/// Reads keys in a thread of its own, which ends with the process. Closed when the terminal is gone.
pub(super) fn keys() -> mpsc::Receiver<Key> {
    let (sender, receiver) = mpsc::channel(8);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if let Some(key) = Key::of(&event)
                && sender.blocking_send(key).is_err()
            {
                return;
            }
        }
    });
    receiver
}
