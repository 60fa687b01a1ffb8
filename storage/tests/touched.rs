//! Kept answers: whatever is written, refused, held back, folded, replicated or reopened in between, an answer that is said to stand is the answer.

use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use storage::disk::{Disk, SimDisk};
use storage::log::LogReader;
use storage::store::FoldJob;
use storage::{Footprint, Index, Options, Read, Row, Store, Table, Timestamp, Trace, View};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Thing {
    colour: u8,
    text: String,
}
impl Row for Thing {
    const VERSION: u8 = 1;
}

static BY_COLOUR: Index<u32, Thing> = Index::new(901, "things.by_colour", |_, thing, keys| keys.add(&thing.colour));
static THINGS: Table<u32, Thing> = Table::new(900, "things", &[&BY_COLOUR]);
static OTHERS: Table<u32, Thing> = Table::new(902, "others", &[]);

fn open(disk: &SimDisk) -> Store {
    let options = Options { segment_bytes: 16 << 10, cache_bytes: 1 << 20, ..Options::with_seed([1; 32]) };
    Store::open(Arc::new(disk.clone()), Path::new("data"), options).expect("a healthy folder opens")
}

#[derive(Clone, Copy, Debug)]
enum Question {
    Get(u32),
    Other(u32),
    OfColour(u8),
    All,
}

fn answer(view: &View, question: Question) -> Vec<(u32, Thing)> {
    match question {
        Question::Get(key) => THINGS.get(view, &key).map(|thing| (key, thing)).into_iter().collect(),
        Question::Other(key) => OTHERS.get(view, &key).map(|thing| (key, thing)).into_iter().collect(),
        Question::OfColour(colour) => THINGS.find(view, &BY_COLOUR, &colour).collect(),
        Question::All => THINGS.scan(view).collect(),
    }
}

#[derive(Clone, Debug)]
enum Op {
    Put(u32, u8),
    PutOther(u32, u8),
    Delete(u32),
    Refused(u32),
    Sync,
    Publish,
    BeginFold,
    FinishFold,
    Reopen,
    Ask(Question),
}

fn op() -> impl Strategy<Value = Op> {
    let question = prop_oneof![
        3 => (0_u32..8).prop_map(Question::Get),
        1 => (0_u32..8).prop_map(Question::Other),
        1 => (0_u8..3).prop_map(Question::OfColour),
        1 => Just(Question::All),
    ];
    prop_oneof![
        6 => (0_u32..8, 0_u8..3).prop_map(|(key, colour)| Op::Put(key, colour)),
        2 => (0_u32..8, 0_u8..3).prop_map(|(key, colour)| Op::PutOther(key, colour)),
        2 => (0_u32..8).prop_map(Op::Delete),
        1 => (0_u32..8).prop_map(Op::Refused),
        4 => Just(Op::Sync),
        4 => Just(Op::Publish),
        1 => Just(Op::BeginFold),
        1 => Just(Op::FinishFold),
        1 => Just(Op::Reopen),
        8 => question.prop_map(Op::Ask),
    ]
}

struct Kept {
    question: Question,
    footprint: Footprint,
    answer: Vec<(u32, Thing)>,
}

/// Every kept answer in every picture: those that stand are right.
fn check(kept: &[Kept], views: &[Arc<View>]) -> Result<(), TestCaseError> {
    for one in kept {
        for view in views {
            if view.stands(one.footprint.traces(), one.footprint.since) {
                prop_assert_eq!(&answer(view, one.question), &one.answer, "{:?} since {:?}", one.question, one.footprint.since);
            }
        }
    }
    Ok(())
}

fn keep(view: &View, question: Question, kept: &mut Vec<Kept>) {
    let noting = view.noting();
    let answer = answer(&noting, question);
    kept.push(Kept { question, footprint: noting.footprint(), answer });
}

