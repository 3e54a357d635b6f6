//! What operators do to the log while everything else goes on: they rewind it, skip messages, pause and throttle.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use outbox_runtime::Tables;
use outbox_runtime::store::{
    Controls, DeadLetterFilter, DeadLetters, Decision, PauseScope, Rate, RewindError, RewindTo, Skip,
    StoreError, ThrottleScope,
};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use uuid::Uuid;

use super::kind::Kind;
use super::passes::Pass;
use super::rewinds::Rewound;
use super::scene::{Scene, TOPICS, UNWATCHED};
use crate::wait_until;

/// How long messages are waited for that can be skipped.
const FOR_MESSAGES: Duration = Duration::from_secs(3);

/// How long a decision may take to be taken back, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long a message that is to be skipped may take to get its turn, once nothing is in the way.
const FOR_TURNS: Duration = Duration::from_secs(240);

/// The messages from a number on, but those that nobody reads.
const FROM: &str = "SELECT id, topic FROM outbox_messages WHERE seq >= $1 AND topic <> $2";

/// Older messages that may come with them: the cursor is not past them, and it forgets which of them it has delivered.
const LATE: &str = "SELECT m.id FROM outbox_messages m, outbox_cursor c
    WHERE m.seq < $1 AND NOT pg_visible_in_snapshot(m.xid, c.from_snapshot)";

/// The message so many before the one where the cursor is; else the oldest.
const BACK: &str = "SELECT coalesce(
    (SELECT m.seq FROM outbox_messages m, outbox_cursor c WHERE m.seq <= greatest(c.high, c.position)
     ORDER BY m.seq DESC OFFSET $1 LIMIT 1),
    (SELECT min(seq) FROM outbox_messages))";

const NEWEST: &str = "SELECT max(seq) FROM outbox_messages";

/// What an operator does.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    /// So many messages back, and perhaps while those of a topic that was paused are being sent.
    Rewind(i64, Option<Resumed>),
    /// So many messages.
    Skip(usize),
    Pause(PauseScope),
    /// So many messages in a second.
    Throttle(ThrottleScope, u64),
}

/// A pause that ends just before something else.
#[derive(Debug, Clone)]
pub(super) struct Resumed {
    topic: String,
    paused_for: Duration,
    before: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    Rewound(Rewound),
    /// Messages that are set aside when their turn comes, if it had not come before.
    Skipped(Vec<Uuid>),
    Decided,
}

impl Operation {
    /// # Panics
    /// For a kind that is none of an operator's.
    pub(super) fn draw(kind: Kind, random: &mut StdRng) -> Self {
        let topic = |random: &mut StdRng| (*TOPICS.choose(random).expect("there are topics")).to_owned();
        match kind {
            Kind::LogRewound => {
                let back = random.random_range(1..4_000);
                let resumed = random.random_bool(0.4).then(|| Resumed {
                    topic: topic(random),
                    paused_for: Duration::from_millis(random.random_range(600..2_000)),
                    before: Duration::from_millis(random.random_range(0..700)),
                });
                Self::Rewind(back, resumed)
            }
            Kind::MessagesSkipped => Self::Skip(random.random_range(1..=5)),
            Kind::SendingPaused => Self::Pause(match random.random_range(0..4) {
                0 => PauseScope::Log,
                1 => PauseScope::Topic(topic(random)),
                2 => PauseScope::key(None, key(random)),
                _ => PauseScope::key(Some(&topic(random)), key(random)),
            }),
            Kind::SendingThrottled => {
                let scope = match random.random_bool(0.5) {
                    true => ThrottleScope::Log,
                    false => ThrottleScope::Topic(topic(random)),
                };
                Self::Throttle(scope, random.random_range(20..500))
            }
            kind => unreachable!("{kind} is no operator's"),
        }
    }
}

/// One of the writers' keys.
fn key(random: &mut StdRng) -> String {
    format!("key-{}", random.random_range(0..20))
}

fn decision() -> Decision {
    Decision::new("torture", "to see what comes of it")
}

impl Scene {
    fn controls(&self) -> Controls {
        Controls::in_postgres(&self.pool, &Tables::default())
    }

    /// Nothing if the database refused, or there was no message to do it to.
    pub(super) async fn operate(&self, operation: &Operation) -> Option<Done> {
        match operation {
            Operation::Rewind(back, resumed) => {
                if let Some(resumed) = resumed {
                    self.pause_for_a_while(resumed).await;
                }
                self.rewind(*back).await.map(Done::Rewound)
            }
            Operation::Skip(count) => self.skip(*count).await.map(Done::Skipped),
            Operation::Pause(scope) => {
                let paused = self.controls().pause(scope, &decision()).await;
                paused.ok().map(|_| Done::Decided)
            }
            Operation::Throttle(scope, messages) => {
                let rate = Rate {
                    messages_per_second: Some(*messages),
                    bytes_per_second: None,
                };
                let throttled = self.controls().throttle(scope, rate, &decision()).await;
                throttled.ok().map(|_| Done::Decided)
            }
        }
    }

    /// Takes back what stays until it is taken back.
    pub(super) async fn end_operation(&self, operation: &Operation) {
        match operation {
            Operation::Rewind(..) | Operation::Skip(_) => {}
            Operation::Pause(scope) => {
                self.decide(async |controls| controls.resume(scope, &decision()).await)
                    .await;
            }
            Operation::Throttle(scope, _) => {
                let off = Rate::default();
                self.decide(async |controls| controls.throttle(scope, off, &decision()).await)
                    .await;
            }
        }
    }

    async fn decide(&self, decide: impl AsyncFn(&Controls) -> Result<bool, StoreError>) {
        let controls = self.controls();
        wait_until("a decision to be taken back", PATIENCE, async || {
            decide(&controls).await.ok()
        })
        .await;
    }

