//! `/v1/ledger/…` for those who keep the books, `/v1/wallets/me` for everybody's own.

use axum::Json;
use serde::{Deserialize, Serialize};
use storage::ledger::{ACCOUNTS, Account, AccountKey, TRANSFERS, TRANSFERS_BY_ACCOUNT, Transfer, TransferId, TransferKind, trial_balance};
use storage::{Direction, KeyPart, Read};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::chart::Code;
use crate::edge::{Ctx, Page, PageQuery, Problem, Query};
use crate::engine::{Question, Resource};
use crate::money::{Currency, Money};

/// Routes of the ledger and the wallet.
pub fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(accounts))
        .routes(routes!(transfers, super::bulk::post_transfers))
        .routes(routes!(balance))
        .routes(routes!(wallet))
}

fn ask(ctx: &Ctx) -> Result<(), Problem> {
    ctx.authorize(&Question::new("ledger.read", Resource::new("Ledger", "ledger")))
}

/// An account's name in the API: code, owner's 128 bits, currency; `2000-018f…-GHS`.
pub(super) fn account_id(key: &AccountKey) -> String {
    format!("{}-{:032x}-{}", key.code, key.owner, key.currency)
}

pub(super) fn parse_account(text: &str) -> Option<AccountKey> {
    let mut parts = text.split('-');
    let (code, owner, currency) = (parts.next()?.parse().ok()?, u128::from_str_radix(parts.next()?, 16).ok()?, parts.next()?);
    let currency: Currency = currency.parse().ok()?;
    parts.next().is_none().then_some(AccountKey { code, owner, currency: currency.into() })
}

/// An account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AccountView {
    id: String,
    code: u16,
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[schema(value_type = String)]
    currency: String,
    /// Minor units.
    debits_posted: u64,
    credits_posted: u64,
    debits_pending: u64,
    credits_pending: u64,
    /// Debits less credits where the account grows by debits, else credits less debits.
    balance: i64,
}

impl AccountView {
    fn of(key: &AccountKey, account: &Account) -> Self {
        let code = Code::from_number(key.code);
        let credit = account.credit_balance();
        let balance = if code.is_some_and(Code::grows_by_debits) { -credit } else { credit };
        Self {
            id: account_id(key),
            code: key.code,
            name: code.map_or("unknown", Code::name),
            owner: code.and_then(|code| code.owner(key.owner)),
            currency: key.currency.to_string(),
            debits_posted: account.debits_posted,
            credits_posted: account.credits_posted,
            debits_pending: account.debits_pending,
            credits_pending: account.credits_pending,
            balance: i64::try_from(balance).unwrap_or(if balance < 0 { i64::MIN } else { i64::MAX }),
        }
    }
}

/// Which accounts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AccountsQuery {
    /// A code of the chart, as number or name.
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    cursor: Option<String>,
}

#[utoipa::path(get, path = "/v1/ledger/accounts", tag = "ledger", params(AccountsQuery), responses((status = 200, body = Page<AccountView>)))]
async fn accounts(ctx: Ctx, Query(query): Query<AccountsQuery>) -> Result<Json<Page<AccountView>>, Problem> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (limit, after) = (page.limit()?, page.after()?);
    let code = query
        .code
        .as_deref()
        .map(|code| Code::parse(code).ok_or_else(|| Problem::invalid("/code", "not_allowed", "not a code of the chart of accounts")))
        .transpose()?;
    ask(&ctx)?;
    // Accounts are few per code and read by administrators: a scan by key, from the cursor's key on.
    let seen = |key: &AccountKey| after.as_deref().is_some_and(|after| key.to_key().as_slice() <= after);
    let prefix = code.map(|code| code as u16);
    let rows: Box<dyn Iterator<Item = (AccountKey, Account)> + '_> = match &prefix {
        Some(code) => Box::new(ACCOUNTS.scan_prefix(&*ctx.view, code, Direction::Forward)),
        None => Box::new(ACCOUNTS.scan(&*ctx.view)),
    };
    let scan = rows.skip_while(|(key, _)| seen(key)).map(|(key, account)| (key.to_key(), AccountView::of(&key, &account)));
    Ok(Json(Page::from_scan(scan, limit)))
}

