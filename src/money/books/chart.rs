//! The chart of accounts: which accounts there are, what they may never do, how their owners are shown.

use storage::ledger::{self, AccountKey, Constraint};
use storage::{Direction, Id, Kind, Read, Txn};

use crate::money::Currency;

/// An account's purpose; the number is stored for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Code {
    ProviderReceivable = 1000,
    CourierCash = 1100,
    Escrow = 2000,
    MerchantPayable = 2100,
    CourierPayable = 2200,
    TaxPayable = 2300,
    Wallet = 2400,
    Commission = 4000,
    Fees = 4100,
    Promotions = 5000,
    RefundsBorne = 5100,
}

impl Code {
    pub const ALL: [Self; 11] = [
        Self::ProviderReceivable,
        Self::CourierCash,
        Self::Escrow,
        Self::MerchantPayable,
        Self::CourierPayable,
        Self::TaxPayable,
        Self::Wallet,
        Self::Commission,
        Self::Fees,
        Self::Promotions,
        Self::RefundsBorne,
    ];

    /// As the API and the documents call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProviderReceivable => "provider_receivable",
            Self::CourierCash => "courier_cash",
            Self::Escrow => "escrow",
            Self::MerchantPayable => "merchant_payable",
            Self::CourierPayable => "courier_payable",
            Self::TaxPayable => "tax_payable",
            Self::Wallet => "wallet",
            Self::Commission => "commission",
            Self::Fees => "fees",
            Self::Promotions => "promotions",
            Self::RefundsBorne => "refunds_borne",
        }
    }

    /// By its number or its name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == text || text.parse() == Ok(*code as u16))
    }

    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u16 == number)
    }

    /// Assets are never negative, nor is what we owe; revenue and expenses go either way (corrections).
    const fn constraint(self) -> Constraint {
        match self {
            Self::ProviderReceivable | Self::CourierCash => Constraint::CreditsMustNotExceedDebits,
            Self::Escrow | Self::MerchantPayable | Self::CourierPayable | Self::TaxPayable | Self::Wallet => {
                Constraint::DebitsMustNotExceedCredits
            }
            Self::Commission | Self::Fees | Self::Promotions | Self::RefundsBorne => Constraint::None,
        }
    }

    /// Assets and expenses grow by debits, the others by credits.
    #[must_use]
    pub const fn grows_by_debits(self) -> bool {
        match self {
            Self::ProviderReceivable | Self::CourierCash | Self::Promotions | Self::RefundsBorne => true,
            Self::Escrow
            | Self::MerchantPayable
            | Self::CourierPayable
            | Self::TaxPayable
            | Self::Wallet
            | Self::Commission
            | Self::Fees => false,
        }
    }

    /// An account's owner as text: a TypeID where it is somebody, the connector's name, nothing for the house.
    #[must_use]
    pub fn owner(self, owner: u128) -> Option<String> {
        match self {
            Self::ProviderReceivable => Some(connector_name(owner)),
            Self::CourierCash | Self::CourierPayable => Some(typeid::<Courier>(owner)),
            Self::Escrow => Some(typeid::<Order>(owner)),
            Self::MerchantPayable => Some(typeid::<Merchant>(owner)),
            Self::Wallet => Some(typeid::<User>(owner)),
            Self::TaxPayable | Self::Commission | Self::Fees | Self::Promotions | Self::RefundsBorne => None,
        }
    }
}

/// The account of this purpose and owner; opened if it is not there yet.
pub fn account(txn: &mut Txn<'_>, code: Code, owner: u128, currency: Currency) -> AccountKey {
    let key = key(code, owner, currency);
    ledger::open(txn, key, code.constraint());
    key
}

/// Whether something stands, or is held, on this owner's accounts of this purpose, in any currency.
#[must_use]
pub fn has_balance(read: &(impl Read + ?Sized), code: Code, owner: u128) -> bool {
    let mut accounts = ledger::ACCOUNTS.scan_prefix(read, &(code as u16, owner), Direction::Forward);
    accounts.any(|(_, account)| account.credit_balance() != 0 || account.debits_pending != 0 || account.credits_pending != 0)
}

/// The account's key, whether or not it is open.
#[must_use]
pub fn key(code: Code, owner: u128, currency: Currency) -> AccountKey {
    AccountKey { code: code as u16, owner, currency: currency.into() }
}

/// The house's own accounts have no owner.
pub const HOUSE: u128 = 0;

/// A connector as an owner: its name's bytes, so that it can be read again.
///
/// # Panics
/// If the name is longer than 16 bytes.
#[must_use]
pub fn connector_owner(name: &str) -> u128 {
    assert!(name.len() <= 16, "connector names have at most 16 bytes");
    name.bytes().fold(0, |owner, byte| (owner << 8) | u128::from(byte))
}

fn connector_name(owner: u128) -> String {
    owner.to_be_bytes().into_iter().filter(|byte| *byte != 0).map(char::from).collect()
}

fn typeid<K: Kind>(bits: u128) -> String {
    Id::<K>::from_u128(bits).to_string()
}

/// Other modules' ids, as they look outside: money shows them, it does not know what they are.
macro_rules! shown {
    ($($name:ident $prefix:literal),*) => {$(
        struct $name;
        impl Kind for $name {
            const PREFIX: &'static str = $prefix;
        }
    )*};
}
shown!(Courier "cou", Order "ord", Merchant "mer", User "usr");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_one_to_one() {
        for code in Code::ALL {
            assert_eq!((Code::parse(code.name()), Code::from_number(code as u16)), (Some(code), Some(code)));
            assert_eq!(Code::parse(&(code as u16).to_string()), Some(code));
        }
        assert_eq!((Code::parse("cash"), Code::parse("7")), (None, None));
        assert_eq!(Code::ProviderReceivable.owner(connector_owner("sandbox")).as_deref(), Some("sandbox"));
    }
}
