//! Ids: text of one form, each kind a type of its own.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use streams::{DecodeError, Key};
use utoipa::ToSchema;
use uuid::Uuid;

/// The most characters an id has.
pub const LENGTH_MAX: usize = 64;

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No characters at all.
    #[error("an id has at least 1 character")]
    Empty,
    /// More characters than [`LENGTH_MAX`].
    #[error("an id has at most {LENGTH_MAX} bytes, not {length}")]
    TooLong {
        /// The text's length in bytes.
        length: usize,
    },
    /// A character outside the alphabet of ids.
    #[error("an id is made of A-Z a-z 0-9 . _ : -, without {0:?}")]
    Character(char),
    /// Signs alone: nobody could say such an id, and a path of dots would be another path.
    #[error("an id has at least one letter or digit")]
    NoLetterOrDigit,
    /// A request id that is no UUID.
    #[error("a request id is a UUID: {0}")]
    Uuid(#[from] uuid::Error),
}

/// The text of an id. Shared, since an id is copied along with everything it names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Text(Arc<str>);

impl Text {
    fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::Empty);
        }
        if text.len() > LENGTH_MAX {
            return Err(Error::TooLong { length: text.len() });
        }
        let is_sign = |byte: u8| matches!(byte, b'.' | b'_' | b':' | b'-');
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || is_sign(byte);
        if !text.bytes().all(is_allowed) {
            let other = text.chars().find(|char| !u8::try_from(*char).is_ok_and(is_allowed));
            return Err(Error::Character(other.unwrap_or_default()));
        }
        if !text.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Error::NoLetterOrDigit);
        }
        Ok(Text(text.into()))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an id")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Text::parse(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])+ $name:ident;)+) => {$(
        $(#[$doc])+
        ///
        /// 1 to 64 of `A-Za-z0-9._:-`, with at least one letter or digit.
        #[derive(
            Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        #[serde(transparent)]
        #[schema(
            value_type = String,
            min_length = 1,
            max_length = 64,
            pattern = "^[._:-]*[A-Za-z0-9][A-Za-z0-9._:-]*$",
        )]
        pub struct $name(Text);

        impl $name {
            /// The id with this text.
            ///
            /// # Errors
            /// [`Error`] where the text is no id.
            pub fn parse(text: &str) -> Result<Self, Error> {
                Text::parse(text).map($name)
            }

            /// The id's text.
            pub fn as_str(&self) -> &str {
                &self.0.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                $name::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl Key for $name {
            fn encode(&self) -> Bytes {
                Bytes::copy_from_slice(self.as_str().as_bytes())
            }

            fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                key_text(bytes)?.parse().map_err(malformed)
            }
        }
    )+};
}

ids! {
    /// An order, named by the client or by the edge that took it in.
    OrderId;
    /// A product of the catalogue.
    ProductId;
    /// A customer, and the customer's one account.
    CustomerId;
    /// An adjustment of a product's stock, unique for that product.
    AdjustmentId;
    /// A deposit to a customer's account, unique for that customer.
    DepositId;
}

/// One request as one client sent it. Who waits for an answer knows the answer by this id, and can
/// tell whether what stands there now is its own work or that of an earlier request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = "uuid")]
pub struct RequestId(Uuid);

impl RequestId {
    /// The id with these 128 bits, made by whoever takes the request in.
    pub const fn from_u128(bits: u128) -> Self {
        RequestId(Uuid::from_u128(bits))
    }

    /// The id with this text, a UUID in any of its usual forms.
    ///
    /// # Errors
    /// [`Error::Uuid`] where the text is no UUID.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(RequestId(Uuid::try_parse(text)?))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RequestId({self})")
    }
}

impl Key for RequestId {
    fn encode(&self) -> Bytes {
        let mut text = Uuid::encode_buffer();
        Bytes::copy_from_slice(self.0.hyphenated().encode_lower(&mut text).as_bytes())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        RequestId::parse(key_text(bytes)?).map_err(malformed)
    }
}

/// Two ids as one key, such as a reservation's product and order. Pairs order by the first id,
/// then by the second.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair<First, Second> {
    /// The id that groups pairs.
    pub first: First,
    /// The id within the group.
    pub second: Second,
}

/// Between the two ids of a pair: below every character of an id, so that `a` orders before `a-b`.
const SEPARATOR: u8 = 0;

impl<First: Key, Second: Key> Pair<First, Second> {
    /// The key of these two ids.
    pub const fn new(first: First, second: Second) -> Self {
        Pair { first, second }
    }

    /// The bytes that the keys of all pairs with this first id begin with, and no others do.
    pub fn prefix(first: &First) -> Bytes {
        Bytes::from([first.encode().as_ref(), &[SEPARATOR]].concat())
    }
}

