//! A place on the list of orders, as a client takes it from one page to the next.

use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use events::Timestamp;
use events::ids::OrderId;

/// The place of an order on the list: those that come later go before it, so that it stays where
/// it is whatever is placed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) placed_at: Timestamp,
    pub(crate) id: OrderId,
}

/// A text that no page gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is what a page before gave as nextCursor")]
pub(crate) struct NoCursor;

impl Cursor {
    /// Opaque to clients.
    pub(crate) fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{} {}", self.placed_at.as_millis(), self.id))
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NoCursor)?;
        let text = String::from_utf8(bytes).map_err(|_| NoCursor)?;
        let (placed_at, id) = text.split_once(' ').ok_or(NoCursor)?;
        let placed_at = placed_at.parse().map(Timestamp::from_millis).map_err(|_| NoCursor)?;
        Ok(Cursor { placed_at, id: OrderId::parse(id).map_err(|_| NoCursor)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_given() {
        let id = OrderId::parse("o-1:a_b.c").unwrap();
        let cursor = Cursor { placed_at: Timestamp::from_millis(1_767_323_045_678), id };

        assert_eq!(cursor.encode().parse(), Ok(cursor));
    }

    #[test]
    fn a_text_that_no_page_gave_is_refused() {
        let encoded = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        for text in
            ["", "x", "o-1", &encoded("1"), &encoded("a b"), &encoded("1 "), &encoded("1 ä")]
        {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }
}
