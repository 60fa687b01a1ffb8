//! How a command runs, synchronously: transaction, reactions, the decision rule, events, the stored answer. The writer thread drives it; so does
//! the simulator.

use std::sync::Arc;

use storage::disk::planted::{self, Bug};
use storage::ledger::{self, PENDING_BY_EXPIRY};
use storage::store::Fatal;
use storage::{Store, Timestamp, Txn};

use super::caller::Caller;
use super::decision::Authorize;
use super::event::{EVENTS, EVENTS_KEPT_FROM, KeptFrom, StoredEvent};
use super::fault::{Fault, WriteError};
use super::idempotency::{KEPT_MS, ONCE, ONCE_BY_EXPIRY, Once, OnceRow, SealAnswers, StoredAnswer, Unsealed};
use super::json_text;
use super::timer::{FAILURES_MAX, FiredTimer, TIMERS, TimerTag};
use super::tx::Tx;
use super::wiring::Wiring;

/// One command may set off this many events, reactions' included.
pub const EVENTS_MAX: usize = 256;
/// Events are kept for a week if nothing else is said.
pub const EVENTS_KEPT_MS: i64 = 7 * 24 * 3600 * 1000;
/// A sweep removes at most this many rows a command.
const SWEEP_MAX: usize = 1_000;

/// The store and the rules around it.
pub struct Core {
    pub store: Store,
    wiring: Arc<Wiring>,
    authorize: Arc<dyn Authorize>,
    answers: Arc<dyn SealAnswers>,
    events_kept_ms: i64,
    /// When the next timer or pending transfer is due; looked up again only after a command that touched them.
    next_due: Option<Timestamp>,
}

/// A command that succeeded.
#[derive(Debug)]
pub struct Ran<T> {
    pub value: T,
    /// Its sequence number; the last one before it if it changed nothing.
    pub seq: u64,
    /// Whether the answer is an earlier one's, by its idempotency key.
    pub replayed: bool,
}

impl Core {
    /// A core over an open store.
    pub fn new(store: Store, wiring: Arc<Wiring>, authorize: Arc<dyn Authorize>) -> Self {
        let next_due = due(&store);
        Self { store, wiring, authorize, answers: Arc::new(Unsealed), events_kept_ms: EVENTS_KEPT_MS, next_due }
    }

    /// With kept answers sealed.
    #[must_use]
    pub fn sealing(self, answers: Arc<dyn SealAnswers>) -> Self {
        Self { answers, ..self }
    }

    /// With events kept for so long.
    #[must_use]
    pub fn keeping_events_for(self, events_kept_ms: i64) -> Self {
        Self { events_kept_ms, ..self }
    }

    /// Runs one command in the open batch.
    ///
    /// # Errors
    /// The command's refusal, or a fault; either way it left nothing.
    pub fn run<T, E>(
        &mut self,
        caller: &Caller,
        name: &'static str,
        command: impl FnOnce(&mut Tx<'_, '_>) -> Result<T, E>,
    ) -> Result<Ran<T>, WriteError<E>> {
        self.run_kept(caller, name, command, |_, _| ())
    }

    /// Runs one command whose answer is kept for `once`; a repeat gets the kept answer and runs nothing.
    ///
    /// # Errors
    /// As [`Core::run`]; [`Fault::KeyReused`] if the key came with another body.
    pub fn run_once<E>(
        &mut self,
        caller: &Caller,
        name: &'static str,
        once: Once,
        command: impl FnOnce(&mut Tx<'_, '_>) -> Result<StoredAnswer, E>,
    ) -> Result<Ran<StoredAnswer>, WriteError<E>> {
        let kept = storage::fault::catch(|| ONCE.get(self.store.head(), &once.scope)).map_err(Fault::Storage)?;
        if let Some(row) = kept {
            if row.fingerprint != once.fingerprint {
                return Err(Fault::KeyReused.into());
            }
            let opened =
                storage::fault::catch(|| self.answers.open(self.store.head(), caller, &row.answer.body)).map_err(Fault::Storage)?;
            return Ok(Ran { value: StoredAnswer { body: opened, ..row.answer }, seq: row.seq, replayed: true });
        }
        let answers = self.answers.clone();
        self.run_kept(caller, name, command, move |tx, answer: &StoredAnswer| {
            // A refusal that was committed to be remembered is no answer to repeat.
            if answer.status >= 400 {
                return;
            }
            let body = answers.seal(tx, caller, &answer.body);
            let answer = StoredAnswer { body, headers: answer.headers.clone(), ..*answer };
            let row = OnceRow { fingerprint: once.fingerprint, answer, seq: tx.seq(), expires_at: tx.now().plus_ms(KEPT_MS) };
            ONCE.put(tx, &once.scope, &row);
        })
    }

