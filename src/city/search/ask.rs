//! A question and its answer.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use index::geo::Point;
use index::text::{Cursor, Found, Hit, Kind, Query, SearchError, Sort, TextIndex};
use serde::{Deserialize, Serialize};
use storage::{Timestamp, View};
use utoipa::ToSchema;

use crate::city::answer;
use crate::city::catalog::{self, MerchantId};
use crate::city::cities::{self, City, CityId};
use crate::city::field;
use crate::edge::{PageQuery, Problem};
use crate::money::Money;

/// What there is to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoundKind {
    Merchant,
    Item,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// How well the text matches; without text the nearest, or what is most in demand.
    #[default]
    Relevance,
    /// The nearest; needs `lat` and `lon`.
    Distance,
    /// The best rated; the unrated last.
    Rating,
    /// The cheapest; what has no price last.
    Price,
}

/// `GET /v1/search?…`
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// Words; typing errors are forgiven, the last word may be unfinished. Absent: everything.
    pub q: Option<String>,
    #[param(inline)]
    pub kind: Option<FoundKind>,
    #[param(value_type = Option<String>)]
    pub city_id: Option<CityId>,
    pub lat: Option<f64>,
    pub lon: Option<f64>,
    /// Only within so many metres; needs `lat` and `lon`.
    pub radius_m: Option<f64>,
    /// `true`: only what can be had now.
    pub open_now: Option<bool>,
    pub cuisine: Option<String>,
    /// 1 to 5; leaves out the unrated.
    pub min_rating: Option<f64>,
    #[param(inline)]
    pub sort: Option<Order>,
    /// 1 to 100, 20 if absent.
    pub limit: Option<usize>,
    /// `next_cursor` of the page before, with everything else the same.
    pub cursor: Option<String>,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Line {
    pub kind: FoundKind,
    pub id: String,
    pub name: String,
    /// Who sells the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant_id: Option<String>,
    /// With `lat` and `lon`: whole metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance_m: Option<u64>,
    /// 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// A merchant: open now. An item: its merchant is, and it is available.
    pub open: bool,
    /// Comparable within one answer only.
    pub score: f32,
    /// The name in pieces; those that matched are marked. Plain text, to be escaped like any other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub highlight: Option<Vec<Piece>>,
}

/// A piece of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Piece {
    pub text: String,
    /// Whether it is what was searched for.
    pub matched: bool,
}

/// How many of all matches have a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Count {
    pub value: String,
    pub count: u64,
}

/// Counts over all pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Facets {
    /// The most frequent first.
    pub cuisine: Vec<Count>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Answer {
    pub data: Vec<Line>,
    pub facets: Facets,
    /// How many match, on all pages.
    pub total: u64,
    pub next_cursor: Option<String>,
}

/// A checked question.
#[derive(Clone, Debug)]
pub struct Question {
    text: Option<String>,
    kind: Option<Kind>,
    city_id: Option<String>,
    near: Option<(Point, Option<f64>)>,
    cuisine: Option<String>,
    rating_milli_min: Option<u32>,
    open_now: bool,
    sort: Order,
    limit: usize,
    after: Option<Cursor>,
}

impl Asked {
    /// The question, if it is one.
    ///
    /// # Errors
    /// 422, at the parameter.
    pub fn checked(self) -> Result<Question, Problem> {
        let page = PageQuery { limit: self.limit, cursor: None };
        let sort = self.sort.unwrap_or_default();
        let point = answer::point_of(self.lat, self.lon)?;
        let radius_m = self.radius_m.map(|radius_m| field::within("/radius_m", radius_m, 1.0..=20_100_000.0)).transpose()?;
        let needs_point = |pointer| Problem::invalid(pointer, "needs_point", "needs lat and lon");
        if point.is_none() && radius_m.is_some() {
            return Err(needs_point("/radius_m"));
        }
        if point.is_none() && sort == Order::Distance {
            return Err(needs_point("/sort"));
        }
        if self.q.as_ref().is_some_and(|text| text.chars().count() > 200) {
            return Err(Problem::invalid("/q", "too_long", "at most 200 characters"));
        }
        let min_rating = self.min_rating.map(|rating| field::within("/min_rating", rating, 0.0..=5.0)).transpose()?;
        Ok(Question {
            text: self.q,
            kind: self.kind.map(|kind| match kind {
                FoundKind::Merchant => Kind::Merchant,
                FoundKind::Item => Kind::Item,
            }),
            city_id: self.city_id.map(|city| city.to_string()),
            near: point.map(|point| (point, radius_m)),
            cuisine: self.cuisine.map(|cuisine| cuisine.trim().to_lowercase()).filter(|cuisine| !cuisine.is_empty()),
            rating_milli_min: min_rating.filter(|rating| *rating > 0.0).map(|rating| (rating * 1000.0).round() as u32),
            open_now: self.open_now.unwrap_or(false),
            sort,
            limit: page.limit()?,
            after: self.cursor.as_deref().map(|cursor| place(sort, cursor)).transpose()?,
        })
    }
}

