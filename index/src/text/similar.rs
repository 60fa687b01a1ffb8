//! Words of the index that look like one that was typed.

use std::{fmt, sync::Arc};
use tantivy::{
    BitSet, SegmentReader, Term,
    query::{DfaWrapper, FuzzyTermQuery},
    schema::{Field, IndexRecordOption},
};

/// From so many wrong letters on the first one has to be right: it nearly always is, and most of the dictionary need not be looked at.
const FIRST_RIGHT_FROM: u8 = 2;

/// Documents with a word like the one that was typed, in any of some fields; the automaton is built once for all of them.
#[derive(Clone)]
pub(super) struct Similar {
    fields: Arc<[Field]>,
    automaton: Arc<DfaWrapper>,
    /// Only words from here on, and before there.
    between: (String, Option<String>),
}

impl Similar {
    /// Up to `wrong` (0..=2) letters added, dropped, replaced or swapped; if `is_begun`, in a beginning of the word.
    pub(super) fn new(fields: &[Field], word: &str, wrong: u8, is_begun: bool) -> tantivy::Result<Self> {
        // The automaton does not care for the field.
        let term = Term::from_field_text(Field::from_field_id(0), word);
        let fuzzy = if is_begun { FuzzyTermQuery::new_prefix(term, wrong, true) } else { FuzzyTermQuery::new(term, wrong, true) };
        let first = word.chars().next().filter(|_| wrong == 0 || wrong >= FIRST_RIGHT_FROM);
        let after = first.and_then(|first| char::from_u32(u32::from(first) + 1));
        let between = (first.map(String::from).unwrap_or_default(), after.map(String::from));
        Ok(Self { fields: fields.into(), automaton: Arc::new(fuzzy.automaton()?), between })
    }

    /// The documents of a segment that have one.
    pub(super) fn documents(&self, segment: &SegmentReader) -> tantivy::Result<BitSet> {
        let mut documents = BitSet::with_max_value(segment.max_doc());
        for field in self.fields.iter() {
            let index = segment.inverted_index(*field)?;
            let search = index.terms().search(&*self.automaton).without_keys().ge(&self.between.0);
            let bounded = match &self.between.1 {
                Some(after) => search.lt(after),
                None => search,
            };
            let mut words = bounded.into_stream()?;
            while words.advance() {
                let mut block = index.read_block_postings_from_terminfo(words.value(), IndexRecordOption::Basic)?;
                while !block.docs().is_empty() {
                    for doc in block.docs() {
                        documents.insert(*doc);
                    }
                    block.advance();
                }
            }
        }
        Ok(documents)
    }
}

impl fmt::Debug for Similar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Similar").field("fields", &self.fields).field("between", &self.between).finish_non_exhaustive()
    }
}
