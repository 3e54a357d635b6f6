//! librdkafka's properties as `-X` gives them.

use outbox_runtime::TokenProvider;

use crate::failure::Failure;

/// What to do about a property that librdkafka refuses.
pub(crate) const ADVICE: &str =
    "correct the property; librdkafka's CONFIGURATION.md lists all of them with their values";

/// What clients are made with.
pub(crate) struct Properties {
    /// For librdkafka, in their order.
    pub(crate) given: Vec<(String, String)>,
    /// Made from the properties that say where tokens come from, which librdkafka is not given.
    pub(crate) tokens: Option<TokenProvider>,
}

/// A variable with further properties, a line each: for secrets, which should be in nobody's list of processes.
pub(crate) const VARIABLE: &str = "OUTBOX_KAFKA_PROPERTIES";

impl Properties {
    /// `key=value`, each parted at its first `=`: those of the variable, and those of the command line, which win.
    pub(crate) fn read(arguments: &[String]) -> Result<Self, Failure> {
        let variable = std::env::var(VARIABLE).unwrap_or_default();
        let lines = variable.lines().map(str::trim).filter(|line| !line.is_empty());
        let all: Vec<String> = lines
            .map(str::to_owned)
            .chain(arguments.iter().cloned())
            .collect();
        Self::parse(&all)
    }

    fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let part = |property: &String| {
            let (key, value) = property.split_once('=').ok_or_else(|| {
                // What stands there may be a password that lost its name.
                Failure::usage("a property of Kafka has no `=`").advise(format!(
                    "write -X key=value, such as -X compression.type=lz4, or a line key=value in {VARIABLE}"
                ))
            })?;
            Ok((key.trim().to_owned(), value.to_owned()))
        };
        let given = arguments.iter().map(part).collect::<Result<_, Failure>>()?;
        Self::with_tokens(given)
    }

    #[cfg(feature = "tls")]
    fn with_tokens(given: Vec<(String, String)>) -> Result<Self, Failure> {
        let (given, tokens) = crate::oidc::take(given)?;
        Ok(Self { given, tokens })
    }

    /// Where tokens could be used, librdkafka itself would have to be built for it.
    #[cfg(not(feature = "tls"))]
    fn with_tokens(given: Vec<(String, String)>) -> Result<Self, Failure> {
        Ok(Self { given, tokens: None })
    }
}