    fn run_kept<T, E>(
        &mut self,
        caller: &Caller,
        name: &'static str,
        command: impl FnOnce(&mut Tx<'_, '_>) -> Result<T, E>,
        keep: impl FnOnce(&mut Tx<'_, '_>, &T),
    ) -> Result<Ran<T>, WriteError<E>> {
        let (wiring, authorize) = (&*self.wiring, &*self.authorize);
        let store = &mut self.store;
        let mut later = None;
        let mut timed = false;
        let ran = storage::fault::catch(|| {
            store.run(|txn| -> Result<T, WriteError<E>> {
                let mut tx = Tx::new(txn, caller, authorize);
                let value = command(&mut tx).map_err(WriteError::Refused)?;
                settle(&mut tx, wiring, name)?;
                timed = tx.touched(TIMERS.id) || tx.touched(PENDING_BY_EXPIRY.id);
                if planted::is(Bug::IdempotencyApart) {
                    later = Some(keep);
                } else {
                    keep(&mut tx, &value);
                }
                Ok(value)
            })
        });
        if let (Some(keep), Ok(Ok((_, value)))) = (later, &ran) {
            apart(store, |txn| keep(&mut Tx::new(txn, caller, authorize), value));
        }
        if timed {
            self.next_due = due(&self.store);
        }
        match ran {
            Ok(ran) => ran.map(|(seq, value)| Ran { value, seq, replayed: false }),
            Err(fault) => {
                metrics::counter!("medina_command_panics_total", "command" => name).increment(1);
                tracing::error!(command = name, %fault, "a command was aborted");
                Err(Fault::Storage(fault).into())
            }
        }
    }

    /// After a batch was forgotten: what is due is as before it.
    pub fn look_again(&mut self) {
        self.next_due = due(&self.store);
    }

