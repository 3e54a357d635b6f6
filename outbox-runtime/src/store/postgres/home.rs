//! Where this is: which cluster, database and table the connection leads to, and on which timeline.
//!
//! Two of the functions that report it may be refused by a managed PostgreSQL. A relay goes without them, and says once
//! what is lost by that.

use std::sync::Once;

use sqlx::{PgConnection, Row as _};

use crate::Tables;
use crate::store::statement::Statement;

/// Where this is, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) system_identifier: Option<String>,
    pub(super) database_oid: String,
    pub(super) table_oid: String,
    pub(super) timeline: Option<String>,
}

/// The questions.
#[derive(Debug)]
pub(super) struct HomeSql {
    place: Statement,
    cluster: Statement,
    timeline: Statement,
}

impl HomeSql {
    pub(super) fn new(tables: &Tables) -> Self {
        let put = Statement::new;
        Self {
            place: put(format!(
                "SELECT (SELECT d.oid::text FROM pg_database d WHERE d.datname = current_database()),
                        '{}'::regclass::oid::text",
                tables.cursor()
            )),
            cluster: put("SELECT s.system_identifier::text FROM pg_control_system() s".to_owned()),
            // A standby cannot tell it.
            timeline: put(
                "SELECT CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END"
                    .to_owned(),
            ),
        }
    }
}

static NO_CLUSTER: Once = Once::new();
static NO_TIMELINE: Once = Once::new();

impl Home {
    /// Not in a transaction, which a refused question would end.
    pub(super) async fn ask(pg: &mut PgConnection, sql: &HomeSql) -> Result<Self, sqlx::Error> {
        let place = sqlx::query(sql.place.text()).fetch_one(&mut *pg).await?;
        let (system_identifier, refused) = may_be_refused(pg, &sql.cluster).await?;
        if let Some(refused) = refused {
            NO_CLUSTER.call_once(|| {
                tracing::warn!(
                    refused,
                    "the database does not report which cluster it is (pg_control_system): a log that was copied to another \
                     cluster is recognised there by its database, table and transaction ids alone; run `outbox fork` in each \
                     copy before a relay"
                );
            });
        }
        let (timeline, refused) = may_be_refused(pg, &sql.timeline).await?;
        if let Some(refused) = refused {
            NO_TIMELINE.call_once(|| {
                tracing::warn!(
                    refused,
                    "the database does not report its timeline (pg_current_wal_lsn, pg_walfile_name): \
                     duplicates after a fail-over or a restore to an earlier point in time will be neither \
                     detected nor counted"
                );
            });
        }
        Ok(Self {
            system_identifier,
            database_oid: place.try_get(0)?,
            table_oid: place.try_get(1)?,
            timeline,
        })
    }
}

/// The answer, or what the database has against the question.
async fn may_be_refused(
    pg: &mut PgConnection,
    question: &Statement,
) -> Result<(Option<String>, Option<String>), sqlx::Error> {
    match sqlx::query_scalar(question.text()).fetch_one(pg).await {
        Ok(answer) => Ok((answer, None)),
        Err(sqlx::Error::Database(error)) if is_refusal(error.code().as_deref().unwrap_or_default()) => {
            Ok((None, Some(error.message().to_owned())))
        }
        Err(error) => Err(error),
    }
}

/// Anything but that the connection, the server or its resources failed just now.
fn is_refusal(code: &str) -> bool {
    !matches!(code.get(..2), None | Some("08" | "53" | "57" | "58"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_refused_and_not_out_of_order() {
        // Not allowed, not supported, not there, not in this state, raised by somebody's own function.
        for refused in ["42501", "0A000", "42883", "55000", "P0001"] {
            assert!(is_refusal(refused), "{refused}");
        }
        for passing in ["57014", "57P01", "53300", "08006", "58030", ""] {
            assert!(!is_refusal(passing), "{passing}");
        }
    }
}
