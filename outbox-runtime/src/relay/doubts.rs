//! Topics in doubt while a pass goes on: when one is doubted because its records do not come back, and when a
//! doubt is over.

use tokio::time::Instant;

use super::pass::{End, Pass};
use super::topics::Until;
use crate::publisher::{Publisher, Ticket};
use crate::store::Store;

/// How long the cursor has waited for one and the same record.
pub(super) struct Front {
    ticket: Option<Ticket>,
    since: Instant,
}

impl Front {
    pub(super) fn new() -> Self {
        Self {
            ticket: None,
            since: Instant::now(),
        }
    }

    fn look(&mut self, ticket: Option<Ticket>) {
        if self.ticket != ticket {
            *self = Self {
                ticket,
                since: Instant::now(),
            };
        }
    }
}

impl<S: Store, P: Publisher> Pass<'_, S, P> {
    /// Begins and ends doubts. An end is returned when records that were held back have to be read again.
    pub(super) fn tend_doubts(&mut self) -> Option<End> {
        let in_flight = &self.delivery.in_flight;
        let held_up = || {
            let topic = in_flight.held_front()?;
            Some((self.delivery.keys.held_up_by(topic)?, topic))
        };
        let front = in_flight.front().or_else(held_up);
        self.front.look(front.map(|(ticket, _)| ticket));
        let waited = self.front.since.elapsed();
        if let Some((_, topic)) = front
            && waited >= self.config.set_aside_after
        {
            let since = self.front.since;
            let silent = in_flight
                .loaded()
                .filter(|(other, load)| *other == topic || load.moved.is_some_and(|moved| moved < since));
            for topic in silent.map(|(topic, _)| topic).collect::<Vec<_>>() {
                self.delivery.fall_silent(topic, waited);
            }
        }
        self.delivery.make_way();
        self.end_doubts()
    }

    fn end_doubts(&mut self) -> Option<End> {
        let now = Instant::now();
        let has_read_all = self.has_read_all();
        let (in_flight, parking) = (&self.delivery.in_flight, &self.delivery.parking);
        let over = self
            .delivery
            .topics
            .doubtful()
            .filter(|(topic, doubt)| match doubt.until {
                // What others have on its way would have to be awaited, however long it takes; and they may be
                // among those that are still to be read.
                Until::Tried(at) => now >= at && in_flight.outstanding() == 0 && has_read_all,
                Until::Settled(first) => !in_flight.is_outstanding(first) && parking.is_ashore(*topic),
            });
        let over: Vec<_> = over.map(|(topic, _)| topic).collect();
        let mut again = false;
        for topic in over {
            again |= self.delivery.in_flight.holds(topic);
            self.delivery.topics.trust(topic);
        }
        again.then_some(End::Again)
    }

    /// When a doubt begins or ends that nobody tells of.
    pub(super) fn next_doubt(&self) -> Option<Instant> {
        let waiting = self.delivery.in_flight.outstanding() > 0 || !self.has_read_all();
        let tried = self
            .delivery
            .topics
            .doubtful()
            .filter_map(|(_, doubt)| match doubt.until {
                Until::Tried(at) if !waiting => Some(at),
                Until::Tried(_) | Until::Settled(_) => None,
            });
        let stalls = self.front.ticket.and_then(|_| {
            let at = self.front.since + self.config.set_aside_after;
            (at > Instant::now()).then_some(at)
        });
        tried.chain(stalls).min()
    }
}
