//! How a question becomes a tantivy query.
//!
//! Up to [`NAME_WORDS_MAX`] words are a name that somebody looks for: every word has to match, if need be with a typo, and the last one
//! may be unfinished. Each word earns points by how it matched, in steps so high that no text statistic lifts a
//! lesser match above a better one: as written, of the same stem in the broad reading, begun, one letter wrong, two letters wrong. More words are a
//! sentence: BM25 alone sorts, of the words that say something.
//!
//! Letters are taken for wrong only in words that hardly occur as written, and in all of them where nothing else is found: who writes "burger" in a
//! city of burgers means it, and pays no time for guesses.

use super::{analyzer::Reading, cells, function_words::is_function_word, model::Query, schema::Fields, similar::Similar, word::Word};
use tantivy::{
    Searcher, Term,
    query::{AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, Query as Matches, TermQuery},
    schema::IndexRecordOption,
};

pub(super) const NAME_WORDS_MAX: usize = 4;
const WORDS_MAX: usize = 64;

/// Points of one word. BM25 with our boosts stays below 200 for a word, and four words of one step below one of the next.
const AS_WRITTEN: f32 = 25_000.0;
const ALIKE: f32 = 5_000.0;
const BEGUN: f32 = 1_000.0;
const ONE_WRONG: f32 = 100.0;
const TWO_WRONG: f32 = 10.0;

/// A word that fewer documents have may itself be the typing error; one that more have is what it says.
const RARE: u64 = 3;
/// With a word that no more documents have it is cheaper to look at the distance of each than to read the lists of the cells of a circle.
const CELLS_ABOVE: u64 = 20_000;

/// A word of the query in its four readings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub exact: String,
    pub folded: String,
    pub stem: String,
    pub broad: String,
    /// Whether it is the last word, which may go on.
    pub is_open: bool,
}

impl Asked {
    /// How many letters may be wrong.
    pub(super) fn typos(&self) -> u8 {
        match self.folded.chars().count() {
            0..4 => 0,
            4..8 => 1,
            _ => 2,
        }
    }

    /// How many letters may be wrong in a word that is only begun: fewer, because short beginnings resemble half the dictionary.
    pub(super) fn typos_begun(&self) -> u8 {
        match self.folded.chars().count() {
            _ if !self.is_open => 0,
            0..6 => 0,
            6..8 => 1,
            _ => 2,
        }
    }

    /// How many documents have it, or another word of its stem.
    fn documents(&self, fields: &Fields, searcher: &Searcher) -> tantivy::Result<u64> {
        let stems = searcher.doc_freq(&Term::from_field_text(fields.stems, &self.stem))?;
        Ok(stems.max(searcher.doc_freq(&Term::from_field_text(fields.broad, &self.broad))?))
    }

    /// One letter begins too much.
    pub(super) fn may_go_on(&self) -> bool {
        self.is_open && self.folded.chars().nth(1).is_some()
    }
}

/// The words that are asked for.
pub(super) fn asked(text: &str) -> Vec<Asked> {
    let readings = [Reading::Exact, Reading::Folded, Reading::Stemmed, Reading::Broad].map(|reading| reading.words(text));
    let [exact, folded, stems, broads] = readings;
    let mut words: Vec<Asked> = exact
        .into_iter()
        .zip(folded)
        .zip(stems)
        .zip(broads)
        .take(WORDS_MAX)
        .map(|(((exact, folded), stem), broad)| Asked {
            exact: exact.text,
            folded: folded.text,
            stem: stem.text,
            broad: broad.text,
            is_open: false,
        })
        .collect();
    // A space after the last word says that it is complete.
    if let Some(last) = words.last_mut().filter(|_| !text.ends_with(char::is_whitespace)) {
        last.is_open = true;
    }
    words
}

/// Which words may be taken for others that look like them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Only those that hardly occur as they are written.
    Strict,
    /// All.
    Forgiving,
}

