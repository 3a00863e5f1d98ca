//! Exact decimal money with an ISO 4217 currency.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::quantity::Quantity;

/// Why something is no money, or too much of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No decimal number: digits, and after a point more digits.
    #[error("an amount is written like 12.99, not {0:?}")]
    Malformed(String),
    /// Below 0. What goes the other way has a name of its own, never a sign.
    #[error("an amount is 0 or more")]
    Negative,
    /// More decimals than the currency has, or than any currency has.
    #[error("{amount} has more than {decimals} decimals")]
    TooManyDecimals {
        /// The amount as it was written.
        amount: String,
        /// The most decimals it may have.
        decimals: u32,
    },
    /// More than [`Amount::WHOLE_DIGITS_MAX`] digits before the point.
    #[error("an amount has at most {} digits before the point", Amount::WHOLE_DIGITS_MAX)]
    TooLarge,
    /// No code of ISO 4217.
    #[error("{0:?} is no ISO 4217 currency code")]
    UnknownCurrency(String),
}

/// How much of a rejected text an error repeats: enough to recognise it, and no more, since the
/// text may be as long as a request.
const QUOTED_CHARACTERS_MAX: usize = 40;

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_CHARACTERS_MAX).collect()
}

/// A currency of ISO 4217, known by its three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, pattern = "^[A-Z]{3}$")]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The currency with this code.
    ///
    /// # Errors
    /// [`Error::UnknownCurrency`] where ISO 4217 has no such code.
    pub fn parse(code: &str) -> Result<Self, Error> {
        iso_currency::Currency::from_code(code)
            .map(Currency)
            .ok_or_else(|| Error::UnknownCurrency(quoted(code)))
    }

    /// Its code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals its amounts have: most have 2, the yen none, the Kuwaiti dinar 3. Codes
    /// without a minor unit, such as gold's, count whole units.
    pub fn decimals(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl FromStr for Currency {
    type Err = Error;

    fn from_str(code: &str) -> Result<Self, Error> {
        Currency::parse(code)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed_string(deserializer, "a currency code", Currency::parse)
    }
}

/// An amount of money whose currency is known from where it stands: 0 or more, with at most 15
/// digits before the point and 4 after it. As JSON it is a string and never a number, which many
/// readers would round. Amounts that differ in their decimals alone are equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, pattern = "^0*[0-9]{1,15}([.][0-9]{1,4}0*)?$")]
pub struct Amount(Decimal);

/// It keeps the decimals it was written with: [`Amount::in_currency`] gives it those of its
/// currency, and adding, taking away and multiplying keep them.
impl Amount {
    /// The most digits before the point. So no sum of two amounts, nor the price of any quantity,
    /// comes near the 28 digits that a decimal holds.
    pub const WHOLE_DIGITS_MAX: usize = 15;
    /// The most digits after the point: those of the currencies with the smallest unit.
    pub const DECIMALS_MAX: usize = 4;

    /// The first number that is too large.
    const LIMIT: Decimal = Decimal::from_parts(0xa4c6_8000, 0x0003_8d7e, 0, false, 0);

    /// So many whole units of whatever currency.
    pub const fn whole(units: u32) -> Self {
        Amount(Decimal::from_parts(units, 0, 0, false, 0))
    }

    /// Nothing, in a currency.
    pub fn zero(currency: Currency) -> Self {
        Amount(Decimal::new(0, currency.decimals()))
    }

    /// The amount with this text. Zeros after [`Amount::DECIMALS_MAX`] decimals are left out.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Negative`], [`Error::TooLarge`], or
    /// [`Error::TooManyDecimals`] where no currency has as many.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let unsigned = text.strip_prefix('-');
        let (whole, decimals) =
            digits(unsigned.unwrap_or(text)).ok_or_else(|| Error::Malformed(quoted(text)))?;
        if unsigned.is_some() {
            return Err(Error::Negative);
        }
        let whole = whole.trim_start_matches('0');
        if whole.len() > Self::WHOLE_DIGITS_MAX {
            return Err(Error::TooLarge);
        }
        let (kept, rest) = decimals.split_at(decimals.len().min(Self::DECIMALS_MAX));
        if rest.contains(|digit| digit != '0') {
            let decimals = Self::DECIMALS_MAX as u32;
            return Err(Error::TooManyDecimals { amount: quoted(text), decimals });
        }
        let number = whole
            .bytes()
            .chain(kept.bytes())
            .fold(0, |number: u64, digit| number * 10 + u64::from(digit - b'0'));
        Ok(Amount(Decimal::from_i128_with_scale(number.into(), kept.len() as u32)))
    }

    /// The same amount with exactly the currency's decimals.
    ///
    /// # Errors
    /// [`Error::TooManyDecimals`] where the currency's decimals cannot say it.
    pub fn in_currency(self, currency: Currency) -> Result<Self, Error> {
        let decimals = currency.decimals();
        let mut amount = self.0;
        if amount.scale() != decimals {
            amount.rescale(decimals);
        }
        if amount == self.0 {
            Ok(Amount(amount))
        } else {
            Err(Error::TooManyDecimals { amount: self.to_string(), decimals })
        }
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The sum.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn plus(self, other: Amount) -> Result<Self, Error> {
        Self::within_limit(self.0.checked_add(other.0))
    }

    /// What is left.
    ///
    /// # Errors
    /// [`Error::Negative`] where `other` is more.
    pub fn minus(self, other: Amount) -> Result<Self, Error> {
        match self.0.checked_sub(other.0) {
            Some(left) if left >= Decimal::ZERO => Ok(Amount(left)),
            _ => Err(Error::Negative),
        }
    }

    /// The price of so many pieces at this price each.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn times(self, quantity: Quantity) -> Result<Self, Error> {
        Self::within_limit(self.0.checked_mul(quantity.get().into()))
    }

    fn within_limit(amount: Option<Decimal>) -> Result<Self, Error> {
        amount.filter(|amount| *amount < Self::LIMIT).map(Amount).ok_or(Error::TooLarge)
    }
}

