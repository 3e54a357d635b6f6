//! Counters that differ in labels which are learned while the process runs. Their number is bounded.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::ENABLED;
use super::descriptor::Descriptor;
use super::handles::{Counter, counter};
use super::series::OTHER;

/// Default limit of names for each log.
const DEFAULT_LIMIT: usize = 100;

static LIMIT: AtomicUsize = AtomicUsize::new(DEFAULT_LIMIT);

/// Sets the maximum number of topics, event types and consumers with separate time series in each log. All
/// further ones share the label `other`. Default: 100. Existing time series are kept.
pub fn set_topic_limit(names: usize) {
    LIMIT.store(names, Ordering::Relaxed);
}

/// Names of one kind, up to the limit.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// The name, or `other` if there are too many.
    pub(super) fn fold<'n>(&mut self, name: &'n str) -> &'n str {
        if self.0.contains(name) {
            return name;
        }
        if self.0.len() >= LIMIT.load(Ordering::Relaxed) {
            return OTHER;
        }
        self.0.insert(name.to_owned());
        name
    }
}

/// A series with some labels that are fixed and some that are learned, of which the first is folded. The others come
/// from this library, or belong to the first.
#[derive(Debug)]
pub(super) struct Family<const N: usize> {
    series: &'static Descriptor,
    fixed: Vec<String>,
    known: Mutex<Known<N>>,
}

#[derive(Debug)]
struct Known<const N: usize> {
    names: [Names; N],
    counters: HashMap<[String; N], Counter>,
}

impl<const N: usize> Family<N> {
    /// The values of the series' first labels are `fixed`.
    pub(super) fn new(series: &'static Descriptor, fixed: &[&str]) -> Self {
        Self {
            series,
            fixed: fixed.iter().map(|value| (*value).to_owned()).collect(),
            known: Mutex::new(Known {
                names: std::array::from_fn(|_| Names::default()),
                counters: HashMap::new(),
            }),
        }
    }

    /// Adds to the counter with these values of the series' last labels.
    pub(super) fn add(&self, values: [&str; N], by: u64) {
        if !ENABLED {
            return;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { names, counters } = &mut *known;
        let mut names = names.iter_mut();
        let values = values.map(|value| names.next().map_or(value, |names| names.fold(value)).to_owned());
        let counter = counters
            .entry(values)
            .or_insert_with_key(|values| self.register(values));
        counter.increment(by);
    }

    fn register(&self, values: &[String; N]) -> Counter {
        let values = self.fixed.iter().chain(values).map(String::as_str);
        let labels: Vec<_> = self.series.labels.iter().copied().zip(values).collect();
        counter(self.series, &labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_limit_are_one() {
        let mut names = Names::default();
        let many: Vec<String> = (0..DEFAULT_LIMIT + 5).map(|n| format!("t{n}")).collect();
        let folded: HashSet<&str> = many.iter().map(|name| names.fold(name)).collect();
        assert_eq!(folded.len(), DEFAULT_LIMIT + 1);
        assert_eq!(names.fold("t0"), "t0");
        assert_eq!(names.fold("new"), OTHER);
    }
}
