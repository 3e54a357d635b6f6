//! Topic health during a pipeline run: when a topic becomes suspect because its records do not come back, and when
//! it no longer is.

use tokio::time::Instant;

use super::run::PipelineRun;
use crate::publisher::{Publisher, Ticket};
use crate::relay::run_end::RunEnd;
use crate::relay::topic_health::SuspectUntil;

/// How long the cursor has waited for one and the same record.
pub(in crate::relay) struct Front {
    ticket: Option<Ticket>,
    since: Instant,
}

impl Front {
    pub(in crate::relay) fn new() -> Self {
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

impl<P: Publisher> PipelineRun<'_, P> {
    /// Makes topics suspect, and clears them. An end is returned when records that were held back have to be read again.
    pub(super) fn check_topic_health(&mut self) -> Result<(), RunEnd> {
        let in_flight = &self.delivery.in_flight;
        let held_up = || {
            let topic = in_flight.held_front()?;
            Some((self.delivery.keys.held_up_by(topic)?, topic))
        };
        let front = in_flight.front().or_else(held_up);
        self.front.look(front.map(|(ticket, _)| ticket));
        let waited = self.front.since.elapsed();
        if let Some((_, topic)) = front
            && waited >= self.config.suspend_after
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
        self.clear_suspects()
    }

    fn clear_suspects(&mut self) -> Result<(), RunEnd> {
        let now = Instant::now();
        let has_read_all = self.has_read_all();
        let (in_flight, parking) = (&self.delivery.in_flight, &self.delivery.parking);
        let over = self
            .delivery
            .topics
            .suspects()
            .filter(|(topic, suspicion)| match suspicion.until {
                // What others have in flight would have to be awaited, however long it takes; and they may be
                // among those that are still to be read.
                SuspectUntil::Tried(at) => now >= at && in_flight.outstanding() == 0 && has_read_all,
                SuspectUntil::Settled(first) => !in_flight.is_outstanding(first) && parking.is_idle(*topic),
            });
        let over: Vec<_> = over.map(|(topic, _)| topic).collect();
        let mut again = false;
        for topic in over {
            again |= self.delivery.in_flight.holds(topic);
            self.delivery.topics.recover(topic);
        }
        match again {
            true => Err(RunEnd::Again),
            false => Ok(()),
        }
    }

    /// When a topic has to be looked at again though nothing happens.
    pub(super) fn next_topic_check(&self) -> Option<Instant> {
        let waiting = self.delivery.in_flight.outstanding() > 0 || !self.has_read_all();
        let tried = self
            .delivery
            .topics
            .suspects()
            .filter_map(|(_, suspicion)| match suspicion.until {
                SuspectUntil::Tried(at) if !waiting => Some(at),
                SuspectUntil::Tried(_) | SuspectUntil::Settled(_) => None,
            });
        let stalls = self.front.ticket.and_then(|_| {
            let at = self.front.since + self.config.suspend_after;
            (at > Instant::now()).then_some(at)
        });
        tried.chain(stalls).min()
    }
}
