//! The last commit, opened: its segments and their fast fields. Opened once a segment, because that costs more than most searches.

use super::{
    model::{Found, Kind},
    schema::fast,
};
use crate::geo::{Distances, EARTH_RADIUS_M, Point};
use std::{f64::consts::FRAC_PI_2, sync::Arc};
use tantivy::{
    DocId, IndexReader, Searcher, SegmentReader,
    columnar::{Column, StrColumn},
    index::SegmentId,
};

/// What is searched.
pub(super) struct Shelf {
    pub searcher: Searcher,
    /// Of each segment, in the searcher's order.
    pub columns: Vec<Arc<Columns>>,
    segments: Vec<SegmentId>,
}

impl Shelf {
    /// The newest commit; segments that were there `before` are not opened again (what is deleted from one is no matter of its columns).
    pub(super) fn open(reader: &IndexReader, before: Option<&Self>) -> tantivy::Result<Self> {
        let searcher = reader.searcher();
        let segments: Vec<SegmentId> = searcher.segment_readers().iter().map(SegmentReader::segment_id).collect();
        let known =
            |id: &SegmentId| before.and_then(|shelf| Some(shelf.columns[shelf.segments.iter().position(|other| other == id)?].clone()));
        let opened = segments.iter().zip(searcher.segment_readers());
        let columns = opened.map(|(id, segment)| known(id).map_or_else(|| Columns::open(segment).map(Arc::new), Ok));
        let columns = columns.collect::<tantivy::Result<Vec<Arc<Columns>>>>()?;
        Ok(Self { searcher, columns, segments })
    }
}

/// What every match is asked for, side by side: one look into memory instead of five into packed columns. 32 bytes a document.
#[derive(Clone, Copy)]
pub(super) struct Fact {
    point: Point,
    pub tie: u64,
    pub popularity: u32,
    /// The ordinal of its only cuisine.
    cuisine: u32,
}

const NO_CUISINE: u32 = u32::MAX;
/// It has several: the column knows them.
const CUISINES: u32 = u32::MAX - 1;

/// The fast fields of a segment.
pub(super) struct Columns {
    id: Option<StrColumn>,
    merchant_id: Option<StrColumn>,
    cuisine: Option<StrColumn>,
    /// By their ordinals: few, and asked for in every answer.
    pub cuisines: Vec<String>,
    kind: Column<u64>,
    /// By document.
    facts: Box<[Fact]>,
    pub rating_milli: Column<u64>,
    pub price_minor: Column<i64>,
}

impl Columns {
    fn open(segment: &SegmentReader) -> tantivy::Result<Self> {
        let columns = segment.fast_fields();
        let cuisine = columns.str(fast::CUISINE)?;
        let mut cuisines = Vec::new();
        if let Some(cuisine) = &cuisine {
            let mut names = cuisine.dictionary().stream()?;
            while names.advance() {
                cuisines.push(String::from_utf8_lossy(names.key()).into_owned());
            }
        }
        let (lat, lon) = (columns.f64(fast::LAT)?, columns.f64(fast::LON)?);
        let (popularity, tie) = (columns.u64(fast::POPULARITY)?, columns.u64(fast::TIE)?);
        let fact = |doc: DocId| {
            let degrees = |column: &Column<f64>| column.first(doc).unwrap_or_default();
            let point = Point::new(degrees(&lat), degrees(&lon)).expect("rows are made of valid points");
            let mut ords = cuisine.iter().flat_map(|column| column.term_ords(doc));
            let cuisine = match (ords.next(), ords.next()) {
                (None, _) => NO_CUISINE,
                (Some(ord), None) => u32::try_from(ord).ok().filter(|ord| *ord < CUISINES).unwrap_or(CUISINES),
                (Some(_), Some(_)) => CUISINES,
            };
            let popularity = popularity.first(doc).and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
            Fact { point, tie: tie.first(doc).unwrap_or_default(), popularity, cuisine }
        };
        let facts = (0..segment.max_doc()).map(fact).collect();
        Ok(Self {
            id: columns.str(fast::ID)?,
            merchant_id: columns.str(fast::MERCHANT)?,
            cuisine,
            cuisines,
            kind: columns.u64(fast::KIND)?,
            facts,
            rating_milli: columns.u64(fast::RATING)?,
            price_minor: columns.i64(fast::PRICE)?,
        })
    }

    pub(super) fn fact(&self, doc: DocId) -> &Fact {
        &self.facts[doc as usize]
    }