fn thing(colour: u8, text: usize) -> Thing {
    Thing { colour, text: text.to_string() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_stands_is_right(ops in vec(op(), 1..80)) {
        let (disk, copy) = (SimDisk::new(7), SimDisk::new(8));
        let (mut store, mut follower) = (open(&disk), open(&copy));
        let mut job: Option<FoldJob> = None;
        let (mut kept, mut views) = (Vec::new(), vec![store.views().now()]);
        store.begin(Timestamp::from_millis(0));
        for (n, op) in ops.into_iter().enumerate() {
            let done: Result<_, ()> = match op {
                Op::Put(key, colour) => store.run(|txn| { THINGS.put(txn, &key, &thing(colour, n)); Ok(()) }).map(drop),
                Op::PutOther(key, colour) => store.run(|txn| { OTHERS.put(txn, &key, &thing(colour, n)); Ok(()) }).map(drop),
                Op::Delete(key) => store.run(|txn| { THINGS.delete(txn, &key); Ok(()) }).map(drop),
                Op::Refused(key) => store.run(|txn| { THINGS.put(txn, &key, &thing(0, n)); Err(()) }).or(Ok((0, ()))).map(drop),
                Op::Sync => { store.sync().expect("a healthy disk"); store.begin(Timestamp::from_millis(n as i64)); Ok(()) }
                Op::Publish => { store.publish_to(u64::MAX); Ok(()) }
                Op::BeginFold => { job = job.or_else(|| store.fold_job()); Ok(()) }
                Op::FinishFold => {
                    store.sync().expect("a healthy disk");
                    if let Some(job) = job.take() {
                        store.finish_fold(job.run().expect("a healthy disk")).clear().expect("a healthy disk");
                    }
                    store.begin(Timestamp::from_millis(n as i64));
                    Ok(())
                }
                Op::Reopen => {
                    store.commit().expect("a healthy disk");
                    drop((job.take(), store));
                    store = open(&disk);
                    store.begin(Timestamp::from_millis(n as i64));
                    Ok(())
                }
                Op::Ask(question) => {
                    keep(&store.views().now(), question, &mut kept);
                    keep(&follower.views().now(), question, &mut kept);
                    Ok(())
                }
            };
            done.expect("only refusals are refused");
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            if let Ok(mut log) = LogReader::open(shared, &store.log_dir(), follower.position().seq + 1) {
                while let Ok(Some(record)) = log.next() {
                    follower.apply(&record).expect("the leader's record");
                }
            }
            views.push(store.views().now());
            views.push(follower.views().now());
            check(&kept, &views)?;
        }
    }
}

#[test]
fn an_answer_outlives_what_is_written_elsewhere_and_not_what_it_was_drawn_from() {
    let disk = SimDisk::new(9);
    let mut store = open(&disk);
    let write = |store: &mut Store, table: &'static Table<u32, Thing>, key: u32| {
        store.begin(Timestamp::from_millis(0));
        store
            .run(|txn| {
                table.put(txn, &key, &thing(1, 1));
                Ok::<_, ()>(())
            })
            .expect("it writes");
        store.commit().expect("a healthy disk");
        store.views().now()
    };
    let before = write(&mut store, &THINGS, 1);
    let noting = before.noting();
    assert!(THINGS.get(&noting, &1).is_some());
    let one = noting.footprint();
    let noting = before.noting();
    assert_eq!(THINGS.find(&noting, &BY_COLOUR, &1_u8).count(), 1);
    let of_colour = noting.footprint();
    let stands = |view: &View, footprint: &Footprint| view.stands(footprint.traces(), footprint.since);

    assert_ne!(Trace::of_key(b"1"), Trace::of_key(b"2"), "slots of their own, or this test says nothing");
    let other_row = write(&mut store, &THINGS, 2);
    assert!(stands(&other_row, &one), "another row");
    assert!(!stands(&other_row, &of_colour), "the index has one more");
    let other_table = write(&mut store, &OTHERS, 1);
    assert!(stands(&other_table, &one), "another table");
    let itself = write(&mut store, &THINGS, 1);
    assert!(!stands(&itself, &one), "the row itself");
    assert!(!stands(&before, &one), "who holds the older picture asks again, to be safe");
    let elsewhere = open(&SimDisk::new(10));
    assert!(!stands(&elsewhere.views().now(), &one), "another store");
    // What was looked at through a footprint is looked at.
    let noting = itself.noting();
    assert!(noting.stands(&[THINGS.trace(&2)], noting.moment().expect("of a picture")));
    assert_eq!(noting.footprint().traces(), [THINGS.trace(&2)]);
}