/// The digits before and after the point; `None` where the text is no decimal number.
fn digits(text: &str) -> Option<(&str, &str)> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, decimals)) => {
            (is_digits(whole) && is_digits(decimals)).then_some((whole, decimals))
        }
        None => is_digits(text).then_some((text, "")),
    }
}

impl FromStr for Amount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Amount::parse(text)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed_string(deserializer, "a decimal amount as a string", Amount::parse)
    }
}

/// An amount and its currency, for where it stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "UncheckedMoney")]
pub struct Money {
    amount: Amount,
    currency: Currency,
}

impl Money {
    /// So much of a currency, with the currency's decimals.
    ///
    /// # Errors
    /// [`Error::TooManyDecimals`].
    pub fn new(amount: Amount, currency: Currency) -> Result<Self, Error> {
        Ok(Money { amount: amount.in_currency(currency)?, currency })
    }

    /// How much, with the currency's decimals.
    pub const fn amount(self) -> Amount {
        self.amount
    }

    /// Of what.
    pub const fn currency(self) -> Currency {
        self.currency
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.amount, self.currency)
    }
}

#[derive(Deserialize)]
struct UncheckedMoney {
    amount: Amount,
    currency: Currency,
}

impl TryFrom<UncheckedMoney> for Money {
    type Error = Error;

    fn try_from(money: UncheckedMoney) -> Result<Self, Error> {
        Money::new(money.amount, money.currency)
    }
}