/// A transfer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TransferView {
    #[schema(value_type = String)]
    id: TransferId,
    debit: String,
    credit: String,
    amount: u64,
    currency: String,
    kind: &'static str,
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_id: Option<TransferId>,
    /// The template's number.
    template: u16,
    /// What it was for: 128 bits in hexadecimal digits.
    subject: String,
    at: String,
}

impl TransferView {
    fn of(id: TransferId, transfer: &Transfer) -> Self {
        let (kind, pending_id) = match transfer.kind {
            TransferKind::Single => ("single", None),
            TransferKind::Pending { .. } => ("pending", None),
            TransferKind::Post { pending } => ("post", Some(pending)),
            TransferKind::Void { pending } => ("void", Some(pending)),
            TransferKind::Expire { pending } => ("expire", Some(pending)),
        };
        Self {
            id,
            debit: account_id(&transfer.debit),
            credit: account_id(&transfer.credit),
            amount: transfer.amount,
            currency: transfer.debit.currency.to_string(),
            kind,
            pending_id,
            template: transfer.code,
            subject: format!("{:032x}", transfer.subject),
            at: transfer.at.to_string(),
        }
    }
}

/// Which transfers.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TransfersQuery {
    /// An account's id.
    account: String,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    cursor: Option<String>,
}

#[utoipa::path(get, path = "/v1/ledger/transfers", tag = "ledger", params(TransfersQuery), responses((status = 200, body = Page<TransferView>)))]
async fn transfers(ctx: Ctx, Query(query): Query<TransfersQuery>) -> Result<Json<Page<TransferView>>, Problem> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (limit, after) = (page.limit()?, page.after()?);
    let account = parse_account(&query.account).ok_or_else(|| Problem::invalid("/account", "invalid", "not an account's id"))?;
    ask(&ctx)?;
    let rows = TRANSFERS.page(&*ctx.view, &TRANSFERS_BY_ACCOUNT, &account, after.as_deref(), Direction::Backward);
    Ok(Json(Page::from_scan(rows.map(|(cursor, id, transfer)| (cursor, TransferView::of(id, &transfer))), limit)))
}

/// The trial balance.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TrialBalance {
    currencies: Vec<CurrencyBalance>,
}

/// One currency's totals over all accounts, in minor units; the difference is 0.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CurrencyBalance {
    currency: String,
    debits: u128,
    credits: u128,
    difference: i128,
}

#[utoipa::path(get, path = "/v1/ledger/trial-balance", tag = "ledger", responses((status = 200, body = TrialBalance)))]
async fn balance(ctx: Ctx) -> Result<Json<TrialBalance>, Problem> {
    ask(&ctx)?;
    let shown = |totals: storage::ledger::CurrencyTotals| CurrencyBalance {
        currency: totals.currency.to_string(),
        debits: totals.debits,
        credits: totals.credits,
        difference: totals.difference(),
    };
    Ok(Json(TrialBalance { currencies: trial_balance(&*ctx.view).into_iter().map(shown).collect() }))
}

/// What somebody has with us, by currency.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct WalletView {
    balances: Vec<Money>,
}

fn balances(read: &(impl Read + ?Sized), owner: u128) -> Vec<Money> {
    let prefix = (Code::Wallet as u16, owner);
    ACCOUNTS
        .scan_prefix(read, &prefix, Direction::Forward)
        .filter_map(|(key, account)| {
            let amount = i64::try_from(account.credit_balance()).ok()?;
            Currency::try_from(key.currency).ok().map(|currency| Money::new(amount, currency))
        })
        .collect()
}

#[utoipa::path(get, path = "/v1/wallets/me", tag = "ledger", responses((status = 200, body = WalletView)))]
async fn wallet(ctx: Ctx) -> Result<Json<WalletView>, Problem> {
    let user = ctx.caller.user_id().ok_or(crate::engine::Denied::Unauthenticated)?;
    ctx.authorize(&Question::new("wallets.read", Resource::new("Wallet", user).with("owner", user.to_string())))?;
    Ok(Json(WalletView { balances: balances(&*ctx.view, user.as_u128()) }))
}
