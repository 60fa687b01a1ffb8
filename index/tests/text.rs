//! Search as its users see it: a small city, questions on the left, what is found on the right.
#![allow(clippy::unwrap_used)]

use index::geo::Point;
use index::text::{Cursor, Document, Kind, Mark, Page, Query, Resume, SearchError, Sort, TextError, TextIndex};
use proptest::prelude::*;
use std::{fs, path::Path};

fn point(lat: f64, lon: f64) -> Point {
    Point::new(lat, lon).unwrap()
}

const CENTRE: (f64, f64) = (33.5731, -7.5898);

/// A place `north_m` metres north of the centre.
fn north(north_m: f64) -> Point {
    point(CENTRE.0 + north_m / 111_195.0, CENTRE.1)
}

fn merchant(id: &str, name: &str, cuisines: &[&str]) -> Document {
    Document {
        id: id.into(),
        kind: Kind::Merchant,
        merchant_id: None,
        city_id: "casablanca".into(),
        name: name.into(),
        description: String::new(),
        category: "restaurant".into(),
        tags: vec![],
        cuisines: cuisines.iter().map(ToString::to_string).collect(),
        point: north(0.0),
        rating_milli: None,
        price_minor: None,
        currency: "MAD".into(),
        popularity: 0,
    }
}

fn item(id: &str, name: &str, merchant_id: &str, price_minor: i64) -> Document {
    let merchant_id = Some(merchant_id.into());
    Document { kind: Kind::Item, merchant_id, category: "dish".into(), price_minor: Some(price_minor), ..merchant(id, name, &[]) }
}

fn mark(seq: u64) -> Mark {
    Mark { epoch: 1, seq }
}

fn open(dir: &Path) -> (TextIndex, Resume) {
    TextIndex::open(dir).unwrap()
}

/// An index of `documents`, each of them in a segment of its own if `split`.
fn filled(documents: &[Document], split: bool) -> (TextIndex, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = open(dir.path());
    for document in documents {
        index.upsert(document).unwrap();
        if split {
            index.commit(mark(1)).unwrap();
        }
    }
    index.commit(mark(1)).unwrap();
    (index, dir)
}

fn ids(page: &Page) -> Vec<&str> {
    page.hits.iter().map(|hit| hit.id.as_str()).collect()
}

fn check(index: &TextIndex, query: &Query<'_>, expected: &[&str]) {
    let page = index.search(query).unwrap();
    assert_eq!(ids(&page), expected, "{:?}: {:?}", query.text, page.hits);
    assert_eq!(page.total, expected.len() as u64);
}

fn ask(text: &str) -> Query<'_> {
    Query { text: Some(text), limit: 20, ..Query::default() }
}

fn all() -> Query<'static> {
    Query { limit: 20, ..Query::default() }
}

fn city() -> Vec<Document> {
    vec![
        Document { rating_milli: Some(4_500), point: north(300.0), ..merchant("m1", "Mario's Trattoria", &["italian", "pizza"]) },
        Document { rating_milli: Some(3_900), point: north(2_000.0), ..merchant("m2", "L'Entrecôte d’Été", &["french"]) },
        Document { point: north(9_000.0), ..merchant("m3", "مطعم الكتب", &["moroccan"]) },
        Document { point: north(300.0), ..item("i1", "Pizza Margherita", "m1", 6_500) },
        Document { point: north(300.0), ..item("i2", "Pizza Marinara", "m1", 5_500) },
        Document { point: north(300.0), description: "with grilled mushrooms".into(), ..item("i3", "Tagliatelle", "m1", 8_000) },
        Document { point: north(2_000.0), tags: vec!["pizzas".into()], ..item("i4", "Crème brûlée", "m2", 4_000) },
    ]
}

