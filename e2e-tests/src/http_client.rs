//! One keep-alive HTTP/1.1 connection to one server.
//!
//! It is made to measure with: no connection pool, no redirects, no parsing of the body, and
//! nothing on the way that costs processor time, which it shares with the server it measures.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Uri,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A longer answer is refused, so that no server can fill the memory.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why there is no answer. An answer of any status is not an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only plain HTTP to a host, without a path, can be asked for.
    #[error("`{url}` is not of the form http://host:port")]
    Url {
        /// The text as given.
        url: String,
    },
    /// The name has no address, or nobody accepts connections there.
    #[error("http://{authority} cannot be reached: {source}")]
    Unreachable {
        /// Host and port.
        authority: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The path holds characters that a request line cannot carry.
    #[error("`{path}` cannot be sent as a path")]
    Path {
        /// The path as given.
        path: String,
    },
    /// The connection ended or misbehaved before the answer was whole.
    #[error("connection broken: {0}")]
    Broken(#[from] hyper::Error),
    /// The answer is longer than any that the API gives.
    #[error("answer over {ANSWER_BYTES_MAX} bytes")]
    AnswerTooLong,
    /// The answer was not whole in time; a retry may find the request done.
    #[error("no answer within {time_max_ms} ms")]
    TimedOut {
        /// The client's limit.
        time_max_ms: u128,
    },
}

/// The server to connect to; its name is resolved once.
#[derive(Clone, Debug)]
pub struct Target {
    authority: HeaderValue,
    addresses: Vec<SocketAddr>,
}

impl Target {
    /// Resolves `http://host[:port]`.
    ///
    /// # Errors
    /// [`Error::Url`] for anything else, [`Error::Unreachable`] when the name has no address.
    pub async fn resolve(url: &str) -> Result<Self, Error> {
        let (authority, host, port) = parse(url).ok_or_else(|| Error::Url { url: url.into() })?;
        let unreachable = |source| Error::Unreachable { authority: authority.clone(), source };
        let addresses: Vec<SocketAddr> =
            tokio::net::lookup_host((host, port)).await.map_err(unreachable)?.collect();
        let header =
            HeaderValue::try_from(&authority).map_err(|_| Error::Url { url: url.into() })?;
        Ok(Self { authority: header, addresses })
    }

    /// Where the server is, all the addresses of its name.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What it was resolved from.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.authority())
    }

    fn authority(&self) -> String {
        String::from_utf8_lossy(self.authority.as_bytes()).into_owned()
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(&self.addresses[..]).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Authority, host and port of a URL that has no more than these.
fn parse(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?;
    let bare = uri.path_and_query().is_none_or(|path| path == "/");
    if uri.scheme_str() != Some("http") || !bare || authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    Some((authority.to_string(), host.to_owned(), authority.port_u16().unwrap_or(80)))
}

/// A whole answer, of whatever status.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as sent.
    pub body: Bytes,
}

/// Sends one request after another over one connection, opening it where there is none.
#[derive(Debug)]
pub struct Client {
    target: Target,
    time_max: Duration,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A client that is not connected yet; it waits at most `time_max` for each answer.
    #[must_use]
    pub fn new(target: Target, time_max: Duration) -> Self {
        Self { target, time_max, connection: None }
    }

    /// Opens the connection unless it is open. [`Client::send`] does so too; call this to keep
    /// it out of the first answer's time.
    ///
    /// # Errors
    /// [`Error::Unreachable`], or [`Error::Broken`] when what answers there is no HTTP server.
    pub async fn connect(&mut self) -> Result<(), Error> {
        let sender = self.take_or_open().await?;
        self.connection = Some(sender);
        Ok(())
    }

    /// Sends a request and waits for the whole answer. A body is sent as JSON.
    ///
    /// # Errors
    /// All of [`Error`]; after one the next request opens a new connection.
    pub async fn send(
        &mut self,
        method: Method,
        path: Bytes,
        body: Bytes,
    ) -> Result<Answer, Error> {
        let request = request(&self.target, method, path, body)?;
        let mut sender = self.take_or_open().await?;
        // On an early return the sender is dropped, and with it the connection: the answer to a
        // request given up must not be read as the answer to the next one.
        let answer = tokio::time::timeout(self.time_max, exchange(&mut sender, request))
            .await
            .map_err(|_| Error::TimedOut { time_max_ms: self.time_max.as_millis() })??;
        self.connection = Some(sender);
        Ok(answer)
    }

    async fn take_or_open(&mut self) -> Result<SendRequest<Full<Bytes>>, Error> {
        if let Some(sender) = self.connection.take().filter(|sender| !sender.is_closed()) {
            return Ok(sender);
        }
        let unreachable =
            |source| Error::Unreachable { authority: self.target.authority(), source };
        let stream = tokio::time::timeout(self.time_max, self.target.connect())
            .await
            .map_err(|_| unreachable(io::ErrorKind::TimedOut.into()))?
            .map_err(unreachable)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends when the sender is dropped, and tells its errors through the sender.
        tokio::spawn(connection);
        Ok(sender)
    }
}

fn request(
    target: &Target,
    method: Method,
    path: Bytes,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Error> {
    let uri = Uri::from_maybe_shared(path.clone())
        .map_err(|_| Error::Path { path: String::from_utf8_lossy(&path).into_owned() })?;
    let has_body = !body.is_empty();
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    request.headers_mut().insert(HOST, target.authority.clone());
    if has_body {
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
    }
    Ok(request)
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Error> {
    sender.ready().await?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: read(body).await? })
}

async fn read(body: Incoming) -> Result<Bytes, Error> {
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(broken) => Error::Broken(*broken),
            // The limit is the only error that `Limited` adds to the body's own.
            Err(_) => Error::AnswerTooLong,
        }),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn a_url_is_a_scheme_a_host_and_a_port_and_nothing_else() {
        let parts =
            |authority: &str, host: &str, port| Some((authority.to_owned(), host.to_owned(), port));
        assert_eq!(parse("http://127.0.0.1:8080"), parts("127.0.0.1:8080", "127.0.0.1", 8080));
        assert_eq!(parse("http://shop/"), parts("shop", "shop", 80));
        assert_eq!(parse("http://[::1]:81"), parts("[::1]:81", "::1", 81));

        for url in ["https://shop", "shop:8080", "http://shop/v1", "http://me@shop", "", "http://"]
        {
            assert_eq!(parse(url), None, "{url}");
        }
    }

    /// Reads the head of a request, and gives its first line.
    async fn request_line(stream: &mut TcpStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap().lines().next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn an_answer_that_comes_too_late_is_not_taken_for_the_next_one() {
        // Given a server that leaves the first request of a connection without an answer
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut first, _) = listener.accept().await.unwrap();
            let unanswered = request_line(&mut first).await;
            let (mut second, _) = listener.accept().await.unwrap();
            let answered = request_line(&mut second).await;
            let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno";
            second.write_all(answer).await.unwrap();
            (unanswered, answered)
        });
        let target = Target::resolve(&url).await.unwrap();
        let mut client = Client::new(target, Duration::from_millis(200));

        // When a client asks, gives up, and asks for something else
        let first = client.send(Method::GET, Bytes::from_static(b"/a"), Bytes::new()).await;
        let second = client.send(Method::GET, Bytes::from_static(b"/b"), Bytes::new()).await;

        // Then the second question is asked on a connection of its own
        assert!(matches!(first, Err(Error::TimedOut { time_max_ms: 200 })), "{first:?}");
        let second = second.unwrap();
        assert_eq!((second.status, &second.body[..]), (404, &b"no"[..]));
        let lines = server.await.unwrap();
        assert_eq!(lines, ("GET /a HTTP/1.1".to_owned(), "GET /b HTTP/1.1".to_owned()));
    }
}
