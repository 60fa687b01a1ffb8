//! Log, engine and ledger on a disk that dies at any call, with clients who repeat what they got no answer to.
//!
//! Promised: what was answered is there, what was refused is not, what got no answer is there wholly or not at all, and a repeat says the same.
//! `MEDINA_CRASH_SEEDS=N` plays more seeds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use medina::engine::effect::OUTBOX;
use medina::engine::event::EVENTS;
use medina::engine::timer::TIMERS;
use medina::engine::{Authorize, Caller, Core, Denied, Effect, Event, Fault, Once, Question, StoredAnswer, Timer, Tx, Wiring, WriteError};
use storage::disk::SimDisk;
use storage::disk::planted::{self, Bug};
use storage::ledger::{ACCOUNTS, AccountKey, Constraint, Currency, Step, TRANSFERS, TransferId, TransferKind, audit, open, post};
use storage::random::Random;
use storage::{Options, Read, Store, Timestamp};

const GHS: Currency = Currency(*b"GHS");
/// The purse that others are paid from; it may not be overdrawn.
const PURSES: u128 = 4;
const START: i64 = 1_700_000_000_000;

struct AllowAll;
impl Authorize for AllowAll {
    fn decide(&self, _: &dyn Read, _: &Caller, _: &Question) -> Result<String, Denied> {
        Ok("all".to_owned())
    }
}

struct Paid(u64);
impl Event for Paid {
    fn name(&self) -> &'static str {
        "Paid"
    }
    fn topics(&self) -> Vec<String> {
        vec![format!("payment:{}", self.0)]
    }
    fn data(&self) -> serde_json::Value {
        serde_json::json!({ "payment": self.0 })
    }
}

fn purse(owner: u128) -> AccountKey {
    AccountKey { code: 100, owner, currency: GHS }
}
fn bank() -> AccountKey {
    AccountKey { code: 1, owner: 0, currency: GHS }
}

/// A payment: who pays whom how much follows from its number.
fn pay(tx: &mut Tx<'_, '_>, n: u64) -> Result<StoredAnswer, String> {
    let question = Question::new("test.pay", medina::engine::Resource::new("Payment", n));
    tx.authorize(&question).map_err(|denied| denied.to_string())?;
    let (from, to) = (u128::from(n) % PURSES, u128::from(n / 3) % PURSES);
    for owner in [from, to] {
        open(tx, purse(owner), Constraint::DebitsMustNotExceedCredits);
    }
    open(tx, bank(), Constraint::None);
    // Every fourth payment comes from outside; some of the others are refused because the purse is empty.
    let debit = if n.is_multiple_of(4) { bank() } else { purse(from) };
    let step = Step {
        id: TransferId::from_u128(u128::from(n) + 1),
        debit,
        credit: purse(to),
        amount: 1 + n * 7 % 50,
        kind: TransferKind::Single,
        code: 1,
        subject: u128::from(n),
    };
    post(tx, &step).map_err(|refusal| refusal.to_string())?;
    tx.emit(Paid(n));
    tx.effect(Effect::new("bank", u128::from(n), "tell", "{}".to_owned()));
    let at = tx.now().plus_s(3_600);
    tx.schedule(at, Timer::new("remind", u128::from(n)));
    Ok(StoredAnswer { status: 200, headers: Vec::new(), body: format!("payment {n} at {}", tx.seq()).into_bytes() })
}

fn once(n: u64) -> Once {
    Once::new("client", "POST", "/pay", &n.to_string(), &n.to_le_bytes())
}

#[derive(Default)]
struct Promises {
    /// Answered: must survive, and a repeat must say this again.
    answered: BTreeMap<u64, Vec<u8>>,
    /// No answer came: either is right, half is not.
    unknown: Vec<u64>,
    next: u64,
    lives: u32,
}

fn start(disk: &SimDisk, seed: u64, life: u32) -> Result<Core, String> {
    let mut entropy = [0; 32];
    entropy[..8].copy_from_slice(&seed.to_le_bytes());
    entropy[8..12].copy_from_slice(&life.to_le_bytes());
    let options = Options { segment_bytes: 8 << 10, cache_bytes: 1 << 20, log_kept_bytes: 32 << 10, ..Options::with_seed(entropy) };
    let mut wiring = Wiring::new();
    wiring.timer("remind", |_, _| Ok(()));
    let opened = storage::fault::catch(|| Store::open(Arc::new(disk.clone()), Path::new("data"), options));
    let store = opened.map_err(|fault| fault.to_string())?.map_err(|error| error.to_string())?;
    Ok(Core::new(store, Arc::new(wiring), Arc::new(AllowAll)))
}