#[test]
fn words_find_things() {
    for split in [false, true] {
        let (index, _dir) = filled(&city(), split);
        for (text, expected) in [
            ("piza margarita", &["i1"][..]),
            ("pizza margherita", &["i1"]),
            ("PIZZA marg", &["i1"]),
            ("piza margarit", &["i1"]),
            ("margherita pizza", &["i1"]),
            ("pizza burger", &[]),
            ("marios", &["m1"]),
            ("mario's trattoria", &["m1"]),
            ("entrecote ete", &["m2"]),
            ("l'entrecôte", &["m2"]),
            ("d'entrecôtes", &["m2"]),
            ("creme brulee", &["i4"]),
            ("crème brûl", &["i4"]),
            ("grill mushroom", &["i3"]),
            ("كتب", &["m3"]),
            ("والكتب", &["m3"]),
            ("مُطْعَم", &["m3"]),
            ("tagliatele", &["i3"]),
            ("بكتب", &["m3"]),
            ("كالكتب", &["m3"]),
            ("وللكتب ومطعم", &["m3"]),
            ("qu'entrecôte", &["m2"]),
            ("pizza avec champignons grillés ", &[]),
            ("xyzzy", &[]),
        ] {
            check(&index, &ask(text), expected);
        }
        // No syntax: whatever is typed is words or nothing.
        for text in [
            "\"pizza\" AND (marinara",
            "name:pizza",
            "pizza^2 *",
            "+-/~[]{}",
            "'",
            "\u{0}",
            "ــ",
            "🍕",
            &"ab ".repeat(5_000),
            &"x".repeat(100_000),
        ] {
            index.search(&ask(text)).unwrap();
        }
    }
}

#[test]
fn what_is_written_comes_before_what_is_similar() {
    // The typo is rarer, shorter, far more popular and next door: still it does not bury the word as written.
    let mut documents: Vec<Document> =
        (0..30).map(|n| merchant(&format!("exact{n:02}"), "Big Burger House of the Old Town", &[])).collect();
    documents.push(Document { popularity: u32::MAX, point: north(0.0), ..merchant("one", "Burgir", &[]) });
    documents.push(Document { popularity: u32::MAX, ..merchant("begun", "Burgeria", &[]) });
    let (index, _dir) = filled(&documents, false);
    for text in ["burger", "burger "] {
        let query = Query { limit: 40, near: Some((north(0.0), None)), ..ask(text) };
        let page = index.search(&query).unwrap();
        let found = ids(&page);
        assert!(found[..30].iter().all(|id| id.starts_with("exact")), "{text:?}: {found:?}");
        // Somebody who still types means "Burgeria", too; somebody who wrote the whole word does not, and nobody here means "Burgir".
        let rest: &[&str] = if text == "burger" { &["begun"] } else { &[] };
        assert_eq!(found[30..], *rest, "{text:?}");
    }

    let ladder = [merchant("two", "Margarita", &[]), merchant("one", "Margheritta", &[]), merchant("none", "Margherita", &[])];
    let (index, _dir) = filled(&ladder, true);
    check(&index, &ask("margherita "), &["none", "one", "two"]);
    check(&index, &ask("tea "), &[]);

    // One who wrote it wrong does not hide the many who wrote it right; and where the filters leave nothing as written, the similar counts.
    let mut documents: Vec<Document> = (0..5).map(|n| merchant(&format!("right{n}"), "Pizza Margherita", &[])).collect();
    documents.push(merchant("wrong", "Margarita", &[]));
    documents.push(Document { point: north(9_000.0), ..merchant("far", "Piza Margherita", &[]) });
    let (index, _dir) = filled(&documents, false);
    let page = index.search(&ask("margarita ")).unwrap();
    assert_eq!((page.total, page.hits[0].id.as_str()), (7, "wrong"));
    check(&index, &Query { near: Some((north(9_000.0), Some(500.0))), ..ask("pizza margherita ") }, &["far"]);
}

/// A menu mixes languages; a stem of any finds the word, after those who wrote it so.
#[test]
fn stems_of_three_languages() {
    let documents = [
        merchant("plain", "Boulangerie du Port", &[]),
        merchant("ladies", "Pâtisserie des Boulangères végétariennes", &[]),
        merchant("horse", "Au Cheval Blanc", &[]),
        merchant("horses", "Les Chevaux du Roi", &[]),
        merchant("chicken", "طاجين بدجاج", &[]),
        merchant("the chicken", "الدجاج المشوي", &[]),
        merchant("grill", "Grilled sandwiches", &[]),
    ];
    let (index, _dir) = filled(&documents, false);
    for (text, expected) in [
        ("chevaux ", &["horses", "horse"][..]),
        ("cheval ", &["horse", "horses"]),
        ("boulangère végétarienne ", &["ladies"]),
        ("دجاج ", &["the chicken", "chicken"]),
        ("بالدجاج ", &["the chicken", "chicken"]),
        ("وبدجاج ", &["chicken"]),
        ("sandwich grilling ", &["grill"]),
    ] {
        let page = index.search(&ask(text)).unwrap();
        assert_eq!(ids(&page), expected, "{text}");
    }
}

