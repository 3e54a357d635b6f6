//! How a command fails: what happened, why, and what to do about it.

use std::error::Error;
use std::fmt::Write;

use outbox_runtime::ErrorChain;
use outbox_runtime::schema::SchemaError;

use crate::Exit;
use crate::say::say;

/// An error for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    advice: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            cause: None,
            advice: None,
        }
    }

    /// The command line or the configuration is wrong; nothing was done.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The work was begun and failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// What happened and why, in one line.
    pub(crate) fn sentence(&self) -> String {
        let causes = self
            .cause
            .as_deref()
            .map(|cause| ErrorChain::new(cause).to_string());
        match causes {
            Some(causes) => format!("{}: {causes}", self.message),
            None => self.message.clone(),
        }
    }

    /// Prints the failure to stderr and returns its exit code.
    pub(crate) fn report(&self) -> Exit {
        say(self.text());
        self.exit
    }

    fn text(&self) -> String {
        let mut text = format!("error: {}", self.message);
        let causes = self.cause.as_deref().map(|cause| ErrorChain::new(cause).links());
        for cause in causes.into_iter().flatten() {
            // The message may say what its cause says.
            if !self.message.contains(&cause) {
                // Writing to a string cannot fail.
                let _ = write!(text, "\n  because: {cause}");
            }
        }
        if let Some(advice) = &self.advice {
            let _ = write!(text, "\n  what to do: {advice}");
        }
        text
    }
}

/// The tables are not what this program needs; the error itself says what to run.
impl From<SchemaError> for Failure {
    fn from(error: SchemaError) -> Self {
        Self::failed(error.to_string()).because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_contains_cause_and_remedy_and_repeats_nothing() {
        let cause = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let failure = Failure::failed("cannot read `x`")
            .because(cause)
            .advise("make it");
        assert_eq!(
            failure.text(),
            "error: cannot read `x`\n  because: no such file\n  what to do: make it"
        );
        let repeated = Failure::failed("cannot read `x`: gone").because("gone");
        assert_eq!(repeated.text(), "error: cannot read `x`: gone");
    }
}
