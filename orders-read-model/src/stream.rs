//! Live events as Server-Sent Events.
//!
//! A stream first sends what the tables have from where the reader left off, page by page as it is
//! taken, and then what is handed on within the process. `id:` says how far it has come; with it,
//! as `Last-Event-ID` or the parameter `lastEventId`, any instance goes on without a gap and
//! without a repeat. A reader that is too slow for the live part is told so in a last event,
//! `dropped`.

use std::convert::Infallible;
use std::fmt::{self, Write as _};
use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use events::ids::OrderId;
use events::order::OrderState;
use futures_util::stream::{Stream, StreamExt, once, unfold};
use serde::Deserialize;
use shell::admission::{Admission, OpenStream};
use shell::openapi::responses::BadQuery;
use shell::params::Query;
use shell::problem::{ApiError, Place, Violation};
use streams::{Offset, Partition};
use tokio::sync::mpsc::Receiver;

use crate::http::Routes;
use crate::live::{LiveEvent, NotLive, OrderEvents};
use crate::model::ReadModel;
use crate::positions::{NoEventId, Positions};

/// The parameter that says where to go on, for readers that cannot set a header.
pub const LAST_EVENT_ID: &str = "lastEventId";
const LAST_EVENT_ID_HEADER: &str = "last-event-id";

/// How long a stream is silent before it says that it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How many events are read of the tables, and how many are sent at once.
const PAGE_EVENTS: usize = 256;
/// Tells browsers to come back soon, which go on where they were.
const RETRY: &str = "retry: 1000\n";

/// Where a reader wants to go on: the header, which browsers send when they come back, or else the
/// parameter.
///
/// # Errors
/// [`ApiError::Invalid`] where `parse` does not take it.
pub fn last_event_id<T>(
    headers: &HeaderMap,
    query: &Query<'_>,
    parse: impl Fn(&str) -> Result<T, NoEventId>,
) -> Result<Option<T>, ApiError> {
    let header = headers.get(LAST_EVENT_ID_HEADER).filter(|value| !value.is_empty());
    let Some(header) = header else { return query.read(LAST_EVENT_ID, parse) };
    let id = header.to_str().map_err(|_| NoEventId).and_then(parse);
    let violation = |error| Violation::new(Place::Header(LAST_EVENT_ID_HEADER), error);
    Ok(Some(id.map_err(violation)?))
}

/// The events of all orders as they happen.
///
/// Server-Sent Events, from now on or from where a reader left off. `event` is what happened, as in
/// `OrderValidated`; `data` is the order after it. `id` says how far the stream has come: the last
/// event of each partition, as `0:4,3:17`; `-` is before them all. The first message has an `id`
/// and nothing else. A browser's `EventSource` sends the last `id` when it comes back, and misses
/// and repeats nothing. Events of one order come in order.
///
/// A reader that is too slow gets `dropped` as the last event: its `data` is
/// `{"reason": "...", "lastEventId": "..."}`, and the stream goes on from there when it is asked
/// for again. A line `: still here` comes every 15 s in which nothing happens.
#[utoipa::path(
    get,
    path = "/v1/order-events",
    tag = "Events",
    operation_id = "allEvents",
    params(
        (
            "Last-Event-ID" = Option<String>,
            Header,
            description = "The `id` up to which the reader has the events. Where it is there, \
                `lastEventId` is not looked at.",
            pattern = "^(-|[0-9]+:[0-9]+(,[0-9]+:[0-9]+)*)$",
            example = "-",
        ),
        (
            "lastEventId" = Option<String>,
            Query,
            description = "The same for readers that cannot set a header.",
            pattern = "^(-|[0-9]+:[0-9]+(,[0-9]+:[0-9]+)*)$",
            example = "-",
        ),
    ),
    responses(
        (
            status = 200,
            description = "The events, without an end.",
            body = String,
            content_type = "text/event-stream",
            example = "id: 0:4,3:17\nevent: OrderCreated\ndata: {\"id\":\"o-1\",\"version\":1}\n\n",
        ),
        BadQuery,
    ),
)]
pub(crate) async fn of_all(
    State(Routes { model, admission }): State<Routes>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::parse(query.as_deref(), &[LAST_EVENT_ID])?;
    let parse = |id: &str| Positions::after(id, model.partitions());
    let after = last_event_id(&headers, &query, parse)?;
    let open = admission.open_stream()?;
    let published = model.published().await?;
    let sent = after.unwrap_or(published);
    // A message without data moves the reader's place and shows it nothing.
    let mut first = RETRY.to_owned();
    let _ = write!(first, "id: {}\n\n", sent.event_id());
    let events = AllEvents { model, open, sent, live: None, is_over: false };
    let then = unfold(events, |mut events| async { Some((events.next().await?, events)) });
    Ok(answer(first, then))
}

