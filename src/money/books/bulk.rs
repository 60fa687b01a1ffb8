//! `POST /v1/ledger/transfers`: many transfers in one call, for migrations, corrections and whoever drives the ledger from outside.
//!
//! Independent transfers go in as several commands of [`PART`] each, so that others' commands run in between; a chain is one command whatever its length,
//! because it is written all or not at all. A repeat finds its transfers by their ids; with an `Idempotency-Key` it gets the first answer, and a call that
//! broke off in its midst goes on where it was.

use axum::http::StatusCode;
use axum::response::Response;
use futures_util::TryStreamExt;
use futures_util::stream::FuturesOrdered;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use storage::Timestamp;
use storage::ledger::{self, AccountKey, Posted, Refusal, Step, TRANSFERS, TransferId, TransferKind};

use super::chart::{self, Code};
use super::http::parse_account;
use crate::edge::Problem;
use crate::edge::command::{BulkCommand, respond_with};
use crate::engine::{Event, Question, Resource, Tx};
use crate::money::Currency;

/// Transfers in one call.
pub const TRANSFERS_MAX: usize = 8_190;
/// Independent transfers in one command: about a millisecond of the writer.
const PART: usize = 64;
/// Commands of one call that may wait for the writer at once, so that it need not wait for us between two.
const WAITING_MAX: usize = 4;
/// Templates below are the product's own; what comes in here says so in its number.
const TEMPLATE_MIN: u16 = 1_000;
/// A pending transfer runs out within a week.
const TIMEOUT_S_MAX: u32 = 604_800;

/// Transfers to post.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTransfers {
    /// 1 to 8,190.
    transfers: Vec<NewTransfer>,
}

/// A transfer to post.
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTransfer {
    /// Made by the caller: the same id and content again is the same transfer.
    #[schema(value_type = String)]
    id: TransferId,
    /// An account's id, `CODE-OWNER-CURRENCY`, as `GET /v1/ledger/accounts` shows it; opened if it is of the chart.
    #[schema(value_type = String)]
    debit: AccountName,
    #[schema(value_type = String)]
    credit: AccountName,
    /// Minor units.
    amount: u64,
    /// `single` if absent.
    #[serde(default)]
    kind: NewKind,
    /// The pending transfer that is posted or voided.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pending_id: Option<TransferId>,
    /// After how many seconds a pending transfer lets go, 1 to 604,800; never if absent.
    #[serde(default)]
    timeout_s: Option<u32>,
    /// The caller's own number for the kind of business, 1,000 to 65,535; 1,000 if absent.
    #[serde(default)]
    template: Option<u16>,
    /// What it is for: up to 32 hexadecimal digits.
    #[serde(default)]
    subject: Option<String>,
    /// Written with the next one, or neither; a chain ends with the first that is not linked.
    #[serde(default)]
    linked: bool,
}

/// One phase or two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum NewKind {
    #[default]
    Single,
    Pending,
    Post,
    Void,
}

/// An account's id as text.
#[derive(Clone, Copy, Debug)]
struct AccountName(AccountKey);

impl<'de> Deserialize<'de> for AccountName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        parse_account(&text).map(Self).ok_or_else(|| serde::de::Error::custom("not an account's id: CODE-OWNER-CURRENCY"))
    }
}

impl Serialize for AccountName {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&super::http::account_id(&self.0))
    }
}

/// What became of each.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TransfersPosted {
    created: usize,
    /// Were there already, the same.
    existing: usize,
    refused: usize,
    /// One for each transfer, in their order: `created`, `exists`, or why not.
    results: Vec<String>,
}

/// Transfers were posted from outside. The row of this event is their outbox: `/v1/events` serves it in order, once, from any place on.
struct LedgerTransfersPosted(Vec<TransferId>);

impl Event for LedgerTransfersPosted {
    fn name(&self) -> &'static str {
        "LedgerTransfersPosted"
    }
    fn topics(&self) -> Vec<String> {
        vec!["ledger".to_owned()]
    }
    fn data(&self) -> serde_json::Value {
        json!({ "transfers": self.0 })
    }
}

/// A transfer to post, checked as far as it can be without the ledger.
#[derive(Clone, Copy, Debug)]
struct Asked {
    step: Step,
    timeout_s: Option<u32>,
    linked: bool,
}

