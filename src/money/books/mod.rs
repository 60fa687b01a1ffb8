//! What money does in the ledger: the chart of accounts and the templates, the only code of the product that posts.
//!
//! | account | code | kind | owner | holds |
//! | --- | --- | --- | --- | --- |
//! | provider receivable | 1000 | asset | connector | what a payment provider has captured for us and not paid out |
//! | courier cash | 1100 | asset | courier | what a courier has been handed at doors and not handed in |
//! | escrow | 2000 | liability | order (any subject) | what was paid for it and belongs to nobody yet |
//! | merchant payable | 2100 | liability | merchant | what we owe the merchant |
//! | courier payable | 2200 | liability | courier | what we owe the courier: fee share and tips |
//! | tax payable | 2300 | liability | house | tax to be passed on |
//! | wallet | 2400 | liability | user | what a user has with us |
//! | commission | 4000 | revenue | house | our share of the merchants' sales |
//! | fees | 4100 | revenue | house | service fees and our share of delivery fees |
//! | promotions | 5000 | expense | house | discounts that we bear |
//! | refunds borne | 5100 | expense | house | refunds that an escrow did not hold any more: the platform's reserve |
//!
//! | template | number | debit | credit | when |
//! | --- | --- | --- | --- | --- |
//! | card captured | 1 | provider receivable | escrow | the provider says that it captured; an authorisation moves nothing, it is not our money |
//! | cash collected | 2 | courier cash | escrow | the courier took it at the door |
//! | promotion | 10 | promotions | escrow | settlement: the discount, so that escrow holds the whole price |
//! | shortage | 11 | refunds borne | escrow | settlement: what was captured too little or refunded before |
//! | to merchant | 12 | escrow | merchant payable | settlement: net sales less commission |
//! | to courier | 13 | escrow | courier payable | settlement: share of fee and surge, and the tip |
//! | commission | 14 | escrow | commission | settlement |
//! | fees | 15 | escrow | fees | settlement: service fee, the rest of the delivery fee |
//! | tax | 16 | escrow | tax payable | settlement |
//! | refund held | 20 | escrow, or refunds borne if escrow is empty | provider receivable, or wallet for cash | a refund is asked for: pending |
//! | refund paid | 21 | as held | as held | the provider says that it paid back: posts the pending one |
//! | refund released | 22 | as held | as held | the provider says that it will not: voids the pending one |
//! | refund returned | 23 | escrow | refunds borne | a held refund was released after the order was settled |
//!
//! 1000 and above are administrators' own, posted from outside ([`bulk`]).
//!
//! 10 to 16 are one linked transfer. Ids are derived from what is paid for and the template, so a repeat is recognised and moves nothing.
//! When an order has ended, its escrow is empty.

pub mod bulk;
pub mod chart;
pub mod http;
pub mod templates;
