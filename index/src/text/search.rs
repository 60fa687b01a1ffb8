//! How matches become a page: every match is looked at once (fast fields only), the page's own documents are read in the end.

use super::{
    TextIndex,
    columns::{Circle, Columns, Names, Shelf},
    highlight::highlight,
    matching::{Asked, NAME_WORDS_MAX, Patience, asked, query as compiled},
    model::{Cursor, Hit, Page, Query, SearchError, Sort},
    schema::Fields,
};
use std::collections::HashMap;
use tantivy::{
    DocAddress, DocSet, Score, TERMINATED, TantivyDocument,
    query::EnableScoring,
    schema::{Field, Value},
};

/// A match that counts.
struct Match {
    cursor: Cursor,
    at: DocAddress,
    score: Score,
    distance_m: Option<f64>,
}

impl TextIndex {
    /// Answers a question from the last commit.
    ///
    /// # Errors
    /// - [`SearchError::NoPoint`]: sorted by distance without [`Query::near`].
    /// - [`SearchError::Index`]: a file of the index cannot be read.
    pub fn search(&self, query: &Query<'_>) -> Result<Page, SearchError> {
        if query.sort == Sort::Distance && query.near.is_none() {
            return Err(SearchError::NoPoint);
        }
        let words = query.text.map(asked).unwrap_or_default();
        let shelf = self.shelf();
        let mut matches = self.matches(&shelf, &words, Patience::Strict, query)?;
        if matches.found.is_empty() && may_forgive(&words) {
            matches = self.matches(&shelf, &words, Patience::Forgiving, query)?;
        }
        let cuisines = matches.cuisines(&shelf);
        let total = matches.found.len() as u64;
        let (page, has_more) = cut(matches.found, query);
        let hit = |found: &Match| hit(&shelf, self.fields(), found, &words);
        let hits = page.iter().map(hit).collect::<Result<Vec<Hit>, SearchError>>()?;
        let next = hits.last().filter(|_| has_more).map(|hit| hit.cursor);
        Ok(Page { hits, cuisines, total, next })
    }

    fn matches(&self, shelf: &Shelf, words: &[Asked], patience: Patience, query: &Query<'_>) -> Result<Matches, SearchError> {
        let compiled = compiled(self.fields(), &shelf.searcher, words, patience, query)?;
        let weight = compiled.weight(EnableScoring::enabled_from_searcher(&shelf.searcher))?;
        let mut matches = Matches::default();
        for ((ord, segment), columns) in (0..).zip(shelf.searcher.segment_readers()).zip(&shelf.columns) {
            let circle = query.near.map(|(from, radius_m)| Circle::new(from, radius_m));
            let mut sieve = Sieve { query, circle, has_text: !words.is_empty(), columns, names: Names::default() };
            let mut counts = vec![0_u64; columns.cuisines.len()];
            // Scores are asked for last: most of the work is to find out that a match is elsewhere.
            let mut scorer = weight.scorer(segment, 1.0)?;
            let mut doc = scorer.doc();
            while doc != TERMINATED {
                if !segment.is_deleted(doc)
                    && let Some(found) = sieve.pass(DocAddress::new(ord, doc), &mut || scorer.score())?
                {
                    columns.count_cuisines(doc, &mut counts);
                    matches.found.push(found);
                }
                doc = scorer.advance();
            }
            matches.counts.push(counts);
        }
        Ok(matches)
    }
}

/// What matches, and how often each segment's cuisines occur in it.
#[derive(Default)]
struct Matches {
    found: Vec<Match>,
    counts: Vec<Vec<u64>>,
}

impl Matches {
    /// The cuisines by name, the most frequent first.
    fn cuisines(&self, shelf: &Shelf) -> Vec<(String, u64)> {
        let mut cuisines: HashMap<&str, u64> = HashMap::new();
        for (columns, counts) in shelf.columns.iter().zip(&self.counts) {
            for (count, name) in counts.iter().zip(&columns.cuisines).filter(|(count, _)| **count > 0) {
                *cuisines.entry(name).or_default() += count;
            }
        }
        let mut cuisines: Vec<(String, u64)> = cuisines.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        cuisines.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
        cuisines
    }
}

/// Whether forgiveness could find more.
fn may_forgive(words: &[Asked]) -> bool {
    words.len() <= NAME_WORDS_MAX && words.iter().any(|word| word.typos() > 0)
}

