//! What goes into the index, what is asked, and what comes out.

use crate::geo::Point;
use std::{fmt, ops::Range, str::FromStr};

/// What sort of thing a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Merchant,
    Item,
}

impl Kind {
    pub(super) fn code(self) -> u64 {
        match self {
            Self::Merchant => 1,
            Self::Item => 2,
        }
    }

    pub(super) fn from_code(code: u64) -> Option<Self> {
        [Self::Merchant, Self::Item].into_iter().find(|kind| kind.code() == code)
    }
}

/// One searchable thing. Indexing it again under the same `id` replaces it.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub id: String,
    pub kind: Kind,
    /// Who sells an item.
    pub merchant_id: Option<String>,
    pub city_id: String,
    pub name: String,
    pub description: String,
    pub category: String,
    /// Further words it is found by, such as the name of an item's merchant.
    pub tags: Vec<String>,
    /// Found by, filtered by and counted as facets.
    pub cuisines: Vec<String>,
    /// Where it is; an item is where its merchant is.
    pub point: Point,
    /// Mean rating in thousandths: 4.5 stars are 4500.
    pub rating_milli: Option<u32>,
    /// Minor units of `currency`.
    pub price_minor: Option<i64>,
    /// ISO 4217 code.
    pub currency: String,
    /// Any count that grows with demand; its logarithm nudges relevance.
    pub popularity: u32,
}

/// What comes first. Ties are broken by a hash of the id, so that pages neither overlap nor leave anything out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By how well the text matches; without text the nearest first if there is a point, else the most popular.
    #[default]
    Relevance,
    /// The nearest first; needs [`Query::near`].
    Distance,
    /// The best rated first, the unrated last.
    Rating,
    /// The cheapest first, what has no price last.
    Price,
}

/// A question. `Query::default()` asks for the first page of everything; see each field.
#[derive(Clone, Default)]
pub struct Query<'a> {
    /// Words that all have to match, up to four; of longer texts the better part. Blank is as good as none.
    pub text: Option<&'a str>,
    pub kind: Option<Kind>,
    pub city_id: Option<&'a str>,
    /// Where the asker is, which gives distances, and within how many metres things have to be.
    pub near: Option<(Point, Option<f64>)>,
    pub cuisine: Option<&'a str>,
    /// Leaves out what is rated lower and what is not rated.
    pub rating_milli_min: Option<u32>,
    pub sort: Sort,
    /// Skips everything up to this hit, see [`Page::next`]. Applied before `offset`.
    pub after: Option<Cursor>,
    pub offset: usize,
    /// At most so many hits; 0 means totals and facets only.
    pub limit: usize,
    /// The caller's own condition, such as "open now". Asked for each match, in no particular order, before anything is counted; again where typing errors
    /// are looked for because nothing was found.
    pub accept: Option<&'a dyn Fn(&Found<'_>) -> bool>,
}

/// A match, as shown to [`Query::accept`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found<'a> {
    pub kind: Kind,
    pub id: &'a str,
    pub merchant_id: Option<&'a str>,
}

/// One line of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub kind: Kind,
    pub id: String,
    pub name: String,
    pub merchant_id: Option<String>,
    /// Great-circle metres from [`Query::near`].
    pub distance_m: Option<f64>,
    pub rating_milli: Option<u32>,
    pub price_minor: Option<i64>,
    pub currency: String,
    /// Comparable within one answer only.
    pub score: f32,
    /// Byte ranges of `name` that the query matched, ascending, apart from each other.
    pub highlight: Vec<Range<usize>>,
    /// Where this hit stands, to go on after it.
    pub cursor: Cursor,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub hits: Vec<Hit>,
    /// How many of all matches have each cuisine, the most frequent first, then by name.
    pub cuisines: Vec<(String, u64)>,
    /// How many documents match, on all pages.
    pub total: u64,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// A place in a sorted answer. Exact for distance, rating and price, also while the index changes; relevance moves a little with each commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(super) order: u64,
    pub(super) tie: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.order, self.tie)
    }
}

impl FromStr for Cursor {
    type Err = SearchError;

    fn from_str(text: &str) -> Result<Self, SearchError> {
        let part = |range| text.get(range).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match (text.len(), part(0..16), part(16..32)) {
            (32, Some(order), Some(tie)) => Ok(Self { order, tie }),
            _ => Err(SearchError::Cursor),
        }
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("sorting by distance needs a point")]
    NoPoint,
    #[error("this is not a cursor of a search")]
    Cursor,
    #[error("the index could not be read: {0}")]
    Index(#[from] tantivy::TantivyError),
}