#[test]
fn filters() {
    for split in [false, true] {
        let mut documents = city();
        documents.push(Document { city_id: "rabat".into(), ..merchant("m9", "Pizza Rabat", &["pizza"]) });
        let (index, _dir) = filled(&documents, split);
        let here = Some((north(0.0), Some(1_000.0)));
        for (query, expected) in [
            (Query { kind: Some(Kind::Merchant), ..ask("pizza") }, &["m9", "m1"][..]),
            (Query { kind: Some(Kind::Merchant), city_id: Some("casablanca"), ..ask("pizza") }, &["m1"]),
            (Query { cuisine: Some("french"), ..all() }, &["m2"]),
            (Query { rating_milli_min: Some(4_000), ..all() }, &["m1"]),
            (Query { rating_milli_min: Some(4_500), ..all() }, &["m1"]),
            (Query { rating_milli_min: Some(4_501), ..all() }, &[]),
            (Query { near: here, city_id: Some("casablanca"), ..ask("pizza marg ") }, &[]),
            (Query { near: here, ..ask("pizza marinara") }, &["i2"]),
            (Query { near: here, ..ask("creme") }, &[]),
            (Query { near: Some((north(0.0), Some(2_001.0))), ..ask("creme") }, &["i4"]),
            (Query { near: Some((north(0.0), Some(1_999.0))), ..ask("creme") }, &[]),
            (Query { near: Some((north(500_000.0), Some(600_000.0))), ..ask("creme") }, &["i4"]),
            (
                Query { accept: Some(&|found| found.merchant_id == Some("m2") && found.id == "i4" && found.kind == Kind::Item), ..all() },
                &["i4"],
            ),
        ] {
            check(&index, &query, expected);
        }
    }
}

#[test]
fn nothing_typed_means_the_nearest() {
    let (index, _dir) = filled(&city(), false);
    for text in [None, Some(""), Some("  "), Some("?!")] {
        let query = Query { text, kind: Some(Kind::Merchant), near: Some((north(1_500.0), Some(5_000.0))), limit: 20, ..Query::default() };
        let page = index.search(&query).unwrap();
        assert_eq!(ids(&page), ["m2", "m1"]);
        let distances: Vec<f64> = page.hits.iter().map(|hit| hit.distance_m.unwrap().round()).collect();
        assert_eq!(distances, [500.0, 1_200.0]);
    }
    let popular: Vec<Document> =
        [3, 900, 40].into_iter().map(|n| Document { popularity: n, ..merchant(&n.to_string(), "Bar", &[]) }).collect();
    let (index, _dir) = filled(&popular, true);
    check(&index, &all(), &["900", "40", "3"]);
}

#[test]
fn facets_count_what_matches_on_all_pages() {
    let documents = [
        merchant("a", "Sushi Pizza", &["japanese", "italian"]),
        merchant("b", "Pizza Uno", &["italian"]),
        merchant("c", "Pizza Deux", &["french"]),
        merchant("d", "Couscous", &["moroccan"]),
    ];
    for split in [false, true] {
        let (index, _dir) = filled(&documents, split);
        let page = index.search(&Query { limit: 1, ..ask("pizza") }).unwrap();
        let expected = [("italian", 2), ("french", 1), ("japanese", 1)].map(|(name, count)| (name.to_owned(), count));
        assert_eq!((page.hits.len(), page.total, page.cuisines), (1, 3, expected.to_vec()));
        let page = index.search(&Query { limit: 0, accept: Some(&|found| found.id != "b"), ..ask("pizza") }).unwrap();
        let expected = [("french", 1), ("italian", 1), ("japanese", 1)].map(|(name, count)| (name.to_owned(), count));
        assert_eq!((page.hits.len(), page.total, page.cuisines, page.next), (0, 2, expected.to_vec(), None));
    }
}

#[test]
fn a_hit_tells_what_a_list_shows() {
    let (index, _dir) = filled(&city(), false);
    let near = Some((north(0.0), None));
    let page = index.search(&Query { near, ..ask("piza margarita") }).unwrap();
    let hit = &page.hits[0];
    assert_eq!((hit.kind, hit.name.as_str(), hit.merchant_id.as_deref()), (Kind::Item, "Pizza Margherita", Some("m1")));
    assert_eq!((hit.price_minor, hit.currency.as_str(), hit.rating_milli), (Some(6_500), "MAD", None));
    assert_eq!(hit.highlight, [0..5, 6..16]);
    assert!((hit.distance_m.unwrap() - 300.0).abs() < 1.0);
    assert!(hit.score > 0.0);
}

