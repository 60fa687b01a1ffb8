//! One batch, as the writer thread makes it: requests, effects' answers, webhooks, timers, sweeps, one commit. And the quiet end.

use storage::{Direction, View};

use super::act::{Request, Sorry};
use super::book::{Told, Wrong};
use super::pair::FLIGHTS_MAX;
use super::play::Play;
use crate::engine::attention::ATTENTION;
use crate::engine::effect::{EffectId, EffectRow, OUTBOX, OUTBOX_BY_STATE, OUTBOX_BY_SUBJECT};
use crate::engine::idempotency::ONCE;
use crate::engine::{Answered, Caller, Core, DeliveryError, SentEffect, WriteError};
use crate::money::payments::model::RefundState;
use crate::money::payments::{intents, notices};
use crate::trade::orders::model::State;
use crate::trade::orders::record::ORDERS;

/// Timers that fire in one batch.
const TIMERS_MAX: usize = 64;
/// Rounds of half a minute until everybody must be quiet.
const QUIET_ROUNDS_MAX: u32 = 1_000;

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Going,
    Died,
}

/// What a batch holds besides its changes.
#[derive(Default)]
struct Open {
    /// Requests that succeeded, and what they will be answered.
    told: Vec<Told>,
    /// Webhooks that were taken.
    hooks: Vec<String>,
}

