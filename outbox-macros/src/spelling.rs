//! What somebody may have meant.

/// The name that is closest to `given`, if one is close enough to be a slip of the keyboard.
pub(crate) fn closest<'n>(given: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let near = names
        .into_iter()
        .map(|name| (distance(given, name), name))
        .min_by_key(|(distance, _)| *distance);
    // One typo in a short name, one for each three characters in a long one.
    near.filter(|(distance, _)| *distance <= (given.chars().count() / 3).max(1))
        .map(|(_, name)| name)
}

/// Damerau-Levenshtein distance: characters inserted, removed, changed or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for row in 1..=from.len() {
        let mut current = vec![row];
        for column in 1..=to.len() {
            let same = from[row - 1] == to[column - 1];
            let mut best = (last[column - 1] + usize::from(!same))
                .min(last[column] + 1)
                .min(current[column - 1] + 1);
            let swapped =
                row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1];
            if swapped {
                best = best.min(before_last[column - 2] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        assert_eq!(distance("topic", "topic"), 0);
        assert_eq!(distance("tpic", "topic"), 1);
        assert_eq!(distance("tpoic", "topic"), 1);
        assert_eq!(distance("", "key"), 3);
        assert_eq!(distance("key", ""), 3);
    }

    #[test]
    fn only_what_is_close_is_suggested() {
        let names = ["topic", "aggregate", "key", "event_type"];
        assert_eq!(closest("topics", names), Some("topic"));
        assert_eq!(closest("event_tpye", names), Some("event_type"));
        assert_eq!(closest("kye", names), Some("key"));
        assert_eq!(closest("partition", names), None);
        assert_eq!(closest("x", []), None);
    }
}
