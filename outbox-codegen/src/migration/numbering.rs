//! The versions in the names of a directory's migrations, and the one that comes after them.

use std::fs;
use std::path::Path;

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, Utc};

use crate::config::Format;

/// A version as a file's name has it: `7`, `0007`, `1.2`, `20260301120000`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    text: String,
    parts: Vec<u64>,
}

/// What comes after all that a directory holds.
pub(super) struct Numbering {
    latest: Option<Version>,
    now: DateTime<Utc>,
}

impl Numbering {
    /// After the directory's files of this format, whoever wrote them. Flyway looks into folders below as well.
    pub(super) fn after(directory: &Path, format: Format, now: DateTime<Utc>) -> Self {
        let mut latest = None;
        look(directory, format, &mut latest);
        Self { latest, now }
    }

    /// The next version: this one, which is the same everywhere, if it is later than those that are there and written
    /// like them; else the number, or the time, after them.
    pub(super) fn next(&mut self, usual: i64) -> String {
        let usual = usual.to_string();
        let next = match &self.latest {
            None => usual,
            Some(latest) => match Timestamp::of(latest) {
                Some(time) => time.next(&usual, self.now),
                None => latest.next(),
            },
        };
        self.latest = Version::parse(&next);
        next
    }
}

fn look(directory: &Path, format: Format, latest: &mut Option<Version>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && format == Format::Sql {
            look(&path, format, latest);
        }
        let name = entry.file_name();
        let Some(version) = name.to_str().and_then(|name| version_in(name, format)) else {
            continue;
        };
        if latest.as_ref().is_none_or(|latest| latest.parts < version.parts) {
            *latest = Some(version);
        }
    }
}

/// The format in which a directory's migrations are written, going by their names.
pub(super) fn format_of(directory: &Path) -> Option<Format> {
    let mut latest = None;
    look(directory, Format::Sql, &mut latest);
    if latest.is_some() {
        return Some(Format::Sql);
    }
    look(directory, Format::Sqlx, &mut latest);
    if latest.is_some() {
        return Some(Format::Sqlx);
    }
    let is_revision = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "py")
            && fs::read_to_string(path).is_ok_and(|text| text.contains("down_revision"))
    };
    let mut entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .any(|entry| is_revision(&entry.path()))
        .then_some(Format::Alembic)
}

/// The version in a file's name, if it is a migration of this format.
fn version_in(name: &str, format: Format) -> Option<Version> {
    let name = name.strip_suffix(".sql")?;
    match format {
        Format::Sql => {
            let (version, _) = name.strip_prefix(['V', 'B', 'U'])?.split_once("__")?;
            Version::parse(version)
        }
        Format::Sqlx => {
            let (version, _) = name.split_once('_')?;
            Version::parse(version).filter(|version| version.parts.len() == 1)
        }
        Format::Alembic => None,
    }
}

/// The version in the name of one of our own files.
pub(super) fn version_of(name: &str) -> Option<&str> {
    let name = name.strip_prefix('V').unwrap_or(name);
    let end = name.find("_create_").or_else(|| name.find("_upgrade_"))?;
    let version = name[..end].trim_end_matches('_');
    Version::parse(version).map(|_| version)
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let part = |part: &str| {
            part.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| part.parse().ok())?
        };
        let parts = text.split(['.', '_']).map(part).collect::<Option<_>>()?;
        Some(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// One more in the last place, as wide as it was.
    fn next(&self) -> String {
        let before = self.text.rfind(['.', '_']).map_or(0, |at| at + 1);
        let (before, last) = self.text.split_at(before);
        let number = self.parts.last().copied().unwrap_or_default().saturating_add(1);
        format!("{before}{number:0width$}", width = last.len())
    }
}

/// A version that is a date, a minute or a second.
struct Timestamp {
    time: NaiveDateTime,
    pattern: &'static str,
    step: Duration,
    width: usize,
}

