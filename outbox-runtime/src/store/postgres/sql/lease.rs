//! Statements on the lease, and on what is noted there of records that may take a process down.

use crate::Tables;
use crate::store::statement::Statement;

#[derive(Debug)]
pub(in crate::store::postgres) struct LeaseSql {
    pub(in crate::store::postgres) read: Statement,
    pub(in crate::store::postgres) take: Statement,
    pub(in crate::store::postgres) renew: Statement,
    pub(in crate::store::postgres) outlived: Statement,
    pub(in crate::store::postgres) release: Statement,
    pub(in crate::store::postgres) poison_history: Statement,
    pub(in crate::store::postgres) begin_probe: Statement,
    pub(in crate::store::postgres) postpone_probe: Statement,
    pub(in crate::store::postgres) clear_probe: Statement,
}

impl LeaseSql {
    pub(super) fn new(tables: &Tables) -> Self {
        let lease = tables.lease();
        let put = Statement::new;
        Self {
            read: put(format!("SELECT epoch, token, renewals, ttl_ms FROM {lease}")),
            take: put(format!(
                "UPDATE {lease} SET holder = $1, token = $2, epoch = epoch + 1, renewals = 0, ttl_ms = $3,
                        acquired_at = now(), renewed_at = now(), unended_terms = unended_terms + 1,
                        suspect_deaths = suspect_deaths + CASE WHEN suspect_alone THEN 1 ELSE 0 END,
                        suspect_alone = false
                 WHERE epoch = $4 AND token IS NOT DISTINCT FROM $5 AND renewals = $6
                 RETURNING epoch"
            )),
            renew: put(format!(
                "UPDATE {lease} SET renewals = renewals + 1, renewed_at = now() WHERE epoch = $1 AND token = $2"
            )),
            outlived: put(format!(
                "UPDATE {lease} SET unended_terms = greatest(unended_terms - 1, 0),
                        suspect_alone = suspect_alone AND epoch <> $1
                 WHERE epoch >= $1"
            )),
            release: put(format!(
                "UPDATE {lease} SET holder = NULL, token = NULL, renewals = renewals + 1, {NO_SUSPICION}
                 WHERE epoch = $1 AND token = $2"
            )),
            poison_history: put(format!(
                "SELECT unended_terms, suspect_seq, suspect_id, suspect_deaths FROM {lease} WHERE epoch = $1 AND token = $2"
            )),
            begin_probe: put(format!(
                "UPDATE {lease} SET suspect_seq = $3, suspect_id = $4, suspect_alone = $5,
                        suspect_deaths = CASE WHEN suspect_seq = $3 AND suspect_id = $4 THEN suspect_deaths ELSE 0 END
                 WHERE epoch = $1 AND token = $2"
            )),
            postpone_probe: put(format!(
                "UPDATE {lease} SET suspect_alone = false WHERE epoch = $1 AND token = $2"
            )),
            clear_probe: put(format!(
                "UPDATE {lease} SET {NO_SUSPICION} WHERE epoch = $1 AND token = $2"
            )),
        }
    }
}

/// Nothing is suspected of taking a process down.
const NO_SUSPICION: &str = "unended_terms = 0, suspect_seq = NULL, suspect_id = NULL, suspect_alone = false, \
                            suspect_deaths = 0";
