//! How well the search ranks, on a collection with judgements: the 1,400 documents and 225 questions of Cranfield, through the same analyzers and
//! the same query path that serve. Reads `$MEDINA_DATA/cranfield` and says so where it is absent.
//!
//! The mark is what SQLite FTS5 reaches on the same files (BM25, porter stemming, title and text in one column, the words of a question joined by OR).
//! Gains are 5 − rel for judgements 1–4, as the collection's 1 is the best; −1 and 5 count as not relevant.
#![allow(clippy::unwrap_used)]

use index::geo::Point;
use index::text::{Document, Kind, Mark, Query, TextIndex};
use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    path::{Path, PathBuf},
};

const NDCG_MARK: f64 = 0.3683;
const MAP_MARK: f64 = 0.3099;
/// Average precision looks this deep: further than any answer reaches.
const DEEP: usize = 1_400;

fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env::var_os("MEDINA_DATA")?).join("cranfield");
    folder.is_dir().then_some(folder)
}

/// The records of a SMART file: `.I` begins one, any other letter a field of it.
fn records(path: &Path) -> Vec<BTreeMap<char, String>> {
    let mut records: Vec<BTreeMap<char, String>> = Vec::new();
    let mut field = ' ';
    for line in fs::read_to_string(path).unwrap().lines() {
        let mark = line.strip_prefix('.').and_then(|rest| rest.chars().next()).filter(|letter| "ITABW".contains(*letter));
        match mark {
            Some('I') => records.push(BTreeMap::from([('I', line[2..].trim().to_owned())])),
            Some(letter) => field = letter,
            None => {
                let text = records.last_mut().unwrap().entry(field).or_default();
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    records
}

/// Question (by its number in the file, from 1) → document → gain.
fn judgements(path: &Path) -> HashMap<usize, HashMap<String, u32>> {
    let mut gains: HashMap<usize, HashMap<String, u32>> = HashMap::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let parts: Vec<&str> = line.split_whitespace().collect();
        if let [question, document, relevance] = parts[..]
            && let relevance @ 1..=4 = relevance.parse::<i32>().unwrap()
        {
            gains.entry(question.parse().unwrap()).or_default().insert(document.to_owned(), (5 - relevance) as u32);
        }
    }
    gains
}

fn discounted(gains: impl Iterator<Item = u32>) -> f64 {
    gains.take(10).zip(2_u32..).map(|(gain, place)| f64::from(gain) / f64::from(place).log2()).sum()
}

fn ndcg_at_10(found: &[String], gains: &HashMap<String, u32>) -> f64 {
    let mut best: Vec<u32> = gains.values().copied().collect();
    best.sort_unstable_by(|a, b| b.cmp(a));
    discounted(found.iter().map(|id| gains.get(id).copied().unwrap_or(0))) / discounted(best.into_iter())
}

fn average_precision(found: &[String], gains: &HashMap<String, u32>) -> f64 {
    let mut hits = 0;
    let mut sum = 0.0;
    for (place, _) in (1_u32..).zip(found).filter(|(_, id)| gains.contains_key(*id)) {
        hits += 1;
        sum += f64::from(hits) / f64::from(place);
    }
    sum / gains.len() as f64
}

fn document(record: &BTreeMap<char, String>) -> Document {
    let text = |field: char| record.get(&field).map(|text| text.trim().to_owned()).unwrap_or_default();
    // The texts repeat their titles; an item's description does not.
    let description = text('W').strip_prefix(&text('T')).map(|rest| rest.trim().to_owned()).unwrap_or_else(|| text('W'));
    Document {
        id: text('I'),
        kind: Kind::Item,
        merchant_id: None,
        city_id: "cranfield".to_owned(),
        name: text('T'),
        description,
        category: String::new(),
        tags: Vec::new(),
        cuisines: Vec::new(),
        point: Point::new(52.07, -0.61).unwrap(),
        rating_milli: None,
        price_minor: None,
        currency: String::new(),
        popularity: 0,
    }
}

#[test]
fn it_ranks_at_least_as_well_as_sqlite() {
    let Some(folder) = folder() else {
        eprintln!("SKIPPED: MEDINA_DATA does not name a folder with cranfield/");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = TextIndex::open(dir.path()).unwrap();
    let documents = records(&folder.join("cran.all.1400"));
    documents.iter().for_each(|record| index.upsert(&document(record)).unwrap());
    index.commit(Mark { epoch: 1, seq: 1 }).unwrap();
    let questions = records(&folder.join("cran.qry"));
    let gains = judgements(&folder.join("cranqrel"));
    assert_eq!((documents.len(), questions.len()), (1_400, 225));

    let (mut ndcg, mut map, mut judged) = (0.0, 0.0, 0.0);
    for (number, question) in (1..).zip(&questions) {
        let Some(gains) = gains.get(&number) else { continue };
        let page = index.search(&Query { text: Some(&question[&'W']), limit: DEEP, ..Query::default() }).unwrap();
        let found: Vec<String> = page.hits.into_iter().map(|hit| hit.id).collect();
        ndcg += ndcg_at_10(&found, gains);
        map += average_precision(&found, gains);
        judged += 1.0;
    }
    let (ndcg, map) = (ndcg / judged, map / judged);
    println!("cranfield: {judged} questions, NDCG@10 {ndcg:.4} (mark {NDCG_MARK}), MAP {map:.4} (mark {MAP_MARK})");
    assert!(ndcg >= NDCG_MARK && map >= MAP_MARK, "NDCG@10 {ndcg:.4}, MAP {map:.4}");
}
