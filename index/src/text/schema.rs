//! What the index keeps of a document.

use super::{analyzer::Reading, cells, model::Document};
use tantivy::{
    TantivyDocument, Term,
    schema::{FAST, Field, INDEXED, IndexRecordOption, NumericOptions, STORED, STRING, Schema, TextFieldIndexing, TextOptions},
};

/// Names of the fast fields, which are opened by name.
pub(super) mod fast {
    pub(in crate::text) const ID: &str = "id";
    pub(in crate::text) const MERCHANT: &str = "merchant_id";
    pub(in crate::text) const CUISINE: &str = "cuisine";
    pub(in crate::text) const KIND: &str = "kind";
    pub(in crate::text) const LAT: &str = "lat";
    pub(in crate::text) const LON: &str = "lon";
    pub(in crate::text) const RATING: &str = "rating_milli";
    pub(in crate::text) const PRICE: &str = "price_minor";
    pub(in crate::text) const POPULARITY: &str = "popularity";
    pub(in crate::text) const TIE: &str = "tie";
}

/// The fields by role.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub id: Field,
    pub merchant_id: Field,
    pub kind: Field,
    pub city_id: Field,
    pub cell: Field,
    pub cuisine: Field,
    /// The name as it is stored and shown, read exactly.
    pub name: Field,
    /// The name, folded.
    pub name_folded: Field,
    /// Category, tags and cuisines, folded.
    pub labels: Field,
    /// Everything that was written about it, stemmed.
    pub stems: Field,
    /// The same in the broad reading.
    pub broad: Field,
    pub lat: Field,
    pub lon: Field,
    pub rating_milli: Field,
    pub price_minor: Field,
    pub currency: Field,
    pub popularity: Field,
    pub tie: Field,
}

fn text(reading: Reading) -> TextOptions {
    let indexing = TextFieldIndexing::default().set_tokenizer(&reading.name()).set_index_option(IndexRecordOption::WithFreqs);
    TextOptions::default().set_indexing_options(indexing)
}

/// The schema and its fields. Two indexes with the same schema mean the same; see [`Reading::name`] for the analyzers' part in it.
pub(super) fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let number = || NumericOptions::default().set_fast();
    let raw = tantivy::tokenizer::RAW_TOKENIZER_NAME;
    let fields = Fields {
        id: schema.add_text_field(fast::ID, STRING.set_fast(raw) | STORED),
        merchant_id: schema.add_text_field(fast::MERCHANT, STRING.set_fast(raw) | STORED),
        kind: schema.add_u64_field(fast::KIND, INDEXED | FAST),
        city_id: schema.add_text_field("city_id", STRING),
        cell: schema.add_u64_field("cell", INDEXED),
        cuisine: schema.add_text_field(fast::CUISINE, STRING.set_fast(raw)),
        name: schema.add_text_field("name", text(Reading::Exact).set_stored()),
        name_folded: schema.add_text_field("name_folded", text(Reading::Folded)),
        labels: schema.add_text_field("labels", text(Reading::Folded)),
        stems: schema.add_text_field("stems", text(Reading::Stemmed)),
        broad: schema.add_text_field("broad", text(Reading::Broad)),
        lat: schema.add_f64_field(fast::LAT, number()),
        lon: schema.add_f64_field(fast::LON, number()),
        rating_milli: schema.add_u64_field(fast::RATING, number()),
        price_minor: schema.add_i64_field(fast::PRICE, number()),
        currency: schema.add_text_field("currency", TextOptions::default().set_stored()),
        popularity: schema.add_u64_field(fast::POPULARITY, number()),
        tie: schema.add_u64_field(fast::TIE, number()),
    };
    (schema.build(), fields)
}

impl Fields {
    /// The document as tantivy takes it.
    pub(super) fn row(&self, document: &Document) -> TantivyDocument {
        let mut row = TantivyDocument::new();
        row.add_text(self.id, &document.id);
        if let Some(merchant_id) = &document.merchant_id {
            row.add_text(self.merchant_id, merchant_id);
        }
        row.add_u64(self.kind, document.kind.code());
        row.add_text(self.city_id, &document.city_id);
        cells::of(document.point).for_each(|cell| row.add_u64(self.cell, cell));
        row.add_text(self.name, &document.name);
        row.add_text(self.name_folded, &document.name);
        let labels = || [&document.category].into_iter().chain(&document.tags).chain(&document.cuisines);
        labels().for_each(|label| row.add_text(self.labels, label));
        [&document.name, &document.description].into_iter().chain(labels()).for_each(|part| {
            row.add_text(self.stems, part);
            row.add_text(self.broad, part);
        });
        document.cuisines.iter().for_each(|cuisine| row.add_text(self.cuisine, cuisine));
        row.add_f64(self.lat, document.point.lat());
        row.add_f64(self.lon, document.point.lon());
        if let Some(rating_milli) = document.rating_milli {
            row.add_u64(self.rating_milli, rating_milli.into());
        }
        if let Some(price_minor) = document.price_minor {
            row.add_i64(self.price_minor, price_minor);
        }
        row.add_text(self.currency, &document.currency);
        row.add_u64(self.popularity, document.popularity.into());
        row.add_u64(self.tie, tie(&document.id));
        row
    }

    /// What finds the document `id` and no other.
    pub(super) fn key(&self, id: &str) -> Term {
        Term::from_field_text(self.id, id)
    }
}

/// A number that stands for an id when all else is equal: FNV-1a, because it must be the same on every machine and for ever.
fn tie(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
