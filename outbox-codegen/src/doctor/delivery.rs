//! Findings about delivery: what the library's health check says, as findings.

use outbox_runtime::Health;
use outbox_runtime::health::Reason;
use outbox_runtime::store::{PauseScope, PausedKey};

use super::{Code, Finding};

/// What the library says when it notices a pooler.
const POOLER: &str = "behind a pooler";

/// Findings of a health check. Reasons that other checks report with more detail are left out.
pub(crate) fn judge_health(health: &Health) -> Vec<Finding> {
    let mut findings: Vec<Finding> = health.reasons.iter().filter_map(finding).collect();
    let nobody = health.log.as_ref().is_some_and(|log| log.lease.is_none());
    if nobody && !findings.iter().any(|finding| finding.code == Code::NoActiveRelay) {
        findings.push(
            Finding::new(Code::NoRelay, "no relay is active, and no message waits for one")
                .command("outbox relay")
                .advice("start the relay that belongs to this log, or a service with an embedded one"),
        );
    }
    findings
}

fn finding(reason: &Reason) -> Option<Finding> {
    let code = match reason {
        Reason::LogUnreadable { error, .. } | Reason::DatabaseUnreachable { error, .. }
            if error.contains(POOLER) =>
        {
            return Some(pooler());
        }
        Reason::LogUnreadable { .. } | Reason::DatabaseUnreachable { .. } => Code::LogUnreadable,
        Reason::Backlog { .. } => Code::Backlog,
        Reason::OldestMessage { .. } => Code::OldestMessage,
        Reason::NoActiveRelay { .. } => Code::NoActiveRelay,
        Reason::NothingAcknowledged { .. } => Code::NothingAcknowledged,
        Reason::DeadLetters { .. } => Code::DeadLetters,
        Reason::TopicSuspended { .. } => Code::TopicSuspended,
        Reason::Paused { .. } => Code::Paused,
        Reason::TableSize { .. } => Code::TableSize,
        Reason::PartitionsRunOut {
            messages_left: 1.., ..
        } => Code::PartitionsRunOut,
        // The checks of the server, the tables and its transactions report the others.
        _ => return None,
    };
    let finding = Finding::new(code, reason.to_string());
    Some(match reason {
        Reason::NoActiveRelay { .. } => finding.command("outbox relay"),
        Reason::NothingAcknowledged { .. } | Reason::TopicSuspended { .. } => {
            finding.advice("read the relay's log: it names the topic and the error")
        }
        Reason::DeadLetters { .. } => finding
            .command("outbox dead-letters list --state dead")
            .advice("correct the cause, then replay or discard them"),
        Reason::Paused { pause, .. } => finding.command(match &pause.scope {
            PauseScope::Topic(topic) => format!("outbox resume --topic {topic} --reason …"),
            PauseScope::Key(PausedKey {
                topic: Some(topic),
                key,
            }) => format!("outbox resume --topic {topic} --key {key} --reason …"),
            PauseScope::Key(PausedKey { topic: None, key }) => {
                format!("outbox resume --key {key} --reason …")
            }
            _ => "outbox resume --log --reason …".to_owned(),
        }),
        Reason::PartitionsRunOut { .. } => finding.command("outbox migrate"),
        Reason::TableSize { .. } => finding.command("outbox prune --keep 7d --dry-run"),
        _ => finding,
    })
}

fn pooler() -> Finding {
    Finding::new(
        Code::Pooler,
        "a pooler is between this address and PostgreSQL: services may use it, a relay and `outbox status` cannot, and \
         the state of the log was not read",
    )
    .advice("give the relay and this command the address of PostgreSQL itself")
}
