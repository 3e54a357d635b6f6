//! Durations as people write them.

use std::time::Duration;

/// `500ms`, `10s`, `2m`, `1h`; seconds without a unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| "write an integer and ms, s, m or h, such as 10s")?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        _ => return Err(format!("`{unit}` is not a unit: use ms, s, m or h")),
    }
    .ok_or_else(|| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10"), duration("10s"));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "1.5s", "-1s", "5 s", "1d", "18446744073709551615h"] {
            assert!(duration(wrong).is_err(), "{wrong:?} was accepted");
        }
    }
}
