//! What is known of topics: how many partitions they have, how large their records may be, and how old.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::admin::ConfigResource;
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::complaints;
use super::describe::{self, Admin, Distance};
use super::route::{Freshness, RECHECK_KNOWN, RECHECK_UNKNOWN, Route};
use crate::librdkafka::{Clients, Right};
use crate::publisher::{PublishError, PublishErrorKind};

/// Topics that are to be asked for again are gathered for this long, and asked for in one request.
const GATHER: Duration = Duration::from_secs(1);

/// So many topics are asked for in one request.
const AT_ONCE: usize = 500;

/// What is known of topics now; nothing of those that the broker does not report.
type Answers = Vec<(String, Option<Route>)>;

pub(super) struct Topics {
    client: Clients,
    /// Do not ask: the broker does not report them.
    assumed: bool,
    admin: Option<Arc<Admin>>,
    distance: Option<Distance>,
    known: HashMap<String, Route>,
    /// Those whose routes are stale, and that nobody has asked for yet.
    stale: BTreeSet<String>,
    /// Those that are looked up soon.
    announced: BTreeSet<String>,
    /// What the broker reported of them when it was asked for another one, not yet used.
    ahead: HashMap<String, Route>,
    /// The question that is on its way.
    refresh: Option<BoxFuture<'static, Answers>>,
}

impl Topics {
    pub(super) fn new(client: Clients, assumed: bool) -> Self {
        Self {
            client,
            assumed,
            admin: None,
            distance: None,
            known: HashMap::new(),
            stale: BTreeSet::new(),
            announced: BTreeSet::new(),
            ahead: HashMap::new(),
            refresh: None,
        }
    }

