//! Serves an application over HTTP/1.1 until it is told to stop.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::Service;

use crate::admission::Admission;

/// How long a connection may take to send the head of its next request; it is also how long an
/// idle connection is kept.
const HEAD_TIME_MAX: Duration = Duration::from_secs(60);
/// The most bytes of a head, and how much of a body is read at once.
const BUFFER_BYTES_MAX: usize = 16 * 1024;
/// How long requests under way have to end once the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// A pause after the system refused a connection, which it goes on doing for a while.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Answers requests on `listener` until `stop` is done; then no more connections are taken,
/// requests under way are ended, waits at once, and the connections are closed.
pub async fn serve(
    listener: TcpListener,
    application: Router,
    admission: Admission,
    stop: impl Future<Output = ()>,
) {
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => {
                let accepted = accepted.map(|(stream, _)| stream);
                take_on(accepted, &application, &admission, &mut connections).await;
            }
        }
    }
    drop(listener);
    admission.stop();
    let all_closed = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all_closed).await.is_err() {
        tracing::warn!(connections = connections.len(), "closed with requests under way");
    }
}

async fn take_on(
    accepted: io::Result<TcpStream>,
    application: &Router,
    admission: &Admission,
    connections: &mut JoinSet<()>,
) {
    match accepted {
        Ok(stream) if connections.len() >= admission.limits().connections_max as usize => {
            refuse(&stream);
        }
        Ok(stream) => {
            let conversation = converse(stream, application.clone(), admission.clone());
            connections.spawn(conversation);
        }
        Err(error) => {
            tracing::warn!(%error, "connection not accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

/// Says that there are too many connections. Whoever does not take these few bytes at once only
/// sees the connection close.
fn refuse(stream: &TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
        content-length: 0\r\nconnection: close\r\n\r\n";
    let _ = stream.try_write(ANSWER);
}

async fn converse(stream: TcpStream, application: Router, admission: Admission) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers may be delayed");
    }
    let service = service_fn(move |request| answer(application.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = admission.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client may go away whenever it likes.
        tracing::debug!(%error, "connection ended");
    }
}

fn answer(
    mut application: Router,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response, Infallible>> {
    application.call(request)
}
