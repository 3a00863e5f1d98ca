//! `POST /v1/orders`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use events::ids::{CustomerId, OrderId, ProductId, RequestId};
use events::money::{Amount, Currency};
use events::order::Order;
use events::order_request::{
    Error, Fingerprint, OrderRequest, PlaceOrder, RequestedLine, RequestedOrder,
};
use events::quantity::Quantity;
use serde::{Deserialize, Serialize};
use shell::json::{self, Fields, JsonBody, Object, Text};
use shell::openapi::responses::{PROBLEM_JSON, Problem};
use shell::preference::{PREFERENCE_APPLIED, Preference};
use shell::problem::{ApiError, Members, Place, Refusal, Violation};
use shell::{Appended, ReadOutcome, ServiceError, unique};
use utoipa::ToSchema;
use uuid::Uuid;

use super::stored::{self, StoredOrder};
use super::{Orders, first, new_request_id, order_answer, read, with_location};
use crate::order::state::Existing;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const KEY_BYTES_MAX: usize = 255;

/// The name space of order ids that are made from idempotency keys (UUID version 5). Never to be
/// changed: a key must give the same id for ever.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x7d44_4840_9dc0_4d1a_a1f6_3b5c_0e8e_52f7);

/// What is ordered, and by whom.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewOrder)]
struct OrderBody<'a> {
    /// The id the order is to have. Without one it is made from the `Idempotency-Key`, or else a
    /// new one is made.
    #[serde(borrow, default)]
    #[schema(value_type = Option<OrderId>)]
    id: Option<Text<'a>>,
    /// Who orders.
    #[serde(borrow)]
    #[schema(value_type = CustomerId)]
    customer_id: Text<'a>,
    /// The currency of all prices.
    #[serde(borrow)]
    #[schema(value_type = Currency)]
    currency: Text<'a>,
    /// What is ordered: each product once.
    #[serde(borrow)]
    #[schema(value_type = Vec<LineBody<'a>>, min_items = 1, max_items = 100)]
    lines: Vec<Object<LineBody<'a>>>,
}

/// One product that is ordered.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewLine)]
struct LineBody<'a> {
    /// The product.
    #[serde(borrow)]
    #[schema(value_type = ProductId)]
    product_id: Text<'a>,
    /// How many pieces of it.
    #[schema(value_type = Quantity)]
    quantity: u64,
    /// The price of one that the customer goes by, with the currency's decimals; without one, the
    /// catalogue's is taken.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Amount>)]
    unit_price: Option<Text<'a>>,
}