impl Order {
    /// What a cursor begins with: it means nothing in another order.
    fn letter(self) -> char {
        match self {
            Self::Relevance => 'r',
            Self::Distance => 'd',
            Self::Rating => 's',
            Self::Price => 'p',
        }
    }
}

fn place(sort: Order, cursor: &str) -> Result<Cursor, Problem> {
    let bad = || Problem::invalid("/cursor", "bad_cursor", "not a cursor of this search");
    cursor.strip_prefix(sort.letter()).ok_or_else(bad)?.parse().map_err(|_| bad())
}

/// Whether things can be had now; each merchant and city is looked up once.
struct Openness<'a> {
    view: &'a View,
    now: Timestamp,
    cities: RefCell<HashMap<CityId, Option<City>>>,
    merchants: RefCell<HashMap<String, Standing>>,
}

/// How a merchant stands now.
#[derive(Default)]
struct Standing {
    is_open: bool,
    /// Its items that cannot be had; not looked up while it is closed.
    out: HashSet<String>,
}

impl<'a> Openness<'a> {
    fn new(view: &'a View, now: Timestamp) -> Self {
        Self { view, now, cities: RefCell::default(), merchants: RefCell::default() }
    }

    fn of(&self, kind: Kind, id: &str, merchant_id: Option<&str>) -> bool {
        match (kind, merchant_id) {
            (Kind::Merchant, _) => self.standing(id, |standing| standing.is_open),
            (Kind::Item, Some(merchant)) => self.standing(merchant, |standing| standing.is_open && !standing.out.contains(id)),
            (Kind::Item, None) => false,
        }
    }

    fn standing(&self, merchant: &str, ask: impl FnOnce(&Standing) -> bool) -> bool {
        let mut merchants = self.merchants.borrow_mut();
        if let Some(standing) = merchants.get(merchant) {
            return ask(standing);
        }
        ask(merchants.entry(merchant.to_owned()).or_insert(self.look_up(merchant).unwrap_or_default()))
    }

    fn look_up(&self, id: &str) -> Option<Standing> {
        let id: MerchantId = id.parse().ok()?;
        let merchant = catalog::merchant(self.view, id)?;
        let mut cities = self.cities.borrow_mut();
        let city = cities.entry(merchant.city).or_insert_with(|| cities::get(self.view, merchant.city)).as_ref()?;
        let is_open = catalog::is_open(&merchant, city, self.now);
        let out = is_open.then(|| catalog::items_out(self.view, id, self.now).map(|item| item.to_string()).collect());
        Some(Standing { is_open, out: out.unwrap_or_default() })
    }
}

impl Question {
    /// Looks it up in the index, and whether things can be had at `now` in `view`.
    ///
    /// # Errors
    /// 500 if the index cannot be read.
    pub fn answer(&self, index: &TextIndex, view: &View, now: Timestamp) -> Result<Answer, Problem> {
        let openness = Openness::new(view, now);
        let is_open = |found: &Found<'_>| openness.of(found.kind, found.id, found.merchant_id);
        let page = index.search(&Query {
            text: self.text.as_deref(),
            kind: self.kind,
            city_id: self.city_id.as_deref(),
            near: self.near,
            cuisine: self.cuisine.as_deref(),
            rating_milli_min: self.rating_milli_min,
            sort: match self.sort {
                Order::Relevance => Sort::Relevance,
                Order::Distance => Sort::Distance,
                Order::Rating => Sort::Rating,
                Order::Price => Sort::Price,
            },
            after: self.after,
            offset: 0,
            limit: self.limit,
            accept: self.open_now.then_some(&is_open),
        });
        let page = page.map_err(|error| match error {
            SearchError::NoPoint => Problem::invalid("/sort", "needs_point", error.to_string()),
            SearchError::Cursor => Problem::invalid("/cursor", "bad_cursor", error.to_string()),
            SearchError::Index(_) => {
                tracing::error!(%error, "a search failed");
                Problem::new(500, "internal", "the search index could not be read")
            }
        })?;
        Ok(Answer {
            data: page.hits.into_iter().map(|hit| line(hit, &openness)).collect(),
            facets: Facets { cuisine: page.cuisines.into_iter().map(|(value, count)| Count { value, count }).collect() },
            total: page.total,
            next_cursor: page.next.map(|cursor| format!("{}{cursor}", self.sort.letter())),
        })
    }
}

