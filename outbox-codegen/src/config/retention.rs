//! How long records are kept, as people say it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A time in milliseconds, or for ever. Its `Display` is what Kafka writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Retention {
    Forever,
    Milliseconds(u64),
}

const FOREVER: &str = "forever";

impl TryFrom<String> for Retention {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == FOREVER {
            return Ok(Self::Forever);
        }
        let wrong = |reason: String| {
            format!("`{text}` is not a duration: {reason}; write \"7days\", \"12h\" or \"{FOREVER}\"")
        };
        let time = humantime::parse_duration(&text).map_err(|error| wrong(error.to_string()))?;
        match i64::try_from(time.as_millis()) {
            Ok(milliseconds @ 1..) => Ok(Self::Milliseconds(milliseconds.unsigned_abs())),
            Ok(_) => Err(wrong("it is less than a millisecond".to_owned())),
            Err(_) => Err(wrong("it is too long".to_owned())),
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("-1"),
            Self::Milliseconds(milliseconds) => milliseconds.fmt(f),
        }
    }
}

impl JsonSchema for Retention {
    fn schema_name() -> Cow<'static, str> {
        "Retention".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^({FOREVER}|([0-9]+ *[a-zA-Z]+ *)+)$") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_milliseconds() {
        let read = |text: &str| Retention::try_from(text.to_owned());
        assert_eq!(read("7days").unwrap().to_string(), "604800000");
        assert_eq!(read("1h 30m"), read("90min"));
        assert_eq!(read("forever").unwrap().to_string(), "-1");
        for wrong in ["", "7", "soon", "0s", "10us", "-1s", "99999999999years"] {
            assert!(read(wrong).is_err(), "{wrong:?} was accepted");
        }
        assert!(read("soon").unwrap_err().contains("\"12h\""));
    }
}