impl<First: Key, Second: Key> Key for Pair<First, Second> {
    fn encode(&self) -> Bytes {
        let (first, second) = (self.first.encode(), self.second.encode());
        Bytes::from([first.as_ref(), &[SEPARATOR], second.as_ref()].concat())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut ids = bytes.splitn(2, |byte| *byte == SEPARATOR);
        let (Some(first), Some(second)) = (ids.next(), ids.next()) else {
            return Err(DecodeError::Malformed("one id where two are expected".to_owned()));
        };
        Ok(Pair { first: First::decode(first)?, second: Second::decode(second)? })
    }
}

fn key_text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))
}

fn malformed(error: Error) -> DecodeError {
    DecodeError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_says_which_rule_a_text_breaks() {
        let refused = |text: &str| OrderId::parse(text).unwrap_err();

        assert_eq!(refused(""), Error::Empty);
        assert_eq!(refused(&"a".repeat(65)), Error::TooLong { length: 65 });
        assert_eq!(refused("a b"), Error::Character(' '));
        assert_eq!(refused("a/b"), Error::Character('/'));
        assert_eq!(refused("o-1é"), Error::Character('é'));
        assert_eq!(refused("o\0"), Error::Character('\0'));
        assert_eq!(refused(".."), Error::NoLetterOrDigit);
        assert_eq!(OrderId::parse(&"a".repeat(64)).unwrap().as_str().len(), 64);
        assert_eq!(OrderId::parse("-._:9").unwrap().to_string(), "-._:9");
    }

    #[test]
    fn an_id_is_checked_when_it_is_read() {
        assert_eq!(serde_json::from_str::<OrderId>("\"o-1\"").unwrap().as_str(), "o-1");
        for text in ["\"\"", "\"a b\"", "7", "null"] {
            assert!(serde_json::from_str::<OrderId>(text).is_err(), "{text}");
        }
        assert!(matches!(ProductId::decode(b"\xff"), Err(DecodeError::Malformed(_))));
        assert!(matches!(ProductId::decode(b"a b"), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn a_request_id_is_a_uuid_written_in_one_form() {
        let id = RequestId::parse("01937C5E-7A2B-7C3D-8E4F-5A6B7C8D9E0F").unwrap();

        assert_eq!(id.to_string(), "01937c5e-7a2b-7c3d-8e4f-5a6b7c8d9e0f");
        assert_eq!(&id.encode()[..], id.to_string().as_bytes());
        assert!(matches!(RequestId::parse("o-1"), Err(Error::Uuid(_))));
    }

    #[test]
    fn a_pair_needs_both_ids() {
        type Reservation = Pair<ProductId, OrderId>;

        for bytes in [b"jumper".as_slice(), b"jumper\0", b"\0o-1", b"jumper\0o-1\0"] {
            assert!(Reservation::decode(bytes).is_err(), "{bytes:?}");
        }
    }

    fn any_id() -> impl Strategy<Value = ProductId> {
        "[A-Za-z0-9._:-]{1,64}".prop_filter_map("signs alone", |text| ProductId::parse(&text).ok())
    }

    proptest! {
        #[test]
        fn parsing_accepts_exactly_the_texts_of_ids(text in "[ -~é]{0,70}") {
            let allowed = |char: char| char.is_ascii_alphanumeric() || "._:-".contains(char);
            let is_id = (1..=64).contains(&text.len())
                && text.chars().all(allowed)
                && text.contains(|char: char| char.is_ascii_alphanumeric());
            prop_assert_eq!(ProductId::parse(&text).is_ok(), is_id);
        }

        #[test]
        fn ids_and_their_keys_read_back_and_order_alike(one in any_id(), other in any_id()) {
            prop_assert_eq!(&ProductId::decode(&one.encode()).unwrap(), &one);
            let json = serde_json::to_string(&one).unwrap();
            prop_assert_eq!(&serde_json::from_str::<ProductId>(&json).unwrap(), &one);
            prop_assert_eq!(one.cmp(&other), one.encode().cmp(&other.encode()));
        }

        #[test]
        fn request_ids_and_their_keys_read_back_and_order_alike(one: u128, other: u128) {
            let (one, other) = (RequestId::from_u128(one), RequestId::from_u128(other));
            prop_assert_eq!(RequestId::decode(&one.encode()).unwrap(), one);
            prop_assert_eq!(one.cmp(&other), one.encode().cmp(&other.encode()));
        }

        #[test]
        fn pairs_read_back_order_alike_and_begin_with_their_first_id(
            firsts in ("[a-c-]{0,2}a", "[a-c-]{0,2}a"),
            seconds in ("[a-c-]{0,2}a", "[a-c-]{0,2}a"),
        ) {
            let pair = |first: &str, second: &str| {
                Pair::new(ProductId::parse(first).unwrap(), ProductId::parse(second).unwrap())
            };
            let (one, other) = (pair(&firsts.0, &seconds.0), pair(&firsts.1, &seconds.1));
            prop_assert_eq!(&Pair::decode(&one.encode()).unwrap(), &one);
            prop_assert_eq!(one.cmp(&other), one.encode().cmp(&other.encode()));
            let in_group = other.encode().starts_with(&Pair::<_, ProductId>::prefix(&one.first));
            prop_assert_eq!(in_group, one.first == other.first);
        }
    }
}
