//! From facts to findings.

use std::time::Duration;

use outbox_runtime::schema::Role;

use super::facts::{PostgresFacts, Server, Table};
use super::rights;
use crate::doctor::{Code, Finding, Limits};

/// The oldest version that is supported, as `server_version_num`.
const OLDEST: i32 = 130_000;

/// Everything but the tables' definition and the state of delivery.
pub(crate) fn judge(facts: &PostgresFacts, limits: &Limits, meant: Option<Role>) -> Vec<Finding> {
    let mut findings = judge_server(&facts.server);
    findings.extend(rights::judge(&facts.rights, meant, &facts.server.role));
    findings.extend(judge_transactions(facts));
    findings.extend(judge_replication(facts, limits));
    findings.extend(judge_indexes(facts));
    for table in facts.tables.known().into_iter().flatten() {
        findings.extend(judge_table(table, limits));
    }
    findings.extend(judge_clock(facts, limits));
    findings.extend(not_visible(facts));
    findings
}

fn judge_server(server: &Server) -> Vec<Finding> {
    let Server { database, role, .. } = server;
    let mut findings = Vec::new();
    if server.version < OLDEST {
        let reason = format!("PostgreSQL {} is older than 13", server.version_text);
        findings.push(Finding::new(Code::ServerVersion, reason).advice("upgrade the server"));
    }
    if server.in_recovery {
        findings.push(
            Finding::new(
                Code::Standby,
                "the server is a standby: it takes no messages, and no relay can work on it",
            )
            .advice("give --database-url the address of the primary"),
        );
    }
    let whose = |source: &str| match source {
        "user" => format!("ALTER ROLE {role}"),
        "database user" => format!("ALTER ROLE {role} IN DATABASE {database}"),
        _ => format!("ALTER DATABASE {database}"),
    };
    if server.read_only && !server.in_recovery {
        let alter = whose(&server.read_only_source);
        findings.push(
            Finding::new(
                Code::ReadOnly,
                format!(
                    "default_transaction_read_only is on ({})",
                    server.read_only_source
                ),
            )
            .sql(format!("{alter} SET default_transaction_read_only = off")),
        );
    }
    findings.extend(judge_durability(server, &whose));
    for (on, name) in [
        (server.autovacuum, "autovacuum"),
        (server.track_counts, "track_counts"),
    ] {
        if !on {
            findings.push(
                Finding::new(Code::AutovacuumOff, format!("{name} is off for the server"))
                    .sql(format!("ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf()")),
            );
        }
    }
    if server.idle_timeout == "0" {
        findings.push(
            Finding::new(
                Code::IdleTimeoutOff,
                "idle_in_transaction_session_timeout is 0: a transaction that was forgotten stays open for ever",
            )
            .sql(format!("ALTER DATABASE {database} SET idle_in_transaction_session_timeout = '10min'")),
        );
    }
    findings
}

/// Settings by which a crash loses what was committed.
fn judge_durability(server: &Server, whose: &dyn Fn(&str) -> String) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !server.fsync {
        findings.push(
            Finding::new(
                Code::FsyncOff,
                "fsync is off: a crash of the machine corrupts the database",
            )
            .sql("ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()"),
        );
    }
    if server.synchronous_commit == "off" {
        let alter = whose(&server.synchronous_commit_source);
        findings.push(
            Finding::new(
                Code::SynchronousCommitOff,
                "synchronous_commit is off: a crash can take back a transaction whose event was delivered",
            )
            .sql(format!("{alter} SET synchronous_commit = on")),
        );
    }
    findings
}

fn judge_transactions(facts: &PostgresFacts) -> Vec<Finding> {
    let holders = facts.holders.known().into_iter().flatten().map(|holder| {
        let effect = match holder.writes {
            true => {
                "its messages are delivered after its commit, and dead rows since its start cannot be removed"
            }
            false => "dead rows since its start cannot be removed",
        };
        let reason = format!(
            "process {} of role {} ({}, {}) has a transaction open for {}: {effect}",
            holder.pid,
            holder.role,
            holder.application,
            holder.state,
            lasting(holder.age)
        );
        Finding::new(Code::LongTransaction, reason)
            .sql(format!("SELECT pg_terminate_backend({})", holder.pid))
    });
    let prepared = facts.prepared.known().into_iter().flatten().map(|prepared| {
        let reason = format!(
            "the transaction {} of role {} was prepared {} ago and has not ended: what it wrote is not visible, and dead \
             rows since then cannot be removed",
            prepared.gid,
            prepared.owner,
            lasting(prepared.age)
        );
        Finding::new(Code::PreparedTransaction, reason)
            .sql(format!("COMMIT PREPARED {}", prepared.gid))
            .sql(format!("ROLLBACK PREPARED {}", prepared.gid))
    });
    holders.chain(prepared).collect()
}

