//! The states of a batch, and which command leads from which to which. Nothing here knows of a database.
//!
//! ```text
//! AWAITING_CONTENT ─ContentReady─> READY ─Start─> PROCESSING spellcheck ─PhaseCompleted─> PROCESSING cj_assessment
//!                                                      │                                     │            │
//!                                                 PhaseFailed                           PhaseFailed  PhaseCompleted
//!                                                      └──────────────> FAILED <─────────────┘            │
//!                                                               COMPLETED or COMPLETED_WITH_FAILURES <────┘
//! ```

use contracts::EssayText;
use contracts::batch::Phase;

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its essays are not all there.
    AwaitingContent,
    /// They are, and nothing was begun.
    Ready,
    /// This phase was dispatched.
    Processing(Phase),
    /// All phases are done, with all essays.
    Completed,
    /// All phases are done, without some essays.
    CompletedWithFailures,
    /// A phase failed.
    Failed,
}

/// What happened to a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Its essays are there: these, which may be fewer than were expected.
    ContentReady(Vec<EssayText>),
    /// Its first phase is to begin.
    Start,
    /// A phase ended.
    PhaseCompleted {
        /// The phase.
        phase: Phase,
        /// Essays that were not processed.
        failed_essay_ids: Vec<String>,
    },
    /// A phase failed as a whole.
    PhaseFailed {
        /// The phase.
        phase: Phase,
        /// For programs.
        error_code: String,
        /// For people.
        error_message: String,
        /// Whether another attempt may succeed.
        retryable: bool,
    },
}

/// What a command changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The batch is ready.
    Ready,
    /// A phase is dispatched, after this one if it is not the first.
    Dispatch {
        /// The phase that is done.
        done: Option<Phase>,
        /// The phase that begins.
        next: Phase,
    },
    /// The last phase is done.
    Finish(Phase),
    /// A phase failed.
    Fail(Phase),
}

/// The command does not fit the state. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a batch that is {state} does not take the command {command}")]
pub struct Illegal {
    state: String,
    command: String,
}

/// What `command` changes in `state`.
///
/// # Errors
/// Nothing: it is not allowed there.
pub fn decide(state: State, command: &Command) -> Result<Change, Illegal> {
    match (state, command) {
        (State::AwaitingContent, Command::ContentReady(_)) => Ok(Change::Ready),
        (State::Ready, Command::Start) => Ok(Change::Dispatch {
            done: None,
            next: Phase::Spellcheck,
        }),
        (State::Processing(running), Command::PhaseCompleted { phase, .. }) if running == *phase => {
            Ok(match after(running) {
                Some(next) => Change::Dispatch {
                    done: Some(running),
                    next,
                },
                None => Change::Finish(running),
            })
        }
        (State::Processing(running), Command::PhaseFailed { phase, .. }) if running == *phase => {
            Ok(Change::Fail(running))
        }
        (
            State::AwaitingContent
            | State::Ready
            | State::Processing(_)
            | State::Completed
            | State::CompletedWithFailures
            | State::Failed,
            command,
        ) => Err(Illegal {
            state: state.text(),
            command: command.text(),
        }),
    }
}

fn after(phase: Phase) -> Option<Phase> {
    match phase {
        Phase::Spellcheck => Some(Phase::CjAssessment),
        Phase::CjAssessment => None,
    }
}

/// A phase as it is stored.
pub(crate) fn phase_text(phase: Phase) -> &'static str {
    match phase {
        Phase::Spellcheck => "spellcheck",
        Phase::CjAssessment => "cj_assessment",
    }
}

impl State {
    /// The columns `status` and `current_phase`.
    pub(crate) fn columns(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::AwaitingContent => ("AWAITING_CONTENT", None),
            Self::Ready => ("READY", None),
            Self::Processing(phase) => ("PROCESSING", Some(phase_text(phase))),
            Self::Completed => ("COMPLETED", None),
            Self::CompletedWithFailures => ("COMPLETED_WITH_FAILURES", None),
            Self::Failed => ("FAILED", None),
        }
    }

    /// The state that these columns say, if they say one.
    pub(crate) fn from_columns(status: &str, phase: Option<&str>) -> Option<Self> {
        let states = [
            Self::AwaitingContent,
            Self::Ready,
            Self::Processing(Phase::Spellcheck),
            Self::Processing(Phase::CjAssessment),
            Self::Completed,
            Self::CompletedWithFailures,
            Self::Failed,
        ];
        states
            .into_iter()
            .find(|state| state.columns() == (status, phase))
    }

    fn text(self) -> String {
        let (status, phase) = self.columns();
        phase.map_or_else(|| status.to_owned(), |phase| format!("{status} {phase}"))
    }
}

impl Command {
    fn text(&self) -> String {
        match self {
            Self::ContentReady(_) => "ContentReady".to_owned(),
            Self::Start => "Start".to_owned(),
            Self::PhaseCompleted { phase, .. } => format!("PhaseCompleted {}", phase_text(*phase)),
            Self::PhaseFailed { phase, .. } => format!("PhaseFailed {}", phase_text(*phase)),
        }
    }
}
