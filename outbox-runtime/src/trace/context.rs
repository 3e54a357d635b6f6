//! The W3C trace context: `traceparent` and `tracestate`.

/// A trace context whose `traceparent` is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceContext {
    traceparent: String,
    tracestate: Option<String>,
}

impl TraceContext {
    /// None if `traceparent` is not of the form of the W3C recommendation.
    pub(crate) fn new(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        is_traceparent(traceparent).then(|| Self {
            traceparent: traceparent.to_owned(),
            tracestate: tracestate.filter(|state| !state.is_empty()).map(str::to_owned),
        })
    }

    /// The `traceparent` in a row's headers, which are the text of a JSON object.
    pub(crate) fn in_headers(headers: &str) -> Option<Self> {
        let (_, behind) = headers.split_once("\"traceparent\"")?;
        let value = behind.trim_start().strip_prefix(':')?.trim_start();
        let (value, _) = value.strip_prefix('"')?.split_once('"')?;
        Self::new(value, None)
    }

    pub(crate) fn traceparent(&self) -> &str {
        &self.traceparent
    }

    pub(crate) fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }

    /// Trace id, span id and flags.
    #[cfg(feature = "opentelemetry")]
    pub(super) fn parts(&self) -> Option<(&str, &str, u8)> {
        let mut parts = self.traceparent.split('-').skip(1);
        let (trace, span) = (parts.next()?, parts.next()?);
        Some((trace, span, self.flags()))
    }

    /// Whether its spans are recorded.
    pub(crate) fn is_sampled(&self) -> bool {
        self.flags() & 1 == 1
    }

    fn flags(&self) -> u8 {
        let flags = self.traceparent.split('-').nth(3).unwrap_or_default();
        u8::from_str_radix(flags, 16).unwrap_or_default()
    }
}

/// Whether `value` is a `traceparent` of the W3C recommendation: lower-case hex, no id all zeros.
fn is_traceparent(value: &str) -> bool {
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &str, length: usize| is_hex(part, length) && part.bytes().any(|byte| byte != b'0');
    let mut parts = value.split('-');
    let (Some(version), Some(trace), Some(span), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    // Version ff is forbidden; later versions than 00 may say more behind the flags.
    let ends = parts.next().is_none() || version != "00";
    is_hex(version, 2) && version != "ff" && is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2) && ends
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_checked() {
        assert!(is_traceparent(GOOD));
        assert!(is_traceparent(&GOOD.replacen("00", "01", 1)));
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            &GOOD.to_uppercase(),
            &format!("{GOOD}-x"),
            &GOOD.replacen("00", "ff", 1),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(!is_traceparent(bad), "{bad:?} was accepted");
        }
    }

    #[test]
    fn it_is_found_in_the_headers_of_a_row() {
        let unsampled = GOOD.replace("-01", "-00");
        for (headers, found) in [
            (format!(r#"{{"traceparent": "{GOOD}"}}"#), Some(true)),
            (format!(r#"{{"a":"b","traceparent":"{unsampled}"}}"#), Some(false)),
            (r#"{"a":"traceparent","b":"c"}"#.to_owned(), None),
            (format!(r#"{{"a":"\"traceparent\":\"{GOOD}\""}}"#), None),
            (r#"{"traceparent":"x"}"#.to_owned(), None),
            ("{}".to_owned(), None),
        ] {
            let context = TraceContext::in_headers(&headers);
            assert_eq!(context.map(|context| context.is_sampled()), found, "{headers}");
        }
    }
}