    /// When the next timer fires or the next pending transfer runs out.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.next_due
    }

    /// Fires the timers due at `now`, at most `limit`, each as a command of its own, and lets pending transfers run out. Returns how many timers were
    /// due.
    pub fn fire_timers(&mut self, now: Timestamp, limit: usize) -> usize {
        if self.next_due.is_none_or(|due| due > now) {
            return 0;
        }
        let due: Vec<((Timestamp, storage::Id<TimerTag>), FiredTimer)> =
            TIMERS.scan(self.store.head()).take_while(|((at, _), _)| *at <= now).take(limit).collect();
        for (key, timer) in &due {
            self.fire(*key, timer);
        }
        if ledger::next_expiry(self.store.head()).is_some_and(|at| at <= now) {
            let expired = self.run(&Caller::system("timer"), "ledger.expire", |tx| Ok::<_, Fault>(ledger::expire_due(tx, limit)));
            if let Err(error) = expired {
                tracing::error!(?error, "pending transfers could not be let go");
            }
        }
        due.len()
    }

    fn fire(&mut self, key: (Timestamp, storage::Id<TimerTag>), timer: &FiredTimer) {
        let wiring = self.wiring.clone();
        let fired = self.run(&Caller::system("timer"), "timer", |tx| {
            TIMERS.delete(tx, &key);
            wiring.fire(tx, timer)
        });
        let Err(error) = fired else { return };
        let fault = match error {
            WriteError::Refused(fault) | WriteError::Fault(fault) => fault,
        };
        tracing::error!(kind = timer.kind, %fault, failures = timer.failures + 1, "a timer failed");
        let retried = self.run(&Caller::system("timer"), "timer.failed", |tx| -> Result<(), Fault> {
            TIMERS.delete(tx, &key);
            let failures = timer.failures + 1;
            if failures >= FAILURES_MAX {
                tx.attention("timer_failed", &format!("{}:{:032x}", timer.kind, timer.subject), fault.to_string(), &[]);
            } else {
                let again = tx.now().plus_s(1 << failures);
                TIMERS.put(tx, &(again, key.1), &FiredTimer { failures, ..timer.clone() });
            }
            Ok(())
        });
        if let Err(error) = retried {
            tracing::error!(?error, "a failed timer could not be put back");
        }
    }

    /// Runs the handler of an effect's answer and removes the effect, in one commit.
    ///
    /// # Errors
    /// The handler's fault; the effect stays.
    pub fn answer_effect(&mut self, sent: &super::SentEffect, answer: &super::Answered) -> Result<(), Fault> {
        let wiring = self.wiring.clone();
        let ran = self.run(&Caller::system("outbox"), "outbox.answered", |tx| {
            // Already answered (the process crashed between sending twice): once only.
            if !super::effect::OUTBOX.has(tx, &sent.id) {
                return Ok(());
            }
            if matches!(answer, super::Answered::With { .. }) {
                super::effect::OUTBOX.delete(tx, &sent.id);
            }
            wiring.answered(tx, sent, answer)
        });
        match ran {
            Ok(_) => Ok(()),
            Err(WriteError::Refused(fault) | WriteError::Fault(fault)) => Err(fault),
        }
    }

    /// Counts a failed try; if it was the last, its handler hears that in the same commit.
    ///
    /// # Errors
    /// The store's fault; the effect stays as it was.
    pub fn fail_effect(&mut self, sent: &super::SentEffect, error: &super::DeliveryError) -> Result<(), Fault> {
        let wiring = self.wiring.clone();
        let told = self.run(&Caller::system("outbox"), "outbox.failed", |tx| {
            if super::outbox::record_failure(tx, sent, error) {
                wiring.answered(tx, sent, &super::Answered::GaveUp { why: error.to_string() })?;
            }
            Ok::<(), Fault>(())
        });
        let Err(WriteError::Refused(fault) | WriteError::Fault(fault)) = told else { return Ok(()) };
        // A handler that cannot bear the news must not keep the effect in flight for ever: dead it is, and the operators know both.
        let alone = self.run(&Caller::system("outbox"), "outbox.failed", |tx| {
            if super::outbox::record_failure(tx, sent, error) {
                tx.attention("effect_unheard", &sent.id.to_string(), format!("its failure could not be taken: {fault}"), &[]);
            }
            Ok::<(), Fault>(())
        });
        match alone {
            Ok(_) => Ok(()),
            Err(WriteError::Refused(fault) | WriteError::Fault(fault)) => Err(fault),
        }
    }

    /// Forgets answers whose time is over; at most a thousand. Returns whether there may be more.
    pub fn sweep_answers(&mut self, now: Timestamp) -> bool {
        let old: Vec<[u8; 32]> = ONCE
            .find(self.store.head(), &ONCE_BY_EXPIRY, &())
            .take_while(|(_, row)| row.expires_at <= now)
            .take(SWEEP_MAX)
            .map(|(scope, _)| scope)
            .collect();
        if old.is_empty() {
            return false;
        }
        let swept = self.run(&Caller::system("sweep"), "once.sweep", |tx| -> Result<(), Fault> {
            for scope in &old {
                ONCE.delete(tx, scope);
            }
            Ok(())
        });
        swept.is_ok() && old.len() == SWEEP_MAX
    }

    /// Forgets events whose time is over; at most a thousand rows, whole commands. Returns whether there may be more.
    pub fn sweep_events(&mut self, now: Timestamp) -> bool {
        let oldest = now.plus_ms(-self.events_kept_ms);
        let old: Vec<(u64, u32)> =
            EVENTS.scan(self.store.head()).take_while(|(_, event)| event.at < oldest).take(SWEEP_MAX).map(|(key, _)| key).collect();
        let Some(&(last, _)) = old.last() else { return false };
        let swept = self.run(&Caller::system("sweep"), "events.sweep", |tx| -> Result<(), Fault> {
            for key in &old {
                EVENTS.delete(tx, key);
            }
            EVENTS_KEPT_FROM.put(tx, &(), &KeptFrom(last + 1));
            Ok(())
        });
        if swept.is_ok() {
            tracing::info!(events = old.len(), below = last + 1, "old events were dropped");
        }
        swept.is_ok() && old.len() == SWEEP_MAX
    }

    /// Makes the open batch durable.
    ///
    /// # Errors
    /// [`Fatal`]: stop the process.
    pub fn commit(&mut self) -> Result<u32, Fatal> {
        self.store.commit()
    }
}