#[test]
fn changes_and_removals() {
    let (index, _dir) = filled(&city(), false);
    index.upsert(&item("i1", "Calzone", "m1", 7_000)).unwrap();
    index.delete("i2");
    index.delete("never was");
    check(&index, &ask("pizza marinara"), &["i2"]);
    index.commit(mark(2)).unwrap();
    check(&index, &ask("pizza marinara"), &[]);
    check(&index, &ask("pizza margherita"), &[]);
    check(&index, &ask("calzone"), &["i1"]);
    assert_eq!(index.len(), 6);
    // Twice in one commit: the last one counts.
    index.upsert(&item("i1", "Lasagne", "m1", 1)).unwrap();
    index.upsert(&item("i1", "Risotto", "m1", 1)).unwrap();
    index.upsert(&item("i8", "Sorbet", "m1", 1)).unwrap();
    index.delete("i8");
    index.commit(mark(3)).unwrap();
    check(&index, &ask("lasagne"), &[]);
    check(&index, &ask("sorbet"), &[]);
    check(&index, &ask("risotto"), &["i1"]);
    index.clear().unwrap();
    index.upsert(&item("i1", "Risotto", "m1", 1)).unwrap();
    index.commit(mark(4)).unwrap();
    check(&index, &all(), &["i1"]);
}

#[test]
fn it_resumes_at_the_last_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (index, resume) = open(dir.path());
    assert_eq!(resume, Resume::Rebuild);
    index.upsert(&merchant("a", "Alpha", &[])).unwrap();
    index.commit(Mark { epoch: 3, seq: 41 }).unwrap();
    // Not committed: gone after a crash, and the mark says so.
    index.upsert(&merchant("b", "Beta", &[])).unwrap();
    index.delete("a");
    drop(index);
    let (index, resume) = open(dir.path());
    assert_eq!(resume, Resume::After(Mark { epoch: 3, seq: 41 }));
    check(&index, &all(), &["a"]);
    index.commit(Mark { epoch: 4, seq: u64::MAX }).unwrap();
    drop(index);
    let (index, resume) = open(dir.path());
    assert_eq!(resume, Resume::After(Mark { epoch: 4, seq: u64::MAX }), "a commit without changes moves the mark");
    assert!(matches!(TextIndex::open(dir.path()), Err(TextError::Locked)));
    check(&index, &all(), &["a"]);
}

/// Every file of the index cut short, flipped, emptied or removed: it opens, and either has everything or says that it has nothing.
#[test]
fn damage_means_rebuild() {
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    let flip = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
    };
    type Damage<'a> = (&'a str, &'a dyn Fn(&mut Vec<u8>));
    let damages: [Damage; 3] = [("cut", &cut), ("flipped", &flip), ("emptied", &|bytes| bytes.clear())];
    let mut rebuilt = 0;
    for (damage, break_it) in damages {
        let (index, dir) = filled(&city(), false);
        let sound = index.search(&all()).unwrap();
        drop(index);
        let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 6);
        for file in files.into_iter().filter(|file| fs::metadata(file).unwrap().len() > 0) {
            let whole: Vec<_> =
                fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).map(|path| (fs::read(&path).unwrap(), path)).collect();
            let mut bytes = fs::read(&file).unwrap();
            break_it(&mut bytes);
            fs::write(&file, bytes).unwrap();
            let (index, resume) = open(dir.path());
            match resume {
                Resume::After(at) => {
                    assert_eq!(at, mark(1), "{damage}: {}", file.display());
                    assert_eq!(index.search(&all()).ok().as_ref(), Some(&sound), "{damage}: {}", file.display());
                    check(&index, &ask("piza margarita"), &["i1"]);
                }
                Resume::Rebuild => {
                    rebuilt += 1;
                    assert_eq!(index.len(), 0);
                    city().iter().for_each(|document| index.upsert(document).unwrap());
                    index.commit(mark(9)).unwrap();
                    check(&index, &ask("piza margarita"), &["i1"]);
                }
            }
            drop(index);
            fs::read_dir(dir.path()).unwrap().for_each(|entry| fs::remove_file(entry.unwrap().path()).unwrap());
            whole.into_iter().for_each(|(bytes, path)| fs::write(path, bytes).unwrap());
        }
    }
    assert!(rebuilt >= 18, "{rebuilt}");
}

