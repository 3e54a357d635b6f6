//! What a test says of the events that were committed.

use serde::de::DeserializeOwned;

use super::emitted::NotRead;
use super::report::{self, Entry};
use super::{Emitted, TestDatabase, TestOutbox};
use crate::event::OutboxEvent;
use crate::message::OutboxMessage;

impl<DB: TestDatabase> TestOutbox<DB> {
    /// Asserts that an event of this type that fulfils `condition` was committed, and returns it: the first one that no
    /// earlier assertion has found. Two calls therefore assert two events.
    ///
    /// # Panics
    /// There is none. The report lists what was emitted.
    #[track_caller]
    pub fn assert_emitted<E: OutboxEvent + DeserializeOwned>(
        &self,
        condition: impl Fn(&E) -> bool,
    ) -> impl Future<Output = Emitted<E>> {
        let caller = std::panic::Location::caller();
        async move {
            let messages = self.messages().await;
            let mut undecodable = None;
            for message in &messages {
                if self.asserted().contains(&message.id()) {
                    continue;
                }
                match Emitted::read(message.clone()) {
                    Ok(emitted) if condition(&emitted) => {
                        self.asserted().insert(message.id());
                        return emitted;
                    }
                    Err(NotRead::Undecodable(error)) if message.event_type() == report::short_name::<E>() => {
                        undecodable = Some(error);
                    }
                    Ok(_) | Err(NotRead::Another | NotRead::Undecodable(_)) => {}
                }
            }
            let undecodable = undecodable.map_or_else(String::new, |error| {
                format!("\none with its name is not read as this type: {error}")
            });
            panic!(
                "{caller}: no `{}` that was not asserted before meets the condition{undecodable}\n{}",
                report::short_name::<E>(),
                self.listed(&messages),
            )
        }
    }

    /// Asserts that exactly these events were committed, in this order, besides those that earlier assertions have
    /// found: topic, key, type, payload and declared headers. Events of any types:
    /// `&[&placed as &dyn OutboxEvent, &paid]`.
    ///
    /// # Panics
    /// Others were. The report is the difference.
    #[track_caller]
    pub fn assert_emitted_exactly(&self, expected: &[&dyn OutboxEvent]) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let expected: Vec<Entry> = expected.iter().map(|event| Entry::of_event(*event)).collect();
        async move {
            let messages = self.messages().await;
            let new: Vec<&OutboxMessage> = {
                let asserted = self.asserted();
                messages
                    .iter()
                    .filter(|message| !asserted.contains(&message.id()))
                    .collect()
            };
            let emitted: Vec<Entry> = new.iter().map(|message| Entry::of_message(message)).collect();
            if let Some(difference) = report::difference(&expected, &emitted) {
                panic!("{caller}: other events were emitted than expected\n{difference}");
            }
            self.asserted().extend(new.iter().map(|message| message.id()));
        }
    }

    /// Asserts that all committed events were found by earlier assertions.
    ///
    /// # Panics
    /// There are others. The report lists what was emitted.
    #[track_caller]
    pub fn assert_nothing_else(&self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let messages = self.messages().await;
            let others = {
                let asserted = self.asserted();
                messages
                    .iter()
                    .filter(|message| !asserted.contains(&message.id()))
                    .count()
            };
            assert!(
                others == 0,
                "{caller}: {others} of {} emitted events were not asserted\n{}",
                messages.len(),
                self.listed(&messages),
            );
        }
    }

    fn listed(&self, messages: &[OutboxMessage]) -> String {
        let asserted = self.asserted();
        report::list(
            messages
                .iter()
                .map(|message| (asserted.contains(&message.id()), Entry::of_message(message))),
        )
    }
}
