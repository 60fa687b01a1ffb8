//! The engine's promises, through its handle: no commit without a decision, nothing half, answers once, timers and effects that survive, bounded queues.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use medina::edge::Problem;
use medina::engine::effect::{EffectState, OUTBOX};
use medina::engine::event::{EVENTS, EVENTS_KEPT_FROM};
use medina::engine::outbox::{BoxFuture, Outbox};
use medina::engine::timer::TIMERS;
use medina::engine::{
    Answered, Authorize, Caller, DeliveryError, Denied, Destination, Effect, Engine, EngineOptions, Event, Fault, Once, Question, Resource,
    SentEffect, StoredAnswer, Timer, Tx, Wiring, WriteError, attention::ATTENTION,
};
use serde::{Deserialize, Serialize};
use storage::disk::RealDisk;
use storage::{ManualClock, Options, Read, Row, Table, Timestamp};
use tempfile::TempDir;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note(String);
impl Row for Note {
    const VERSION: u8 = 1;
}
static NOTES: Table<u64, Note> = Table::new(950, "test.notes", &[]);

/// Lets users in, keeps strangers out.
struct UsersOnly;
impl Authorize for UsersOnly {
    fn decide(&self, _: &dyn Read, caller: &Caller, _: &Question) -> Result<String, Denied> {
        caller.user_id().map(|_| "users".to_owned()).ok_or(Denied::Unauthenticated)
    }
}

struct Noted(u64);
impl Event for Noted {
    fn name(&self) -> &'static str {
        "Noted"
    }
    fn topics(&self) -> Vec<String> {
        vec!["notes".to_owned()]
    }
    fn data(&self) -> serde_json::Value {
        serde_json::json!({ "note": self.0 })
    }
}

/// Sets off another of itself: a storm.
struct Echo;
impl Event for Echo {
    fn name(&self) -> &'static str {
        "Echo"
    }
    fn topics(&self) -> Vec<String> {
        Vec::new()
    }
    fn data(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

fn user() -> Caller {
    Caller::user(storage::Id::from_u128(7))
}

fn question() -> Question {
    Question::new("notes.write", Resource::new("Note", 1))
}

fn note(tx: &mut Tx<'_, '_>, n: u64, text: &str) -> Result<(), Denied> {
    tx.authorize(&question())?;
    NOTES.put(tx, &n, &Note(text.to_owned()));
    tx.emit(Noted(n));
    Ok(())
}

struct World {
    engine: Engine,
    clock: ManualClock,
    folder: TempDir,
}

fn wiring() -> Wiring {
    let mut wiring = Wiring::new();
    wiring.on(|tx, event: &Noted| {
        // A reaction writes in the same commit; the note 13 is one that it cannot bear.
        if event.0 == 13 {
            return Err(Fault::new("thirteen"));
        }
        NOTES.put(tx, &(event.0 + 1_000), &Note("seen".to_owned()));
        Ok(())
    });
    wiring.on(|tx, _: &Echo| {
        tx.emit(Echo);
        Ok(())
    });
    wiring.timer("wake", |tx, timer| {
        let note = Note(format!("woke at {}", tx.now()));
        NOTES.put(tx, &(timer.subject as u64), &note);
        Ok(())
    });
    wiring.timer("fail", |_, _| Err(Fault::new("never works")));
    wiring.answer("bank", |tx, sent, answer| {
        let text = match answer {
            Answered::With { body, .. } => body.clone(),
            Answered::GaveUp { why } => format!("gave up: {why}"),
        };
        NOTES.put(tx, &(sent.subject as u64), &Note(text));
        Ok(())
    });
    wiring
}

fn open(folder: &Path, clock: &ManualClock, queue_max: usize) -> Engine {
    let storage = Options { segment_bytes: 256 << 10, cache_bytes: 4 << 20, ..Options::with_seed([3; 32]) };
    let options = EngineOptions { queue_max, ..EngineOptions::new(storage, Arc::new(clock.clone()), true) };
    Engine::start(Arc::new(RealDisk), folder, options, wiring(), Arc::new(UsersOnly)).expect("the folder opens")
}

fn world() -> World {
    let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = open(&folder.path().join("state"), &clock, 64);
    World { engine, clock, folder }
}

/// Waits for a condition on the newest picture.
async fn until(engine: &Engine, what: &str, mut holds: impl FnMut(&storage::View) -> bool) {
    let mut positions = engine.positions();
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !holds(&engine.view()) {
            tokio::select! {
                _ = positions.changed() => (),
                () = tokio::time::sleep(Duration::from_millis(20)) => (),
            }
        }
    });
    assert!(waited.await.is_ok(), "waited in vain: {what}");
}

