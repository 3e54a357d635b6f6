//! SQL that is put together once.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

/// A statement's text, cheap to hand to sqlx again and again. Only the tables' checked names are put into it;
/// values are always bound.
#[derive(Debug, Clone)]
pub(super) struct Statement(Arc<str>);

impl Statement {
    pub(super) fn new(text: String) -> Self {
        Self(text.into())
    }

    pub(super) fn text(&self) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(Arc::clone(&self.0))
    }
}
