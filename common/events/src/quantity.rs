//! How many pieces of a product a line asks for.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A number of pieces: 1 to 1,000,000.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(try_from = "u64", into = "u64")]
#[schema(minimum = 1, maximum = 1_000_000)]
pub struct Quantity(u32);

/// A number that is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a quantity is 1 to {max}, not {0}", max = Quantity::MAX)]
pub struct Error(pub u64);

impl Quantity {
    /// The largest quantity.
    pub const MAX: u32 = 1_000_000;

    /// This many pieces.
    ///
    /// # Errors
    /// [`Error`] for 0, and for more than [`Quantity::MAX`].
    pub fn new(pieces: u64) -> Result<Self, Error> {
        match u32::try_from(pieces) {
            Ok(pieces) if (1..=Self::MAX).contains(&pieces) => Ok(Quantity(pieces)),
            _ => Err(Error(pieces)),
        }
    }

    /// The number of pieces.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u64> for Quantity {
    type Error = Error;

    fn try_from(pieces: u64) -> Result<Self, Error> {
        Quantity::new(pieces)
    }
}

impl From<Quantity> for u64 {
    fn from(quantity: Quantity) -> u64 {
        quantity.0.into()
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_one_to_a_million() {
        assert_eq!(Quantity::new(0), Err(Error(0)));
        assert_eq!(Quantity::new(1).map(Quantity::get), Ok(1));
        assert_eq!(Quantity::new(1_000_000).map(Quantity::get), Ok(1_000_000));
        assert_eq!(Quantity::new(1_000_001), Err(Error(1_000_001)));
        assert_eq!(Quantity::new(u64::MAX), Err(Error(u64::MAX)));
    }

    #[test]
    fn a_quantity_is_checked_when_it_is_read() {
        assert_eq!(serde_json::from_str::<Quantity>("2").unwrap().get(), 2);
        for text in ["0", "-1", "1.5", "1000001", "\"2\""] {
            assert!(serde_json::from_str::<Quantity>(text).is_err(), "{text}");
        }
    }
}
