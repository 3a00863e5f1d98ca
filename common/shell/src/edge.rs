//! What surrounds every request: room for it, an end to it, an answer even where its handler
//! fails, and the count of it.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use traces::{Deed, RequestTrace, Span, Traces};
use utoipa_axum::router::OpenApiRouter;

use crate::admission::{Admission, Limits};
use crate::clock;
use crate::metrics::Metrics;
use crate::openapi;
use crate::operations;
use crate::problem::{ApiError, Members};
use crate::service::ServiceHandle;
use crate::subject::Subject;

/// The longest that a request may take. Whatever a handler waits for ends before this, so it
/// comes into play where a handler has a fault.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(90);

/// Requests about the server itself have room of their own: they are what an operator looks at
/// when there is too much to do.
const OPERATIONS_LIMITS: Limits = Limits {
    requests_max: 64,
    arriving_max: 0,
    waiting_max: 0,
    streams_max: 0,
    connections_max: 0,
};

#[derive(Clone)]
struct Edge {
    admission: Admission,
    metrics: Arc<Metrics>,
    /// Where spans are wanted, and the service that answers requests which none has written for.
    traces: Option<(Traces, &'static str)>,
}

/// The routes of an API with all that surrounds them, and beside them the routes that tell how
/// these services are, and what all of these routes are.
pub fn application(
    api: OpenApiRouter,
    admission: &Admission,
    services: Vec<ServiceHandle>,
) -> Router {
    let metrics = Arc::new(Metrics::default());
    let traces = services.first().and_then(|service| {
        let traces = service.flow().traces().cloned()?;
        Some((traces, service.name()))
    });
    let peers = services.iter().map(ServiceHandle::peer_routes).fold(Router::new(), Router::merge);
    let operations = operations::routes(services, Arc::clone(&metrics), admission.clone());
    let (api, mut document) = api.split_for_parts();
    let (operations, of_operations) = operations.split_for_parts();
    let (described, of_itself) = openapi::routes().split_for_parts();
    document.merge(of_operations);
    document.merge(of_itself);
    let operations = operations.merge(described.with_state(openapi::document(document)));
    let edge = |admission| {
        let (metrics, traces) = (Arc::clone(&metrics), traces.clone());
        Edge { admission, metrics, traces }
    };
    let api_edge = edge(admission.clone());
    let operations_edge = edge(admission.beside(OPERATIONS_LIMITS));
    let peers_edge = edge(admission.beside(Limits::default()));
    let api = api
        .method_not_allowed_fallback(other_method)
        .fallback(no_route)
        .layer(from_fn_with_state(api_edge, surround));
    let operations = operations
        .method_not_allowed_fallback(other_method)
        .layer(from_fn_with_state(operations_edge, surround));
    // Instances that are full of requests still answer each other: two that waited for one another
    // would never be done.
    let peers = peers
        .method_not_allowed_fallback(other_method)
        .layer(from_fn_with_state(peers_edge, surround));
    api.merge(operations).merge(peers)
}

/// `OPTIONS` tells the methods of a path in `Allow`, as does the answer to a method it lacks.
async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    ApiError::MethodNotAllowed.into_response()
}

async fn no_route() -> ApiError {
    ApiError::NotFound("there is nothing at this path".to_owned())
}

async fn surround(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let subject = Subject::of(&request, edge.traces.as_ref().map(|(traces, _)| traces));
    let (began, began_at) = (Instant::now(), clock::precise());
    let method = request.method().clone();
    request.extensions_mut().insert(edge.admission.clone());
    let answer = RequestTrace::scope(subject.trace().cloned(), next.run(request));
    let work = tokio::time::timeout(REQUEST_TIME_MAX, caught(answer));
    let response = match edge.admission.work(work).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(panic))) => ApiError::Internal { cause: panic }.into_response(),
        Ok(Err(_)) => unending().into_response(),
        Err(overloaded) => overloaded.into_response(),
    };
    let response = with_problem(response, &subject);
    let took = began.elapsed();
    edge.metrics.count(subject.route(), method.as_str(), response.status().as_u16(), took);
    edge.tell(&subject, &method, &response, began_at);
    tracing::debug!(
        %method,
        instance = subject.path(),
        id = subject.id(response.headers()),
        trace_id = subject.trace_id(),
        status = response.status().as_u16(),
        duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "answered"
    );
    response
}

impl Edge {
    /// Tells of a request that is answered, where somebody wants to know.
    fn tell(&self, subject: &Subject, method: &Method, response: &Response, began: SystemTime) {
        let Some((traces, service)) = &self.traces else { return };
        let Some(trace) = subject.trace() else { return };
        let Some((parent, span)) = trace.end(traces) else { return };
        let deed = Deed::Request(traces::Request {
            parent,
            span,
            method: method.to_string(),
            route: subject.route().to_owned(),
            path: subject.path().to_owned(),
            status: response.status().as_u16(),
            id: subject.id(response.headers()).map(str::to_owned),
        });
        let service = trace.service().unwrap_or(service);
        traces.tell(Span { service, began, ended: clock::precise(), deed });
    }
}

fn unending() -> ApiError {
    let reason = format!("not done within {} s", REQUEST_TIME_MAX.as_secs());
    ApiError::Unavailable { reason, members: Members::default() }
}

/// Writes the problem that a handler answered with, now that its path is known.
fn with_problem(mut response: Response, subject: &Subject) -> Response {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else { return response };
    let (id, trace_id) = (subject.id(response.headers()), subject.trace_id());
    error.log(subject.path(), id, trace_id.as_deref());
    let mut problem = error.render(subject.path());
    let mut headers = std::mem::take(response.headers_mut());
    headers.remove(CONTENT_TYPE);
    headers.remove(CONTENT_LENGTH);
    problem.headers_mut().extend(headers);
    problem
}

/// The output of a future, or the message of the panic that ended it.
async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    poll_fn(|context| {
        // After a panic the future is not polled again, so nobody sees what it left half done.
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)))
            .map_or_else(|panic| Poll::Ready(Err(message(&*panic))), |poll| poll.map(Ok))
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("without a message"))
}
