//! How long things are kept, as it is written on the command line.

use std::time::Duration;

use outbox_runtime::retention::Keep;

use crate::duration::duration;

/// `until-acknowledged`, or an age.
pub(crate) fn keep(text: &str) -> Result<Keep, String> {
    match text {
        "until-acknowledged" => Ok(Keep::UntilAcknowledged),
        _ => age(text)
            .map(Keep::For)
            .map_err(|error| format!("{error}, or until-acknowledged")),
    }
}

/// As other durations, and in days.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    match text.strip_suffix('d') {
        Some(days) => {
            let days: u64 = days
                .parse()
                .map_err(|_| "write an integer and d, h, m or s, such as 7d")?;
            let seconds = days.checked_mul(86_400).ok_or("that is too long")?;
            Ok(Duration::from_secs(seconds))
        }
        None => duration(text).map_err(|_| "write an integer and d, h, m or s, such as 7d".to_owned()),
    }
}

/// `10GB`, `512MB`: powers of 1,000, or of 1,024 as `GiB` and `MiB`; bytes without a unit.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let advice = || "write an integer and MB, GB, TB, MiB, GiB or TiB, such as 10GB".to_owned();
    let number: u64 = number.parse().map_err(|_| advice())?;
    let each: u64 = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(advice()),
    };
    number
        .checked_mul(each)
        .ok_or_else(|| "that is too much".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_with_its_unit() {
        assert_eq!(keep("until-acknowledged"), Ok(Keep::UntilAcknowledged));
        assert_eq!(keep("7d"), Ok(Keep::For(Duration::from_secs(604_800))));
        assert_eq!(age("500ms"), Ok(Duration::from_millis(500)));
        for wrong in [
            "",
            "d",
            "1w",
            "-1d",
            "99999999999999999999d",
            "999999999999999999d",
            "forever",
        ] {
            let error = keep(wrong).unwrap_err();
            assert!(error.contains("until-acknowledged"), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_unit() {
        assert_eq!(size("10GB"), Ok(10_000_000_000));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("17"), Ok(17));
        for wrong in ["", "GB", "1.5GB", "-1GB", "1 GB", "1gb", "99999999TiB"] {
            assert!(size(wrong).is_err(), "{wrong:?} was accepted");
        }
    }
}