impl Play<'_> {
    /// Some commands and their commit.
    pub(super) fn batch(&mut self, core: &mut Core) -> Result<Next, Wrong> {
        self.tick();
        if self.book.in_flight() >= FLIGHTS_MAX {
            // Nobody acknowledges: the leader waits, and may die meanwhile (a fold that only failed to make a spare segment goes on).
            if self.disk.is_crashed() {
                return Ok(Next::Died);
            }
            return self.acknowledge(core).map(|()| Next::Going);
        }
        core.store.begin(self.clock);
        let view = core.store.views().now();
        let mut open = Open::default();
        for _ in 0..=self.dice.below(6) {
            match self.dice.below(100) {
                0..62 => self.client(core, &view, &mut open)?,
                62..82 => self.effect(core, &view)?,
                82..96 => self.webhook(core, &mut open)?,
                _ => self.provider.payer_acts(&mut self.dice, self.clock),
            }
        }
        if self.dice.percent(70) {
            core.fire_timers(self.clock, TIMERS_MAX);
        }
        if self.dice.percent(8) {
            core.sweep_answers(self.clock);
            core.sweep_events(self.clock);
        }
        let next = self.commit(core, open)?;
        if next == Next::Going && self.dice.percent(12) {
            // The power might be cut between two calls, too.
            self.crash_image(&self.disk.clone())?;
        }
        Ok(next)
    }

    /// The machine's clock goes on, mostly; sometimes somebody sets it.
    fn tick(&mut self) {
        let ms = match self.dice.below(200) {
            0 => 8 * 24 * 3_600_000,
            1..8 => 1_000 * self.dice.below(900) as i64,
            8..16 => -1_000 * self.dice.below(3_600) as i64,
            _ => self.dice.below(6_000) as i64,
        };
        self.clock = self.clock.plus_ms(ms);
        self.latest = self.latest.max(self.clock);
    }

    fn commit(&mut self, core: &mut Core, open: Open) -> Result<Next, Wrong> {
        let batch = self.book.foresee(core, open.told, open.hooks)?;
        match core.store.sync() {
            Ok(_) => {
                self.book.take_off(batch);
                self.acknowledge(core)?;
                Ok(Next::Going)
            }
            Err(fatal) if !self.is_struck() => Err(format!("a commit failed on a healthy disk: {fatal}").into()),
            Err(fatal) if core.store.forget_batch(&fatal) => {
                // No room: refused, and nothing of it may be there.
                core.look_again();
                batch.told.into_iter().for_each(|told| self.crowd.unanswered(told.request));
                Ok(Next::Going)
            }
            Err(_) => {
                self.book.take_off(batch);
                Ok(Next::Died)
            }
        }
    }

    /// What is durable here, and at the follower if there is one, is shown and answered.
    fn acknowledge(&mut self, core: &mut Core) -> Result<(), Wrong> {
        let position = core.store.position();
        let (seq, hash) = match self.ship(core)? {
            None => (position.seq, Some(position.hash)),
            Some(acknowledged) => (acknowledged, (acknowledged == position.seq).then_some(position.hash)),
        };
        core.store.publish_to(seq);
        for flight in self.book.land(seq, hash) {
            self.tally.commands += u64::from(flight.count);
            for told in &flight.told {
                self.crowd.learn(&told.request, &told.body);
                if let Some(rider) = told.request.rider(self.town) {
                    self.crowd.offered(&told.body, rider);
                }
            }
            for hook in flight.hooks {
                // The provider may not hear that it was heard.
                if self.dice.percent(75) {
                    self.provider.taken(&hook);
                }
            }
        }
        Ok(())
    }

    fn client(&mut self, core: &mut Core, view: &View, open: &mut Open) -> Result<(), Wrong> {
        let answered = self.book.answers();
        let repeated = if answered > 0 && self.dice.percent(8) { self.book.answer(self.dice.below(answered)) } else { None };
        let request = match repeated {
            Some(told) => Some(told.request.clone()),
            None => self.crowd.ask(view, self.town, &mut self.dice, self.clock),
        };
        request.map_or(Ok(()), |request| self.request(core, request, open))
    }

    fn request(&mut self, core: &mut Core, request: Request, open: &mut Open) -> Result<(), Wrong> {
        let known = self.book.answered(request.key).filter(|told| told.kept_until > self.latest);
        let name = |request: &Request| format!("request {} ({:?})", request.key, request.act);
        let once = request.once();
        match core.run_once(&request.caller, "simulated", once, |tx| request.act.perform(tx)) {
            Ok(ran) => {
                match known {
                    Some(_) if !ran.replayed => return Err(format!("{} was answered, and a repeat did it again", name(&request)).into()),
                    Some(told) if told.body != ran.value.body => {
                        return Err(format!("a repeat of {} was answered differently", name(&request)).into());
                    }
                    Some(_) | None => (),
                }
                let kept_until = ONCE.get(core.store.head(), &once.scope).map(|row| row.expires_at);
                let kept_until = kept_until.ok_or_else(|| format!("{} has run and its answer is not kept", name(&request)))?;
                open.told.push(Told { request, body: ran.value.body, seq: ran.seq, kept_until });
                Ok(())
            }
            Err(WriteError::Refused(Sorry::No(why))) => match known {
                Some(_) => Err(format!("{} was answered, and a repeat is refused: {why}", name(&request)).into()),
                None => Ok(()),
            },
            Err(WriteError::Refused(Sorry::Broken(fault)) | WriteError::Fault(fault)) => {
                Err(format!("{} is broken: {fault}", name(&request)).into())
            }
        }
    }

    /// An effect that is due reaches its provider, or its answer gets lost.
    fn effect(&mut self, core: &mut Core, view: &View) -> Result<(), Wrong> {
        let due = due_effects(view, self.clock);
        let Some((id, row)) = self.dice.pick(&due).cloned() else { return Ok(()) };
        let fate = self.dice.below(100);
        self.deliver(core, id, row, fate)
    }

    /// `fate`: below 10 it does not arrive, below 20 its answer does not.
    fn deliver(&mut self, core: &mut Core, id: EffectId, row: EffectRow, fate: usize) -> Result<(), Wrong> {
        let sent = SentEffect { id, subject: row.subject, kind: row.kind, body: row.body, destination: row.destination };
        let lost = |why: &str| DeliveryError::Retry(why.to_owned());
        let taken = if fate < 10 {
            core.fail_effect(&sent, &lost("not reached"))
        } else {
            let answer = match sent.destination.as_str() {
                "sandbox" => self.provider.asked(&sent, self.clock)?,
                _ => Answered::With { status: 200, body: String::new() },
            };
            if fate < 20 { core.fail_effect(&sent, &lost("no answer")) } else { core.answer_effect(&sent, &answer) }
        };
        taken.map_err(|fault| format!("the answer to effect {id} ({}) cannot be taken: {fault}", sent.kind).into())
    }

    /// The provider tells something, perhaps not for the first time.
    fn webhook(&mut self, core: &mut Core, open: &mut Open) -> Result<(), Wrong> {
        let Some(hook) = self.provider.hook(&mut self.dice, self.clock) else { return Ok(()) };
        let delivery = self.provider.read(&hook)?;
        let heard = core.run(&Caller::system("payments.webhook"), "payments.webhook", |tx| notices::on_webhook(tx, "sandbox", &delivery));
        match heard {
            Ok(_) => open.hooks.push(hook.id),
            Err(WriteError::Refused(fault) | WriteError::Fault(fault)) => {
                return Err(format!("the webhook {} cannot be taken: {fault}", hook.body).into());
            }
        }
        Ok(())
    }

    /// Nothing goes wrong any more: everybody gets their answers, and then all sides must tell the same.
    pub(super) fn settle(&mut self) -> Result<(), Wrong> {
        self.is_calm = true;
        let mut core = self.start(&self.disk)?;
        self.recovered(&core)?;
        for _ in 0..QUIET_ROUNDS_MAX {
            self.step += 1;
            self.clock = self.latest.plus_s(30);
            self.latest = self.clock;
            core.store.begin(self.clock);
            let view = core.store.views().now();
            let mut open = Open::default();
            for (id, row) in due_effects(&view, self.clock) {
                self.deliver(&mut core, id, row, 100)?;
            }
            while let Some(request) = self.crowd.impatient() {
                self.request(&mut core, request, &mut open)?;
            }
            self.webhook(&mut core, &mut open)?;
            core.fire_timers(self.clock, TIMERS_MAX);
            let quiet = core.store.batch().0 == 0 && OUTBOX.keys(&view, &OUTBOX_BY_STATE, &0_u8).next().is_none();
            if self.commit(&mut core, open)? == Next::Died {
                return Err("a healthy disk died".into());
            }
            if quiet && self.provider.is_silent() && self.crowd.is_patient() {
                break;
            }
        }
        self.agree(&core.store.views().now())?;
        drop(core);
        let core = self.start(&self.disk)?;
        self.recovered(&core)?;
        for (_, order) in ORDERS.scan(&*core.store.views().now()) {
            self.tally.orders += 1;
            self.tally.settled += u64::from(order.state == State::Settled);
        }
        Ok(())
    }

    /// The provider's money is ours, and no handler has failed on the way.
    fn agree(&self, view: &View) -> Result<(), Wrong> {
        for charge in self.provider.charges() {
            let id = charge.intent.parse().map_err(|_| format!("the provider was asked about {}", charge.intent))?;
            let intent = intents::get(view, id).ok_or_else(|| format!("the provider knows {id}, and we do not"))?;
            let settled = intent.refunds.iter().filter(|refund| refund.state == RefundState::Settled);
            let refunded: i64 = settled.map(|refund| refund.amount).sum();
            if (charge.captured, charge.refunded) != (intent.captured, refunded) {
                let (theirs, ours) = ((charge.captured, charge.refunded), (intent.captured, refunded));
                return Err(format!("of {id} the provider took and gave back {theirs:?}, and we say {ours:?}").into());
            }
        }
        for ((kind, subject), attention) in ATTENTION.scan(view) {
            if matches!(kind.as_str(), "timer_failed" | "effect_unheard" | "payment_unknown") {
                return Err(format!("{kind} about {subject}: {}", attention.reason).into());
            }
        }
        Ok(())
    }
}

/// Effects that may go: due, and first of their subject.
fn due_effects(view: &View, now: storage::Timestamp) -> Vec<(EffectId, EffectRow)> {
    OUTBOX
        .page(view, &OUTBOX_BY_STATE, &0_u8, None, Direction::Forward)
        .take_while(|(_, _, row)| row.next_at <= now)
        .filter(|(_, id, row)| OUTBOX.keys(view, &OUTBOX_BY_SUBJECT, &(row.destination.clone(), row.subject)).next() == Some(*id))
        .map(|(_, id, row)| (id, row))
        .collect()
}
