//! The rules of accounts: from an account as it is, and what happened, to what becomes of it.
//!
//! Each function takes facts and returns a decision; none reads a clock or a store. Whatever they
//! decide, an account is never overspent: `authorised + captured <= limit + deposits`. What is
//! authorised counts from then on, so orders that race each other cannot spend the same money.
//!
//! - [`customer`]: a customer and the account's limit
//! - [`deposit`]: money paid in
//! - [`order`]: the payment of an order, from authorisation to capture or release

pub mod customer;
pub mod deposit;
pub mod order;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod properties;

use events::money::{self, Amount, Currency};
use events::payment::Account;

/// Why a request changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Refusal {
    /// There is no such customer.
    #[error("there is no such customer")]
    UnknownCustomer,
    /// The account was used, so its currency stays.
    #[error("the account was used in {currency}, which stays its currency")]
    CurrencyFixed {
        /// The account's currency.
        currency: Currency,
    },
    /// Orders have taken more than the new limit would allow.
    #[error("the limit cannot be below {lowest}, which orders have taken beyond the deposits")]
    LimitTooLow {
        /// The lowest limit there can be.
        lowest: Amount,
    },
    /// Limit and deposits together are no amount any more.
    #[error("the limit {limit} and the deposits {deposits} are too much together")]
    TooMuch {
        /// The limit there would be.
        limit: Amount,
        /// The deposits there would be, without the one that was asked for.
        deposits: Amount,
    },
    /// A deposit of nothing.
    #[error("a deposit is more than 0")]
    NothingDeposited,
    /// The account's currency cannot say the amount.
    #[error("{amount} has more than the {decimals} decimals of the account's currency")]
    TooManyDecimals {
        /// The amount.
        amount: Amount,
        /// The decimals of the account's currency.
        decimals: u32,
    },
    /// The deposit's id belongs to another deposit.
    #[error("the deposit was made before, of {made}")]
    OtherAmount {
        /// How much that one was.
        made: Amount,
    },
}

/// What an account can still take: `limit + deposits - captured - authorised`.
pub fn available(account: &Account) -> Amount {
    let left = covered(account)
        .and_then(|covered| covered.minus(account.captured))
        .and_then(|left| left.minus(account.authorised));
    // No decision here overspends an account; one that was overspent all the same can take nothing.
    left.unwrap_or_else(|_| Amount::zero(account.currency))
}

/// All that orders may take from an account: `limit + deposits`.
fn covered(account: &Account) -> Result<Amount, money::Error> {
    account.limit.plus(account.deposits)
}