/// The whole query; scores are points and BM25 of the words, the filters add nothing.
pub(super) fn query(
    fields: &Fields,
    searcher: &Searcher,
    words: &[Asked],
    patience: Patience,
    query: &Query<'_>,
) -> tantivy::Result<Box<dyn Matches>> {
    let mut all: Vec<Box<dyn Matches>> = Vec::new();
    let mut only = |filter| all.push(Box::new(ConstScoreQuery::new(filter, 0.0)));
    if let Some(kind) = query.kind {
        only(term(Term::from_field_u64(fields.kind, kind.code())));
    }
    if let Some(city_id) = query.city_id {
        only(term(Term::from_field_text(fields.city_id, city_id)));
    }
    if let Some(cuisine) = query.cuisine {
        only(term(Term::from_field_text(fields.cuisine, cuisine)));
    }
    let is_name = !words.is_empty() && words.len() <= NAME_WORDS_MAX;
    let known = words.iter().map(|word| word.documents(fields, searcher)).collect::<tantivy::Result<Vec<u64>>>()?;
    let is_selective = is_name && known.iter().any(|documents| *documents <= CELLS_ABOVE);
    if !is_selective && let Some(cells) = query.near.and_then(|(point, radius_m)| cells::covering(point, radius_m?)) {
        only(Box::new(BooleanQuery::union(cells.into_iter().map(|cell| term(Term::from_field_u64(fields.cell, cell))).collect())));
    }
    if is_name {
        for (word, documents) in words.iter().zip(known) {
            let is_forgiven = patience == Patience::Forgiving || documents < RARE;
            all.push(name_word(fields, word, is_forgiven)?);
        }
    } else if !words.is_empty() {
        let says_something = |word: &&Asked| !is_function_word(&word.folded);
        let telling: Vec<&Asked> = words.iter().filter(says_something).collect();
        let words = if telling.is_empty() { words.iter().collect() } else { telling };
        all.push(Box::new(BooleanQuery::union(words.into_iter().flat_map(|word| in_sentence(fields, word)).collect())));
    }
    Ok(if all.is_empty() { Box::new(AllQuery) } else { Box::new(BooleanQuery::intersection(all)) })
}

/// A word of a name.
fn name_word(fields: &Fields, asked: &Asked, is_forgiven: bool) -> tantivy::Result<Box<dyn Matches>> {
    // Words that are equal in any other reading have equal stems: this is everything as written.
    let terms =
        vec![(Term::from_field_text(fields.stems, &asked.stem), AS_WRITTEN), (Term::from_field_text(fields.broad, &asked.broad), ALIKE)];
    let mut similar = Vec::new();
    let folded = [fields.name_folded, fields.labels];
    if asked.may_go_on() {
        similar.push((Similar::new(&folded, &asked.folded, 0, true)?, BEGUN));
    }
    let most = if is_forgiven { asked.typos() } else { 0 };
    for (wrong, points) in [(1, ONE_WRONG), (2, TWO_WRONG)].into_iter().filter(|(wrong, _)| *wrong <= most) {
        similar.push((Similar::new(&folded, &asked.folded, wrong, wrong <= asked.typos_begun())?, points));
    }
    Ok(Box::new(Word { terms, similar, written: written_in(fields, asked).into() }))
}

/// Where a word counts how much.
fn written_in(fields: &Fields, word: &Asked) -> [(Term, f32); 4] {
    [
        (Term::from_field_text(fields.name, &word.exact), 2.0),
        (Term::from_field_text(fields.name_folded, &word.folded), 1.8),
        (Term::from_field_text(fields.labels, &word.folded), 1.2),
        (Term::from_field_text(fields.stems, &word.stem), 1.0),
    ]
}

/// A word of a sentence, the score of all of it together being the sum: all that was written counts, and the name once more.
fn in_sentence(fields: &Fields, word: &Asked) -> [Box<dyn Matches>; 2] {
    let boosted = |field, text, boost| Box::new(BoostQuery::new(matching(Term::from_field_text(field, text)), boost)) as Box<dyn Matches>;
    let anywhere = vec![boosted(fields.stems, &word.stem, 1.0), boosted(fields.broad, &word.broad, 0.7)];
    let in_name = boosted(fields.name_folded, &word.folded, 0.5);
    [Box::new(DisjunctionMaxQuery::new(anywhere)), in_name]
}

fn term(term: Term) -> Box<dyn Matches> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn matching(term: Term) -> Box<dyn Matches> {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}
