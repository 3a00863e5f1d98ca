//! What the routes need of an order's stored record. The order in it is JSON as the API shows it,
//! so it is passed on as it lies in the store, and only what decides the answer is read.

use bytes::Bytes;
use events::ids::RequestId;
use events::order::{Order, OrderState, Version};
use events::order_request::Fingerprint;
use serde::Deserialize;
use serde_json::value::RawValue;
use shell::problem::ApiError;

use crate::order::state::{Existing, OrderRecord};

/// An order as it is stored.
#[derive(Clone, Debug)]
pub(super) struct StoredOrder {
    /// The order as the API shows it.
    pub(super) json: Bytes,
    /// Its version.
    pub(super) version: Version,
    /// How far it came.
    pub(super) state: OrderState,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    order: &'a RawValue,
}

#[derive(Deserialize)]
struct Head {
    version: Version,
    state: OrderState,
}

impl StoredOrder {
    /// The order of a stored record.
    ///
    /// # Errors
    /// [`ApiError::Internal`] where the bytes are no such record.
    pub(super) fn read(record: &Bytes) -> Result<Self, ApiError> {
        let Record { order } = from_json(record)?;
        let Head { version, state } = from_json(order.get().as_bytes())?;
        Ok(StoredOrder { json: record.slice_ref(order.get().as_bytes()), version, state })
    }

    /// The order of a text as the API shows it.
    ///
    /// # Errors
    /// [`ApiError::Internal`] where it is none.
    pub(super) fn of_json(json: Bytes) -> Result<Self, ApiError> {
        let Head { version, state } = from_json(&json)?;
        Ok(StoredOrder { json, version, state })
    }

    /// The order as a member of a problem.
    pub(super) fn raw(&self) -> Option<&RawValue> {
        serde_json::from_slice(&self.json).ok()
    }
}

/// How a request to place an order stands to the order in this record.
///
/// # Errors
/// [`ApiError::Internal`] where the bytes are no such record.
pub(super) fn compare(
    record: &Bytes,
    request_id: RequestId,
    fingerprint: Fingerprint,
) -> Result<Existing, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Maker {
        request_id: RequestId,
    }
    // Nearly always it is the request's own order, and that is quickly seen.
    let maker: Maker = from_json(record)?;
    if maker.request_id == request_id {
        return Ok(Existing::SameRequest);
    }
    let record: OrderRecord = from_json(record)?;
    Ok(record.compare(request_id, fingerprint))
}

/// The whole order of a record.
///
/// # Errors
/// [`ApiError::Internal`] where the bytes are no such record.
pub(super) fn whole(record: &Bytes) -> Result<Order, ApiError> {
    let OrderRecord { order, .. } = from_json(record)?;
    Ok(order)
}

/// The state of the order in a record; `None` where the bytes are no such record.
pub(super) fn state(record: &[u8]) -> Option<OrderState> {
    #[derive(Deserialize)]
    struct WithState {
        order: Head,
    }
    from_json(record).ok().map(|WithState { order }| order.state)
}

fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ApiError::Internal { cause: format!("stored order: {error}") })
}

#[cfg(test)]
mod tests {
    use events::ids::{CustomerId, OrderId};
    use events::money::Currency;
    use events::order_request::{PlaceOrder, RequestedLine, RequestedOrder};
    use events::quantity::Quantity;

    use super::*;
    use crate::order::place::{Details, PricedLines, create};

    fn request(request_id: u128, pieces: u64) -> PlaceOrder {
        let line = RequestedLine {
            product_id: "jumper".parse().unwrap(),
            quantity: Quantity::new(pieces).unwrap(),
            unit_price: None,
        };
        let currency = Currency::parse("GBP").unwrap();
        let order = RequestedOrder::new(CustomerId::parse("c-1").unwrap(), currency, vec![line]);
        let order_id = OrderId::parse("o-1").unwrap();
        PlaceOrder::new(RequestId::from_u128(request_id), order_id, order.unwrap())
    }

    fn record(request: &PlaceOrder) -> OrderRecord {
        let details = Details::Passed(PricedLines { lines: vec![], total: None });
        let events = create(request, details, events::Timestamp::EPOCH);
        OrderRecord::new(events[0].order().clone(), request)
    }

    #[test]
    fn an_order_is_passed_on_as_it_lies_in_the_store() {
        let record = record(&request(1, 2));
        let bytes = streams::json_bytes(&record);

        let stored = StoredOrder::read(&bytes).unwrap();

        assert_eq!(stored.json, streams::json_bytes(&record.order));
        assert_eq!((stored.version, stored.state), (record.order.version, record.order.state));
        assert_eq!(state(&bytes), Some(record.order.state));
        assert_eq!(whole(&bytes).unwrap(), record.order);
    }

    #[test]
    fn a_request_knows_its_own_order_from_the_same_order_and_from_another() {
        let bytes = streams::json_bytes(&record(&request(1, 2)));
        let compared =
            |other: PlaceOrder| compare(&bytes, other.request_id, other.fingerprint).unwrap();

        assert_eq!(compared(request(1, 2)), Existing::SameRequest);
        assert_eq!(compared(request(2, 2)), Existing::SameContent);
        assert_eq!(compared(request(2, 3)), Existing::OtherContent);
    }

    #[test]
    fn bytes_that_are_no_record_are_a_fault() {
        let bytes = Bytes::from_static(b"{}");

        assert_eq!(StoredOrder::read(&bytes).unwrap_err().status_code(), 500);
        assert_eq!(state(&bytes), None);
    }
}
