//! Tokens from an OpenID provider, by the properties that librdkafka has for it (`sasl.oauthbearer.method=oidc`).
//!
//! librdkafka would fetch them with libcurl, which this program is built without; so it does that itself: OAuth 2.0's
//! client credentials, the token endpoint's answer in JSON.

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use outbox_runtime::{KafkaToken, TokenProvider};
use serde::Deserialize;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use url::Url;

use crate::failure::Failure;

/// How long the token endpoint may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of a refusal is shown.
const MAX_SHOWN: usize = 500;

const METHOD: &str = "sasl.oauthbearer.method";
const GRANT: &str = "sasl.oauthbearer.grant.type";
const CLIENT: &str = "sasl.oauthbearer.client.id";
const SECRET: &str = "sasl.oauthbearer.client.secret";
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";
const SCOPE: &str = "sasl.oauthbearer.scope";
const EXTENSIONS: &str = "sasl.oauthbearer.extensions";
const AUTHORITIES: &str = "https.ca.location";

/// The properties that say where tokens come from. librdkafka's other name for the client's id comes first.
const TAKEN: [(&str, &str); 9] = [
    ("sasl.oauthbearer.client.credentials.client.id", CLIENT),
    ("sasl.oauthbearer.client.credentials.client.secret", SECRET),
    (CLIENT, CLIENT),
    (SECRET, SECRET),
    (GRANT, GRANT),
    (ENDPOINT, ENDPOINT),
    (SCOPE, SCOPE),
    (EXTENSIONS, EXTENSIONS),
    (AUTHORITIES, AUTHORITIES),
];

/// The properties that are left for librdkafka, and where its tokens come from.
type Taken = (Vec<(String, String)>, Option<TokenProvider>);

/// Takes out what says where tokens come from, and makes a provider of it.
pub(crate) fn take(given: Vec<(String, String)>) -> Result<Taken, Failure> {
    let last = |name: &str| {
        let found = given.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    let mechanism = last("sasl.mechanisms").or(last("sasl.mechanism"));
    match last(METHOD) {
        Some("oidc") => {}
        None | Some("default") => {
            let unsecured = last("enable.sasl.oauthbearer.unsecure.jwt") == Some("true");
            return match mechanism {
                Some("OAUTHBEARER") if !unsecured => Err(Failure::usage(
                    "`sasl.mechanisms` is `OAUTHBEARER`, and nothing says where tokens come from",
                )
                .advise(format!(
                    "set {METHOD}=oidc with {ENDPOINT}, {CLIENT} and {SECRET}"
                ))),
                _ => Ok((given, None)),
            };
        }
        Some(other) => {
            return Err(Failure::usage(format!(
                "the property `{METHOD}` is wrong: `{other}` is neither `default` nor `oidc`"
            )));
        }
    }
    let (mut kept, mut taken) = (Vec::new(), Vec::new());
    for (key, value) in given {
        match TAKEN.iter().find(|(name, _)| *name == key) {
            Some((_, name)) => taken.push((*name, value)),
            None if key == METHOD => {}
            None if key.starts_with("sasl.oauthbearer.") => {
                return Err(
                    Failure::usage(format!("this program does not work with `{key}`")).advise(
                        "let a client log in with its id and secret, by the grant type client_credentials",
                    ),
                );
            }
            None => kept.push((key, value)),
        }
    }
    let endpoint = Endpoint::read(&taken)?;
    let provider = TokenProvider::new(move || {
        let endpoint = endpoint.clone();
        async move {
            match tokio::task::spawn_blocking(move || endpoint.fetch()).await {
                Ok(fetched) => fetched,
                Err(panicked) => Err(NoToken::new("fetching a token failed").with_source(panicked)),
            }
        }
    });
    Ok((kept, Some(provider)))
}

/// Where tokens come from.
#[derive(Clone)]
struct Endpoint {
    agent: Agent,
    url: Url,
    client: String,
    secret: String,
    scope: Option<String>,
    extensions: Vec<(String, String)>,
}

impl Endpoint {
    fn read(properties: &[(&str, String)]) -> Result<Self, Failure> {
        let last = |name: &str| {
            let found = properties.iter().rev().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.clone())
        };
        let needed = |name: &str| {
            last(name)
                .ok_or_else(|| Failure::usage(format!("`{METHOD}=oidc` also needs the property `{name}`")))
        };
        if let Some(grant) = last(GRANT).filter(|grant| grant != "client_credentials") {
            return Err(
                Failure::usage(format!("this program does not work with `{GRANT}={grant}`"))
                    .advise("leave it at client_credentials"),
            );
        }
        let wrong = |name: &str, why: &str| Failure::usage(format!("the property `{name}` is wrong: {why}"));
        let url = Url::parse(&needed(ENDPOINT)?).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
        let extensions = last(EXTENSIONS).unwrap_or_default();
        let extensions = extensions.split(',').filter(|text| !text.trim().is_empty());
        let extensions = extensions.map(|text| {
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| wrong(EXTENSIONS, "write name=value, separated by commas"))?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        });
        Ok(Self {
            agent: agent(last(AUTHORITIES).as_deref())?,
            url: url.ok_or_else(|| wrong(ENDPOINT, "it is no URL of http or https"))?,
            client: needed(CLIENT)?,
            secret: needed(SECRET)?,
            scope: last(SCOPE),
            extensions: extensions.collect::<Result<_, Failure>>()?,
        })
    }

    fn fetch(&self) -> Result<KafkaToken, NoToken> {
        let failed = |what: &str| NoToken::new(format!("{what} {}", self.shown()));
        let credentials = BASE64_STANDARD.encode(format!("{}:{}", self.client, self.secret));
        let scope = self.scope.iter().map(|scope| ("scope", scope.as_str()));
        let form = std::iter::once(("grant_type", "client_credentials")).chain(scope);
        let asked = self
            .agent
            .post(self.url.as_str())
            .header("authorization", format!("Basic {credentials}"))
            .header("accept", "application/json")
            .send_form(form);
        let mut answer = asked.map_err(|error| failed("nothing comes from").with_source(error))?;
        let text = answer.body_mut().read_to_string();
        let text = text.map_err(|error| failed("the answer broke off from").with_source(error))?;
        if !answer.status().is_success() {
            let text: String = text.chars().take(MAX_SHOWN).collect();
            return Err(failed(&format!("status {} comes from", answer.status())).with_source(text.trim()));
        }
        // Its text is not shown: it may contain a token.
        let answer: Answer =
            serde_json::from_str(&text).map_err(|_| failed("no token in JSON is in the answer from"))?;
        let lifetime = answer
            .expires_in
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let expires_at = match lifetime {
            Some(lifetime) => SystemTime::now().checked_add(lifetime),
            None => expiry(&answer.access_token),
        };
        let expires_at =
            expires_at.ok_or_else(|| failed("the answer does not say how long the token is valid, from"))?;
        let token = KafkaToken::new(answer.access_token, expires_at).principal(&self.client);
        Ok(self
            .extensions
            .iter()
            .fold(token, |token, (name, value)| token.extension(name, value)))
    }

    /// The endpoint without what could be a password.
    fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        // Both succeed for a URL with a host.
        let _ = (url.set_username(""), url.set_password(None));
        url.to_string()
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// Seconds.
    expires_in: Option<f64>,
}

