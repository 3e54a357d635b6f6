//! Which programs work with which tables.

use std::fmt;

use super::{SCHEMA_VERSION, SchemaError, Tables};

/// The version of a database's tables, as `outbox_schema` records it, and which programs work with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TablesVersion {
    number: i32,
    oldest_program: i32,
}

/// Whether this program works with the tables of a [`TablesVersion`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fit {
    /// The tables have this program's version, [`SCHEMA_VERSION`].
    Same,
    /// The tables have a newer version that this program can use, because it only adds to this one.
    Added,
    /// The tables have an older version and must be migrated first.
    Older,
    /// The tables have a newer version that requires a newer program.
    Newer,
}

impl Fit {
    /// Whether this program works with the tables.
    pub fn is_good(self) -> bool {
        match self {
            Self::Same | Self::Added => true,
            Self::Older | Self::Newer => false,
        }
    }
}

impl TablesVersion {
    /// As the newest row says. Tables up to version 6 do not name the oldest program.
    #[cfg(any(feature = "postgres", feature = "sqlite", test))]
    pub(crate) fn new(number: i32, oldest_program: Option<i32>) -> Self {
        Self {
            number,
            oldest_program: oldest_program.unwrap_or(number),
        }
    }

    /// The number of the version.
    pub fn number(self) -> i32 {
        self.number
    }

    /// The oldest version of a program that works with these tables.
    pub fn oldest_program(self) -> i32 {
        self.oldest_program
    }

    /// Whether this program works with these tables.
    pub fn fit(self) -> Fit {
        self.fit_of(SCHEMA_VERSION)
    }

    /// Fails if a newer program has to be used.
    pub(super) fn not_too_new(self) -> Result<Self, SchemaError> {
        match self.fit() {
            Fit::Newer => Err(SchemaError::Newer { found: self.number }),
            Fit::Same | Fit::Added | Fit::Older => Ok(self),
        }
    }

    /// Fails if this program does not work with these tables.
    pub(super) fn usable(self, tables: &Tables) -> Result<Self, SchemaError> {
        match self.not_too_new()?.fit() {
            Fit::Older => Err(SchemaError::Older {
                found: self.number,
                arguments: tables.as_arguments(),
            }),
            Fit::Same | Fit::Added | Fit::Newer => Ok(self),
        }
    }

    fn fit_of(self, program: i32) -> Fit {
        match self.number {
            number if number == program => Fit::Same,
            number if number < program => Fit::Older,
            _ if self.oldest_program <= program => Fit::Added,
            _ => Fit::Newer,
        }
    }
}

/// The number; of newer tables that this program works with, that it does.
impl fmt::Display for TablesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fit() {
            Fit::Added => write!(
                f,
                "{}, with which programs from version {} on work",
                self.number, self.oldest_program
            ),
            Fit::Same | Fit::Older | Fit::Newer => write!(f, "{}", self.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_tables_say_which_programs_work_with_them() {
        let added = TablesVersion::new(9, Some(7));
        for (program, fit) in [
            (6, Fit::Newer),
            (7, Fit::Added),
            (8, Fit::Added),
            (9, Fit::Same),
            (10, Fit::Older),
        ] {
            assert_eq!(added.fit_of(program), fit, "a program of version {program}");
        }
    }

    #[test]
    fn tables_that_name_no_program_are_for_those_of_their_version() {
        let silent = TablesVersion::new(6, None);
        assert_eq!(silent.fit_of(6), Fit::Same);
        assert_eq!(silent.fit_of(5), Fit::Newer);
        assert_eq!(silent.fit_of(7), Fit::Older);
    }
}