/// Only with a bug planted: the answer's row as a command, and a record, of its own.
fn apart(store: &mut Store, keep: impl FnOnce(&mut Txn<'_>)) {
    if store.commit().is_err() {
        return;
    }
    store.begin(store.position().time);
    let _ = store.run(|txn| {
        keep(txn);
        Ok::<(), Fault>(())
    });
}

fn due(store: &Store) -> Option<Timestamp> {
    let timer = super::timer::next_due(store.head());
    timer.into_iter().chain(ledger::next_expiry(store.head())).min()
}

/// After the command: reactions until nobody has anything to add, then the rule and the event rows.
fn settle(tx: &mut Tx<'_, '_>, wiring: &Wiring, name: &'static str) -> Result<(), Fault> {
    let mut reacted = 0;
    while let Some(event) = tx.events.get(reacted).cloned() {
        if reacted >= EVENTS_MAX {
            return Err(Fault::EventStorm(name, EVENTS_MAX));
        }
        wiring.react(tx, &*event)?;
        reacted += 1;
    }
    if tx.is_unchanged() && tx.events.is_empty() {
        return Ok(());
    }
    if tx.decision().is_none() {
        return Err(Fault::Undecided(name));
    }
    #[cfg(debug_assertions)]
    books_move_in_pairs(tx);
    let events = std::mem::take(&mut tx.events);
    let (seq, at, count) = (tx.seq(), tx.now(), events.len());
    for (n, event) in events.iter().enumerate() {
        let row =
            StoredEvent { name: event.name().to_owned(), at, topics: event.topics(), data: json_text(&event.data()), more: n + 1 < count };
        EVENTS.put(tx, &(seq, n as u32), &row);
    }
    Ok(())
}

/// In debug builds and simulations: what a command did to posted balances adds up to zero in every currency.
#[cfg(debug_assertions)]
fn books_move_in_pairs(tx: &Tx<'_, '_>) {
    use std::collections::BTreeMap;
    use storage::ledger::{ACCOUNTS, Account, AccountKey, Currency};
    use storage::{KeyPart, Row};

    let table = ACCOUNTS.id.to_key();
    let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
    for (key, change) in tx.overlay().filter(|(key, _)| key.starts_with(&table)) {
        let account = AccountKey::decode(&mut &key[2..]).expect("account keys decode: they were encoded by the same code");
        let balance = |bytes: &[u8]| Account::from_bytes(bytes).map_or(0, |account| account.credit_balance());
        let after = change.as_deref().map_or(0, balance);
        let before = tx.before(key).as_deref().map_or(0, balance);
        *sums.entry(account.currency).or_default() += after - before;
    }
    assert!(sums.values().all(|sum| *sum == 0), "a command moved money out of thin air: {sums:?}");
}