impl Timestamp {
    fn of(version: &Version) -> Option<Self> {
        let text = version.text.as_str();
        let read = |pattern| NaiveDateTime::parse_from_str(text, pattern).ok();
        let day = || {
            NaiveDate::parse_from_str(text, "%Y%m%d")
                .ok()?
                .and_hms_opt(0, 0, 0)
        };
        let (time, pattern, step) = match text.len() {
            8 => (day()?, "%Y%m%d", Duration::days(1)),
            12 => (read("%Y%m%d%H%M")?, "%Y%m%d%H%M", Duration::minutes(1)),
            14 => (read("%Y%m%d%H%M%S")?, "%Y%m%d%H%M%S", Duration::seconds(1)),
            _ => return None,
        };
        Some(Self {
            time,
            pattern,
            step,
            width: text.len(),
        })
    }

    fn next(&self, usual: &str, now: DateTime<Utc>) -> String {
        let written = |time: NaiveDateTime| time.format(self.pattern).to_string();
        let latest = written(self.time);
        let candidates = [
            usual.get(..self.width).unwrap_or(usual).to_owned(),
            written(now.naive_utc()),
        ];
        candidates
            .into_iter()
            .find(|candidate| *candidate > latest)
            .unwrap_or_else(|| written(self.time + self.step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: i64 = 20_250_101_000_000;

    #[track_caller]
    fn next(format: Format, there: &[&str]) -> String {
        let directory = tempfile::tempdir().unwrap();
        for name in there {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "SELECT 1;\n").unwrap();
        }
        let now = DateTime::from_timestamp(1_772_366_400, 0).unwrap();
        Numbering::after(directory.path(), format, now).next(USUAL)
    }

    #[test]
    fn numbers_go_on_as_they_are_written() {
        for (there, expected) in [
            (
                &["V7__a.sql", "V10__b.sql", "R__views.sql", "9_a.down.sql"][..],
                "11",
            ),
            (&["V1.2__a.sql", "V1.10__b.sql"], "1.11"),
            (&["V1_2__a.sql"], "1_3"),
            (&["V007__a.sql"], "008"),
            (&["B3__base.sql", "U4__undo.sql"], "5"),
            (&["2024/V7__a.sql", "2025/V8__b.sql"], "9"),
            (&["0099_a.sql"], "20250101000000"),
        ] {
            assert_eq!(next(Format::Sql, there), expected, "{there:?}");
        }
        for (there, expected) in [
            (&["0001_a.sql", "0009_b.up.sql", "0009_b.down.sql"][..], "0010"),
            (&["7_a.up.sql"], "8"),
            (&["9999_a.sql"], "10000"),
            (&["notes.sql", "V7__a.sql"], "20250101000000"),
            (&[], "20250101000000"),
        ] {
            assert_eq!(next(Format::Sqlx, there), expected, "{there:?}");
        }
    }

    #[test]
    fn times_are_followed_by_later_ones() {
        for (there, expected) in [
            // Of before our own.
            ("V20240301120000__a.sql", "20250101000000"),
            ("V202403011200__a.sql", "202501010000"),
            ("V20250601120000__a.sql", "20260301120000"),
            ("V202506011200__a.sql", "202603011200"),
            ("V20250601__a.sql", "20260301"),
            // Of after now.
            ("V20261231235959__a.sql", "20270101000000"),
            ("V202612312359__a.sql", "202701010000"),
        ] {
            assert_eq!(next(Format::Sql, &[there]), expected, "{there}");
        }
        let both = ["20250601120000_a.up.sql", "20250601120000_a.down.sql"];
        assert_eq!(next(Format::Sqlx, &both), "20260301120000");
    }

    #[test]
    fn our_own_names_contain_their_version() {
        assert_eq!(version_of("V8__create_outbox_tables.sql"), Some("8"));
        assert_eq!(version_of("1.3_create_outbox_tables.down.sql"), Some("1.3"));
        assert_eq!(version_of("0008_upgrade_outbox_tables_to_2.up.sql"), Some("0008"));
        assert_eq!(version_of("outbox.sql"), None);
    }
}