fn line(hit: Hit, openness: &Openness<'_>) -> Line {
    let price = hit.price_minor.zip(hit.currency.parse().ok()).map(|(amount, currency)| Money::new(amount, currency));
    Line {
        open: openness.of(hit.kind, &hit.id, hit.merchant_id.as_deref()),
        kind: match hit.kind {
            Kind::Merchant => FoundKind::Merchant,
            Kind::Item => FoundKind::Item,
        },
        highlight: pieces(&hit.name, &hit.highlight),
        id: hit.id,
        name: hit.name,
        merchant_id: hit.merchant_id,
        distance_m: hit.distance_m.map(|distance_m| distance_m.round() as u64),
        rating: hit.rating_milli.map(|milli| f64::from(milli) / 1000.0),
        price,
        score: hit.score,
    }
}

/// The text cut at the ranges, which ascend and do not touch each other.
fn pieces(text: &str, ranges: &[std::ops::Range<usize>]) -> Option<Vec<Piece>> {
    if ranges.is_empty() {
        return None;
    }
    let mut pieces = Vec::with_capacity(2 * ranges.len() + 1);
    let mut add = |text: Option<&str>, matched| {
        pieces.extend(text.filter(|text| !text.is_empty()).map(|text| Piece { text: text.to_owned(), matched }));
    };
    let mut done = 0;
    for range in ranges {
        add(text.get(done..range.start), false);
        add(text.get(range.clone()), true);
        done = range.end;
    }
    add(text.get(done..), false);
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_that_are_none() {
        let cases: [(Asked, &str); 9] = [
            (Asked { lat: Some(1.0), ..Asked::default() }, "/lon"),
            (Asked { lat: Some(91.0), lon: Some(1.0), ..Asked::default() }, "/lat"),
            (Asked { radius_m: Some(100.0), ..Asked::default() }, "/radius_m"),
            (Asked { radius_m: Some(f64::NAN), lat: Some(1.0), lon: Some(1.0), ..Asked::default() }, "/radius_m"),
            (Asked { sort: Some(Order::Distance), ..Asked::default() }, "/sort"),
            (Asked { min_rating: Some(5.1), ..Asked::default() }, "/min_rating"),
            (Asked { limit: Some(101), ..Asked::default() }, "/limit"),
            (Asked { cursor: Some("x".to_owned()), ..Asked::default() }, "/cursor"),
            (Asked { q: Some("a".repeat(201)), ..Asked::default() }, "/q"),
        ];
        for (asked, pointer) in cases {
            let problem = asked.clone().checked().expect_err("refused");
            assert_eq!(problem.status, 422, "{asked:?}");
            assert!(format!("{problem:?}").contains(&format!("\"{pointer}\"")), "{asked:?}: {problem:?}");
        }
    }

    #[test]
    fn a_cursor_belongs_to_its_order() {
        let cursor = |letter| Some(format!("{letter}{:032x}", 7));
        let asked = |letter, sort| Asked { cursor: cursor(letter), sort: Some(sort), ..Asked::default() }.checked();
        assert!(asked('p', Order::Price).is_ok());
        assert!(asked('p', Order::Rating).is_err());
        assert!(asked('é', Order::Rating).is_err());
    }

    // One range is meant: a list of places, not their numbers.
    #[allow(clippy::single_range_in_vec_init)]
    #[test]
    fn names_in_pieces() {
        let piece = |text: &str, matched| Piece { text: text.to_owned(), matched };
        assert_eq!(pieces("Pizza Nova", &[]), None);
        assert_eq!(pieces("Pizza Nova", &[0..5]), Some(vec![piece("Pizza", true), piece(" Nova", false)]));
        assert_eq!(pieces("مطعم نوفا", &[9..17]), Some(vec![piece("مطعم ", false), piece("نوفا", true)]));
    }
}