/// Reads a string, and nothing but a string, and parses it.
fn parsed_string<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    parse: fn(&str) -> Result<T, Error>,
) -> Result<T, D::Error> {
    struct ParsingVisitor<T> {
        expected: &'static str,
        parse: fn(&str) -> Result<T, Error>,
    }

    impl<T> Visitor<'_> for ParsingVisitor<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.expected)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            (self.parse)(text).map_err(E::custom)
        }
    }

    deserializer.deserialize_str(ParsingVisitor { expected, parse })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    fn in_currency(text: &str, code: &str) -> Result<String, Error> {
        amount(text).in_currency(currency(code)).map(|amount| amount.to_string())
    }

    #[test]
    fn an_amount_gets_exactly_the_decimals_of_its_currency() {
        assert_eq!(in_currency("12.9", "GBP").unwrap(), "12.90");
        assert_eq!(in_currency("12", "GBP").unwrap(), "12.00");
        assert_eq!(in_currency("0", "GBP").unwrap(), "0.00");
        assert_eq!(in_currency("12.9900", "GBP").unwrap(), "12.99");
        assert_eq!(in_currency("0012.99000000", "GBP").unwrap(), "12.99");
        assert_eq!(in_currency("1500.00", "JPY").unwrap(), "1500");
        assert_eq!(in_currency("1.5", "KWD").unwrap(), "1.500");
        assert_eq!(in_currency("1.5", "CLF").unwrap(), "1.5000");
        assert_eq!(in_currency("3", "XAU").unwrap(), "3");
    }

    #[test]
    fn an_amount_that_the_currency_cannot_say_is_refused() {
        for (text, code, decimals) in
            [("12.999", "GBP", 2), ("0.5", "JPY", 0), ("0.0001", "KWD", 3), ("0.5", "XAU", 0)]
        {
            let too_many = Error::TooManyDecimals { amount: text.to_owned(), decimals };
            assert_eq!(in_currency(text, code), Err(too_many), "{text} {code}");
        }
        let in_any = Amount::parse("0.00001").unwrap_err();
        assert_eq!(in_any, Error::TooManyDecimals { amount: "0.00001".to_owned(), decimals: 4 });
    }

    #[test]
    fn texts_that_are_no_amount_are_refused() {
        for text in ["", ".", "1.", ".5", "+1", "1e3", "1_000", "1,5", " 1", "0x1", "--1", "١"] {
            assert_eq!(Amount::parse(text), Err(Error::Malformed(text.to_owned())), "{text}");
        }
        assert_eq!(Amount::parse("-0.01"), Err(Error::Negative));
        assert_eq!(Amount::parse("1000000000000000"), Err(Error::TooLarge));
        let Err(Error::Malformed(quoted)) = Amount::parse(&"x".repeat(300_000)) else { panic!() };
        assert_eq!(quoted.len(), 40);
    }

    #[test]
    fn sums_and_products_are_exact_and_bounded() {
        let largest = amount("999999999999999.9999");
        let two = Quantity::new(2).unwrap();
        let smallest = amount("0.0001");

        assert_eq!(amount("0.10").plus(amount("0.20")).unwrap().to_string(), "0.30");
        assert_eq!(amount("12.99").times(two).unwrap().to_string(), "25.98");
        assert_eq!(Amount::zero(currency("GBP")).plus(amount("5.00")).unwrap().to_string(), "5.00");
        assert_eq!(amount("5.00").minus(amount("5.00")).unwrap().to_string(), "0.00");
        assert_eq!(largest.plus(smallest), Err(Error::TooLarge));
        assert_eq!(largest.times(Quantity::new(1_000_000).unwrap()), Err(Error::TooLarge));
        assert_eq!(largest.times(two), Err(Error::TooLarge));
        assert_eq!(amount("1.00").minus(amount("1.01")), Err(Error::Negative));
        assert_eq!(largest.minus(smallest).unwrap().to_string(), "999999999999999.9998");
    }

    #[test]
    fn money_is_a_string_and_a_code_and_is_checked_when_it_is_read() {
        let money: Money =
            serde_json::from_str(r#"{"amount":"12.9","currency":"GBP","more":1}"#).unwrap();

        assert_eq!(money.to_string(), "12.90 GBP");
        assert_eq!(
            serde_json::to_string(&money).unwrap(),
            r#"{"amount":"12.90","currency":"GBP"}"#
        );
        for text in [
            r#"{"amount":12.9,"currency":"GBP"}"#,
            r#"{"amount":12,"currency":"GBP"}"#,
            r#"{"amount":"12.999","currency":"GBP"}"#,
            r#"{"amount":"-1","currency":"GBP"}"#,
            r#"{"amount":"1","currency":"gbp"}"#,
            r#"{"amount":"1","currency":"ABC"}"#,
            r#"{"amount":"1"}"#,
        ] {
            assert!(serde_json::from_str::<Money>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_limit_is_the_first_number_with_a_digit_too_many() {
        assert_eq!(Amount::LIMIT.to_string(), format!("1{}", "0".repeat(Amount::WHOLE_DIGITS_MAX)));
    }

    fn any_amount() -> impl Strategy<Value = Amount> {
        "[0-9]{1,15}([.][0-9]{1,4})?".prop_map(|text| Amount::parse(&text).unwrap())
    }

    proptest! {
        #[test]
        fn amounts_read_back_as_they_were_written(amount in any_amount()) {
            let json = serde_json::to_string(&amount).unwrap();
            let read: Amount = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read, amount);
            prop_assert_eq!(read.to_string(), amount.to_string());
        }

        #[test]
        fn what_is_added_can_be_taken_away(one in any_amount(), other in any_amount()) {
            if let Ok(sum) = one.plus(other) {
                prop_assert_eq!(sum.minus(other), Ok(one));
            } else {
                prop_assert!(one.0 + other.0 >= Amount::LIMIT);
            }
        }

        #[test]
        fn no_text_makes_parsing_fail_other_than_with_an_error(text in "[-+.0-9e]{0,40}") {
            if let Ok(amount) = Amount::parse(&text) {
                prop_assert!(amount.0 < Amount::LIMIT && amount.0 >= Decimal::ZERO);
            }
        }
    }
}