/// What a JSON Web Token says of its own end.
fn expiry(token: &str) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(exp).ok()?)
}

/// Trusts what the system trusts, or the authorities in this file.
fn agent(authorities: Option<&str>) -> Result<Agent, Failure> {
    let trusted = match authorities {
        None | Some("probe") => RootCerts::PlatformVerifier,
        Some(path) => {
            let wrong = |why: &str| Failure::usage(format!("the property `{AUTHORITIES}` is wrong: {why}"));
            let pem = std::fs::read(path).map_err(|error| wrong("the file cannot be read").because(error))?;
            let found: Vec<Certificate<'static>> = ureq::tls::parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    Ok(_) | Err(_) => None,
                })
                .collect();
            if found.is_empty() {
                return Err(wrong("the file holds no certificate"));
            }
            RootCerts::from(found)
        }
    };
    let config = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        // The body says why.
        .http_status_as_error(false)
        .max_redirects(0)
        .tls_config(TlsConfig::builder().root_certs(trusted).build())
        .build();
    Ok(config.into())
}

/// Why there is no token.
#[derive(Debug)]
struct NoToken {
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl NoToken {
    fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            source: None,
        }
    }

    fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }
}

impl fmt::Display for NoToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)
    }
}

impl Error for NoToken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(properties: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let owned = properties
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()));
        match take(owned.collect()) {
            Ok((kept, tokens)) => {
                let kept = kept.into_iter().map(|(key, _)| key);
                Ok(kept.chain(tokens.map(|_| "tokens".to_owned())).collect())
            }
            Err(failure) => Err(format!("{failure:?}")),
        }
    }

    const WHOLE: [(&str, &str); 6] = [
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanisms", "OAUTHBEARER"),
        (METHOD, "oidc"),
        (ENDPOINT, "https://login.example/token"),
        (CLIENT, "relay"),
        (SECRET, "hunter2"),
    ];

    #[test]
    fn what_says_where_tokens_come_from_is_not_for_librdkafka() {
        let kept = taken(&WHOLE).unwrap();
        assert_eq!(kept, ["security.protocol", "sasl.mechanisms", "tokens"]);
        assert_eq!(taken(&[("linger.ms", "5")]).unwrap(), ["linger.ms"]);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_without_its_value() {
        for name in [ENDPOINT, CLIENT, SECRET] {
            let rest: Vec<_> = WHOLE.into_iter().filter(|(key, _)| *key != name).collect();
            let says = taken(&rest).unwrap_err();
            assert!(says.contains(name) && !says.contains("hunter2"), "{says}");
        }
        for (key, value) in [
            (ENDPOINT, "login.example"),
            (GRANT, "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            (METHOD, "oicd"),
            (EXTENSIONS, "hunter3"),
            (AUTHORITIES, "/nowhere/hunter3.pem"),
            ("sasl.oauthbearer.assertion.file", "hunter3"),
        ] {
            let mut properties = WHOLE.to_vec();
            properties.push((key, value));
            let says = taken(&properties).unwrap_err();
            assert!(says.contains(key) && !says.contains("hunter"), "{says}");
        }
        let says = taken(&WHOLE[..2]).unwrap_err();
        assert!(says.contains(METHOD) && says.contains(ENDPOINT), "{says}");
    }

    #[test]
    fn a_token_contains_its_own_expiry() {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"relay","exp":1700000000}"#);
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(expiry(&format!("e30.{claims}.c2ln")), Some(expected));
        assert_eq!(expiry("opaque"), None);
    }
}
