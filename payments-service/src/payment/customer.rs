//! A customer and the account's limit.

use events::money::{self, Amount};
use events::payment::{Account, Customer, PutCustomer};

use super::{Refusal, covered};

/// What a request to put a customer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// There is a new customer with an account.
    Created(Customer, Account),
    /// The customer is another, or the account has another limit.
    Replaced(Customer, Account),
    /// It cannot be done; nothing changes.
    Refused(Refusal),
}

/// Enters a customer with an account, or replaces the customer and the account's limit.
pub fn put_customer(account: Option<&Account>, request: &PutCustomer) -> Put {
    let customer = Customer {
        customer_id: request.customer_id.clone(),
        first_name: request.first_name.clone(),
        last_name: request.last_name.clone(),
        email: request.email.clone(),
        address: request.address.clone(),
        level: request.level,
        currency: request.credit_limit.currency(),
    };
    let Some(before) = account else { return Put::Created(customer, new_account(request)) };
    if before.currency == customer.currency {
        return match with_limit(before, request.credit_limit.amount()) {
            Ok(account) => Put::Replaced(customer, account),
            Err(refusal) => Put::Refused(refusal),
        };
    }
    if before.used {
        return Put::Refused(Refusal::CurrencyFixed { currency: before.currency });
    }
    Put::Replaced(customer, new_account(request))
}

fn new_account(request: &PutCustomer) -> Account {
    let currency = request.credit_limit.currency();
    let nothing = Amount::zero(currency);
    Account {
        customer_id: request.customer_id.clone(),
        currency,
        limit: request.credit_limit.amount(),
        deposits: nothing,
        authorised: nothing,
        captured: nothing,
        used: false,
    }
}

fn with_limit(before: &Account, limit: Amount) -> Result<Account, Refusal> {
    let account = Account { limit, ..before.clone() };
    let too_much = |_: money::Error| Refusal::TooMuch { limit, deposits: before.deposits };
    let covered = covered(&account).map_err(too_much)?;
    let taken = account.authorised.plus(account.captured).map_err(too_much)?;
    if taken > covered {
        let lowest = taken.minus(account.deposits).map_err(too_much)?;
        return Err(Refusal::LimitTooLow { lowest });
    }
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::fixtures::*;

    #[test]
    fn a_new_customer_gets_an_account_with_the_limit() {
        let Put::Created(customer, account) = put_customer(None, &put("500", "GBP")) else {
            panic!("it is new")
        };

        assert_eq!((customer.first_name.as_str(), customer.currency), ("Grace", account.currency));
        assert_eq!(account, unused_account());
        assert_eq!(account.deposits.to_string(), "0.00");
    }

    #[test]
    fn a_known_customer_is_replaced_and_keeps_the_sums() {
        let request = PutCustomer { first_name: "Ada".to_owned(), ..put("600", "GBP") };

        let outcome = put_customer(Some(&used_account()), &request);

        let Put::Replaced(customer, account) = outcome else { panic!("{outcome:?}") };
        assert_eq!(customer.first_name, "Ada");
        assert_eq!(account, Account { limit: amount("600.00"), ..used_account() });
    }

    #[test]
    fn a_limit_can_go_down_to_what_orders_have_taken_beyond_the_deposits() {
        let outcome = put_customer(Some(&used_account()), &put("290", "GBP"));
        assert!(matches!(outcome, Put::Replaced(_, _)), "{outcome:?}");

        let outcome = put_customer(Some(&used_account()), &put("289.99", "GBP"));
        let refusal = Refusal::LimitTooLow { lowest: amount("290.00") };
        assert_eq!(outcome, Put::Refused(refusal));
    }

    #[test]
    fn a_limit_that_is_too_much_with_the_deposits_is_refused() {
        let request = put("999999999999999.99", "GBP");
        assert!(matches!(put_customer(Some(&unused_account()), &request), Put::Replaced(_, _)));

        let outcome = put_customer(Some(&used_account()), &request);

        let refusal = Refusal::TooMuch {
            limit: amount("999999999999999.99"),
            deposits: used_account().deposits,
        };
        assert_eq!(outcome, Put::Refused(refusal));
    }

    #[test]
    fn an_unused_account_takes_another_currency() {
        let outcome = put_customer(Some(&unused_account()), &put("50000", "JPY"));

        let Put::Replaced(customer, account) = outcome else { panic!("{outcome:?}") };
        assert_eq!((customer.currency.code(), account.currency.code()), ("JPY", "JPY"));
        assert_eq!(account.deposits.to_string(), "0");
    }

    #[test]
    fn a_used_account_keeps_its_currency() {
        let emptied = Account { used: true, ..unused_account() };
        for account in [used_account(), emptied] {
            let outcome = put_customer(Some(&account), &put("50000", "JPY"));

            let refusal = Refusal::CurrencyFixed { currency: account.currency };
            assert_eq!(outcome, Put::Refused(refusal));
        }
    }
}
