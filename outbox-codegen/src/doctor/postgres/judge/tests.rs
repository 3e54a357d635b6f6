use super::*;
use crate::doctor::postgres::facts::{
    Clock, Holder, InvalidIndex, Payload, Prepared, RoleRights, Slot, Standby,
};
use crate::doctor::{Hidden, Mend, Seen};

/// A server that has nothing wrong.
fn healthy() -> PostgresFacts {
    let rights = Role::ALL.map(|role| RoleRights {
        role,
        grants: Vec::new(),
    });
    PostgresFacts {
        server: Server {
            version: 150_004,
            version_text: "15.4".to_owned(),
            in_recovery: false,
            read_only: false,
            read_only_source: "default".to_owned(),
            fsync: true,
            synchronous_commit: "on".to_owned(),
            synchronous_commit_source: "default".to_owned(),
            autovacuum: true,
            track_counts: true,
            idle_timeout: "10min".to_owned(),
            database: "shop".to_owned(),
            role: "alice".to_owned(),
            sees_all: true,
            partitioned: false,
        },
        schema: None,
        rights: rights.to_vec(),
        holders: Seen::Is(Vec::new()),
        prepared: Seen::Is(Vec::new()),
        slots: Seen::Is(Vec::new()),
        standbys: Seen::Is(Vec::new()),
        invalid_indexes: Seen::Is(Vec::new()),
        tables: Seen::Is(Vec::new()),
        payloads: Seen::Is(vec![Payload {
            topic: "orders".to_owned(),
            bytes: 10,
        }]),
        exactly_once: Seen::Is(false),
        clock: Clock {
            ahead: 0.2,
            asked_for: Duration::from_millis(10),
        },
    }
}

fn judged(change: impl FnOnce(&mut PostgresFacts)) -> Vec<Finding> {
    let mut facts = healthy();
    change(&mut facts);
    judge(&facts, &Limits::default(), None)
}

/// The codes that a change brings, and the first thing that mends each.
fn found(change: impl FnOnce(&mut PostgresFacts)) -> Vec<(&'static str, String)> {
    let mend = |finding: &Finding| match finding.mend.first() {
        Some(Mend::Sql(text) | Mend::Command(text) | Mend::Advice(text)) => text.clone(),
        None => String::new(),
    };
    judged(change)
        .iter()
        .map(|finding| (finding.code.as_str(), mend(finding)))
        .collect()
}

fn table(name: &str, one_row: bool) -> Table {
    Table {
        name: name.to_owned(),
        one_row,
        dead: 0,
        live: 1,
        bytes: 8192,
        autovacuum_off: false,
    }
}

type Case = (fn(&mut PostgresFacts), &'static str, &'static str);

