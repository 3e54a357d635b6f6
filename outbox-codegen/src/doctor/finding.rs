//! What a check found: how bad it is, why, and what corrects it.

use serde::Serialize;

use super::Code;

/// How bad a finding is, in increasing order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// Worth knowing, or something that could not be checked.
    Note,
    /// Everything works, and will not for ever or not after a failure.
    Warning,
    /// Messages are lost, late or refused, or will be.
    Serious,
}

impl Severity {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Serious => "serious",
        }
    }
}

/// Something that corrects a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mend {
    /// One or more statements of SQL, separated by semicolons. Each is to run on its own, not in one transaction.
    Sql(String),
    /// A command for a shell.
    Command(String),
    /// Something that no single command does.
    Advice(String),
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) code: Code,
    /// A sentence with the numbers.
    pub(crate) reason: String,
    /// What corrects it. If there are several, one of them is enough.
    pub(crate) mend: Vec<Mend>,
}

impl Finding {
    pub(crate) fn new(code: Code, reason: impl Into<String>) -> Self {
        Self {
            severity: code.severity(),
            code,
            reason: reason.into(),
            mend: Vec::new(),
        }
    }

    #[must_use]
    pub(crate) fn sql(mut self, statement: impl Into<String>) -> Self {
        self.mend.push(Mend::Sql(statement.into()));
        self
    }

    #[must_use]
    pub(crate) fn command(mut self, command: impl Into<String>) -> Self {
        self.mend.push(Mend::Command(command.into()));
        self
    }

    #[must_use]
    pub(crate) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.mend.push(Mend::Advice(advice.into()));
        self
    }
}

/// What was looked at, or why it could not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen<T> {
    Is(T),
    Hidden(Hidden),
}

/// Something that the role or the user may not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hidden {
    /// What was to be read.
    pub(crate) what: &'static str,
    /// What the server said.
    pub(crate) error: String,
    /// The statement or command that allows it.
    pub(crate) mend: Option<Mend>,
}

impl<T> Seen<T> {
    pub(crate) fn known(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Hidden(_) => None,
        }
    }

    pub(crate) fn hidden(&self) -> Option<&Hidden> {
        match self {
            Self::Is(_) => None,
            Self::Hidden(hidden) => Some(hidden),
        }
    }
}

impl Hidden {
    pub(crate) fn finding(&self) -> Finding {
        let mut finding = Finding::new(
            Code::NotVisible,
            format!("{} could not be checked: {}", self.what, self.error),
        );
        finding.mend.extend(self.mend.clone());
        finding
    }
}
