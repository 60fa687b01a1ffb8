//! Full-text search over what a city offers. Read in this order: [`Document`] and [`Query`] (what goes in and what is asked), how
//! text becomes words (`analyzer`, `stem`), what is stored (`schema`), how a question becomes a tantivy query (`matching`, `word`),
//! how matches become a page (`search`), and the life of the index on disk ([`TextIndex`]).

mod analyzer;
mod cells;
mod columns;
mod function_words;
mod highlight;
mod index;
mod matching;
mod model;
mod schema;
mod search;
mod similar;
mod stem;
mod word;

pub use index::{Mark, Resume, TextError, TextIndex};
pub use model::{Cursor, Document, Found, Hit, Kind, Page, Query, SearchError, Sort};
