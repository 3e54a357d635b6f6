//! Strengths from comparisons: the Bradley–Terry model, by the MM algorithm of D. R. Hunter, "MM algorithms for generalized
//! Bradley–Terry models", The Annals of Statistics 32 (2004), 384–406.
//!
//! The model says that `i` wins against `j` with probability `p(i) / (p(i) + p(j))`. The algorithm repeats
//! `p(i) = W(i) / sum over j of N(i, j) / (p(i) + p(j))`, where `W(i)` counts the wins of `i` and `N(i, j)` the comparisons
//! of `i` with `j`, until nothing changes any more. Each step increases the likelihood.

/// The largest change of a logarithm after which the strengths count as found.
const PRECISION: f64 = 1e-10;
/// Steps after which the best that was found is taken.
const MOST_STEPS: usize = 100_000;

/// How often each of some items won against each other one.
#[derive(Debug, Clone)]
pub struct Comparisons {
    items: usize,
    wins: Vec<f64>,
}

impl Comparisons {
    /// No comparisons yet. Each item has `prior` wins, and so many losses, against each other one. With a prior above 0,
    /// an item that wins all its comparisons has a finite strength, too.
    pub fn new(items: usize, prior: f64) -> Self {
        Self {
            items,
            wins: vec![prior; items * items],
        }
    }

    /// Adds wins of one item against another. Half a win each is a tie.
    pub fn add(&mut self, winner: usize, loser: usize, wins: f64) {
        self.wins[winner * self.items + loser] += wins;
    }

    /// The logarithms of the strengths; their mean is 0. Without a prior, each item must have won and lost something.
    pub fn strengths(&self) -> Vec<f64> {
        let mut logs = vec![0.0; self.items];
        for _ in 0..MOST_STEPS {
            let next = self.step(&logs);
            let change = logs
                .iter()
                .zip(&next)
                .map(|(old, new)| (old - new).abs())
                .fold(0.0, f64::max);
            logs = next;
            if change < PRECISION {
                break;
            }
        }
        logs
    }

    fn step(&self, logs: &[f64]) -> Vec<f64> {
        let next: Vec<f64> = (0..self.items)
            .map(|item| {
                let others = (0..self.items).filter(|other| *other != item);
                let (mut won, mut expected) = (0.0, 0.0);
                for other in others {
                    let (wins, losses) = (self.wins(item, other), self.wins(other, item));
                    won += wins;
                    expected += (wins + losses) / (logs[item].exp() + logs[other].exp());
                }
                if expected > 0.0 {
                    (won / expected).ln()
                } else {
                    0.0
                }
            })
            .collect();
        let mean = next.iter().sum::<f64>() / next.len().max(1) as f64;
        next.into_iter().map(|log| log - mean).collect()
    }

    fn wins(&self, winner: usize, loser: usize) -> f64 {
        self.wins[winner * self.items + loser]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wins of American League teams in 1987 (A. Agresti, "Categorical Data Analysis", 1990): Milwaukee, Detroit, Toronto,
    /// New York, Boston, Cleveland, Baltimore.
    const BASEBALL: [[f64; 7]; 7] = [
        [0.0, 7.0, 9.0, 7.0, 7.0, 9.0, 11.0],
        [6.0, 0.0, 7.0, 5.0, 11.0, 9.0, 9.0],
        [4.0, 6.0, 0.0, 7.0, 7.0, 8.0, 12.0],
        [6.0, 8.0, 6.0, 0.0, 6.0, 7.0, 10.0],
        [6.0, 2.0, 6.0, 7.0, 0.0, 7.0, 12.0],
        [4.0, 4.0, 5.0, 6.0, 6.0, 0.0, 6.0],
        [2.0, 4.0, 1.0, 3.0, 1.0, 7.0, 0.0],
    ];
    /// As R's package BradleyTerry2 gives them, relative to Baltimore.
    const EXPECTED: [f64; 7] = [1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0.0];

    #[test]
    fn strengths_are_those_of_the_reference() {
        let mut comparisons = Comparisons::new(7, 0.0);
        for (winner, row) in BASEBALL.iter().enumerate() {
            for (loser, wins) in row.iter().enumerate() {
                comparisons.add(winner, loser, *wins);
            }
        }
        let strengths = comparisons.strengths();
        for (strength, expected) in strengths.iter().zip(EXPECTED) {
            assert!((strength - strengths[6] - expected).abs() < 5e-5, "{strengths:?}");
        }
        assert!(strengths.iter().sum::<f64>().abs() < 1e-9);
    }

    /// Two items have a solution that can be written down: the logarithm of wins over losses.
    #[test]
    fn two_items_differ_by_the_logarithm_of_their_odds() {
        let mut comparisons = Comparisons::new(2, 0.0);
        comparisons.add(0, 1, 3.0);
        comparisons.add(1, 0, 1.0);
        let strengths = comparisons.strengths();
        assert!(
            (strengths[0] - strengths[1] - 3.0_f64.ln()).abs() < 1e-8,
            "{strengths:?}"
        );
    }

    #[test]
    fn with_a_prior_whoever_wins_always_has_a_strength() {
        let mut comparisons = Comparisons::new(3, 0.5);
        for (winner, loser) in [(0, 1), (0, 2), (1, 2)] {
            comparisons.add(winner, loser, 1.0);
        }
        let strengths = comparisons.strengths();
        assert!(
            strengths.iter().all(|strength| strength.is_finite()),
            "{strengths:?}"
        );
        assert!(
            strengths[0] > strengths[1] && strengths[1] > strengths[2],
            "{strengths:?}"
        );
        assert_eq!(Comparisons::new(1, 0.5).strengths(), [0.0]);
        assert_eq!(Comparisons::new(0, 0.5).strengths(), [] as [f64; 0]);
    }
}