    /// The same questions to the same broker, with nothing known yet.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.client.clone(), self.assumed)
    }

    /// The route of a topic whose settings were looked up lately. One that is no longer fresh is asked for again
    /// by [`refresh`](Self::refresh).
    pub(super) fn usable(&mut self, topic: &str) -> Option<&Route> {
        let route = self.known.get(topic)?;
        match route.freshness(Instant::now()) {
            Freshness::Fresh => Some(route),
            Freshness::Stale => {
                if !self.stale.contains(topic) {
                    self.stale.insert(topic.to_owned());
                }
                Some(route)
            }
            Freshness::Outdated => None,
        }
    }

    pub(super) fn known(&self, topic: &str) -> Option<&Route> {
        self.known.get(topic)
    }

    pub(super) fn remember(&mut self, topic: &str, route: Route) {
        self.known.insert(topic.to_owned(), route);
    }

    /// Asks for this topic together with the next one that is [looked up](Self::look_up).
    pub(super) fn announce(&mut self, topic: &str) {
        if !self.known.contains_key(topic) && !self.ahead.contains_key(topic) {
            self.announced.insert(topic.to_owned());
        }
    }

    /// Whether the topic is asked for together with others, or was.
    pub(super) fn is_announced(&self, topic: &str) -> bool {
        self.announced.contains(topic) || self.ahead.contains_key(topic)
    }

    /// Asks the broker again before the topic's next record.
    pub(super) fn expire(&mut self, topic: &str) {
        if let Some(route) = self.known.get_mut(topic) {
            route.expire();
        }
    }

    /// Knows nothing any more. The client that asked is the caller's to drop, which may take its time.
    pub(super) fn forget(&mut self) -> Option<Arc<Admin>> {
        self.known.clear();
        self.stale.clear();
        self.announced.clear();
        self.ahead.clear();
        self.refresh = None;
        self.distance = None;
        self.admin.take()
    }

    /// Asks for all topics whose routes are stale, and takes over what does not change the way of their records;
    /// what does is left to the next [`look_up`](Self::look_up). Never ends while there is nothing to ask for.
    /// Cancel safe: the next call goes on.
    pub(super) async fn refresh(&mut self) {
        if self.refresh.is_none() {
            let Some(admin) = self.admin.clone().filter(|_| !self.stale.is_empty()) else {
                return std::future::pending().await;
            };
            tokio::time::sleep(GATHER).await;
            let topics: Vec<String> = self.stale.iter().take(AT_ONCE).cloned().collect();
            self.refresh = Some(ask_for_all(admin, topics).boxed());
        }
        let Some(refresh) = &mut self.refresh else { return };
        let answers = refresh.await;
        self.refresh = None;
        for (topic, answer) in answers {
            self.stale.remove(&topic);
            match (answer, self.known.get_mut(&topic)) {
                (Some(route), Some(known)) if route.goes_as(known) => *known = route,
                (_, Some(known)) => known.expire(),
                (_, None) => {}
            }
        }
    }

    /// Whether the broker answers questions, and all partitions that records are sent to have leaders: records of
    /// one that has none wait for that, and a new client would change nothing.
    pub(super) async fn broker_answers(&mut self) -> bool {
        let Some(topic) = self.known.keys().next().cloned() else {
            return false;
        };
        let Ok(admin) = self.admin() else {
            return false;
        };
        if self.assumed || describe::settings(&admin, &[topic]).await.is_err() {
            return false;
        }
        let Ok(metadata) = describe::metadata(&admin, None).await else {
            return false;
        };
        let known = metadata
            .topics()
            .iter()
            .filter(|topic| self.known.contains_key(topic.name()));
        let mut partitions = known.flat_map(|topic| topic.partitions());
        partitions.all(|partition| partition.leader() >= 0)
    }

    /// Asks for a topic as a producer does: a broker that creates topics by itself does so then. Any other one
    /// says that the topic is not there, and would say so of each record half a minute after it was sent.
    async fn come_into_being(admin: &Arc<Admin>, topic: &str) -> Result<Route, PublishError> {
        let missing = |code: Code| {
            let right = Right::DescribeTopic(topic).lacking(code);
            let text = format!("topic `{topic}` is not there: {code}{right}");
            PublishError::new(PublishErrorKind::Topic, text)
        };
        let metadata = describe::metadata(admin, Some(topic)).await?;
        let error = metadata.topics().first().and_then(|topic| topic.error());
        if let Some(error) = error {
            return Err(missing(error.into()));
        }
        // A topic that is not known yet may also be one without partitions.
        match describe::partitions(&metadata).get(topic) {
            Some(count) => Ok(Route::unknown(RECHECK_UNKNOWN, Some(*count))),
            None => Err(missing(Code::UnknownTopic)),
        }
    }

    fn admin(&mut self) -> Result<Arc<Admin>, Code> {
        let admin = match &self.admin {
            Some(admin) => admin,
            None => self.admin.insert(Arc::new(
                self.client.create(DefaultClientContext).map_err(describe::code)?,
            )),
        };
        Ok(Arc::clone(admin))
    }

    /// The distance to the cluster, measured once, with a topic that exists; `None` if no broker answers or none is to be
    /// asked.
    pub(super) async fn distance(&mut self, topic: &str) -> Option<Distance> {
        if self.distance.is_none() && !self.assumed {
            let admin = self.admin().ok()?;
            self.distance = describe::distance(&admin, topic).await.ok();
        }
        self.distance
    }

    /// The same as [`look_up`](Self::look_up), for a producer whose own questions create no topic.
    pub(super) async fn look_up_or_create(&mut self, topic: &str) -> Result<Route, PublishError> {
        if !self.assumed {
            return self.look_up(topic).await;
        }
        match self.admin() {
            Ok(admin) => Self::come_into_being(&admin, topic).await,
            Err(code) => self.unanswered(topic, code).await,
        }
    }

    /// Asks the broker for the topic's settings and partitions. A broker that creates topics by itself does so then.
    pub(super) async fn look_up(&mut self, topic: &str) -> Result<Route, PublishError> {
        if self.assumed {
            return Ok(Route::unknown(RECHECK_KNOWN, None));
        }
        let admin = match self.admin() {
            Ok(admin) => admin,
            Err(code) => return self.unanswered(topic, code).await,
        };
        if let Some(route) = self.look_up_ahead(&admin, topic).await {
            return Ok(route);
        }
        let names = [topic.to_owned()];
        let (settings, metadata) = tokio::join!(
            describe::settings(&admin, &names),
            describe::metadata(&admin, Some(topic))
        );
        let partitions = metadata
            .ok()
            .and_then(|metadata| describe::partitions(&metadata).get(topic).copied())
            .or_else(|| self.known(topic)?.partitions);
        let settings = settings.and_then(|mut answers| answers.pop().unwrap_or(Err(Code::Unknown)));
        match settings {
            Ok(settings) if is_missing(&settings) => {
                let route = Self::come_into_being(&admin, topic).await?;
                Ok(without_settings(&admin, topic, route).await)
            }
            Ok(settings) => Ok(Route::new(&settings, partitions)),
            Err(Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
                Self::come_into_being(&admin, topic).await
            }
            Err(code @ (Code::UnsupportedFeature | Code::UnsupportedVersion)) => {
                tracing::debug!(topic, %code, "the broker does not report settings of topics; Kafka's defaults are assumed");
                Ok(Route::unknown(RECHECK_KNOWN, partitions))
            }
            Err(code @ (Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed)) => {
                tracing::warn!(
                    topic, %code,
                    "the settings of the topic may not be read; Kafka's default limits are assumed. \
                     The login lacks a right: allow DescribeConfigs on the topic"
                );
                Ok(Route::unknown(RECHECK_KNOWN, partitions))
            }
            Err(code) => self.unanswered(topic, code).await,
        }
    }

    /// The answer for one of many topics, out of one request for all of them. `None` for a topic that was not
    /// announced with others, or of which the broker reported nothing: it has to be asked for by itself.
    async fn look_up_ahead(&mut self, admin: &Arc<Admin>, topic: &str) -> Option<Route> {
        if self.announced.remove(topic) && !self.announced.is_empty() {
            let others = std::mem::take(&mut self.announced).into_iter();
            let mut topics: Vec<String> = others.chain([topic.to_owned()]).collect();
            self.announced = topics.drain(..topics.len().saturating_sub(AT_ONCE)).collect();
            let answers = ask_for_all(Arc::clone(admin), topics).await;
            let reported = answers
                .into_iter()
                .filter_map(|(topic, route)| Some((topic, route?)));
            self.ahead.extend(reported);
        }
        let route = self.ahead.remove(topic)?;
        (route.freshness(Instant::now()) == Freshness::Fresh).then_some(route)
    }

    /// What is known already, for a little longer.
    async fn unanswered(&mut self, topic: &str, code: Code) -> Result<Route, PublishError> {
        if let Some(known) = self.known(topic) {
            return Ok(known.extended());
        }
        let why = complaints::ask_again(&self.client).await;
        Err(PublishError::new(
            PublishErrorKind::Unavailable,
            format!("the settings of topic `{topic}` could not be read: {code}{why}"),
        ))
    }
}

