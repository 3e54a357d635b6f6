//! How the events of all linked crates find together: each derive leaves a constant, which `inventory` strings up before
//! `main`. A crate that nothing in the program uses is not linked, and its events are not here.

use super::descriptor::EventDescriptor;
use super::document::SourceLocation;

/// What a derive leaves.
#[doc(hidden)]
pub enum Registration {
    Event(EventDescriptor),
    /// A generic event whose forms nobody named: it can be emitted, and the catalog cannot know as what.
    Formless(FormlessEvent),
}

inventory::collect!(Registration);

/// The place of a generic event without `instances(…)`.
#[doc(hidden)]
pub struct FormlessEvent {
    pub rust_type: &'static str,
    pub file: &'static str,
    pub line: u32,
}

impl FormlessEvent {
    pub(super) fn location(&self) -> SourceLocation {
        SourceLocation {
            file: self.file.to_owned(),
            line: self.line,
        }
    }
}

/// All events that are linked into this program, in no order.
pub(super) fn events() -> impl Iterator<Item = &'static EventDescriptor> {
    inventory::iter::<Registration>
        .into_iter()
        .filter_map(|registration| match registration {
            Registration::Event(event) => Some(event),
            Registration::Formless(_) => None,
        })
}

/// The generic events without a form.
pub(super) fn formless() -> impl Iterator<Item = &'static FormlessEvent> {
    inventory::iter::<Registration>
        .into_iter()
        .filter_map(|registration| match registration {
            Registration::Event(_) => None,
            Registration::Formless(event) => Some(event),
        })
}