/// Places an order, once however often it is asked for.
///
/// An order of products or customers that there are not is placed, and fails with its reasons.
/// Without an `id`, the `Idempotency-Key` gives it, the same each time; both together are refused.
/// An unreachable log or a lost connection leaves it open whether the order is placed: the same
/// request again, with the same id or key, tells.
#[utoipa::path(
    post,
    path = "/v1/orders",
    tag = "Orders",
    params(
        (
            "Idempotency-Key" = Option<String>,
            Header,
            description = "A name for this request, in quotes or without, for orders without an \
                id: 1 to 255 visible ASCII characters without quotes and backslashes.",
            pattern = "^(\"[!#-\\[\\]-~]{1,255}\"|[!#-\\[\\]-~]{1,255})$",
        ),
        (
            "Prefer" = Option<String>,
            Header,
            description = "`wait=5` waits so many seconds, 60 at most, for the order to settle; \
                `respond-async` does not even wait for the decision (RFC 7240).",
            example = "wait=5",
        ),
    ),
    request_body(content = OrderBody, examples(
        ("At the catalogue's price" = (value = json!({
            "id": "o-1", "customerId": "c-1", "currency": "GBP",
            "lines": [{"productId": "jumper", "quantity": 2}],
        }))),
        ("At a price of its own" = (value = json!({
            "id": "o-2", "customerId": "c-1", "currency": "GBP",
            "lines": [{"productId": "jumper", "quantity": 1, "unitPrice": "34.99"}],
        }))),
        ("Without an id" = (value = json!({
            "customerId": "c-1", "currency": "GBP",
            "lines": [{"productId": "jumper", "quantity": 1}],
        }))),
    )),
    responses(
        (
            status = 200,
            description = "The order was placed before, with the same content: as it is now.",
            body = Order,
            headers(
                ("Location" = String, description = "The path of the order."),
                ("ETag" = String, description = "The version, in quotes."),
                ("Idempotent-Replayed" = String, description = "`true`."),
                ("Preference-Applied" = String, description = "Where it was waited for."),
            ),
        ),
        (
            status = 201,
            description = "The order is placed: on disk, and seen by every reader.",
            body = Order,
            headers(
                ("Location" = String, description = "The path of the order."),
                ("ETag" = String, description = "The version, in quotes."),
                ("Preference-Applied" = String, description = "Where it was waited for."),
            ),
        ),
        (
            status = 202,
            description = "The request is on disk, and will be decided: `respond-async` was \
                preferred, or it is not decided after 5 s.",
            body = Accepted,
            headers(
                ("Location" = String, description = "The path of the order."),
                ("Preference-Applied" = String, description = "Where it was preferred."),
            ),
        ),
        (
            status = 409,
            description = "The id is that of an order with other content: `ORDER_ID_TAKEN`.",
            body = Problem,
            content_type = PROBLEM_JSON,
        ),
        JsonBody,
        (
            status = 422,
            description = "Parts of the request are not valid: `errors` names each. Or the \
                idempotency key is that of an order with other content: `IDEMPOTENCY_KEY_REUSED`.",
            body = Problem,
            content_type = PROBLEM_JSON,
        ),
    ),
)]
pub(super) async fn place(
    State(orders): State<Arc<Orders>>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let (id, order) = parse(&headers, &body)?;
    let request = PlaceOrder::new(new_request_id(), id.id, order);
    let placing = Placing {
        orders: &orders,
        order_id: request.order_id.clone(),
        request_id: request.request_id,
        fingerprint: request.fingerprint,
        id_is_from_key: id.is_from_key,
    };
    let placed = placing.place(&OrderRequest::Place(request), Preference::of(&headers)).await;
    // Whoever is told to come back needs the id to do so, all the more where it was made here.
    placed.map_err(|error| match error {
        ApiError::Unavailable { .. } | ApiError::Overloaded { .. } => {
            error.with_members(Members::one("id", &placing.order_id))
        }
        // The path does not say which order it was.
        ApiError::Internal { cause } => {
            ApiError::Internal { cause: format!("order {}: {cause}", placing.order_id) }
        }
        other => other,
    })
}

/// An order that is still to be decided.
#[derive(Serialize, ToSchema)]
struct Accepted<'a> {
    /// The id it will have.
    id: &'a OrderId,
}

/// An order being placed.
struct Placing<'a> {
    orders: &'a Orders,
    order_id: OrderId,
    request_id: RequestId,
    fingerprint: Fingerprint,
    id_is_from_key: bool,
}