impl NewTransfer {
    /// What is wrong with it, and where.
    fn check(&self) -> Result<Asked, (&'static str, &'static str, &'static str)> {
        let account = |name: &AccountName, field| {
            Code::from_number(name.0.code).map(|_| name.0).ok_or((field, "not_allowed", "not a code of the chart of accounts"))
        };
        let (debit, credit) = (account(&self.debit, "debit")?, account(&self.credit, "credit")?);
        let kind = match (self.kind, self.pending_id) {
            (NewKind::Single, None) => TransferKind::Single,
            (NewKind::Pending, None) => TransferKind::Pending { expires_at: None },
            (NewKind::Post, Some(pending)) => TransferKind::Post { pending },
            (NewKind::Void, Some(pending)) => TransferKind::Void { pending },
            (NewKind::Single | NewKind::Pending, Some(_)) => {
                return Err(("pending_id", "not_allowed", "only post and void end another one"));
            }
            (NewKind::Post | NewKind::Void, None) => return Err(("pending_id", "required", "which pending transfer?")),
        };
        let timeout_s = match self.timeout_s {
            None => None,
            Some(_) if self.kind != NewKind::Pending => {
                return Err(("timeout_s", "not_allowed", "only a pending transfer lets go by itself"));
            }
            Some(seconds) if (1..=TIMEOUT_S_MAX).contains(&seconds) => Some(seconds),
            Some(_) => return Err(("timeout_s", "out_of_range", "1 to 604,800 seconds")),
        };
        let code = self.template.unwrap_or(TEMPLATE_MIN);
        if code < TEMPLATE_MIN {
            return Err(("template", "out_of_range", "1,000 to 65,535: lower numbers are the product's own"));
        }
        let digits = self.subject.as_deref().unwrap_or("0");
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let subject = u128::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        let subject = subject.ok_or(("subject", "invalid", "1 to 32 hexadecimal digits"))?;
        let step = Step { id: self.id, debit, credit, amount: self.amount, kind, code, subject };
        Ok(Asked { step, timeout_s, linked: self.linked })
    }
}

fn checked(body: &NewTransfers) -> Result<Vec<Asked>, Problem> {
    if !(1..=TRANSFERS_MAX).contains(&body.transfers.len()) {
        return Err(Problem::invalid("/transfers", "out_of_range", "1 to 8,190 transfers"));
    }
    if body.transfers.last().is_some_and(|last| last.linked) {
        let place = body.transfers.len() - 1;
        return Err(Problem::invalid(format!("/transfers/{place}/linked"), "not_allowed", "the last transfer ends its chain"));
    }
    let wrong =
        |place: usize, (field, code, detail): (&str, &str, &str)| Problem::invalid(format!("/transfers/{place}/{field}"), code, detail);
    body.transfers.iter().enumerate().map(|(place, transfer)| transfer.check().map_err(|why| wrong(place, why))).collect()
}

/// Cuts the list into commands: [`PART`] each, later where a chain would be cut.
fn parts(asked: &[Asked]) -> Vec<Vec<Asked>> {
    let (mut parts, mut from) = (Vec::new(), 0);
    for (place, transfer) in asked.iter().enumerate() {
        let len = place + 1 - from;
        if len >= PART && !transfer.linked || place + 1 == asked.len() {
            parts.push(asked[from..=place].to_vec());
            from = place + 1;
        }
    }
    parts
}

const fn word(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::SameAccount => "same_account",
        Refusal::CurrencyMismatch => "currency_mismatch",
        Refusal::ZeroAmount => "zero_amount",
        Refusal::UnknownAccount(_) => "unknown_account",
        Refusal::Constraint { .. } => "constraint",
        Refusal::Overflow => "overflow",
        Refusal::ExistsDifferent => "exists_different",
        Refusal::UnknownPending => "unknown_pending",
        Refusal::PendingEnded => "pending_ended",
        Refusal::ExceedsPending => "exceeds_pending",
        Refusal::ExpiryInThePast => "expiry_in_the_past",
        Refusal::PendingDiffers => "pending_differs",
        Refusal::ExpireIsInternal => "expire_is_internal",
    }
}

const CREATED: &str = "created";
const EXISTS: &str = "exists";
const NOT_ALONE: &str = "linked_refused";