#[tokio::test]
async fn nothing_commits_without_a_decision() {
    let World { engine, .. } = world();
    let undecided = engine.write(&user(), "forgot", |tx| {
        NOTES.put(tx, &1, &Note("x".to_owned()));
        Ok::<(), Denied>(())
    });
    assert!(matches!(undecided.await, Err(WriteError::Fault(Fault::Undecided("forgot")))));
    let only_an_event = engine.write(&user(), "forgot too", |tx| {
        tx.emit(Noted(5));
        Ok::<(), Denied>(())
    });
    assert!(matches!(only_an_event.await, Err(WriteError::Fault(Fault::Undecided(_)))));
    let stranger = engine.write(&Caller::anonymous(), "note", |tx| note(tx, 1, "x"));
    assert!(matches!(stranger.await, Err(WriteError::Refused(Denied::Unauthenticated))));
    assert_eq!(NOTES.scan(&engine.view()).count(), 0);
    assert_eq!(engine.view().position().seq, 0, "what was refused took no sequence number");
    engine.write(&user(), "note", |tx| note(tx, 1, "x")).await.expect("a user may");
    assert_eq!(NOTES.scan(&engine.view()).map(|(n, _)| n).collect::<Vec<_>>(), [1, 1_001], "the reaction wrote in the same commit");
}

#[tokio::test]
async fn an_error_a_panic_and_a_fault_leave_nothing() {
    let World { engine, .. } = world();
    let refused = engine.write(&user(), "note", |tx| {
        note(tx, 1, "x")?;
        Err::<(), _>(Denied::NotFound)
    });
    assert!(matches!(refused.await, Err(WriteError::Refused(Denied::NotFound))));
    let panicked = engine.write(&user(), "note", |tx| {
        note(tx, 2, "x")?;
        assert!(tx.seq() == 0, "on purpose");
        Ok::<(), Denied>(())
    });
    assert!(matches!(panicked.await, Err(WriteError::Fault(Fault::Storage(_)))));
    let reaction = engine.write(&user(), "note", |tx| note(tx, 13, "x"));
    assert!(matches!(reaction.await, Err(WriteError::Fault(Fault::Broken(_)))));
    let storm = engine.write(&user(), "storm", |tx| {
        tx.authorize(&question())?;
        tx.emit(Echo);
        Ok::<(), Denied>(())
    });
    assert!(matches!(storm.await, Err(WriteError::Fault(Fault::EventStorm(..)))));
    assert_eq!((NOTES.scan(&engine.view()).count(), EVENTS.scan(&engine.view()).count()), (0, 0));
    engine.write(&user(), "note", |tx| note(tx, 3, "x")).await.expect("the writer goes on");
}