/// The events of one order, from its first or from where the reader left off, up to that of its
/// final state. 204 where the reader has that already, by which browsers know not to come back.
///
/// # Errors
/// [`ApiError`] where the tables cannot be read, too many streams are open, or `after` is no event
/// of this order's partition.
pub async fn of_order(
    model: &ReadModel,
    admission: &Admission,
    id: &OrderId,
    after: Option<(Partition, Offset)>,
) -> Result<Response, ApiError> {
    let open = admission.open_stream()?;
    let (events, news) = model.follow_order(id).await?;
    let partition = events.first().map(|event| event.partition);
    if let (Some((after, _)), Some(partition)) = (after, partition)
        && after != partition
    {
        let detail = format!("the events of this order are in partition {partition}");
        return Err(Violation::new(Place::Parameter(LAST_EVENT_ID.to_owned()), detail).into());
    }
    let is_over = events.last().is_some_and(|last| is_final(last.body.as_bytes()));
    let is_new = |offset: Offset| after.is_none_or(|(_, sent)| offset > sent);
    if is_over && !events.iter().any(|event| is_new(event.offset)) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let mut first = format!("{RETRY}\n");
    for event in events.iter().filter(|event| is_new(event.offset)) {
        let id = event_id((event.partition, event.offset));
        message(&mut first, &id, &event.event_type, event.body.as_bytes());
    }
    let sent = events.last().map(|last| (last.partition, last.offset)).max(after);
    let events = OneOrder { open, news, sent, is_over };
    let then = unfold(events, |mut events| async { Some((events.next().await?, events)) });
    Ok(answer(first, then))
}

/// Where an event lies, as the id of one in the stream of an order: what
/// [`parse_event_id`](crate::parse_event_id) reads.
fn event_id((partition, offset): (Partition, Offset)) -> String {
    format!("{partition}:{offset}")
}

fn is_final(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Head {
        state: OrderState,
    }
    serde_json::from_slice(body).is_ok_and(|Head { state }| state.is_final())
}

