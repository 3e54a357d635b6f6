//! Which of two essays is the better one.

use std::cmp::Ordering;
use std::collections::HashSet;

/// Compares essays. A language model, or a person, would stand behind this.
pub trait Judge: Send + Sync {
    /// [`Ordering::Greater`] if the first text is better than the second.
    fn compare(&self, first: &str, second: &str) -> Ordering;
}

/// Compares what can be measured: the variety of words, the length of sentences, and how much there is. It gives the same
/// answer each time, which is all that an example needs of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct FeatureJudge;

impl Judge for FeatureJudge {
    fn compare(&self, first: &str, second: &str) -> Ordering {
        strength(first).total_cmp(&strength(second))
    }
}

/// The length of a sentence, in words, that is best to read.
const GOOD_SENTENCE: f64 = 15.0;

fn strength(text: &str) -> f64 {
    let words: Vec<String> = text
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    if words.is_empty() {
        return 0.0;
    }
    let count = words.len() as f64;
    let distinct = words.iter().collect::<HashSet<_>>().len() as f64;
    let ends = text
        .split(['.', '!', '?'])
        .filter(|sentence| !sentence.trim().is_empty());
    let sentence = count / ends.count().max(1) as f64;
    // Guiraud's index, which does not fall with the length as a plain ratio does.
    let variety = distinct / count.sqrt();
    variety + count.ln() - ((sentence - GOOD_SENTENCE) / GOOD_SENTENCE).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variety_wins_and_the_answer_does_not_depend_on_the_order() {
        let varied = "The tide leaves shells, weed and a single boot. Nobody asks whose it was.";
        let dull = "It is good. It is good. It is good. It is good. It is good.";
        assert_eq!(FeatureJudge.compare(varied, dull), Ordering::Greater);
        assert_eq!(FeatureJudge.compare(dull, varied), Ordering::Less);
        assert_eq!(FeatureJudge.compare(dull, dull), Ordering::Equal);
        assert_eq!(FeatureJudge.compare("", dull), Ordering::Less);
    }
}
