//! What a relay knows of its claims of the cursor.

use uuid::Uuid;

use crate::store::CursorChange;

/// How the cursor has come away from where this relay left it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::relay) enum CursorMove {
    #[default]
    None,
    /// An operator has moved it, and no other relay has worked since this one claimed it.
    InThisTerm,
    /// Another relay may have worked meanwhile, and an operator may have moved it.
    BetweenTerms,
}

/// The claims that were answered.
#[derive(Debug, Default)]
pub(in crate::relay) struct Claims {
    last: Option<Uuid>,
    /// This term's leader has claimed it, and so nobody else has since.
    in_this_term: bool,
}

impl Claims {
    pub(in crate::relay) fn begin_term(&mut self) {
        self.in_this_term = false;
    }

    /// The last one.
    pub(in crate::relay) fn last(&self) -> Option<Uuid> {
        self.last
    }

    /// A claim was answered: this happened to the cursor since the last one.
    pub(in crate::relay) fn answered(&mut self, claim: Uuid, change: CursorChange) -> CursorMove {
        self.last = Some(claim);
        let was_in_this_term = std::mem::replace(&mut self.in_this_term, true);
        match change {
            CursorChange::Unchanged => CursorMove::None,
            CursorChange::Moved if was_in_this_term => CursorMove::InThisTerm,
            CursorChange::Moved | CursorChange::Claimed => CursorMove::BetweenTerms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_within_a_term_it_is_known_that_no_other_relay_has_worked() {
        let mut claims = Claims::default();
        claims.begin_term();
        let claim = Uuid::new_v4();
        assert_eq!(claims.answered(claim, CursorChange::Unchanged), CursorMove::None);
        assert_eq!(claims.last(), Some(claim));
        let mut next = |change| claims.answered(Uuid::new_v4(), change);
        assert_eq!(next(CursorChange::Moved), CursorMove::InThisTerm);
        assert_eq!(next(CursorChange::Claimed), CursorMove::BetweenTerms);
        claims.begin_term();
        let mut next = |change| claims.answered(Uuid::new_v4(), change);
        assert_eq!(next(CursorChange::Moved), CursorMove::BetweenTerms);
        assert_eq!(next(CursorChange::Moved), CursorMove::InThisTerm);
    }
}
