//! Two words, a circle, facets, over a corpus on disk: one line of microseconds a question, for `benches/search.py`, which measures PostgreSQL and
//! SQLite beside it on the same files.
//!
//! `$MEDINA_SEARCH` names a folder with `corpus.tsv` (id, name, section, description, lat, lon) and `questions.tsv` (text, lat, lon, radius_m); the times
//! and totals go to `medina.tsv` there. Without it, this bench says that it is skipped.
#![allow(clippy::unwrap_used)]

use index::geo::Point;
use index::text::{Document, Kind, Mark, Query, TextIndex};
use std::{env, fmt::Write, fs, hint::black_box, path::PathBuf, time::Instant};

fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split('\t').collect())
}

fn point(lat: &str, lon: &str) -> Point {
    Point::new(lat.parse().unwrap(), lon.parse().unwrap()).unwrap()
}

fn document(row: &[&str]) -> Document {
    let [id, name, section, description, lat, lon] = row else { panic!("six fields a line, not {}", row.len()) };
    Document {
        id: (*id).to_owned(),
        kind: Kind::Item,
        merchant_id: None,
        city_id: "bookworm".to_owned(),
        name: (*name).to_owned(),
        description: (*description).to_owned(),
        category: String::new(),
        tags: Vec::new(),
        cuisines: vec![(*section).to_owned()],
        point: point(lat, lon),
        rating_milli: None,
        price_minor: None,
        currency: "EUR".to_owned(),
        popularity: 0,
    }
}

fn main() {
    let Some(folder) = env::var_os("MEDINA_SEARCH").map(PathBuf::from) else {
        println!("search: SKIPPED, MEDINA_SEARCH names no folder; see benches/search.py");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = TextIndex::open(dir.path()).unwrap();
    let corpus = fs::read_to_string(folder.join("corpus.tsv")).unwrap();
    let started = Instant::now();
    rows(&corpus).for_each(|row| index.upsert(&document(&row)).unwrap());
    index.commit(Mark { epoch: 1, seq: 1 }).unwrap();
    println!("search: {} documents indexed in {:.1} s", index.len(), started.elapsed().as_secs_f64());

    let questions = fs::read_to_string(folder.join("questions.tsv")).unwrap();
    let mut lines = String::new();
    // The first round warms up, as it does for the peers.
    for round in 0..2 {
        for row in rows(&questions) {
            let near = Some((point(row[1], row[2]), Some(row[3].parse().unwrap())));
            // As somebody leaves it who has typed both words out, and as it is while the last one may still go on.
            let [complete, open] = [format!("{} ", row[0]), row[0].to_owned()].map(|text| {
                let started = Instant::now();
                let page = index.search(&Query { text: Some(&text), near, limit: 10, ..Query::default() }).unwrap();
                (started.elapsed().as_nanos() as f64 / 1_000.0, black_box(page).total)
            });
            if round == 1 {
                writeln!(lines, "{:.1}\t{}\t{:.1}\t{}", complete.0, complete.1, open.0, open.1).unwrap();
            }
        }
    }
    fs::write(folder.join("medina.tsv"), lines).unwrap();
}
