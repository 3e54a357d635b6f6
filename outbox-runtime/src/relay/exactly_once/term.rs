//! One lease's worth of exactly-once delivery: session after session.

use super::lanes::Lanes;
use super::session::Session;
use super::start::{Failed, start};
use crate::failpoint::{self, Place as Failpoint};
use crate::publisher::{PublishError, PublishErrorKind, Publisher};
use crate::relay::backoff::Backoff;
use crate::relay::pass::End;
use crate::relay::stop::Stop;
use crate::relay::tenure::Tenure;
use crate::relay::term::{Next, TermEnd};
use crate::relay::{Goal, Relay};
use crate::store::{Reader as _, Store};

impl<S: Store, P: Publisher> Relay<S, P> {
    pub(in crate::relay) async fn exactly_once_term(
        &mut self,
        tenure: &Tenure<S>,
        goal: Goal,
        stop: &Stop,
    ) -> TermEnd {
        let _wakes = self.forward_wakes();
        let _room = self.make_room();
        let end = self.sessions(tenure, goal, stop).await;
        if let Some(transactions) = self.transactions.as_mut() {
            transactions.close().await;
        }
        self.delivery.progress.set_in_flight(0);
        end
    }

    async fn sessions(&mut self, tenure: &Tenure<S>, goal: Goal, stop: &Stop) -> TermEnd {
        let mut backoff = Backoff::new(&self.config);
        loop {
            let delivered = self.delivery.report.delivered;
            let end = self.session(tenure, goal, stop).await;
            if self.delivery.report.delivered > delivered {
                backoff.reset();
            }
            let next = match end {
                End::LeaseLost => Next::End(TermEnd::LeaseLost),
                End::Stopped | End::Drained => Next::End(TermEnd::Done),
                End::Store(error) => self.after_store_error(error, goal),
                End::Broker(error) | End::Refused(error) => self.after_transaction_error(error),
                End::Again => continue,
            };
            if let Next::End(end) = next {
                return end;
            }
            self.delivery.report.interruptions += 1;
            tokio::select! {
                biased;
                () = tenure.over() => return TermEnd::LeaseLost,
                () = stop.asked() => return TermEnd::Done,
                () = tokio::time::sleep(backoff.next()) => {}
            }
        }
    }

    async fn session(&mut self, tenure: &Tenure<S>, goal: Goal, stop: &Stop) -> End {
        let Some(transactions) = self.transactions.as_deref_mut() else {
            let what = "this publisher has no transactions, which exactly-once delivery rests on";
            return End::Refused(PublishError::new(PublishErrorKind::Configuration, what));
        };
        let opening = async {
            let mut reader = self.store.open_reader(tenure.fence()).await?;
            failpoint::reach(Failpoint::CursorClaimed);
            let place = start(&mut reader, &mut *transactions).await?;
            let parked = reader.parked_topics().await?;
            let lettered = match self.config.block.is_empty() {
                true => Vec::new(),
                false => reader.lettered_topics().await?,
            };
            let lanes = Lanes::new(&self.config, &parked, &lettered);
            Ok::<_, Failed>((reader, place, lanes))
        };
        let opened = tokio::select! {
            biased;
            () = tenure.over() => return End::LeaseLost,
            () = stop.asked() => return End::Stopped,
            opened = opening => opened,
        };
        let (reader, place, lanes) = match opened {
            Ok(opened) => {
                self.has_worked = true;
                opened
            }
            Err(Failed::Store(error)) => return End::Store(error),
            Err(Failed::Broker(error)) => return End::Refused(error),
        };
        let session = Session::new(
            reader,
            place,
            lanes,
            transactions,
            &mut self.delivery,
            &self.config,
            self.waker.clone(),
            (tenure, goal, stop),
        );
        session.run().await
    }
}
