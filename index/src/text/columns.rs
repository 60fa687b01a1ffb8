//! The last commit, opened: its segments and their fast fields. Made once a commit, because opening the fields costs more than most searches.

use super::{
    model::{Found, Kind},
    schema::fast,
};
use crate::geo::{Point, distance_m};
use tantivy::{
    DocId, IndexReader, Searcher, SegmentReader,
    columnar::{Column, StrColumn},
};

/// What is searched.
pub(super) struct Shelf {
    pub searcher: Searcher,
    /// Of each segment, in the searcher's order.
    pub columns: Vec<Columns>,
}

impl Shelf {
    pub(super) fn open(reader: &IndexReader) -> tantivy::Result<Self> {
        let searcher = reader.searcher();
        let columns = searcher.segment_readers().iter().map(Columns::open).collect::<tantivy::Result<Vec<Columns>>>()?;
        Ok(Self { searcher, columns })
    }
}

/// The fast fields of a segment.
pub(super) struct Columns {
    id: Option<StrColumn>,
    merchant_id: Option<StrColumn>,
    cuisine: Option<StrColumn>,
    /// By their ordinals: few, and asked for in every answer.
    pub cuisines: Vec<String>,
    kind: Column<u64>,
    lat: Column<f64>,
    lon: Column<f64>,
    pub rating_milli: Column<u64>,
    pub price_minor: Column<i64>,
    pub popularity: Column<u64>,
    pub tie: Column<u64>,
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
        Ok(Self {
            id: columns.str(fast::ID)?,
            merchant_id: columns.str(fast::MERCHANT)?,
            cuisine,
            cuisines,
            kind: columns.u64(fast::KIND)?,
            lat: columns.f64(fast::LAT)?,
            lon: columns.f64(fast::LON)?,
            rating_milli: columns.u64(fast::RATING)?,
            price_minor: columns.i64(fast::PRICE)?,
            popularity: columns.u64(fast::POPULARITY)?,
            tie: columns.u64(fast::TIE)?,
        })
    }

    pub(super) fn kind(&self, doc: DocId) -> Kind {
        self.kind.first(doc).and_then(Kind::from_code).expect("every row has a kind of ours")
    }

    pub(super) fn distance_m(&self, doc: DocId, from: Point) -> Option<f64> {
        let point = Point::new(self.lat.first(doc)?, self.lon.first(doc)?).expect("rows are made of valid points");
        Some(distance_m(from, point))
    }

    /// Whether it is certainly more than `radius_m` north or south of a point: spares most of what is elsewhere the sines.
    pub(super) fn is_beyond(&self, doc: DocId, from: Point, radius_m: f64) -> bool {
        // A degree of latitude is never shorter on our sphere; the metre covers rounding.
        const DEGREE_M: f64 = 111_190.0;
        self.lat.first(doc).is_some_and(|lat| (lat - from.lat()).abs() * DEGREE_M > radius_m + 1.0)
    }

    /// The ordinals of its cuisines.
    pub(super) fn cuisines_of(&self, doc: DocId) -> impl Iterator<Item = usize> + '_ {
        self.cuisine.iter().flat_map(move |column| column.term_ords(doc)).map(|ord| ord as usize)
    }

    /// What the caller's own condition thinks of it.
    pub(super) fn is_accepted(&self, doc: DocId, names: &mut Names, accept: &dyn Fn(&Found<'_>) -> bool) -> tantivy::Result<bool> {
        text_of(self.id.as_ref(), doc, &mut names.id)?;
        let has_merchant = text_of(self.merchant_id.as_ref(), doc, &mut names.merchant_id)?;
        let merchant_id = has_merchant.then_some(names.merchant_id.as_str());
        Ok(accept(&Found { kind: self.kind(doc), id: &names.id, merchant_id }))
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