/// Posts one, opening its accounts if need be. A repeat of a pending one keeps the expiry that it has.
fn post(tx: &mut Tx<'_, '_>, asked: &Asked) -> Result<Posted, Refusal> {
    let mut step = asked.step;
    match step.kind {
        TransferKind::Pending { .. } => {
            let written = TRANSFERS.get(&**tx, &step.id).map(|transfer| (transfer.at, transfer.kind));
            let from = written.map_or(tx.now(), |(at, _)| at);
            let expires_at = asked.timeout_s.map(|seconds| Timestamp::plus_s(from, i64::from(seconds)));
            step.kind = TransferKind::Pending { expires_at };
        }
        // What the product holds (a refund on its way) only the product ends.
        TransferKind::Post { pending } | TransferKind::Void { pending } => {
            if TRANSFERS.get(&**tx, &pending).is_some_and(|held| held.code < TEMPLATE_MIN) {
                return Err(Refusal::UnknownPending);
            }
        }
        TransferKind::Single | TransferKind::Expire { .. } => (),
    }
    match ledger::post(tx, &step) {
        Err(Refusal::UnknownAccount(_)) => {
            for key in [step.debit, step.credit] {
                let code = Code::from_number(key.code).ok_or(Refusal::UnknownAccount(key))?;
                let currency = Currency::try_from(key.currency).map_err(|_| Refusal::UnknownAccount(key))?;
                chart::account(tx, code, key.owner, currency);
            }
            ledger::post(tx, &step)
        }
        posted => posted,
    }
}

/// One command: the transfers of a part, chain by chain.
fn post_part(tx: &mut Tx<'_, '_>, part: &[Asked]) -> Result<Vec<&'static str>, Problem> {
    tx.authorize(&Question::new("ledger.post", Resource::new("Ledger", "ledger")))?;
    let mut results = Vec::with_capacity(part.len());
    for chain in part.chunk_by(|one, _| one.linked) {
        // A transfer alone that is refused leaves nothing to take back (an account that was opened for it may stay, empty).
        let before = (chain.len() > 1).then(|| tx.savepoint());
        let first = results.len();
        for asked in chain {
            match post(tx, asked) {
                Ok(Posted::New) => results.push(CREATED),
                Ok(Posted::Already) => results.push(EXISTS),
                Err(refusal) => {
                    let place = results.len() - first;
                    if let Some(before) = before {
                        tx.rollback(before);
                    }
                    results.truncate(first);
                    results.extend((0..chain.len()).map(|at| if at == place { word(refusal) } else { NOT_ALONE }));
                    break;
                }
            }
        }
    }
    let created: Vec<TransferId> =
        part.iter().zip(&results).filter(|(_, result)| **result == CREATED).map(|(asked, _)| asked.step.id).collect();
    if !created.is_empty() {
        tx.emit(LedgerTransfersPosted(created));
    }
    Ok(results)
}

#[utoipa::path(post, path = "/v1/ledger/transfers", tag = "ledger", request_body = NewTransfers, responses((status = 200, body = TransfersPosted)))]
pub(super) async fn post_transfers(BulkCommand(command): BulkCommand<NewTransfers>) -> Result<Response, Problem> {
    let (series, body) = command.into_series();
    let asked = checked(&body)?;
    let run = |place: usize, part: Vec<Asked>| series.part::<_, Vec<String>, _>(place, "ledger.post", move |tx| post_part(tx, &part));
    let mut done = Vec::new();
    let mut waiting = FuturesOrdered::new();
    for (place, part) in parts(&asked).into_iter().enumerate() {
        waiting.push_back(run(place, part));
        // The first alone: it finds out whether the key was used for something else.
        while waiting.len() >= if place == 0 { 1 } else { WAITING_MAX } {
            done.extend(waiting.try_next().await?);
        }
    }
    done.extend(waiting.try_collect::<Vec<_>>().await?);
    let position = done.iter().map(|part| part.position).max_by_key(|position| position.seq);
    let position = position.expect("there is at least one transfer, so at least one part");
    let replayed = done.iter().all(|part| part.replayed);
    let is_local = done.iter().any(|part| part.is_local);
    let results: Vec<String> = done.into_iter().flat_map(|part| part.value).collect();
    let count = |word: &str| results.iter().filter(|result| *result == word).count();
    let (created, existing) = (count(CREATED), count(EXISTS));
    let shown = TransfersPosted { created, existing, refused: results.len() - created - existing, results };
    Ok(respond_with(StatusCode::OK, &shown, (position, is_local), replayed))
}
