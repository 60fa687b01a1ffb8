//! A word of a name: which documents have it in some way, and how well.
//!
//! Two words of a city's catalogue may each be in thousands of documents, and both in a few, of which a circle holds a quarter. So lists are only
//! ever sought in, and a word's score is worked out for those documents alone that everything else let through: a general union scores whole
//! windows of documents ahead.

use super::similar::Similar;
use std::fmt;
use tantivy::{
    DocId, DocSet, Score, SeekDangerResult, SegmentReader, TERMINATED, TantivyError, Term,
    fieldnorm::FieldNormReader,
    postings::{Postings, SegmentPostings},
    query::{BitSetDocSet, Bm25Weight, EnableScoring, Explanation, Query, Scorer, Weight},
    schema::IndexRecordOption,
};

/// What the lesser ways of being written add to the best one.
const TIE: Score = 0.1;

/// Some way has to lead to a document; each that does earns its points. Then it counts how well the word is written there.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// Terms that lead to it, with their points.
    pub terms: Vec<(Term, Score)>,
    /// Words like it that lead to it, with their points.
    pub similar: Vec<(Similar, Score)>,
    /// Terms that count by BM25 where it was found, with their boosts.
    pub written: Vec<(Term, Score)>,
}

/// A word with the statistics of the whole index.
struct Known {
    word: Word,
    weights: Vec<Bm25Weight>,
}

impl Query for Word {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let EnableScoring::Enabled { statistics_provider, .. } = scoring else {
            return Ok(Box::new(Known { word: self.clone(), weights: Vec::new() }));
        };
        let weigh = |(term, boost): &(Term, Score)| {
            Bm25Weight::for_terms(statistics_provider, std::slice::from_ref(term)).map(|weight| weight.boost_by(*boost))
        };
        let weights = self.written.iter().map(weigh).collect::<tantivy::Result<Vec<Bm25Weight>>>()?;
        Ok(Box::new(Known { word: self.clone(), weights }))
    }
}

fn postings(segment: &SegmentReader, term: &Term, option: IndexRecordOption) -> tantivy::Result<Option<SegmentPostings>> {
    Ok(segment.inverted_index(term.field())?.read_postings(term, option)?)
}

impl Known {
    fn ways(&self, segment: &SegmentReader, boost: Score) -> tantivy::Result<Found> {
        let mut found = Found { boost, doc: 0, terms: Vec::new(), similar: Vec::new(), written: Vec::new() };
        for (term, points) in &self.word.terms {
            found.terms.extend(postings(segment, term, IndexRecordOption::Basic)?.map(|postings| (postings, *points)));
        }
        for (similar, points) in &self.word.similar {
            found.similar.push((BitSetDocSet::from(similar.documents(segment)?), *points));
        }
        for ((term, _), weight) in self.word.written.iter().zip(&self.weights) {
            if let Some(postings) = postings(segment, term, IndexRecordOption::WithFreqs)? {
                found.written.push(Written { postings, norms: segment.get_fieldnorms_reader(term.field())?, weight: weight.clone() });
            }
        }
        found.doc = found.first();
        Ok(found)
    }
}

impl Weight for Known {
    fn scorer(&self, segment: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(Box::new(self.ways(segment, boost)?))
    }

    fn explain(&self, segment: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let mut found = self.ways(segment, 1.0)?;
        if found.doc <= doc && found.seek(doc) == doc {
            return Ok(Explanation::new("Word", found.score()));
        }
        Err(TantivyError::InvalidArgument(format!("document {doc} does not match")))
    }
}

/// A term's documents and how much it counts in each.
struct Written {
    postings: SegmentPostings,
    norms: FieldNormReader,
    weight: Bm25Weight,
}

impl Written {
    fn score(&mut self, doc: DocId) -> Option<Score> {
        (reach(&mut self.postings, doc) == doc).then(|| self.weight.score(self.norms.fieldnorm_id(doc), self.postings.term_freq()))
    }
}

/// The documents of a segment that some way leads to. A way stands at or before [`Found::doc`]: it is moved when it is asked.
struct Found {
    boost: Score,
    doc: DocId,
    terms: Vec<(SegmentPostings, Score)>,
    similar: Vec<(BitSetDocSet, Score)>,
    written: Vec<Written>,
}

fn reach(list: &mut impl DocSet, target: DocId) -> DocId {
    let doc = list.doc();
    if doc < target { list.seek(target) } else { doc }
}

impl Found {
    fn first(&self) -> DocId {
        let terms = self.terms.iter().map(|(list, _)| list.doc());
        terms.chain(self.similar.iter().map(|(list, _)| list.doc())).min().unwrap_or(TERMINATED)
    }

    /// Moves to the first document from `target` on. The first way that leads to `target` itself is enough.
    fn go(&mut self, target: DocId) -> DocId {
        let mut next = TERMINATED;
        for (list, _) in &mut self.terms {
            next = next.min(reach(list, target));
            if next == target {
                break;
            }
        }
        if next != target {
            next = self.similar.iter_mut().map(|(list, _)| reach(list, target)).fold(next, DocId::min);
        }
        self.doc = next;
        next
    }
}

impl DocSet for Found {
    fn advance(&mut self) -> DocId {
        if self.doc == TERMINATED { TERMINATED } else { self.go(self.doc + 1) }
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if target <= self.doc { self.doc } else { self.go(target) }
    }

    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        let doc = self.seek(target);
        if doc == target && target < TERMINATED { SeekDangerResult::Found } else { SeekDangerResult::SeekLowerBound(doc) }
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        let terms = self.terms.iter().map(|(list, _)| list.size_hint());
        terms.chain(self.similar.iter().map(|(list, _)| list.size_hint())).max().unwrap_or(0)
    }
}

impl Scorer for Found {
    fn score(&mut self) -> Score {
        let doc = self.doc;
        let terms = self.terms.iter_mut().map(|(list, points)| (reach(list, doc), *points));
        let ways = terms.chain(self.similar.iter_mut().map(|(list, points)| (reach(list, doc), *points)));
        let points: Score = ways.filter(|(at, _)| *at == doc).map(|(_, points)| points).sum();
        let (mut best, mut sum) = (0.0_f32, 0.0_f32);
        for score in self.written.iter_mut().filter_map(|written| written.score(doc)) {
            best = best.max(score);
            sum += score;
        }
        self.boost * (points + best + (sum - best) * TIE)
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.word.fmt(f)
    }
}
