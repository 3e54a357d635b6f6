//! What this build of librdkafka can do, and what to add to the build where it cannot.

use rdkafka::ClientConfig;
use rdkafka::config::NativeClientConfig;
use rdkafka::error::KafkaError;

/// Checks the properties as a client would, without connecting.
///
/// # Errors
/// One sentence: which property is wrong and why, or which feature this build lacks. It shows no value, which may
/// be a password.
pub(super) fn check(config: &ClientConfig, has_tokens: bool) -> Result<(), String> {
    let native = config.create_native_config().map_err(wrong)?;
    let protocol = native.get("security.protocol").unwrap_or_default();
    let mechanism = native.get("sasl.mechanisms").unwrap_or_default();
    if protocol.starts_with("sasl") {
        check_mechanism(&native, &mechanism)?;
        if mechanism == "OAUTHBEARER" {
            return check_tokens(&native, has_tokens);
        }
    }
    match has_tokens {
        true => Err(format!(
            "a token provider is given, and with `security.protocol` {protocol} and `sasl.mechanisms` {mechanism} \
             nobody asks for its tokens: leave both out"
        )),
        false => Ok(()),
    }
}

/// Without a token librdkafka does not even connect, and does not say so.
fn check_tokens(native: &NativeClientConfig, has_tokens: bool) -> Result<(), String> {
    let unsecured = native
        .get("enable.sasl.oauthbearer.unsecure.jwt")
        .unwrap_or_default()
        == "true";
    match (has_tokens, unsecured) {
        (true, false) | (false, true) => Ok(()),
        (false, false) => Err("`sasl.mechanisms` is `OAUTHBEARER`, and nothing gives tokens: give a token provider".to_owned()),
        (true, true) => Err(
            "`enable.sasl.oauthbearer.unsecure.jwt` makes tokens of its own in place of the token provider's: leave one out"
                .to_owned(),
        ),
    }
}

/// librdkafka finds out at a client's start that it cannot log in, which looks like an outage.
fn check_mechanism(native: &NativeClientConfig, mechanism: &str) -> Result<(), String> {
    let needed = match mechanism {
        "PLAIN" => "sasl_plain",
        "SCRAM-SHA-256" | "SCRAM-SHA-512" => "sasl_scram",
        "OAUTHBEARER" => "sasl_oauthbearer",
        "GSSAPI" => "sasl_gssapi",
        other => {
            return Err(format!(
                "`sasl.mechanisms` is `{other}`: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER and GSSAPI are known"
            ));
        }
    };
    let built = native.get("builtin.features").unwrap_or_default();
    match built.split(',').any(|feature| feature == needed) {
        true => Ok(()),
        false if mechanism == "GSSAPI" => Err(
            "`sasl.mechanisms` is `GSSAPI`, which is librdkafka's default and needs the cargo feature `gssapi`: \
             set another one, such as SCRAM-SHA-512, or build with that feature"
                .to_owned(),
        ),
        false => Err(lacks("sasl.mechanisms", "tls")),
    }
}

/// What librdkafka says of a property. Its error also shows the value, which may be a password with a slip of the
/// pen in its key.
fn wrong(error: KafkaError) -> String {
    let KafkaError::ClientConfig(_, description, key, _) = error else {
        return "a Kafka property cannot be used".to_owned();
    };
    let description = description.trim();
    match description.contains("at build time") {
        false => format!("the property `{key}` is wrong: {description}"),
        true if description.contains("libcurl") => format!(
            "the property `{key}` needs libcurl, which is not part of this build: give the token by a token provider"
        ),
        true if description.contains("zstd") => lacks(&key, "zstd"),
        true if key.starts_with("sasl.kerberos") => lacks(&key, "gssapi"),
        true => lacks(&key, "tls"),
    }
}

fn lacks(key: &str, feature: &str) -> String {
    format!("the property `{key}` needs the cargo feature `{feature}`, which this build lacks: build with it")
}

#[cfg(test)]
mod tests {
    use crate::librdkafka::{Clients, KafkaToken, TokenProvider};

    fn checked(properties: &[(&str, &str)]) -> Result<(), String> {
        let mut clients = Clients::new("localhost:1", None);
        for (key, value) in properties {
            clients.set(*key, *value);
        }
        clients.check()
    }

    #[test]
    fn a_login_without_its_mechanism_is_found_before_a_client_starts() {
        let says = checked(&[("security.protocol", "sasl_plaintext")]).unwrap_err();
        assert!(
            says.contains("GSSAPI") && says.contains("SCRAM-SHA-512"),
            "{says}"
        );
        let unknown = [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanisms", "SCRAM"),
        ];
        let says = checked(&unknown).unwrap_err();
        assert!(says.contains("SCRAM-SHA-512"), "{says}");
        let plain = [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanisms", "PLAIN"),
        ];
        assert_eq!(checked(&plain), Ok(()));
    }

    #[test]
    fn what_the_build_lacks_is_named_by_its_feature() {
        let scram = [
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanisms", "SCRAM-SHA-512"),
            ("sasl.username", "u"),
            ("sasl.password", "hunter2"),
        ];
        let encrypts = cfg!(any(feature = "tls", feature = "ssl"));
        match checked(&scram) {
            Ok(()) => assert!(encrypts, "a build without TLS takes SCRAM over it"),
            Err(says) => assert!(says.contains("`tls`") && !says.contains("hunter2"), "{says}"),
        }
        let oidc = [("sasl.oauthbearer.client.id", "hunter2")];
        let says = checked(&oidc).unwrap_err();
        assert!(says.contains("libcurl") && !says.contains("hunter2"), "{says}");
    }

    #[test]
    fn tokens_come_from_somewhere_and_go_somewhere() {
        let bearer = [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", "OAUTHBEARER"),
        ];
        match checked(&bearer) {
            Ok(()) => panic!("no tokens, and nothing said"),
            Err(says) => assert!(
                says.contains("token provider") || says.contains("`tls`"),
                "{says}"
            ),
        }
        let provider = || {
            let never = async || Err::<KafkaToken, _>(std::io::Error::other("never called"));
            Some(TokenProvider::new(never))
        };
        let mut clients = Clients::new("localhost:1", provider());
        let encrypts = cfg!(any(feature = "tls", feature = "ssl"));
        match clients.check() {
            Ok(()) => assert!(encrypts, "a build without TLS takes tokens over it"),
            Err(says) => assert!(says.contains("`tls`"), "{says}"),
        }
        clients.set("sasl.mechanism", "PLAIN");
        clients.set("security.protocol", "sasl_plaintext");
        let says = clients.check().unwrap_err();
        assert!(says.contains("nobody asks for its tokens"), "{says}");
    }
}