/// Checks every promise against what came back.
fn check(core: &Core, promises: &Promises, context: &str) {
    let read = core.store.head();
    for n in promises.answered.keys() {
        assert!(TRANSFERS.has(read, &TransferId::from_u128(u128::from(*n) + 1)), "{context}: payment {n} was answered and is lost");
    }
    let known = |n: u64| promises.answered.contains_key(&n) || promises.unknown.contains(&n);
    let mut transfers = 0;
    for (id, _) in TRANSFERS.scan(read) {
        transfers += 1;
        let n = (id.as_u128() - 1) as u64;
        assert!(known(n), "{context}: payment {n} was refused or never asked for, and is there");
    }
    // Nothing half: a payment's transfer, event, effect and reminder are of one commit, and each commit took one sequence number.
    let events: Vec<(u64, u32)> = EVENTS.scan(read).map(|(key, _)| key).collect();
    assert_eq!(events.len(), transfers, "{context}: events");
    assert_eq!(OUTBOX.scan(read).count(), transfers, "{context}: effects");
    assert_eq!(TIMERS.scan(read).count(), transfers, "{context}: timers");
    assert_eq!(core.store.position().seq, transfers as u64, "{context}: sequence numbers have no gap");
    assert!(events.iter().map(|(seq, _)| *seq).eq(1..=transfers as u64), "{context}: one command, one number");
    let audit = audit(read);
    assert!(audit.is_clean(), "{context}: {audit:?}");
    for (key, account) in ACCOUNTS.scan(read).filter(|(key, _)| key.code == 100) {
        assert!(account.credit_balance() >= 0, "{context}: purse {key:?} is overdrawn");
    }
}

/// One life of the process: recovers, repeats what is unknown, goes on until the disk dies. True if it died.
fn live(disk: &SimDisk, seed: u64, chance: &mut Random, promises: &mut Promises) -> Result<bool, String> {
    let context = format!("seed {seed}, life {}", promises.lives);
    let mut core = start(disk, seed, promises.lives)?;
    check(&core, promises, &context);
    let mut now = START + i64::from(promises.lives) * 1_000;
    for _ in 0..12 {
        now += 5;
        core.store.begin(Timestamp::from_millis(now));
        let mut batch: Vec<(u64, Result<Vec<u8>, ()>)> = Vec::new();
        for _ in 0..=chance.next_u64() % 4 {
            let repeat = !promises.unknown.is_empty() && chance.next_u64().is_multiple_of(2);
            let n = if repeat {
                promises.unknown[(chance.next_u64() % promises.unknown.len() as u64) as usize]
            } else if chance.next_u64().is_multiple_of(8) && promises.next > 0 {
                chance.next_u64() % promises.next
            } else {
                promises.next += 1;
                promises.next - 1
            };
            let ran = core.run_once(&Caller::anonymous(), "test.pay", once(n), |tx| pay(tx, n));
            match ran {
                Ok(ran) => batch.push((n, Ok(ran.value.body))),
                Err(WriteError::Refused(_)) => batch.push((n, Err(()))),
                // The state could not be read: the disk is dead.
                Err(WriteError::Fault(fault)) => {
                    assert!(disk.is_crashed() || !matches!(fault, Fault::Undecided(_)), "{context}: {fault}");
                    promises.unknown.extend(batch.iter().filter(|(_, answer)| answer.is_ok()).map(|(n, _)| *n));
                    return Ok(true);
                }
            }
        }
        let committed = core.commit();
        for (n, answer) in batch {
            match (&committed, answer) {
                (Ok(_), Ok(body)) => {
                    promises.unknown.retain(|unknown| *unknown != n);
                    let before = promises.answered.insert(n, body.clone());
                    assert!(before.is_none_or(|before| before == body), "{context}: payment {n} was answered differently");
                }
                (Err(_), Ok(_)) if !promises.answered.contains_key(&n) => promises.unknown.push(n),
                // A refusal changed nothing; an answer that was known stays known.
                (_, Err(()) | Ok(_)) => (),
            }
        }
        if committed.is_err() {
            return Ok(true);
        }
        if chance.next_u64().is_multiple_of(5) && core.store.fold_now().is_err() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn play(seed: u64, lie: bool) -> Result<u32, String> {
    let disk = SimDisk::new(seed);
    let mut chance = Random::from_seed([seed as u8; 32]);
    let mut promises = Promises::default();
    disk.lie_about_sync(lie);
    let mut crashes = 0;
    for life in 0..14 {
        promises.lives = life;
        // Sometimes early enough to die in recovery, sometimes in a fold, sometimes not at all.
        disk.crash_after(1 + chance.next_u64() % 160);
        match live(&disk, seed, &mut chance, &mut promises) {
            Ok(_) => (),
            Err(_) if disk.is_crashed() => (),
            Err(why) => return Err(format!("seed {seed}, life {life}: a healthy disk does not open: {why}")),
        }
        crashes += u32::from(disk.is_crashed());
        disk.crash_now();
        disk.reboot();
    }
    let core = start(&disk, seed, 99).map_err(|why| format!("seed {seed}: {why}"))?;
    check(&core, &promises, &format!("seed {seed}, at the end"));
    Ok(crashes)
}

fn seeds() -> u64 {
    std::env::var("MEDINA_CRASH_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn nothing_answered_is_lost() {
    let crashes: u32 = (0..seeds()).map(|seed| play(seed, false).unwrap_or_else(|why| panic!("{why}"))).sum();
    assert!(crashes > 20, "only {crashes} crashes: the test does not test");
}

/// The same test, with a bug planted: it must not pass.
fn is_found(bug: Option<Bug>, lie: bool) -> bool {
    planted::set(bug);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let found = (0..20).any(|seed| !matches!(std::panic::catch_unwind(|| play(seed, lie)), Ok(Ok(_))));
    std::panic::set_hook(hook);
    planted::set(None);
    found
}

#[test]
fn planted_bugs_are_found() {
    assert!(is_found(None, true), "a disk that does not sync");
    for bug in [Bug::FsyncDropped, Bug::AckBeforeSync, Bug::CheckpointSeqTooHigh, Bug::IdempotencyApart] {
        assert!(is_found(Some(bug), false), "{bug:?} was not found");
    }
}