    pub(super) fn kind(&self, doc: DocId) -> Kind {
        self.kind.first(doc).and_then(Kind::from_code).expect("every row has a kind of ours")
    }

    /// Counts a document's cuisines, by ordinal.
    pub(super) fn count_cuisines(&self, doc: DocId, counts: &mut [u64]) {
        match self.fact(doc).cuisine {
            NO_CUISINE => (),
            CUISINES => self.cuisine.iter().flat_map(|column| column.term_ords(doc)).for_each(|ord| counts[ord as usize] += 1),
            ord => counts[ord as usize] += 1,
        }
    }

    /// What the caller's own condition thinks of it.
    pub(super) fn is_accepted(&self, doc: DocId, names: &mut Names, accept: &dyn Fn(&Found<'_>) -> bool) -> tantivy::Result<bool> {
        text_of(self.id.as_ref(), doc, &mut names.id)?;
        let has_merchant = text_of(self.merchant_id.as_ref(), doc, &mut names.merchant_id)?;
        let merchant_id = has_merchant.then_some(names.merchant_id.as_str());
        Ok(accept(&Found { kind: self.kind(doc), id: &names.id, merchant_id }))
    }
}

/// Where the asker is, and how far things may be.
pub(super) struct Circle {
    from: Point,
    distances: Distances,
    pub radius_m: Option<f64>,
    /// Degrees of latitude, and of longitude, beyond which all is farther than the radius.
    reach: Option<(f64, f64)>,
}

impl Circle {
    pub(super) fn new(from: Point, radius_m: Option<f64>) -> Self {
        let reach = radius_m.map(|radius_m| {
            // The metre covers rounding.
            let angle = (radius_m + 1.0) / EARTH_RADIUS_M;
            // The circle's easternmost point is where a meridian touches it; around a pole, and across the date line, every longitude is looked at.
            let touching = angle.sin() / from.lat().to_radians().cos();
            let has_east = angle + from.lat().abs().to_radians() < FRAC_PI_2 && touching < 1.0;
            let lon = if has_east { touching.asin().to_degrees() } else { f64::INFINITY };
            (angle.to_degrees(), if from.lon().abs() + lon < 180.0 { lon } else { f64::INFINITY })
        });
        Self { from, distances: Distances::from(from), radius_m, reach }
    }

    /// How far a document is, if it is within the circle.
    pub(super) fn distance_m(&self, fact: &Fact) -> Option<f64> {
        if let Some((lat, lon)) = self.reach
            && ((fact.point.lat() - self.from.lat()).abs() > lat || (fact.point.lon() - self.from.lon()).abs() > lon)
        {
            return None;
        }
        let distance_m = self.distances.to_m(fact.point);
        self.radius_m.is_none_or(|radius_m| distance_m <= radius_m).then_some(distance_m)
    }
}

/// Room for a document's ids, used again and again.
#[derive(Default)]
pub(super) struct Names {
    id: String,
    merchant_id: String,
}

fn text_of(column: Option<&StrColumn>, doc: DocId, text: &mut String) -> tantivy::Result<bool> {
    text.clear();
    match column.and_then(|column| Some((column, column.term_ords(doc).next()?))) {
        Some((column, ord)) => Ok(column.ord_to_str(ord, text)?),
        None => Ok(false),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::geo::distance_m;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// A circle holds what is no farther than its radius: anywhere on the globe, and at its very edge.
        #[test]
        fn the_circle_is_the_distance(lat in -90.0..=90.0_f64, lon in -180.0..=180.0_f64, north in -1.0..1.0_f64, east in -1.0..1.0_f64, scale in -2..5_i32, share in 0.9..1.1_f64) {
            let from = Point::new(lat, lon).unwrap();
            let away = 10_f64.powi(-scale);
            let point = Point::new((lat + north * away).clamp(-90.0, 90.0), (lon + east * away + 540.0).rem_euclid(360.0) - 180.0).unwrap();
            let exact = distance_m(from, point);
            prop_assume!((share - 1.0).abs() > 1e-6 && exact > 1.0);
            let fact = Fact { point, tie: 0, popularity: 0, cuisine: NO_CUISINE };
            let within = Circle::new(from, Some(exact * share)).distance_m(&fact);
            prop_assert_eq!(within.is_some(), share > 1.0, "{} of {}", exact, exact * share);
            prop_assert!(within.is_none_or(|within| (within - exact).abs() < 1e-3));
        }
    }
}