fn judge_replication(facts: &PostgresFacts, limits: &Limits) -> Vec<Finding> {
    let slots = facts.slots.known().into_iter().flatten().filter_map(|slot| {
        let bytes = slot.bytes.unwrap_or_default();
        let behind = slot.xmin_age.filter(|age| *age > limits.xmin_age);
        let reason = match (slot.active, slot.bytes, behind) {
            (_, _, Some(age)) => format!("the replication slot {} is {age} transactions behind: dead rows cannot be removed", slot.name),
            (false, Some(bytes), None) => {
                format!("nobody reads the replication slot {}, which keeps {bytes} bytes of WAL and all that follows", slot.name)
            }
            (true, _, None) if bytes > limits.slot_bytes => {
                format!("the reader of the replication slot {} is {bytes} bytes of WAL behind", slot.name)
            }
            (true, _, None) | (false, None, None) => return None,
        };
        let finding = Finding::new(Code::ReplicationSlot, reason);
        Some(match slot.active {
            true => finding.advice("find out why its reader is slow"),
            false => finding.sql(format!("SELECT pg_drop_replication_slot({})", slot.name)),
        })
    });
    let standbys = facts.standbys.known().into_iter().flatten();
    let standbys = standbys
        .filter(|standby| standby.xmin_age > limits.xmin_age)
        .map(|standby| {
            let reason = format!(
                "a query on the standby {} is {} transactions behind: dead rows cannot be removed",
                standby.name, standby.xmin_age
            );
            Finding::new(Code::StandbyFeedback, reason)
                .advice("end the query on the standby, or switch hot_standby_feedback off there")
        });
    slots.chain(standbys).collect()
}

fn judge_indexes(facts: &PostgresFacts) -> Vec<Finding> {
    let invalid = facts.invalid_indexes.known().into_iter().flatten();
    invalid
        .map(|index| {
            let reason = format!(
                "the index {} of {} is invalid: PostgreSQL does not use it",
                index.index, index.table
            );
            Finding::new(Code::IndexInvalid, reason)
                .sql(format!("REINDEX INDEX CONCURRENTLY {}", index.index))
        })
        .collect()
}

fn judge_table(table: &Table, limits: &Limits) -> Vec<Finding> {
    let Table {
        name,
        dead,
        live,
        bytes,
        ..
    } = table;
    let mut findings = Vec::new();
    if table.autovacuum_off {
        findings.push(
            Finding::new(Code::AutovacuumOff, format!("autovacuum is off for {name}"))
                .sql(format!("ALTER TABLE {name} RESET (autovacuum_enabled)")),
        );
    }
    if table.one_row && *bytes > limits.one_row_bytes {
        findings.push(
            Finding::new(Code::Bloat, format!("{name} has one row and takes {bytes} bytes"))
                .sql(format!("VACUUM FULL {name}; VACUUM {name}")),
        );
    } else if table.one_row && *dead > limits.dead_versions {
        findings.push(
            Finding::new(
                Code::Bloat,
                format!("{name} has one row and {dead} dead versions of it"),
            )
            .sql(format!("VACUUM {name}")),
        );
    }
    if !table.one_row && *dead > limits.dead_rows && *dead > live / 2 {
        findings.push(
            Finding::new(
                Code::DeadRows,
                format!("{name} has {dead} dead rows beside {live} live ones"),
            )
            .sql(format!("VACUUM (ANALYZE) {name}"))
            .advice(
                "if it does not help, a transaction or a replication slot holds them: see the other findings",
            ),
        );
    }
    findings
}

fn judge_clock(facts: &PostgresFacts, limits: &Limits) -> Option<Finding> {
    let clock = facts.clock;
    let uncertain = clock.asked_for.as_secs_f64() / 2.0;
    (clock.ahead.abs() > limits.clock.as_secs_f64() + uncertain).then(|| {
        let (seconds, way) = (clock.ahead.abs(), if clock.ahead > 0.0 { "ahead of" } else { "behind" });
        let reason = format!(
            "PostgreSQL's clock is {seconds:.1} s {way} this machine's: ages, retention and the events' times differ by that"
        );
        Finding::new(Code::Clock, reason).advice("synchronize both with NTP")
    })
}

fn not_visible(facts: &PostgresFacts) -> Vec<Finding> {
    let hidden = [
        facts.holders.hidden(),
        facts.prepared.hidden(),
        facts.slots.hidden(),
        facts.standbys.hidden(),
        facts.invalid_indexes.hidden(),
        facts.tables.hidden(),
        facts.payloads.hidden(),
        facts.exactly_once.hidden(),
    ];
    hidden
        .into_iter()
        .flatten()
        .map(|hidden| hidden.finding())
        .collect()
}

fn lasting(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    humantime::format_duration(Duration::from_secs(seconds.as_secs())).to_string()
}

#[cfg(test)]
mod tests;