impl Placing<'_> {
    async fn place(
        &self,
        request: &OrderRequest,
        preference: Preference,
    ) -> Result<Response, ApiError> {
        let appended = self.orders.send(request).await?;
        if preference == Preference::RespondAsync {
            return self.accepted(&appended, preference).await;
        }
        match self.orders.look_up(&self.order_id, Some(&appended)).await {
            Ok(Some(record)) => self.decided(record, preference).await,
            Ok(None) => Err(ApiError::Internal {
                cause: format!("request {} was processed and made no order", self.request_id),
            }),
            Err(ServiceError::NotInTime) => self.accepted(&appended, Preference::None).await,
            Err(error) => Err(error.into()),
        }
    }

    /// The answer while the decision is still to come: the request will not be lost.
    async fn accepted(
        &self,
        appended: &Appended,
        preference: Preference,
    ) -> Result<Response, ApiError> {
        self.orders.requests.service().durable(appended).await?;
        let id = &self.order_id;
        let response = json::answer(StatusCode::ACCEPTED, &Accepted { id });
        Ok(with_location(with_applied(response, preference), id))
    }

    /// The answer once the request has been processed.
    async fn decided(&self, record: Bytes, preference: Preference) -> Result<Response, ApiError> {
        let existing = stored::compare(&record, self.request_id, self.fingerprint)?;
        if existing == Existing::OtherContent {
            return Err(self.taken());
        }
        let mut order = StoredOrder::read(&record)?;
        let mut applied = waited(preference);
        if let Preference::Wait(wait) = preference
            && !order.state.is_settled()
        {
            // The order is placed, and says so even where there is no room or no time to wait.
            match self.settled(wait).await {
                Ok(settled) => order = settled.unwrap_or(order),
                Err(_) => applied = Preference::None,
            }
        }
        let response = match existing {
            Existing::SameRequest => order_answer(StatusCode::CREATED, &order),
            _ => json::replayed(order_answer(StatusCode::OK, &order)),
        };
        let response = with_applied(response, applied);
        Ok(with_location(response, &self.order_id))
    }

    /// The order when it has settled, or as it is when the time to wait for that is over.
    async fn settled(&self, wait: Duration) -> Result<Option<StoredOrder>, ApiError> {
        let read = read::until_settled(&self.order_id, wait);
        let settled = self.orders.requests.service().read(read);
        let (ReadOutcome::Found(entries) | ReadOutcome::TimedOut(entries)) =
            self.orders.admission.wait(settled).await??;
        first(entries).map(|record| StoredOrder::read(&record)).transpose()
    }

    fn taken(&self) -> ApiError {
        let id = &self.order_id;
        let (status, code, detail) = if self.id_is_from_key {
            let detail = "the idempotency key was used for another order".to_owned();
            (StatusCode::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED", detail)
        } else {
            let detail = format!("there is another order with the id {id}");
            (StatusCode::CONFLICT, "ORDER_ID_TAKEN", detail)
        };
        let members = Members::one("id", id);
        ApiError::Refused(Box::new(Refusal { status, code, detail, members }))
    }
}

/// The preference as far as an answer that shows the order has followed it.
const fn waited(preference: Preference) -> Preference {
    match preference {
        Preference::Wait(_) => preference,
        _ => Preference::None,
    }
}

fn with_applied(mut response: Response, preference: Preference) -> Response {
    if let Some(applied) = preference.applied() {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    response
}

/// The id that an order is to have.
struct NewId {
    id: OrderId,
    /// Whether it was made from an idempotency key.
    is_from_key: bool,
}

/// What a request asks for, and under which id.
fn parse(headers: &HeaderMap, body: &JsonBody) -> Result<(NewId, RequestedOrder), ApiError> {
    let key = idempotency_key(headers)?;
    let body: OrderBody<'_> = body.read()?;
    let mut fields = Fields::default();
    let id = match (&body.id, key) {
        (Some(_), Some(_)) => {
            return Err(invalid_key("an order has an id or an idempotency key, not both"));
        }
        (Some(id), None) => fields.check("/id", OrderId::parse(id)),
        (None, Some(key)) => id_of(Uuid::new_v5(&KEY_NAMESPACE, key)),
        (None, None) => id_of(unique::id()),
    };
    let id = id.map(|id| NewId { id, is_from_key: key.is_some() });
    let customer_id = fields.check("/customerId", CustomerId::parse(&body.customer_id));
    let currency = fields.check("/currency", Currency::parse(&body.currency));
    let lines = parse_lines(&body.lines, currency, &mut fields);
    let order = match (customer_id, currency, lines) {
        (Some(customer_id), Some(currency), Some(lines)) => {
            let order = RequestedOrder::new(customer_id, currency, lines);
            order.map_err(|error| fields.refuse(pointer(&error), error)).ok()
        }
        _ => None,
    };
    fields.finish(id.zip(order))
}

/// Every UUID is an id: 36 letters, digits and dashes.
fn id_of(uuid: Uuid) -> Option<OrderId> {
    OrderId::parse(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer())).ok()
}

