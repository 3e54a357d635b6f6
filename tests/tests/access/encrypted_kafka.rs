//! A Kafka that encrypts and asks who is there.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use outbox_runtime::{
    Consumer, DeliveryMode, KafkaPublisher, KafkaToken, Outbox, PostgresStore, Relay, RelayConfig,
    TokenProvider,
};
use outbox_tests::kafka::Topic;
use outbox_tests::numbers::{self, Number, act};
use outbox_tests::program::{Ran, Running, command};
use outbox_tests::servers::{Certificates, Encrypted, KafkaServer};
use outbox_tests::{TestDatabase, wait_until};
use serde_json::{Value, json};
use sqlx::Postgres;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(120);

const DELIVERIES: [&str; 2] = ["at-least-once", "exactly-once"];

struct Scene {
    certificates: Certificates,
    _kafka: KafkaServer,
    encrypted: Encrypted,
    database: TestDatabase<Postgres>,
    topic: Topic,
}

impl Scene {
    async fn new() -> Self {
        let certificates = Certificates::new("relay");
        let users = [("alice", "right")];
        let (kafka, encrypted) = KafkaServer::start_encrypted(&certificates, &users, &[]).await;
        let topic = Topic::create_at(&kafka.brokers(), "encrypted", 1, &[]).await;
        Self {
            certificates,
            _kafka: kafka,
            encrypted,
            database: TestDatabase::postgres().await,
            topic,
        }
    }

    async fn insert(&self, messages: i32) {
        insert(&self.database, &self.topic, 1..=messages).await;
    }

    fn relay(&self, delivery: &str, brokers: &str, properties: &[String]) -> String {
        let given: String = properties
            .iter()
            .map(|property| format!(" -X {property}"))
            .collect();
        format!(
            "relay --delivery {delivery} -D {} --brokers {brokers} -X ssl.ca.location={}{given}",
            self.database.url(),
            self.certificates.text("ca.pem")
        )
    }

