//! Money paid into an account.

use events::ids::RequestId;
use events::money::Amount;
use events::payment::{Account, Deposit};

use super::{Refusal, covered};

/// A deposit that was made, kept for ever by customer and deposit id.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DepositRecord {
    /// The request that made it.
    pub request_id: RequestId,
    /// How much it was.
    pub amount: Amount,
}

/// What a request to pay money in does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deposited {
    /// The account has more, and the deposit is to be kept.
    Applied(Account, DepositRecord),
    /// The same deposit was made before; nothing changes.
    Repeated,
    /// It cannot be done; nothing changes.
    Refused(Refusal),
}

/// Pays money into an account. `made` is the deposit that was made under the request's deposit id,
/// if there was one.
pub fn deposit(
    account: Option<&Account>,
    made: Option<&DepositRecord>,
    request: &Deposit,
) -> Deposited {
    match made {
        Some(made) if made.amount == request.amount => Deposited::Repeated,
        Some(made) => Deposited::Refused(Refusal::OtherAmount { made: made.amount }),
        None => match pay_in(account, request.amount) {
            Ok((account, amount)) => {
                let record = DepositRecord { request_id: request.request_id, amount };
                Deposited::Applied(account, record)
            }
            Err(refusal) => Deposited::Refused(refusal),
        },
    }
}

/// The account with so much more, and the amount with its currency's decimals.
fn pay_in(account: Option<&Account>, amount: Amount) -> Result<(Account, Amount), Refusal> {
    let before = account.ok_or(Refusal::UnknownCustomer)?;
    if amount.is_zero() {
        return Err(Refusal::NothingDeposited);
    }
    let decimals = before.currency.decimals();
    let amount = amount
        .in_currency(before.currency)
        .map_err(|_| Refusal::TooManyDecimals { amount, decimals })?;
    let too_much = |_| Refusal::TooMuch { limit: before.limit, deposits: before.deposits };
    let deposits = before.deposits.plus(amount).map_err(too_much)?;
    let account = Account { deposits, used: true, ..before.clone() };
    covered(&account).map_err(too_much)?;
    Ok((account, amount))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::fixtures::*;

    fn refused(account: &Account, text: &str) -> Refusal {
        match deposit(Some(account), None, &paid_in(text)) {
            Deposited::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_deposit_adds_to_the_account_and_is_kept() {
        let outcome = deposit(Some(&unused_account()), None, &paid_in("10.5"));

        let Deposited::Applied(account, record) = outcome else { panic!("{outcome:?}") };
        let deposits = amount("10.50");
        assert_eq!(account, Account { deposits, used: true, ..unused_account() });
        assert_eq!(record.amount.to_string(), "10.50");
        assert_eq!(record.request_id, paid_in("10.5").request_id);
    }

    #[test]
    fn a_deposit_is_more_than_nothing() {
        assert_eq!(refused(&unused_account(), "0.00"), Refusal::NothingDeposited);
    }

    #[test]
    fn a_deposit_has_the_decimals_of_the_accounts_currency() {
        let too_many = Refusal::TooManyDecimals { amount: amount("0.001"), decimals: 2 };
        assert_eq!(refused(&unused_account(), "0.001"), too_many);
    }

    #[test]
    fn a_deposit_that_is_too_much_is_refused() {
        for account in [unused_account(), used_account()] {
            let (limit, deposits) = (account.limit, account.deposits);
            let too_much = Refusal::TooMuch { limit, deposits };
            assert_eq!(refused(&account, "999999999999999.99"), too_much);
            assert_eq!(refused(&account, "999999999999990.00"), too_much);
        }
    }

    #[test]
    fn the_same_deposit_again_changes_nothing() {
        let made = DepositRecord { request_id: RequestId::from_u128(1), amount: amount("10.50") };

        let again = deposit(Some(&used_account()), Some(&made), &paid_in("10.5"));

        assert_eq!(again, Deposited::Repeated);
    }

    #[test]
    fn another_deposit_under_the_same_id_is_refused() {
        let made = DepositRecord { request_id: RequestId::from_u128(1), amount: amount("10.50") };

        let other = deposit(Some(&used_account()), Some(&made), &paid_in("10.51"));

        assert_eq!(other, Deposited::Refused(Refusal::OtherAmount { made: amount("10.50") }));
    }

    #[test]
    fn an_unknown_customer_has_no_account_to_pay_into() {
        let outcome = deposit(None, None, &paid_in("10"));

        assert_eq!(outcome, Deposited::Refused(Refusal::UnknownCustomer));
    }

    #[test]
    fn what_is_kept_reads_back() {
        let made = DepositRecord { request_id: RequestId::from_u128(1), amount: amount("10.50") };
        let json = serde_json::to_string(&made).unwrap();
        assert_eq!(serde_json::from_str::<DepositRecord>(&json).unwrap(), made);

        let refusal = Refusal::OtherAmount { made: amount("10.50") };
        let json = serde_json::to_string(&refusal).unwrap();
        assert_eq!(json, r#"{"OTHER_AMOUNT":{"made":"10.50"}}"#);
        assert_eq!(serde_json::from_str::<Refusal>(&json).unwrap(), refusal);
    }
}