/// The lines, or `None` where one of them has a field that is not valid by itself.
fn parse_lines(
    lines: &[Object<LineBody<'_>>],
    currency: Option<Currency>,
    fields: &mut Fields,
) -> Option<Vec<RequestedLine>> {
    // More lines are refused as a whole, without looking at each.
    if lines.len() > RequestedOrder::LINES_MAX {
        fields.refuse("/lines", Error::TooManyLines { count: lines.len() });
        return None;
    }
    let mut parsed = Vec::with_capacity(lines.len());
    for (at, line) in lines.iter().enumerate() {
        let place = |field: &'static str| format_pointer(at, field);
        let product_id = fields.check(place("productId"), ProductId::parse(&line.product_id));
        let quantity = fields.check(place("quantity"), Quantity::new(line.quantity));
        let unit_price = line.unit_price.as_ref().map(|price| {
            let price = Amount::parse(price).and_then(|price| match currency {
                Some(currency) => price.in_currency(currency),
                None => Ok(price),
            });
            fields.check(place("unitPrice"), price)
        });
        if let (Some(product_id), Some(quantity), None | Some(Some(_))) =
            (product_id, quantity, unit_price)
        {
            let unit_price = unit_price.flatten();
            parsed.push(RequestedLine { product_id, quantity, unit_price });
        }
    }
    (parsed.len() == lines.len()).then_some(parsed)
}

/// Written out only where it is needed, for a field that is not valid.
fn format_pointer(line: usize, field: &'static str) -> impl std::fmt::Display {
    std::fmt::from_fn(move |formatter| write!(formatter, "/lines/{line}/{field}"))
}

/// Where the fault of an order stands whose fields are all valid by themselves.
fn pointer(error: &Error) -> String {
    match error {
        Error::NoLines | Error::TooManyLines { .. } | Error::Total(_) => "/lines".to_owned(),
        Error::RepeatedProduct { line, .. } => format!("/lines/{line}/productId"),
        Error::UnitPrice { line, .. } => format!("/lines/{line}/unitPrice"),
    }
}

/// The idempotency key, with or without the quotes that its draft has around it.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&[u8]>, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid_key("there is more than one idempotency key"));
    }
    let value = value.as_bytes();
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    let key = quoted.unwrap_or(value);
    let is_key = (1..=KEY_BYTES_MAX).contains(&key.len())
        && key.iter().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(byte));
    if is_key {
        Ok(Some(key))
    } else {
        Err(invalid_key("an idempotency key is 1 to 255 visible ASCII characters, in quotes"))
    }
}

fn invalid_key(detail: &str) -> ApiError {
    Violation::new(Place::Header("Idempotency-Key"), detail).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &str) -> Result<Option<String>, u16> {
        let mut headers = HeaderMap::new();
        headers.append(IDEMPOTENCY_KEY, value.parse().unwrap());
        idempotency_key(&headers)
            .map(|key| key.map(|key| String::from_utf8_lossy(key).into_owned()))
            .map_err(|error| error.status_code().as_u16())
    }

    #[test]
    fn an_idempotency_key_may_stand_in_quotes() {
        assert_eq!(key("\"abc-1\""), Ok(Some("abc-1".to_owned())));
        assert_eq!(key("abc-1"), Ok(Some("abc-1".to_owned())));
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn an_idempotency_key_is_visible_and_not_too_long() {
        for value in ["", "\"\"", "a b", "\"a", "a\\b", &"a".repeat(256)] {
            assert_eq!(key(value), Err(422), "{value}");
        }
    }

    #[test]
    fn a_key_gives_the_same_order_id_for_ever() {
        let id = id_of(Uuid::new_v5(&KEY_NAMESPACE, b"abc-1")).unwrap();

        assert_eq!(id.as_str(), "2d8f4f5a-607e-5741-86e7-a0d6c03f1b42");
    }
}