/// A fault, its code, and what mends it.
const CASES: &[Case] = &[
    (
        |facts| facts.server.version = 120_017,
        "server_version",
        "upgrade the server",
    ),
    (
        |facts| facts.server.in_recovery = true,
        "standby",
        "give --database-url the address of the primary",
    ),
    (
        |facts| {
            facts.server.read_only = true;
            facts.server.read_only_source = "user".to_owned();
        },
        "read_only",
        "ALTER ROLE alice SET default_transaction_read_only = off",
    ),
    (
        |facts| facts.server.read_only = true,
        "read_only",
        "ALTER DATABASE shop SET default_transaction_read_only = off",
    ),
    (
        |facts| facts.server.fsync = false,
        "fsync_off",
        "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()",
    ),
    (
        |facts| facts.server.synchronous_commit = "off".to_owned(),
        "synchronous_commit_off",
        "ALTER DATABASE shop SET synchronous_commit = on",
    ),
    (
        |facts| facts.server.autovacuum = false,
        "autovacuum_off",
        "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf()",
    ),
    (
        |facts| facts.server.idle_timeout = "0".to_owned(),
        "idle_timeout_off",
        "ALTER DATABASE shop SET idle_in_transaction_session_timeout = '10min'",
    ),
    (
        |facts| {
            for rights in &mut facts.rights {
                rights.grants = vec!["GRANT SELECT ON x TO alice".to_owned(); rights.role as usize + 1];
            }
        },
        "rights_missing",
        "GRANT SELECT ON x TO alice",
    ),
    (
        |facts| {
            facts.holders = Seen::Is(vec![Holder {
                pid: 7,
                role: "bob".to_owned(),
                application: "psql".to_owned(),
                state: "idle in transaction".to_owned(),
                age: 400.0,
                writes: true,
            }]);
        },
        "long_transaction",
        "SELECT pg_terminate_backend(7)",
    ),
    (
        |facts| {
            let gid = "'g'".to_owned();
            facts.prepared = Seen::Is(vec![Prepared {
                gid,
                owner: "bob".to_owned(),
                age: 400.0,
            }]);
        },
        "prepared_transaction",
        "COMMIT PREPARED 'g'",
    ),
    (
        |facts| {
            let slot = Slot {
                name: "'s'".to_owned(),
                active: false,
                bytes: Some(1),
                xmin_age: None,
            };
            facts.slots = Seen::Is(vec![slot]);
        },
        "replication_slot",
        "SELECT pg_drop_replication_slot('s')",
    ),
    (
        |facts| {
            facts.standbys = Seen::Is(vec![Standby {
                name: "b".to_owned(),
                xmin_age: 10_000_001,
            }]);
        },
        "standby_feedback",
        "end the query on the standby, or switch hot_standby_feedback off there",
    ),
    (
        |facts| {
            facts.invalid_indexes = Seen::Is(vec![InvalidIndex {
                index: "i".to_owned(),
                bare: "outbox_messages".to_owned(),
                table: "outbox_messages".to_owned(),
            }]);
        },
        "index_invalid",
        "REINDEX INDEX CONCURRENTLY i",
    ),
    (
        |facts| {
            facts.tables = Seen::Is(vec![Table {
                autovacuum_off: true,
                ..table("m", false)
            }]);
        },
        "autovacuum_off",
        "ALTER TABLE m RESET (autovacuum_enabled)",
    ),
    (
        |facts| {
            facts.tables = Seen::Is(vec![Table {
                dead: 10_001,
                ..table("c", true)
            }])
        },
        "bloat",
        "VACUUM c",
    ),
    (
        |facts| {
            facts.tables = Seen::Is(vec![Table {
                bytes: (1 << 20) + 1,
                ..table("c", true)
            }])
        },
        "bloat",
        "VACUUM FULL c; VACUUM c",
    ),
    (
        |facts| {
            facts.tables = Seen::Is(vec![Table {
                dead: 100_001,
                live: 200_001,
                ..table("m", false)
            }])
        },
        "dead_rows",
        "VACUUM (ANALYZE) m",
    ),
    (
        |facts| facts.clock.ahead = -1.1,
        "clock",
        "synchronize both with NTP",
    ),
    (
        |facts| {
            facts.payloads = Seen::Hidden(Hidden {
                what: "sizes of messages",
                error: "permission denied".to_owned(),
                mend: Some(Mend::Sql("GRANT SELECT".to_owned())),
            });
        },
        "not_visible",
        "GRANT SELECT",
    ),
];

#[test]
fn each_fault_is_found_and_brings_no_other_along() {
    assert_eq!(found(|_| ()), []);
    for (change, code, mend) in CASES {
        assert_eq!(found(change), [(*code, (*mend).to_owned())]);
    }
}

#[test]
fn nothing_is_found_at_a_threshold() {
    let at: [fn(&mut PostgresFacts); 7] = [
        |facts| facts.clock.ahead = 1.0,
        // The question took so long that the difference may come from that.
        |facts| {
            facts.clock = Clock {
                ahead: 2.0,
                asked_for: Duration::from_secs(3),
            }
        },
        |facts| {
            facts.tables = Seen::Is(vec![Table {
                dead: 10_000,
                bytes: 1 << 20,
                ..table("c", true)
            }])
        },
        |facts| {
            facts.tables = Seen::Is(vec![Table {
                dead: 100_000,
                ..table("m", false)
            }])
        },
        // Many, and few beside the live ones.
        |facts| {
            facts.tables = Seen::Is(vec![Table {
                dead: 100_001,
                live: 300_000,
                ..table("m", false)
            }])
        },
        |facts| {
            let slot = Slot {
                name: "'s'".to_owned(),
                active: true,
                bytes: Some(10 << 30),
                xmin_age: Some(10_000_000),
            };
            facts.slots = Seen::Is(vec![slot]);
        },
        // One kind of work is enough.
        |facts| facts.rights[0].grants = vec!["GRANT".to_owned()],
    ];
    for change in at {
        assert_eq!(found(change), []);
    }
}

#[test]
fn a_role_is_held_to_the_work_that_it_is_meant_for() {
    let mut facts = healthy();
    facts.rights.iter_mut().for_each(|rights| {
        if rights.role == Role::Relay {
            rights.grants = vec!["GRANT UPDATE ON c TO alice".to_owned()];
        }
    });
    let codes = |meant| {
        judge(&facts, &Limits::default(), meant)
            .iter()
            .map(|found| found.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(Some(Role::Relay)), [Code::RightsMissing]);
    assert_eq!(codes(Some(Role::Reader)), []);
    assert_eq!(codes(None), []);
}