/// An answer that goes on as long as the stream does.
fn answer(first: String, then: impl Stream<Item = String> + Send + 'static) -> Response {
    let texts = once(ready(first)).chain(then);
    let body = Body::from_stream(texts.map(|text| Ok::<_, Infallible>(Bytes::from(text))));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Writes a message. JSON text as it is written here has no line breaks.
fn message(text: &mut String, id: &str, event: &str, data: &[u8]) {
    let data = String::from_utf8_lossy(data);
    // Writing to a string never fails.
    let _ = write!(text, "id: {id}\nevent: {event}\ndata: {data}\n\n");
}

/// The last message of a stream that ends before its time.
fn dropped(id: &str, reason: impl fmt::Display) -> String {
    let data = serde_json::json!({"reason": reason.to_string(), "lastEventId": id});
    let mut text = String::new();
    message(&mut text, id, "dropped", data.to_string().as_bytes());
    text
}

const TOO_SLOW: &str = "events came faster than they were read";

/// What a stream that waits for the next event comes to.
enum Next {
    Event(Arc<LiveEvent>),
    Quiet,
    TooSlow,
    Stopped,
}

impl Next {
    async fn of(
        event: impl Future<Output = Option<Arc<LiveEvent>>>,
        open: &mut OpenStream,
    ) -> Self {
        tokio::select! {
            event = event => event.map_or(Next::TooSlow, Next::Event),
            () = tokio::time::sleep(KEEP_ALIVE) => Next::Quiet,
            () = open.stopped() => Next::Stopped,
        }
    }
}

const QUIET: &str = ": still here\n\n";

/// A stream of the events of one order, behind those of the tables.
struct OneOrder {
    open: OpenStream,
    news: OrderEvents,
    /// Where the last event lies that the reader has.
    sent: Option<(Partition, Offset)>,
    is_over: bool,
}

impl OneOrder {
    async fn next(&mut self) -> Option<String> {
        while !self.is_over {
            match Next::of(self.news.next(), &mut self.open).await {
                Next::Event(event) if self.sent.is_some_and(|(_, sent)| event.offset <= sent) => {}
                Next::Event(event) => {
                    let place = (event.partition, event.offset);
                    self.sent = Some(place);
                    self.is_over = event.is_final;
                    let mut text = String::new();
                    message(&mut text, &event_id(place), event.event_type, &event.body);
                    return Some(text);
                }
                Next::Quiet => return Some(QUIET.to_owned()),
                Next::TooSlow => {
                    self.is_over = true;
                    return Some(dropped(&self.sent.map(event_id).unwrap_or_default(), TOO_SLOW));
                }
                Next::Stopped => return None,
            }
        }
        None
    }
}

/// A stream of the events of all orders.
struct AllEvents {
    model: ReadModel,
    open: OpenStream,
    /// Up to where events were sent.
    sent: Positions,
    /// Those that come next, once there are no others before them.
    live: Option<Receiver<Arc<LiveEvent>>>,
    is_over: bool,
}

impl AllEvents {
    async fn next(&mut self) -> Option<String> {
        while !self.is_over {
            let text = match self.live.take() {
                Some(live) => self.next_live(live).await,
                None => match self.model.live().of_all(&self.sent) {
                    Ok(live) => {
                        self.live = Some(live);
                        None
                    }
                    Err(NotLive::Behind(published)) => self.next_page(&published).await,
                    Err(NotLive::NotStarted) => self.end("the read model is not there"),
                },
            };
            if text.is_some() {
                return text;
            }
        }
        None
    }

    /// Reads a page of the tables, of the first partition that has any.
    async fn next_page(&mut self, until: &Positions) -> Option<String> {
        for (partition, end) in until.iter() {
            if self.sent.get(partition) >= end {
                continue;
            }
            let between = (&self.sent, until);
            let events = match self.model.events_of(partition, between, PAGE_EVENTS).await {
                Ok(events) => events,
                Err(error) => return self.end(error),
            };
            let mut text = String::new();
            for event in &events {
                self.sent.raise(partition, event.offset.next());
                message(&mut text, &self.sent.event_id(), &event.event_type, event.body.as_bytes());
            }
            if events.len() < PAGE_EVENTS {
                self.sent.raise(partition, end);
            }
            if !text.is_empty() {
                return Some(text);
            }
        }
        None
    }

    /// Waits for the next event, and takes those with it that are there, too.
    async fn next_live(&mut self, mut live: Receiver<Arc<LiveEvent>>) -> Option<String> {
        let first = match Next::of(live.recv(), &mut self.open).await {
            Next::Event(event) => event,
            Next::Quiet => {
                self.live = Some(live);
                return Some(QUIET.to_owned());
            }
            Next::TooSlow => return self.end(TOO_SLOW),
            Next::Stopped => {
                self.is_over = true;
                return None;
            }
        };
        let mut text = String::new();
        self.add(&mut text, &first);
        for _ in 1..PAGE_EVENTS {
            let Ok(event) = live.try_recv() else { break };
            self.add(&mut text, &event);
        }
        self.live = Some(live);
        (!text.is_empty()).then_some(text)
    }

    fn add(&mut self, text: &mut String, event: &LiveEvent) {
        // The tables may have been emptied meanwhile, and be filled again.
        if event.offset >= self.sent.get(event.partition) {
            self.sent.raise(event.partition, event.offset.next());
            message(text, &self.sent.event_id(), event.event_type, &event.body);
        }
    }

    fn end(&mut self, reason: impl fmt::Display) -> Option<String> {
        self.is_over = true;
        Some(dropped(&self.sent.event_id(), reason))
    }
}
