//! Which parts of a name the query matched.

use super::{analyzer::Reading, matching::Asked};
use std::ops::Range;

/// Byte ranges of the words of `name` that are asked for; of a word that is only begun, the whole.
pub(super) fn highlight(name: &str, asked: &[Asked]) -> Vec<Range<usize>> {
    let words = Reading::Folded.words(name).into_iter().zip(Reading::Stemmed.words(name)).zip(Reading::Broad.words(name));
    words
        .filter(|((folded, stem), broad)| asked.iter().any(|asked| matches(asked, &folded.text, &stem.text, &broad.text)))
        .map(|((folded, _), _)| folded.from..folded.to)
        .collect()
}

fn matches(asked: &Asked, folded: &str, stem: &str, broad: &str) -> bool {
    asked.folded == folded
        || asked.stem == stem
        || asked.broad == broad
        || (asked.may_go_on() && folded.starts_with(&asked.folded))
        || is_similar(&asked.folded, folded, asked.typos().into(), false)
        || is_similar(&asked.folded, folded, asked.typos_begun().into(), true)
}

/// Whether `typed` becomes `word` (or, if `is_open`, a beginning of it) by at most `typos` letters added, dropped, replaced or two swapped.
fn is_similar(typed: &str, word: &str, typos: usize, is_open: bool) -> bool {
    if typos == 0 {
        return false;
    }
    let (typed, word): (Vec<char>, Vec<char>) = (typed.chars().collect(), word.chars().collect());
    // rows[i][j]: changes from the first i letters typed to the first j of the word (optimal string alignment).
    let mut rows = vec![vec![0; word.len() + 1]; typed.len() + 1];
    rows[0] = (0..=word.len()).collect();
    for i in 1..=typed.len() {
        rows[i][0] = i;
        for j in 1..=word.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(typed[i - 1] != word[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && typed[i - 1] == word[j - 2] && typed[i - 2] == word[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    let last = &rows[typed.len()];
    if is_open { last.iter().any(|changes| *changes <= typos) } else { last[word.len()] <= typos }
}

#[cfg(test)]
mod tests {
    use super::{super::matching::asked, highlight};

    fn check(name: &str, query: &str, expected: &[&str]) {
        let found: Vec<&str> = highlight(name, &asked(query)).into_iter().map(|range| &name[range]).collect();
        assert_eq!(found, expected, "{query} in {name}");
    }

    #[test]
    fn parts() {
        check("Pizza Margherita", "piza margarita ", &["Pizza", "Margherita"]);
        check("Pizza Margherita", "marg", &["Margherita"]);
        check("Pizza Margherita", "zzip", &[]);
        check("L’Entrecôte grillée", "entrecote", &["Entrecôte"]);
        check("Grilled sandwiches", "sandwich grill ", &["Grilled", "sandwiches"]);
        check("مطعم الكتب", "كتب", &["الكتب"]);
        check("Tea", "te", &["Tea"]);
        check("Tea", "ta ", &[]);
    }
}
