//! Handlers by the type of what they handle.

use std::collections::HashMap;
use std::future::Future;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use crate::database::OutboxDatabase;
use crate::inbox::InboxMessage;
use crate::transaction::{OutboxTx, RetryableError};

/// An async function or closure that handles an event. Its arguments are the transaction, the message, and
/// the decoded value.
///
/// Every `async |tx, message, event: OrderPlacedV1| { … }` and every such `async fn` whose future is `Send`
/// implements it. It is not implemented by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler of messages",
    label = "a handler is `async |tx, message, event: OrderPlacedV1| {{ …; Ok::<_, MyError>(()) }}`, and all that it holds across an await is `Send`",
    note = "or `async fn f(tx: &mut OutboxTx<'_, Postgres>, message: &InboxMessage, event: OrderPlacedV1) -> Result<(), MyError>`"
)]
pub trait MessageHandler<'a, DB: OutboxDatabase, E, Err>:
    FnOnce(&'a mut OutboxTx<'static, DB>, &'a InboxMessage, E) -> Self::Running
{
    #[doc(hidden)]
    type Running: Future<Output = Result<(), Err>> + Send + 'a;
}

impl<'a, DB, E, Err, F, Running> MessageHandler<'a, DB, E, Err> for F
where
    DB: OutboxDatabase,
    F: FnOnce(&'a mut OutboxTx<'static, DB>, &'a InboxMessage, E) -> Running,
    Running: Future<Output = Result<(), Err>> + Send + 'a,
{
    type Running = Running;
}

/// A handler that has its event, and waits for a transaction.
pub(super) type Ready<DB> = Box<
    dyn for<'a> FnOnce(&'a mut OutboxTx<'static, DB>, &'a InboxMessage) -> BoxFuture<'a, Result<(), Failure>>
        + Send,
>;

/// A handler that reads its event from a message.
type Reader<DB> = Box<dyn Fn(&InboxMessage) -> Result<Ready<DB>, Failure> + Send + Sync>;

/// Which messages a handler gets.
pub(super) enum Of {
    Type(String),
    Topic(String),
}

/// All handlers of a consumer.
pub(super) struct Handlers<DB: OutboxDatabase> {
    by_type: HashMap<String, Reader<DB>>,
    /// Of messages whose type has no handler.
    by_topic: HashMap<String, Reader<DB>>,
    /// Types and topics that were given twice.
    pub(super) doubled: Vec<String>,
}

impl<DB: OutboxDatabase> Handlers<DB> {
    pub(super) fn new() -> Self {
        Self {
            by_type: HashMap::new(),
            by_topic: HashMap::new(),
            doubled: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_type.is_empty() && self.by_topic.is_empty()
    }

    /// The topics of which all messages have a handler.
    pub(super) fn topics(&self) -> impl Iterator<Item = &String> {
        self.by_topic.keys()
    }

    /// These handlers, where all topics have a prefix in the cluster.
    pub(super) fn with_topic_prefix(mut self, prefix: &str) -> Self {
        let topics = self.by_topic.into_iter();
        self.by_topic = topics
            .map(|(topic, reader)| (format!("{prefix}{topic}"), reader))
            .collect();
        self
    }

    /// Adds one whose event is read as JSON.
    pub(super) fn add<E, Err, M, F>(&mut self, of: Of, handler: F)
    where
        F: for<'a> MessageHandler<'a, DB, E, Err> + Clone + Send + Sync + 'static,
        E: DeserializeOwned + Send + 'static,
        Err: RetryableError<M> + 'static,
    {
        self.insert(
            of,
            reader(handler, |message| {
                message.json().map_err(|error| Failure::undecodable(&error))
            }),
        );
    }

    /// Adds one that reads its message by itself.
    pub(super) fn add_raw<Err, M, F>(&mut self, of: Of, handler: F)
    where
        F: for<'a> MessageHandler<'a, DB, (), Err> + Clone + Send + Sync + 'static,
        Err: RetryableError<M> + 'static,
    {
        self.insert(of, reader(handler, |_| Ok(())));
    }

    fn insert(&mut self, of: Of, reader: Reader<DB>) {
        let (readers, name) = match of {
            Of::Type(event_type) => (&mut self.by_type, event_type),
            Of::Topic(topic) => (&mut self.by_topic, topic),
        };
        if readers.insert(name.clone(), reader).is_some() {
            self.doubled.push(name);
        }
    }

    /// The handler of this message: of its type, or else of its topic.
    pub(super) fn read(&self, message: &InboxMessage) -> Option<Result<Ready<DB>, Failure>> {
        let by_type = message.event_type().and_then(|name| self.by_type.get(name));
        let reader = by_type.or_else(|| self.by_topic.get(message.topic()))?;
        Some(reader(message))
    }
}

fn reader<DB, E, Err, M, F>(handler: F, read: fn(&InboxMessage) -> Result<E, Failure>) -> Reader<DB>
where
    DB: OutboxDatabase,
    F: for<'a> MessageHandler<'a, DB, E, Err> + Clone + Send + Sync + 'static,
    E: Send + 'static,
    Err: RetryableError<M> + 'static,
{
    Box::new(move |message: &InboxMessage| {
        let (event, handler) = (read(message)?, handler.clone());
        let ready: Ready<DB> = Box::new(move |tx, message| {
            let running = handler(tx, message, event);
            Box::pin(async move { running.await.map_err(|error| Failure::of(error.as_error())) })
        });
        Ok(ready)
    })
}
