//! From texts to ranks.

use std::cmp::Ordering;

use contracts::assessment::RankedEssay;

use crate::bradley_terry::Comparisons;
use crate::judge::Judge;

/// Wins and losses that each pair has before it is compared, so that strengths stay finite.
const PRIOR: f64 = 0.5;

/// An essay with its text.
#[derive(Debug, Clone)]
pub struct Essay {
    /// The essay.
    pub essay_id: String,
    /// Its text.
    pub text: String,
}

/// Compares each pair and ranks the essays, best first. Equal ones go by id.
pub fn rank(judge: &dyn Judge, essays: &[Essay]) -> Vec<RankedEssay> {
    let mut comparisons = Comparisons::new(essays.len(), PRIOR);
    for first in 0..essays.len() {
        for second in first + 1..essays.len() {
            match judge.compare(&essays[first].text, &essays[second].text) {
                Ordering::Greater => comparisons.add(first, second, 1.0),
                Ordering::Less => comparisons.add(second, first, 1.0),
                Ordering::Equal => {
                    comparisons.add(first, second, 0.5);
                    comparisons.add(second, first, 0.5);
                }
            }
        }
    }
    let mut scored: Vec<(f64, &str)> = comparisons
        .strengths()
        .into_iter()
        .zip(essays.iter().map(|essay| essay.essay_id.as_str()))
        .collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(other.1)));
    let ranked = (1_i32..)
        .zip(scored)
        .map(|(rank, (score, essay_id))| RankedEssay {
            essay_id: essay_id.to_owned(),
            rank,
            score,
        });
    ranked.collect()
}