/// Decides which matches of a segment count, and where they stand.
struct Sieve<'a> {
    query: &'a Query<'a>,
    circle: Option<Circle>,
    has_text: bool,
    columns: &'a Columns,
    names: Names,
}

impl Sieve<'_> {
    fn pass(&mut self, at: DocAddress, score: &mut dyn FnMut() -> Score) -> tantivy::Result<Option<Match>> {
        let (query, columns, doc) = (self.query, self.columns, at.doc_id);
        let fact = columns.fact(doc);
        let distance_m = match &self.circle {
            None => None,
            Some(circle) => match circle.distance_m(fact) {
                None => return Ok(None),
                near => near,
            },
        };
        let rated = query.rating_milli_min.is_some() || query.sort == Sort::Rating;
        let rating = if rated { columns.rating_milli.first(doc) } else { None };
        if query.rating_milli_min.is_some_and(|least| rating.is_none_or(|rating| rating < least.into())) {
            return Ok(None);
        }
        if let Some(accept) = query.accept
            && !columns.is_accepted(doc, &mut self.names, accept)?
        {
            return Ok(None);
        }
        let popularity = u64::from(fact.popularity);
        let score = if self.has_text { score() + nudge(popularity, distance_m) } else { 0.0 };
        let order = match (query.sort, self.has_text, distance_m) {
            (Sort::Relevance, true, _) => descending(score),
            (Sort::Relevance, false, None) => u64::MAX - popularity,
            (Sort::Relevance, false, Some(distance_m)) | (Sort::Distance, _, Some(distance_m)) => ascending(distance_m),
            (Sort::Distance, _, None) => u64::MAX,
            (Sort::Rating, ..) => rating.map_or(u64::MAX, |rating| u64::MAX - 1 - rating),
            (Sort::Price, ..) => columns.price_minor.first(doc).map_or(u64::MAX, |price| (price ^ i64::MIN) as u64),
        };
        Ok(Some(Match { cursor: Cursor { order, tie: fact.tie }, at, score, distance_m }))
    }
}

/// What speaks for a match besides its text: at most about two points for demand and one for being near.
fn nudge(popularity: u64, distance_m: Option<f64>) -> Score {
    let demand = (popularity as Score).ln_1p() * 0.1;
    let nearness = distance_m.map_or(0.0, |distance_m| 1.0 / (1.0 + distance_m / 2_000.0));
    demand + nearness as Score
}

/// Floats that are not negative order like their bits.
fn ascending(distance_m: f64) -> u64 {
    distance_m.to_bits()
}

fn descending(score: Score) -> u64 {
    u64::MAX - u64::from(score.max(0.0).to_bits())
}

/// The asked-for part of the sorted matches, without sorting the rest, and whether more follow.
fn cut(mut matches: Vec<Match>, query: &Query<'_>) -> (Vec<Match>, bool) {
    matches.retain(|found| query.after.is_none_or(|after| found.cursor > after));
    let key = |found: &Match| (found.cursor, found.at.segment_ord, found.at.doc_id);
    let end = query.offset.saturating_add(query.limit);
    let has_more = matches.len() > end;
    if has_more && end > 0 {
        matches.select_nth_unstable_by_key(end - 1, key);
    }
    matches.truncate(end);
    matches.sort_unstable_by_key(key);
    matches.drain(..query.offset.min(matches.len()));
    (matches, has_more)
}

fn hit(shelf: &Shelf, fields: &Fields, found: &Match, words: &[Asked]) -> Result<Hit, SearchError> {
    let columns = &shelf.columns[found.at.segment_ord as usize];
    let row: TantivyDocument = shelf.searcher.doc(found.at)?;
    let text = |field: Field| row.get_first(field).and_then(|value| value.as_str().map(str::to_owned));
    let name = text(fields.name).unwrap_or_default();
    let doc = found.at.doc_id;
    Ok(Hit {
        kind: columns.kind(doc),
        id: text(fields.id).unwrap_or_default(),
        highlight: if words.len() <= NAME_WORDS_MAX { highlight(&name, words) } else { Vec::new() },
        name,
        merchant_id: text(fields.merchant_id),
        distance_m: found.distance_m,
        rating_milli: columns.rating_milli.first(doc).and_then(|rating| u32::try_from(rating).ok()),
        price_minor: columns.price_minor.first(doc),
        currency: text(fields.currency).unwrap_or_default(),
        score: found.score,
        cursor: found.cursor,
    })
}
