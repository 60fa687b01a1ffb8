//! Lists: `{data, next_cursor}`, with opaque cursors that inserts do not disturb.

use serde::{Deserialize, Serialize};
use storage::table::Cursor;

use super::problem::Problem;

/// `?limit=&cursor=`
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// 1 to 100, 20 if absent.
    #[serde(default)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

impl PageQuery {
    /// The checked limit.
    ///
    /// # Errors
    /// 422 out of range.
    pub fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            None => Ok(20),
            Some(limit @ 1..=100) => Ok(limit),
            Some(_) => Err(Problem::invalid("/limit", "out_of_range", "limit is 1 to 100")),
        }
    }

    /// The decoded cursor.
    ///
    /// # Errors
    /// 422 if it is not one of ours.
    pub fn after(&self) -> Result<Option<Cursor>, Problem> {
        self.cursor.as_deref().map(decode).transpose()
    }
}

fn decode(text: &str) -> Result<Cursor, Problem> {
    let bad = || Problem::invalid("/cursor", "bad_cursor", "not a cursor of this list");
    if !text.len().is_multiple_of(2) || text.len() > 1024 || !text.is_ascii() {
        return Err(bad());
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| bad())).collect()
}

fn encode(cursor: &[u8]) -> String {
    cursor.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// `null` on the last page.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Takes `limit` entries of a scan; looks one further to know whether there is more.
    pub fn from_scan(scan: impl Iterator<Item = (Cursor, T)>, limit: usize) -> Self {
        let mut data = Vec::with_capacity(limit);
        let mut last = None;
        for (cursor, entry) in scan {
            if data.len() == limit {
                return Self { data, next_cursor: last.as_deref().map(encode) };
            }
            last = Some(cursor);
            data.push(entry);
        }
        Self { data, next_cursor: None }
    }

    /// A whole short list.
    #[must_use]
    pub fn whole(data: Vec<T>) -> Self {
        Self { data, next_cursor: None }
    }

    /// The same page of something else.
    pub fn map<U>(self, map: impl FnMut(T) -> U) -> Page<U> {
        Page { data: self.data.into_iter().map(map).collect(), next_cursor: self.next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_to_the_list() {
        let entries: Vec<(Cursor, u32)> = (0..7).map(|n| (vec![n as u8], n)).collect();
        let first = Page::from_scan(entries.clone().into_iter(), 5);
        assert_eq!(first.data, [0, 1, 2, 3, 4]);
        let after = PageQuery { limit: None, cursor: first.next_cursor }.after().expect("our own cursor").expect("there is more");
        let rest = Page::from_scan(entries.into_iter().filter(|(cursor, _)| *cursor > after), 5);
        assert_eq!((rest.data, rest.next_cursor), (vec![5, 6], None));
        for bad in ["x", "zz", "0", "é0"] {
            assert!(PageQuery { limit: None, cursor: Some(bad.to_owned()) }.after().is_err(), "{bad}");
        }
    }
}
