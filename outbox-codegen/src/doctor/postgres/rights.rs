//! Findings about rights: the role can do some work, or the one that it is meant for.

use outbox_runtime::schema::Role;

use super::facts::RoleRights;
use crate::doctor::{Code, Finding};

/// `meant`: the work that the role is meant for. Without it, any work will do.
pub(super) fn judge(rights: &[RoleRights], meant: Option<Role>, role: &str) -> Vec<Finding> {
    let lacking = match meant {
        Some(meant) => rights.iter().find(|rights| rights.role == meant),
        None if rights.iter().any(|rights| rights.grants.is_empty()) => None,
        // What is nearest to some work.
        None => rights.iter().min_by_key(|rights| rights.grants.len()),
    };
    let Some(RoleRights { role: work, grants }) = lacking.filter(|rights| !rights.grants.is_empty()) else {
        return Vec::new();
    };
    vec![
        Finding::new(
            Code::RightsMissing,
            format!(
                "the role {role} lacks {} rights for the work of a {work}",
                grants.len()
            ),
        )
        .sql(grants.join("; ")),
    ]
}
