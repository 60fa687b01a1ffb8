//! The templates: named functions that post. The table in [`super`] says which account is debited and credited.

use storage::Txn;
use storage::ledger::{self, ACCOUNTS, AccountKey, Posted, Refusal, Step, TRANSFERS, TransferId, TransferKind};

use super::chart::{self, Code, HOUSE, account};
use crate::money::Money;
use crate::money::settlement::{SETTLEMENTS, Shares};

/// A template's number, stored with each transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Template {
    CardCaptured = 1,
    CashCollected = 2,
    Promotion = 10,
    Shortage = 11,
    ToMerchant = 12,
    ToCourier = 13,
    Commission = 14,
    Fees = 15,
    Tax = 16,
    RefundHeld = 20,
    RefundPaid = 21,
    RefundReleased = 22,
    RefundReturned = 23,
}

/// The id of what `template` does for `cause` (an intent, an order, a refund): the same for a repeat.
#[must_use]
pub fn transfer_id(cause: u128, template: Template) -> TransferId {
    let mut input = cause.to_be_bytes().to_vec();
    input.extend_from_slice(&(template as u16).to_be_bytes());
    let digest = blake3::derive_key("medina money transfer 1", &input);
    TransferId::from_u128(u128::from_be_bytes(digest[..16].try_into().expect("16 of 32 bytes")))
}

/// Minor units for the ledger, which knows no negative amounts.
fn minor(amount: i64) -> u64 {
    u64::try_from(amount).expect("machines and prices let no negative amount through")
}

/// What a subject's escrow has that is neither spent nor promised, in minor units.
#[must_use]
pub fn escrow_available(txn: &Txn<'_>, subject: u128, currency: crate::money::Currency) -> i64 {
    let Some(escrow) = ACCOUNTS.get(txn, &chart::key(Code::Escrow, subject, currency)) else { return 0 };
    let available = escrow.credit_balance() - i128::from(escrow.debits_pending);
    i64::try_from(available).expect("escrow never holds less than nothing, nor more than was priced")
}

/// The provider has captured `amount` for the intent.
///
/// # Errors
/// Only if the intent has moved another amount before.
pub fn card_captured(txn: &mut Txn<'_>, connector: &str, intent: u128, subject: u128, amount: Money) -> Result<Posted, Refusal> {
    let debit = account(txn, Code::ProviderReceivable, chart::connector_owner(connector), amount.currency);
    let credit = account(txn, Code::Escrow, subject, amount.currency);
    ledger::post(txn, &single(intent, Template::CardCaptured, subject, debit, credit, amount.amount))
}

/// The courier holds `amount` in cash that was paid for the intent.
///
/// # Errors
/// Only if the intent has moved another amount before.
pub fn cash_collected(txn: &mut Txn<'_>, courier: u128, intent: u128, subject: u128, amount: Money) -> Result<Posted, Refusal> {
    let debit = account(txn, Code::CourierCash, courier, amount.currency);
    let credit = account(txn, Code::Escrow, subject, amount.currency);
    ledger::post(txn, &single(intent, Template::CashCollected, subject, debit, credit, amount.amount))
}

/// Where a refund goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundTo<'a> {
    Provider(&'a str),
    Wallet(u128),
}

/// Keeps a refund's money until the provider has answered: nobody else can be paid with it.
///
/// # Errors
/// The provider does not hold as much for us.
pub fn refund_held(txn: &mut Txn<'_>, to: RefundTo<'_>, refund: u128, subject: u128, amount: Money) -> Result<Posted, Refusal> {
    let credit = match to {
        RefundTo::Provider(connector) => account(txn, Code::ProviderReceivable, chart::connector_owner(connector), amount.currency),
        RefundTo::Wallet(user) => account(txn, Code::Wallet, user, amount.currency),
    };
    let debit = if escrow_available(txn, subject, amount.currency) >= amount.amount {
        account(txn, Code::Escrow, subject, amount.currency)
    } else {
        account(txn, Code::RefundsBorne, HOUSE, amount.currency)
    };
    let step = single(refund, Template::RefundHeld, subject, debit, credit, amount.amount);
    ledger::post(txn, &Step { kind: TransferKind::Pending { expires_at: None }, ..step })
}