#[tokio::test]
async fn a_key_is_answered_once_also_when_both_arrive_at_once() {
    let World { engine, .. } = world();
    let once = Once::new("usr", "POST", "/notes", "key", b"body");
    let ask = |once: Once| {
        engine.write_once(&user(), "note", once, |tx| {
            let n = NOTES.scan(tx).count() as u64;
            note(tx, n, "x").map_err(Problem::from)?;
            Ok::<_, Problem>(StoredAnswer { status: 201, headers: Vec::new(), body: format!("note {n}").into_bytes() })
        })
    };
    let (first, second) = tokio::join!(ask(once), ask(once));
    let (first, second) = (first.expect("answered"), second.expect("answered"));
    assert_eq!((first.value.clone(), first.replayed, second.replayed), (second.value, false, true));
    assert_eq!(first.seq, second.seq);
    let other_body = Once::new("usr", "POST", "/notes", "key", b"other");
    assert!(matches!(ask(other_body).await, Err(WriteError::Fault(Fault::KeyReused))));
    let other_caller = Once::new("usr2", "POST", "/notes", "key", b"body");
    assert!(!ask(other_caller).await.expect("another scope").replayed);
    // A refusal, also one that was committed to be remembered, is not kept.
    let refused = Once::new("usr", "POST", "/notes", "refused", b"");
    for _ in 0..2 {
        let answered = engine.write_once(&user(), "note", refused, |tx| {
            note(tx, 77, "counted").map_err(Problem::from)?;
            Ok::<_, Problem>(StoredAnswer { status: 422, headers: Vec::new(), body: Vec::new() })
        });
        assert!(!answered.await.expect("committed").replayed);
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_to_come_back() {
    let clock = ManualClock::new(Timestamp::from_millis(1));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = open(&folder.path().join("state"), &clock, 2);
    // The writer is held by a command that waits for us; then the queue takes two, and no more.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (begun, running) = std::sync::mpsc::channel::<()>();
    let holder = engine.write(&user(), "hold", move |_| {
        let _ = begun.send(());
        let _ = held.recv();
        Ok::<(), Denied>(())
    });
    running.recv().expect("the holder runs");
    let waiting: Vec<_> = (0..2).map(|n| engine.write(&user(), "note", move |tx| note(tx, n, "waited"))).collect();
    let refused = engine.write(&user(), "note", |tx| note(tx, 9, "too many")).await;
    let Err(WriteError::Fault(fault @ Fault::Overloaded { .. })) = refused else { panic!("{refused:?}") };
    let problem = Problem::from(fault);
    assert_eq!((problem.status, problem.code), (503, "overloaded"));
    release.send(()).expect("the holder waits");
    holder.await.expect("it ends");
    for waited in waiting {
        waited.await.expect("what was taken is done");
    }
    assert_eq!(NOTES.get(&engine.view(), &9), None);
    assert!(NOTES.has(&engine.view(), &1));
}

#[tokio::test]
async fn timers_fire_in_order_survive_a_restart_and_end_with_the_operators() {
    let World { engine, clock, folder } = world();
    let at = clock_now(&engine);
    let scheduled = engine.write(&user(), "schedule", move |tx| {
        tx.authorize(&question())?;
        for (n, after_s) in [(2, 20), (1, 10), (3, 3_600)] {
            tx.schedule(at.plus_s(after_s), Timer::new("wake", n));
        }
        let taken_back = tx.schedule(at.plus_s(5), Timer::new("wake", 4));
        tx.cancel(taken_back);
        tx.schedule(at, Timer::new("fail", 5));
        Ok::<(), Denied>(())
    });
    scheduled.await.expect("scheduled");
    engine.stop();
    drop(engine);
    let engine = open(&folder.path().join("state"), &clock, 64);
    clock.advance(30_000);
    until(&engine, "two timers fire", |view| NOTES.scan(view).count() == 2).await;
    assert_eq!(NOTES.scan(&engine.view()).map(|(n, _)| n).collect::<Vec<_>>(), [1, 2]);
    // The failing one is tried again later and later, then waits for a person.
    for _ in 0..8 {
        clock.advance(60_000);
        engine.write(&user(), "touch", |_| Ok::<(), Denied>(())).await.expect("the writer goes round");
    }
    until(&engine, "the operators' list", |view| ATTENTION.scan(view).count() == 1).await;
    assert_eq!(TIMERS.scan(&engine.view()).count(), 1, "only the far one is left");
}

fn clock_now(engine: &Engine) -> Timestamp {
    engine.now()
}

/// A bank that is out for a while.
struct Bank {
    tries: AtomicU32,
    out_for: u32,
}
impl Destination for Bank {
    fn deliver<'a>(&'a self, effect: &'a SentEffect) -> BoxFuture<'a, Result<Answered, DeliveryError>> {
        Box::pin(async move {
            let n = self.tries.fetch_add(1, Ordering::SeqCst);
            if effect.kind == "impossible" {
                Err(DeliveryError::Refused("no such account".to_owned()))
            } else if n < self.out_for {
                Err(DeliveryError::Retry("closed".to_owned()))
            } else {
                Ok(Answered::With { status: 200, body: format!("{} {}", effect.kind, effect.id) })
            }
        })
    }
}

async fn send(engine: &Engine, subject: u128, kind: &'static str) {
    let sent = engine.write(&user(), "send", move |tx| {
        tx.authorize(&question())?;
        Ok::<_, Denied>(tx.effect(Effect::new("bank", subject, kind, "{}".to_owned())))
    });
    sent.await.expect("written");
}

#[tokio::test]
async fn effects_are_retried_in_order_and_answered_once() {
    let World { engine, clock, .. } = world();
    let bank = Arc::new(Bank { tries: AtomicU32::new(0), out_for: 3 });
    engine.outbox().destination("bank", bank.clone());
    Outbox::start(&engine);
    send(&engine, 1, "first").await;
    send(&engine, 1, "second").await;
    let begun = clock_now(&engine);
    while NOTES.get(&engine.view(), &1).is_none_or(|note| !note.0.starts_with("second")) {
        clock.advance(500);
        tokio::time::sleep(Duration::from_millis(5)).await;
        if let Some(note) = NOTES.get(&engine.view(), &1) {
            assert!(!note.0.starts_with("second") || bank.tries.load(Ordering::SeqCst) == 5, "order is kept per subject");
        }
        assert!(clock_now(&engine).ms_since(begun) < 600_000, "it never arrived");
    }
    assert!(clock_now(&engine).ms_since(begun) >= 7_000, "pauses of 1, 2 and 4 seconds");
    assert_eq!(OUTBOX.scan(&engine.view()).count(), 0);
}

#[tokio::test]
async fn what_cannot_be_sent_waits_for_an_operator() {
    let World { engine, .. } = world();
    let bank = Arc::new(Bank { tries: AtomicU32::new(0), out_for: 0 });
    engine.outbox().destination("bank", bank);
    Outbox::start(&engine);
    send(&engine, 1, "impossible").await;
    until(&engine, "the handler hears of it", |view| NOTES.get(view, &1).is_some_and(|note| note.0.starts_with("gave up"))).await;
    let (id, row) = OUTBOX.scan(&engine.view()).next().expect("it is kept");
    assert_eq!(row.state, EffectState::Dead);
    assert_eq!(ATTENTION.scan(&engine.view()).count(), 1);
    let discarded =
        engine.write(&Caller::system("test"), "discard", move |tx| Ok::<_, Denied>(medina::engine::outbox::discard(tx, id).is_some()));
    assert!(discarded.await.expect("written").value);
    assert_eq!((OUTBOX.scan(&engine.view()).count(), ATTENTION.scan(&engine.view()).count()), (0, 0));
}

#[tokio::test]
async fn the_test_clock_stops_at_every_due_time() {
    let World { engine, .. } = world();
    Outbox::start(&engine);
    let at = engine.now();
    let scheduled = engine.write(&user(), "schedule", move |tx| {
        tx.authorize(&question())?;
        for n in [30, 10, 20] {
            tx.schedule(at.plus_s(n), Timer::new("wake", n as u128));
        }
        Ok::<(), Denied>(())
    });
    scheduled.await.expect("scheduled");
    let now = engine.advance(&user(), question(), 25_000, Some(true)).await.expect("time moves");
    assert_eq!((now, engine.now()), (at.plus_s(25), at.plus_s(25)));
    let woke: Vec<(u64, Note)> = NOTES.scan(&engine.view()).collect();
    let wanted: Vec<(u64, Note)> = [10, 20].map(|n| (n as u64, Note(format!("woke at {}", at.plus_s(n))))).to_vec();
    assert_eq!(woke, wanted, "each timer fired at its own time");
    let stranger = engine.advance(&Caller::anonymous(), question(), 1_000, None).await;
    assert!(stranger.is_err(), "only who may");
}

/// Whoever follows tables is woken by what writes to them and by nothing else, and learns how far there is something to follow.
#[tokio::test]
async fn only_commits_that_concern_somebody_wake_them() {
    let world = world();
    let engine = &world.engine;
    let (mut notes, mut others) = (engine.follow(&[NOTES.id]), engine.follow(&[OUTBOX.id, EVENTS_KEPT_FROM.id]));
    let before = others.reach().seq();
    for n in 1..=3 {
        let done = engine.write(&user(), "note", move |tx| note(tx, n, "a note")).await.expect("written");
        notes.changed().await.expect("the engine lives");
        assert_eq!(notes.reach().seq(), done.seq, "announced before it was answered");
    }
    assert_eq!(others.reach().seq(), before, "no effect, nothing to follow");
    assert!(others.changed().now_or_never().is_none(), "a note is no effect");
    send(engine, 5, "works").await;
    others.changed().await.expect("the engine lives");
    assert!(others.reach().seq() > before);
    engine.stop();
    while notes.changed().await.is_ok() {}
}