    /// A login by SASL with a password.
    fn password(mechanism: &str, password: &str) -> Vec<String> {
        [
            "security.protocol=sasl_ssl",
            &format!("sasl.mechanism={mechanism}"),
            "sasl.username=alice",
            &format!("sasl.password={password}"),
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// A login with the client's certificate.
    fn certificate(&self) -> Vec<String> {
        vec![
            "security.protocol=ssl".to_owned(),
            format!(
                "ssl.certificate.location={}",
                self.certificates.text("client.pem")
            ),
            format!("ssl.key.location={}", self.certificates.text("client.key")),
        ]
    }
}

async fn insert(database: &TestDatabase<Postgres>, topic: &Topic, numbers: RangeInclusive<i32>) {
    let insert = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                  SELECT 'order', '1', 'NumberV1', $1, json_build_object('key', 'k', 'number', n)
                  FROM generate_series($2, $3) AS n";
    sqlx::query(insert)
        .bind(topic.name())
        .bind(numbers.start())
        .bind(numbers.end())
        .execute(&database.pool)
        .await
        .unwrap();
}

/// A token that nobody signed, as Kafka's own validator for tests takes it.
fn token(subject: &str, lifetime: Duration) -> (String, SystemTime) {
    let now = SystemTime::now();
    let seconds = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let claims = json!({"sub": subject, "iat": seconds(now), "exp": seconds(now + lifetime)});
    let part = |part: Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    (
        format!("{}.{}.", part(json!({"alg": "none"})), part(claims)),
        now + lifetime,
    )
}

/// An OpenID provider's token endpoint, and how often it was asked.
#[derive(Clone)]
struct Issuer {
    url: String,
    asked: Arc<AtomicU32>,
    lifetime: Duration,
}

impl Issuer {
    async fn start(lifetime: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self {
            url: format!("http://{}/token", listener.local_addr().unwrap()),
            asked: Arc::default(),
            lifetime,
        };
        let routes = Router::new()
            .route("/token", post(answer))
            .with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        issuer
    }

    fn properties(&self, secret: &str) -> Vec<String> {
        [
            "security.protocol=sasl_ssl",
            "sasl.mechanisms=OAUTHBEARER",
            "sasl.oauthbearer.method=oidc",
            "sasl.oauthbearer.client.id=relay",
            &format!("sasl.oauthbearer.client.secret={secret}"),
            &format!("sasl.oauthbearer.token.endpoint.url={}", self.url),
            "sasl.oauthbearer.scope=kafka",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

async fn answer(State(issuer): State<Issuer>, headers: HeaderMap, form: String) -> (StatusCode, Json<Value>) {
    issuer.asked.fetch_add(1, Ordering::Relaxed);
    let expected = format!("Basic {}", BASE64_STANDARD.encode("relay:right"));
    let who = headers.get("authorization").and_then(|value| value.to_str().ok());
    if who != Some(expected.as_str()) || form != "grant_type=client_credentials&scope=kafka" {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "invalid_client"})));
    }
    let (value, _) = token("relay", issuer.lifetime);
    let lifetime = issuer.lifetime.as_secs_f64();
    (
        StatusCode::OK,
        Json(json!({"access_token": value, "token_type": "Bearer", "expires_in": lifetime})),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_logging_in_delivers_in_both_modes() {
    let scene = Scene::new().await;
    let issuer = Issuer::start(Duration::from_secs(60)).await;
    let Encrypted { sasl, mutual } = &scene.encrypted;
    let mut delivered = 0;
    for (brokers, properties) in [
        (sasl, Scene::password("PLAIN", "right")),
        (sasl, Scene::password("SCRAM-SHA-512", "right")),
        (mutual, scene.certificate()),
        (sasl, issuer.properties("right")),
    ] {
        for delivery in DELIVERIES {
            scene.insert(2).await;
            let relay = scene.relay(delivery, brokers, &properties);
            let ran = Ran::of(&mut command(&format!("{relay} --until-empty"))).await;
            assert_eq!(ran.done(), "delivered 2 messages\n", "{relay}");
            delivered += 2;
            assert_eq!(scene.topic.read_committed().await.len(), delivered, "{relay}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_retried_and_reported() {
    let scene = Scene::new().await;
    let issuer = Issuer::start(Duration::from_secs(60)).await;
    let Encrypted { sasl, mutual } = &scene.encrypted;
    let by_address = sasl.replace("localhost", "127.0.0.1");
    let another = vec![format!(
        "ssl.ca.location={}",
        scene.certificates.text("other-ca.pem")
    )];
    let trusts_another = [Scene::password("PLAIN", "right"), another].concat();
    scene.insert(1).await;
    for (brokers, properties, words) in [
        (
            sasl,
            Scene::password("PLAIN", "wrong"),
            "Invalid username or password",
        ),
        (sasl, Scene::password("SCRAM-SHA-512", "wrong"), "SCRAM"),
        (sasl, trusts_another, "certificate verify failed"),
        (
            &by_address,
            Scene::password("PLAIN", "right"),
            "certificate verify failed",
        ),
        (mutual, vec!["security.protocol=ssl".to_owned()], "certificate"),
        (sasl, issuer.properties("wrong"), "status 401 Unauthorized"),
    ] {
        for delivery in DELIVERIES {
            let mut relay = Running::start(command(&scene.relay(delivery, brokers, &properties)));
            relay.says(words).await;
            let ended = relay.stop().await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
        }
    }
}

/// What cannot work is found before anything is tried.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_half_described_is_wrong_usage() {
    let database = TestDatabase::postgres().await;
    for (properties, words) in [
        ("-X security.protocol=sasl_ssl", ["`gssapi`", "SCRAM-SHA-512"]),
        (
            "-X security.protocol=sasl_ssl -X sasl.mechanisms=OAUTHBEARER",
            [
                "nothing says where tokens come from",
                "sasl.oauthbearer.method=oidc",
            ],
        ),
        (
            "-X security.protocol=sasl_ssl -X sasl.mechanisms=OAUTHBEARER -X sasl.oauthbearer.method=oidc",
            ["also needs", "sasl.oauthbearer.token.endpoint.url"],
        ),
    ] {
        let relay = format!("relay -D {} --brokers localhost:1 {properties}", database.url());
        Ran::of(&mut command(&relay)).await.fails(2, &words);
    }
}

/// Counts how often it is asked, and fails once in between.
fn provider(lifetime: Duration) -> (TokenProvider, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let provider = TokenProvider::new(move || {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            if number == 1 {
                return Err(std::io::Error::other("the issuer is away"));
            }
            let (value, expires_at) = token("relay", lifetime);
            Ok(KafkaToken::new(value, expires_at).principal("relay"))
        }
    });
    (provider, asked)
}

/// The broker ends a connection whose token has expired. Tokens here last for ten seconds, and the work for longer.
#[tokio::test(flavor = "multi_thread")]
async fn one_provider_renews_the_tokens_of_relay_and_consumer() {
    let certificates = Certificates::new("relay");
    let reauthenticate = [(
        "listener.name.sasl.oauthbearer.connections.max.reauth.ms",
        "3600000",
    )];
    let (kafka, Encrypted { sasl, .. }) =
        KafkaServer::start_encrypted(&certificates, &[("alice", "right")], &reauthenticate).await;
    let ca = certificates.text("ca.pem");
    for delivery in [DeliveryMode::AtLeastOnce, DeliveryMode::ExactlyOnce] {
        let database = TestDatabase::postgres().await;
        let topic = Topic::create_at(&kafka.brokers(), "tokens", 1, &[]).await;
        numbers::tables(&database.pool).await;
        let (tokens, asked) = provider(Duration::from_secs(10));
        let publisher = KafkaPublisher::builder(&sasl)
            .token_provider(tokens.clone())
            .property("ssl.ca.location", &ca)
            .build()
            .unwrap();
        let config = RelayConfig::new().delivery(delivery);
        let relay = Relay::builder(PostgresStore::new(&database.pool), publisher).config(config);
        let mut relay = relay.build().unwrap();
        let outbox = Outbox::new(database.pool.clone());
        let consumer = Consumer::builder(&outbox, &sasl, format!("group-{}", topic.name()))
            .topic(topic.name())
            .property("ssl.ca.location", &ca)
            .token_provider(tokens)
            .on("NumberV1", async |tx, _message, number: Number| {
                act(tx, &number).await
            })
            .build()
            .unwrap();
        let stop = CancellationToken::new();
        let (relay_stop, consumer_stop) = (stop.clone(), stop.clone());
        let relaying = tokio::spawn(async move { relay.run(relay_stop).await });
        let consuming = tokio::spawn(async move { consumer.run(consumer_stop).await });
        let mut written = 0;
        // The third token is in use by then.
        while asked.load(Ordering::Relaxed) < 5 {
            written += 1;
            insert(&database, &topic, written..=written).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        wait_until("all messages to be acted on", LIMIT, async || {
            (numbers::acted(&database.pool).await == i64::from(written)).then_some(())
        })
        .await;
        stop.cancel();
        relaying.await.unwrap().unwrap();
        consuming.await.unwrap().unwrap();
    }
}