/// How records go to a topic that is there, although the broker reported no settings: it was created just now, or
/// the login may not read them, which the answer does not say.
async fn without_settings(admin: &Admin, topic: &str, route: Route) -> Route {
    let asked = describe::settings(admin, &[topic.to_owned()]).await;
    match asked.ok().and_then(|mut answers| answers.pop()) {
        Some(Ok(settings)) if is_missing(&settings) => {
            tracing::warn!(
                topic,
                "the settings of the topic may not be read; Kafka's default limits are assumed. \
                 The login lacks a right: allow DescribeConfigs on the topic"
            );
            Route::unknown(RECHECK_KNOWN, route.partitions)
        }
        Some(Ok(settings)) => Route::new(&settings, route.partitions),
        Some(Err(_)) | None => route,
    }
}

/// Of a topic that is not there, and of one whose settings may not be read, the answer contains no settings.
fn is_missing(settings: &ConfigResource) -> bool {
    settings.get("max.message.bytes").is_none()
}

/// Asks for these topics in one request.
async fn ask_for_all(admin: Arc<Admin>, topics: Vec<String>) -> Answers {
    let one = match topics.as_slice() {
        [topic] => Some(topic.as_str()),
        _ => None,
    };
    let (settings, metadata) = tokio::join!(
        describe::settings(&admin, &topics),
        describe::metadata(&admin, one)
    );
    let partitions = metadata.map(|metadata| describe::partitions(&metadata));
    let (Ok(settings), Ok(partitions)) = (settings, partitions) else {
        return topics.into_iter().map(|topic| (topic, None)).collect();
    };
    let mut reported = HashMap::with_capacity(topics.len());
    for (topic, settings) in topics.iter().zip(settings) {
        if let (Ok(settings), Some(count)) = (settings, partitions.get(topic))
            && !is_missing(&settings)
        {
            reported.insert(topic.clone(), Route::new(&settings, Some(*count)));
        }
    }
    topics
        .into_iter()
        .map(|topic| {
            let route = reported.remove(&topic);
            (topic, route)
        })
        .collect()
}