#[test]
fn another_schema_means_rebuild() {
    let (index, dir) = filled(&city(), false);
    drop(index);
    let meta = dir.path().join("meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    fs::write(&meta, text.replace("medina.folded.", "medina.older.")).unwrap();
    let (index, resume) = open(dir.path());
    assert_eq!((resume, index.len()), (Resume::Rebuild, 0));
}

#[test]
fn sorting_needs_what_it_sorts_by() {
    let (index, _dir) = filled(&city(), false);
    let unplaced = Query { sort: Sort::Distance, ..all() };
    assert!(matches!(index.search(&unplaced), Err(SearchError::NoPoint)));
    for (sort, expected) in [(Sort::Price, &["i4", "i2", "i1", "i3"][..]), (Sort::Rating, &["m1", "m2"]), (Sort::Distance, &["m3", "m2"])] {
        let near = Some((north(12_000.0), None));
        let page = index.search(&Query { sort, near, ..all() }).unwrap();
        let sorted: Vec<&str> = ids(&page).into_iter().filter(|id| sort != Sort::Distance || id.starts_with('m')).collect();
        assert_eq!(sorted[..expected.len()], *expected, "{sort:?}");
    }
    assert!("12".parse::<Cursor>().is_err());
    assert!("é".repeat(16).parse::<Cursor>().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However it is sorted and cut, pages put together are the whole answer, in order, nothing twice; by offset and by cursor.
    #[test]
    fn pages_are_a_partition(
        goods in prop::collection::vec((0..4_i64, 0..3_u32, 0..3_u32, any::<bool>()), 1..60),
        limit in 1..9_usize,
        split in any::<bool>(),
    ) {
        let documents: Vec<Document> = (0..).zip(&goods).map(|(n, (price, rating, place, _))| Document {
            point: north(f64::from(*place) * 500.0),
            rating_milli: rating.checked_sub(1).map(|rating| rating * 1_000),
            price_minor: (*price > 0).then_some(*price),
            ..merchant(&format!("it_{n}"), if n % 3 == 0 { "Tea" } else { "Tea house" }, &[])
        }).collect();
        let (index, _dir) = filled(&documents, split && documents.len() < 12);
        let is_open = |id: &str| goods[id[3..].parse::<usize>().unwrap()].3;
        for sort in [Sort::Relevance, Sort::Distance, Sort::Rating, Sort::Price] {
            for text in [None, Some("tea")] {
                let base = Query { text, sort, near: Some((north(0.0), None)), accept: Some(&|found| is_open(found.id)), ..Query::default() };
                let whole = index.search(&Query { limit: 1_000, ..base.clone() }).unwrap();
                prop_assert_eq!(whole.total as usize, goods.iter().filter(|good| good.3).count());
                prop_assert_eq!(whole.next, None);
                let ranks: Vec<(i64, i64, i64)> = whole.hits.iter().map(|hit| (
                    hit.price_minor.unwrap_or(i64::MAX),
                    -hit.rating_milli.map_or(-1, i64::from),
                    hit.distance_m.unwrap().round() as i64,
                )).collect();
                let is_sorted = ranks.is_sorted_by_key(|(price, rating, distance)| match sort {
                    Sort::Price => *price,
                    Sort::Rating => *rating,
                    Sort::Distance => *distance,
                    Sort::Relevance => text.map_or(*distance, |_| 0),
                });
                prop_assert!(is_sorted, "{:?}", ranks);
                let (mut by_offset, mut by_cursor, mut after) = (Vec::new(), Vec::new(), None);
                for offset in (0..=goods.len()).step_by(limit) {
                    by_offset.extend(index.search(&Query { offset, limit, ..base.clone() }).unwrap().hits);
                }
                loop {
                    let page = index.search(&Query { after, limit, ..base.clone() }).unwrap();
                    prop_assert_eq!(page.total, whole.total);
                    by_cursor.extend(page.hits);
                    let Some(next) = page.next else { break };
                    after = Some(next.to_string().parse::<Cursor>().unwrap());
                }
                prop_assert_eq!(&by_offset, &whole.hits);
                prop_assert_eq!(&by_cursor, &whole.hits);
            }
        }
    }
}
