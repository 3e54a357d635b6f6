//! The search for late transactions that the window's lower edge does not list.
//!
//! The edges that a reader takes list all, and it has nothing to look for. Those that an earlier version of this
//! library wrote do not, and any number of transactions may have written since. So the search goes in steps, and
//! how far it came outlives the connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::claim::number;
use super::connection::Connection;
use super::home::Home;
use super::snapshot::Xid;
use super::sql::Sql;
use super::window::{Edge, Window, XidRange};
use crate::store::StoreError;

/// So many transaction ids are looked at by one statement: some 7 us each, so a fraction of a second.
const IDS: Xid = 20_000;

/// A search that takes longer says how far it is, and so on.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// How far the last search came, for the readers of one store.
#[derive(Debug, Clone, Default)]
pub(super) struct LateSearches(Arc<Mutex<Option<(Home, LateSearch)>>>);

impl LateSearches {
    /// The transactions that may have late rows in the window and that its lower edge does not list. After an error
    /// the next search with the same lower edge goes on where this one was.
    pub(super) async fn find(
        &self,
        connection: &mut Connection,
        sql: &Sql,
        (home, window, low_water_mark): (&Home, &Window, i64),
    ) -> Result<Vec<Xid>, StoreError> {
        let mut search = self.kept(home, &window.from);
        let mut reported = Instant::now();
        while !search.is_done(window) {
            search.step(connection, sql, window, low_water_mark).await?;
            self.keep(home, &search);
            if reported.elapsed() >= REPORT_EVERY {
                reported = Instant::now();
                search.report(window);
            }
        }
        Ok(search.found(window).collect())
    }

    /// If the timeline is unknown, the database may have gone back to an earlier point in time meanwhile, and what was
    /// found then may no longer be all.
    fn kept(&self, home: &Home, from: &Edge) -> LateSearch {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.as_ref() {
            Some((there, search)) if there == home && home.timeline.is_some() && search.from == *from => {
                search.clone()
            }
            Some(_) | None => LateSearch::new(from),
        }
    }

    fn keep(&self, home: &Home, search: &LateSearch) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some((home.clone(), search.clone()));
    }
}

/// What is known of the transactions from an edge's `xmax` on and below `next`.
#[derive(Debug, Clone)]
pub(super) struct LateSearch {
    from: Edge,
    next: Xid,
    /// Those of them that have rows below the edge, and those that had not finished yet.
    candidates: Vec<Xid>,
}

impl LateSearch {
    pub(super) fn new(from: &Edge) -> Self {
        Self {
            from: from.clone(),
            next: from.snapshot.xmax(),
            candidates: Vec::new(),
        }
    }

    /// Whether all are known that the window may have.
    pub(super) fn is_done(&self, window: &Window) -> bool {
        self.next_ids(window).is_none()
    }

    fn next_ids(&self, window: &Window) -> Option<XidRange> {
        let range = window.late_unlisted().filter(|range| self.next < range.below)?;
        Some(XidRange {
            low: self.next,
            below: range.below.min(self.next + IDS),
        })
    }

    /// Looks at the next transactions.
    pub(super) async fn step(
        &mut self,
        connection: &mut Connection,
        sql: &Sql,
        window: &Window,
        low_water_mark: i64,
    ) -> Result<(), StoreError> {
        let Some(ids) = self.next_ids(window) else {
            return Ok(());
        };
        let found = late_candidates(connection, sql, ids, low_water_mark, self.from.high).await?;
        let running = window.to.snapshot.running().iter().copied();
        let running = running.filter(|xid| (ids.low..ids.below).contains(xid) && !found.contains(xid));
        self.candidates.extend(running);
        self.candidates.extend(found);
        self.next = ids.below;
        Ok(())
    }

    /// The transactions that the window's upper edge sees, of those that were found.
    pub(super) fn found(&self, window: &Window) -> impl Iterator<Item = Xid> {
        let candidates = self.candidates.iter().copied();
        candidates.filter(|xid| window.to.snapshot.sees(*xid))
    }

    fn report(&self, window: &Window) {
        let first = self.from.snapshot.xmax();
        let of = window.late_unlisted().map_or(0, |range| range.below - first);
        tracing::info!(
            transactions = self.next - first,
            of,
            found = self.candidates.len(),
            "the cursor does not record which transactions were running when the relay stopped; searching \
             all later ones"
        );
    }
}

async fn late_candidates(
    connection: &mut Connection,
    sql: &Sql,
    range: XidRange,
    low_water_mark: i64,
    high: i64,
) -> Result<Vec<Xid>, StoreError> {
    let text = sql.late_candidates.text();
    let found: Vec<String> = connection
        .run("looking for late transactions", async |pg| {
            sqlx::query_scalar(text)
                .bind(range.low.to_string())
                .bind(range.below.to_string())
                .bind(high)
                .bind(low_water_mark)
                .fetch_all(pg)
                .await
        })
        .await?;
    found.iter().map(|xid| number(xid)).collect()
}