/// The refund has been paid.
///
/// # Errors
/// It was not held, or has ended.
pub fn refund_paid(txn: &mut Txn<'_>, refund: u128) -> Result<Posted, Refusal> {
    end_refund(txn, refund, Template::RefundPaid, |pending| TransferKind::Post { pending })
}

/// The refund will not be paid; what it held is free again, and if the order has been settled meanwhile, it goes back to the reserve.
///
/// # Errors
/// It was not held, or has ended.
pub fn refund_released(txn: &mut Txn<'_>, refund: u128) -> Result<Posted, Refusal> {
    let posted = end_refund(txn, refund, Template::RefundReleased, |pending| TransferKind::Void { pending })?;
    let held = TRANSFERS.get(txn, &transfer_id(refund, Template::RefundHeld)).ok_or(Refusal::UnknownPending)?;
    if held.debit.code == Code::Escrow as u16 && SETTLEMENTS.has(txn, &held.subject) {
        let borne = AccountKey { code: Code::RefundsBorne as u16, owner: HOUSE, ..held.debit };
        let step = Step {
            id: transfer_id(refund, Template::RefundReturned),
            debit: held.debit,
            credit: borne,
            amount: held.amount,
            kind: TransferKind::Single,
            code: Template::RefundReturned as u16,
            subject: held.subject,
        };
        ledger::post(txn, &step)?;
    }
    Ok(posted)
}

fn end_refund(txn: &mut Txn<'_>, refund: u128, template: Template, end: impl Fn(TransferId) -> TransferKind) -> Result<Posted, Refusal> {
    let pending = transfer_id(refund, Template::RefundHeld);
    let held = TRANSFERS.get(txn, &pending).ok_or(Refusal::UnknownPending)?;
    let step = Step {
        id: transfer_id(refund, template),
        debit: held.debit,
        credit: held.credit,
        amount: held.amount,
        kind: end(pending),
        code: template as u16,
        subject: held.subject,
    };
    ledger::post(txn, &step)
}

/// Empties a subject's escrow: to whom its money belongs, in one linked transfer.
///
/// # Errors
/// [`Refusal::Constraint`] if escrow holds more than the shares add up to: that money's owner is not known here.
pub fn settled(txn: &mut Txn<'_>, subject: u128, shares: &Shares) -> Result<(), Refusal> {
    let currency = shares.currency;
    let escrow = account(txn, Code::Escrow, subject, currency);
    let owed = shares.paid_out() - shares.promotion;
    let shortage = owed - escrow_available(txn, subject, currency);
    if shortage < 0 {
        return Err(Refusal::Constraint { account: escrow });
    }
    let (courier, courier_amount) = shares.courier.map_or((HOUSE, 0), |(courier, amount)| (courier, amount));
    let into = [(Template::Promotion, Code::Promotions, shares.promotion), (Template::Shortage, Code::RefundsBorne, shortage)];
    let out = [
        (Template::ToMerchant, Code::MerchantPayable, shares.merchant.0, shares.merchant.1),
        (Template::ToCourier, Code::CourierPayable, courier, courier_amount),
        (Template::Commission, Code::Commission, HOUSE, shares.commission),
        (Template::Fees, Code::Fees, HOUSE, shares.fees),
        (Template::Tax, Code::TaxPayable, HOUSE, shares.tax),
    ];
    let mut steps = Vec::with_capacity(7);
    for (template, code, amount) in into.into_iter().filter(|(_, _, amount)| *amount > 0) {
        steps.push(single(subject, template, subject, account(txn, code, HOUSE, currency), escrow, amount));
    }
    for (template, code, owner, amount) in out.into_iter().filter(|(_, _, _, amount)| *amount > 0) {
        steps.push(single(subject, template, subject, escrow, account(txn, code, owner, currency), amount));
    }
    ledger::post_linked(txn, &steps).map_err(|(_, refusal)| refusal)
}

fn single(cause: u128, template: Template, subject: u128, debit: AccountKey, credit: AccountKey, amount: i64) -> Step {
    Step {
        id: transfer_id(cause, template),
        debit,
        credit,
        amount: minor(amount),
        kind: TransferKind::Single,
        code: template as u16,
        subject,
    }
}