    async fn pause_for_a_while(&self, resumed: &Resumed) {
        let scope = PauseScope::Topic(resumed.topic.clone());
        if self.controls().pause(&scope, &decision()).await.is_ok() {
            tokio::time::sleep(resumed.paused_for).await;
            self.end_operation(&Operation::Pause(scope)).await;
            tokio::time::sleep(resumed.before).await;
        }
    }

    async fn rewind(&self, back: i64) -> Option<Rewound> {
        let from: Option<i64> = sqlx::query_scalar(BACK)
            .bind(back)
            .fetch_one(&self.pool)
            .await
            .ok()?;
        let from = match self.controls().rewind_outlook(RewindTo::Seq(from?)).await {
            Ok(outlook) => outlook.from_seq?,
            Err(RewindError::TooFar { oldest }) => oldest?.0,
            Err(_) => return None,
        };
        let (begun, arrived) = (Instant::now(), self.watcher.records());
        let late = sqlx::query_scalar::<_, Uuid>(LATE).bind(from);
        let late = late.fetch_all(&self.pool).await.ok()?;
        let before = self.messages_from(from).await.ok()?;
        let arrivals = self.watcher.arrivals(before.keys());
        let outlook = self.controls().rewind(RewindTo::Seq(from), &decision()).await;
        let from = outlook.ok()?.from_seq?;
        // Others were deleted: before the rewind, or because they were sent again meanwhile.
        let after = self.messages_from(from).await.ok()?;
        let newest: Option<i64> = sqlx::query_scalar(NEWEST).fetch_one(&self.pool).await.ok()?;
        let awaited = after.iter().filter_map(|(id, topic)| {
            let so_often = arrivals.get(id).copied().filter(|so_often| *so_often > 0)?;
            Some((*id, (topic.clone(), so_often)))
        });
        Some(Rewound {
            begun,
            newest: newest?,
            awaited: awaited.collect(),
            pass: Pass {
                before: arrived,
                begun: self.watcher.records(),
                ids: after.keys().copied().collect(),
            },
            ids: before.into_keys().chain(after.into_keys()).chain(late).collect(),
        })
    }

    /// Ids and topics.
    async fn messages_from(&self, seq: i64) -> sqlx::Result<HashMap<Uuid, String>> {
        let query = sqlx::query_as(FROM).bind(seq).bind(UNWATCHED);
        let rows: Vec<(Uuid, String)> = query.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().collect())
    }

    /// While the log is paused: messages wait then.
    async fn skip(&self, count: usize) -> Option<Vec<Uuid>> {
        let controls = self.controls();
        controls.pause(&PauseScope::Log, &decision()).await.ok()?;
        let skipped = self.skip_some(&controls, count).await;
        self.end_operation(&Operation::Pause(PauseScope::Log)).await;
        (!skipped.is_empty()).then(|| skipped.into_iter().collect())
    }

    async fn skip_some(&self, controls: &Controls, count: usize) -> HashSet<Uuid> {
        let newest = "SELECT id FROM outbox_messages WHERE topic <> $1 ORDER BY seq DESC LIMIT 20";
        let (started, mut skipped) = (Instant::now(), HashSet::new());
        while skipped.len() < count && started.elapsed() < FOR_MESSAGES {
            let query = sqlx::query_scalar::<_, Uuid>(newest).bind(UNWATCHED);
            for id in query.fetch_all(&self.pool).await.unwrap_or_default() {
                let is_new = skipped.len() < count && !skipped.contains(&id);
                if is_new
                    && matches!(
                        controls.skip(id, &decision()).await,
                        Ok(Skip::Requested | Skip::Done)
                    )
                {
                    skipped.insert(id);
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        skipped
    }

    /// Waits until each of these was sent or set aside, and has those sent that were set aside, which it returns.
    ///
    /// # Errors
    /// One did not get its turn.
    pub(super) async fn replay_skipped(&self, ids: &[Uuid]) -> Result<Vec<Uuid>, String> {
        let (controls, started) = (self.controls(), Instant::now());
        let letters = DeadLetters::in_postgres(&self.pool, &Tables::default());
        let mut set_aside = Vec::new();
        for id in ids {
            loop {
                match controls.skipped(*id).await {
                    Ok(Skip::Done) => set_aside.push(*id),
                    Ok(Skip::NotWaiting) => {}
                    _ if started.elapsed() > FOR_TURNS => {
                        return Err(format!(
                            "{id} is to be skipped, and had no turn within {FOR_TURNS:?}"
                        ));
                    }
                    _ => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                }
                break;
            }
        }
        if !set_aside.is_empty() {
            let filter = DeadLetterFilter {
                ids: set_aside.clone(),
                ..DeadLetterFilter::default()
            };
            let replayed = letters.request_replay(&filter).await;
            let replayed =
                replayed.map_err(|error| format!("skipped messages cannot be replayed: {error}"))?;
            // One that was in flight when its turn came may have been delivered meanwhile, and is not there any more.
            if usize::try_from(replayed).is_ok_and(|replayed| replayed > set_aside.len()) {
                return Err(format!("of {set_aside:?}, {replayed} are replayed"));
            }
        }
        Ok(set_aside)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rewind(back, None) => write!(formatter, "{back} messages"),
            Self::Rewind(back, Some(resumed)) => write!(
                formatter,
                "{back} messages, {:?} after {} was paused for {:?}",
                resumed.before, resumed.topic, resumed.paused_for
            ),
            Self::Skip(count) => write!(formatter, "{count} messages"),
            Self::Pause(scope) => write!(formatter, "{scope}"),
            Self::Throttle(scope, messages) => write!(formatter, "{scope}, {messages} messages/s"),
        }
    }
}
