//! JSON bodies: written, and read strictly.
//!
//! | body | answer |
//! |---|---|
//! | not declared as `application/json` (in UTF-8) | 415 |
//! | over [`BODY_BYTES_MAX`] | 413 |
//! | no JSON text: broken syntax, not UTF-8, empty, or not whole | 400 |
//! | JSON of another shape: a wrong type, an unknown, missing or repeated field | 422 |
//!
//! A field that may be left out may be `null` too.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_path_to_error::Segment;

use crate::admission::Admission;
use crate::problem::{ApiError, Place, Violation};

/// The most bytes of a body.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(20);

/// The header that says that an answer was given before.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The body of a request that should be JSON, whole but not read yet.
#[derive(Clone, Debug)]
pub struct JsonBody(Bytes);

impl JsonBody {
    /// The value that the body holds.
    ///
    /// # Errors
    /// [`ApiError::NotJson`] or [`ApiError::Invalid`].
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ApiError> {
        let text =
            std::str::from_utf8(&self.0).map_err(|error| ApiError::NotJson(error.to_string()))?;
        serde_json::from_str::<Object<T>>(text)
            .map(|Object(value)| value)
            .map_err(|error| explain::<T>(text, &error))
    }
}

impl<S: Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::UnsupportedMediaType);
        }
        body_of(request).await.map(JsonBody)
    }
}

/// A request that has nothing to say in its body: one that comes all the same is read to its end
/// and ignored, within the limits.
#[derive(Clone, Copy, Debug)]
pub struct NoBody;

impl<S: Sync> FromRequest<S> for NoBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        body_of(request).await.map(|_| NoBody)
    }
}

/// The body of a request, taken in among those that its server lets arrive.
async fn body_of(request: Request) -> Result<Bytes, ApiError> {
    let (mut head, body) = request.into_parts();
    let whole = tokio::time::timeout(BODY_TIME_MAX, read_whole(body));
    let whole = match head.extensions.remove::<Admission>() {
        Some(admission) => admission.arrive(whole).await?,
        None => whole.await,
    };
    whole.map_err(|_| ApiError::BodyTimedOut)?
}

async fn read_whole(body: Body) -> Result<Bytes, ApiError> {
    let too_large = ApiError::BodyTooLarge { bytes_max: BODY_BYTES_MAX };
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large);
    }
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large),
        Err(_) => Err(ApiError::NotJson("the body is not whole".to_owned())),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    if only == "application/json" {
        return true;
    }
    let Ok(text) = only.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

/// Says where and why a text holds no `T`. Slower than reading, which is no matter: a broken
/// request is rare, and bounded.
fn explain<'a, T: Deserialize<'a>>(text: &'a str, error: &serde_json::Error) -> ApiError {
    // Reading stops at the first value that does not fit, or that no type can hold, such as
    // 1e999: the rest has not been seen.
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return ApiError::NotJson(error.to_string());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, Object<T>>(&mut deserializer) {
        Err(error) => {
            let pointer = error.path().iter().map(pointer_segment).collect();
            Violation::new(Place::Body(pointer), error.inner()).into()
        }
        Ok(_) => Violation::new(Place::Body(String::new()), error).into(),
    }
}

fn pointer_segment(segment: &Segment) -> String {
    match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => "/?".to_owned(),
    }
}

/// A JSON object, read as a `T`. Without it a struct could be written as a list of its fields'
/// values, too.
#[derive(Clone, Copy, Debug)]
pub struct Object<T>(pub T);

impl<T> Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// A JSON string, not copied where it has no escapes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// An answer that holds a value as JSON.
pub fn answer(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => answer_text(status, text.into()),
        Err(error) => ApiError::Internal { cause: error.to_string() }.into_response(),
    }
}

/// An answer that holds a text which is JSON already.
pub fn answer_text(status: StatusCode, text: Bytes) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, APPLICATION_JSON);
    response
}

/// The same answer to a request that was answered before, and did nothing this time.
pub fn replayed(mut answer: Response) -> Response {
    answer.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    answer
}

/// Collects what is wrong with the fields of a body, so that all of it is told at once.
#[derive(Debug, Default)]
pub struct Fields(Vec<Violation>);

impl Fields {
    /// The value of a field, or `None` with the reason noted under the field's JSON pointer.
    pub fn check<T, E: fmt::Display>(
        &mut self,
        pointer: impl fmt::Display,
        value: Result<T, E>,
    ) -> Option<T> {
        value.map_err(|error| self.refuse(pointer, error)).ok()
    }

    /// Notes that the field at this JSON pointer is not valid.
    pub fn refuse(&mut self, pointer: impl fmt::Display, detail: impl fmt::Display) {
        self.0.push(Violation::new(Place::Body(pointer.to_string()), detail));
    }

    /// The value made of all fields, if every one is valid.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] with everything noted.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ApiError> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(ApiError::Invalid(self.0)),
        }
    }
}

/// The value of an enum that is written as this name.
///
/// # Errors
/// Says which names there are.
pub fn named<'a, T: Deserialize<'a>>(name: &'a str) -> Result<T, de::value::Error> {
    T::deserialize(StrDeserializer::new(name))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shelf<'a> {
        #[serde(borrow)]
        name: Text<'a>,
        label: Option<Text<'a>>,
        #[serde(borrow)]
        books: Vec<Object<Book<'a>>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Book<'a> {
        #[serde(borrow)]
        title: Text<'a>,
        pages: u64,
    }

    fn refused(body: impl Into<Bytes>) -> ApiError {
        JsonBody(body.into()).read::<Shelf<'_>>().unwrap_err()
    }

    /// The pointer to the one thing that is wrong.
    fn refused_at(body: &'static str) -> String {
        match refused(body) {
            ApiError::Invalid(violations) => match &violations[..] {
                [Violation { place: Place::Body(pointer), .. }] => pointer.clone(),
                others => panic!("{others:?}"),
            },
            other => panic!("{other}"),
        }
    }

    fn request(content_type: &[&str], body: impl Into<Body>) -> Request {
        let mut request = Request::new(body.into());
        for value in content_type {
            request.headers_mut().append(CONTENT_TYPE, value.parse().unwrap());
        }
        request
    }

    async fn status_of(content_type: &[&str], body: impl Into<Body>) -> u16 {
        match JsonBody::from_request(request(content_type, body), &()).await {
            Ok(_) => 200,
            Err(error) => error.status_code().as_u16(),
        }
    }

    #[test]
    fn a_body_of_the_right_shape_is_read_without_copying_its_texts() {
        let body = JsonBody(Bytes::from_static(
            br#" {"name": "a\u00e9", "label": null, "books": [{"pages": 3, "title": "b"}]} "#,
        ));
        let shelf: Shelf<'_> = body.read().unwrap();

        assert_eq!(&*shelf.name, "a\u{e9}");
        assert_eq!(shelf.label, None);
        assert_eq!(shelf.books[0].pages, 3);
        assert!(matches!(shelf.books[0].title, Text(Cow::Borrowed("b"))));
    }

    #[test]
    fn a_text_that_is_no_json_is_told_from_json_of_another_shape() {
        for body in [
            &b""[..],
            b"{",
            b"{}}",
            b"{\"name\": 7, }",
            b"{\"name\": \"\xff\"}",
            b"{\"more\": \"\xff\"}",
            b"nul",
            b"{\"name\": NaN}",
            b"\xef\xbb\xbf{}",
        ] {
            let error = refused(body);
            assert!(matches!(error, ApiError::NotJson(_)), "{body:?}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_shape_is_told_with_its_pointer() {
        assert_eq!(refused_at("[]"), "");
        assert_eq!(refused_at("null"), "");
        assert_eq!(refused_at(r#"["a", null, []]"#), "");
        assert_eq!(refused_at(r#"{"books": []}"#), "");
        assert_eq!(refused_at(r#"{"name": 7}"#), "/name");
        assert_eq!(refused_at(r#"{"name": "\ud800"}"#), "/name");
        // Named in the text, since there is no one value to point at.
        assert_eq!(refused_at(r#"{"name": "a", "name": "b"}"#), "");
        assert_eq!(refused_at(r#"{"a/b~c": 1}"#), "/a~1b~0c");
        let book = |book: &str| {
            format!(r#"{{"name": "a", "books": [{{"title": "t", "pages": 1}}, {book}]}}"#)
        };
        for (second, pointer) in [
            (r#"["t", 1]"#, "/books/1"),
            (r#"{"title": "t"}"#, "/books/1"),
            (r#"{"title": "t", "pages": 1.5}"#, "/books/1/pages"),
            (r#"{"title": "t", "pages": -1}"#, "/books/1/pages"),
            (r#"{"title": "t", "pages": "1"}"#, "/books/1/pages"),
            (r#"{"title": "t", "pages": 1e999}"#, "/books/1/pages"),
            (r#"{"title": "t", "pages": 1, "cover": {}}"#, "/books/1/cover"),
        ] {
            assert_eq!(refused_at(book(second).leak()), pointer, "{second}");
        }
    }

    #[test]
    fn nesting_however_deep_does_not_overflow_the_stack() {
        let deep = |open: &str| open.repeat(BODY_BYTES_MAX / open.len());

        assert!(matches!(refused(deep("[")), ApiError::NotJson(_)));
        assert!(matches!(refused(deep("{\"books\":")), ApiError::NotJson(_)));
        let whole = deep("[")[..100_000].to_owned() + &"]".repeat(100_000);
        assert!(matches!(refused(format!("{{\"more\":{whole}}}")), ApiError::Invalid(_)));
    }

    #[tokio::test]
    async fn a_body_must_be_declared_as_json() {
        assert_eq!(status_of(&["application/json"], "{}").await, 200);
        assert_eq!(status_of(&["Application/JSON; charset=UTF-8"], "{}").await, 200);
        assert_eq!(status_of(&["application/json;charset=\"utf-8\""], "{}").await, 200);
        assert_eq!(status_of(&[], "{}").await, 415);
        assert_eq!(status_of(&["application/json", "text/plain"], "{}").await, 415);
        assert_eq!(status_of(&["application/json; charset=latin1"], "{}").await, 415);
        for other in ["", "text/json", "application/json+patch", "application/jsonx", "json"] {
            assert_eq!(status_of(&[other], "{}").await, 415, "{other}");
        }
    }

    #[tokio::test]
    async fn a_body_may_have_256_kib_and_not_a_byte_more() {
        let json = &["application/json"];
        let of_unknown_length = |bytes: Bytes| {
            let pieces = bytes.chunks(1000).map(Bytes::copy_from_slice).collect::<Vec<_>>();
            Body::from_stream(futures_util::stream::iter(
                pieces.into_iter().map(Ok::<_, Infallible>),
            ))
        };
        let largest = Bytes::from(vec![b' '; BODY_BYTES_MAX]);
        let too_large = Bytes::from(vec![b' '; BODY_BYTES_MAX + 1]);

        assert_eq!(status_of(json, largest.clone()).await, 200);
        assert_eq!(status_of(json, of_unknown_length(largest)).await, 200);
        assert_eq!(status_of(json, too_large.clone()).await, 413);
        assert_eq!(status_of(json, of_unknown_length(too_large)).await, 413);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_given_up() {
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>());
        assert_eq!(status_of(&["application/json"], never).await, 408);
    }

    #[test]
    fn all_violations_of_fields_are_told_together() {
        let mut fields = Fields::default();
        let good = fields.check("/a", "7".parse::<u8>());
        let bad = fields.check("/b", "x".parse::<u8>());
        fields.refuse(format_args!("/c/{}", 0), "empty");

        assert_eq!((good, bad), (Some(7), None));
        let ApiError::Invalid(violations) = fields.finish(Some(())).unwrap_err() else {
            panic!("another error")
        };
        let places: Vec<_> = violations.iter().map(|violation| violation.place.clone()).collect();
        assert_eq!(places, [Place::Body("/b".to_owned()), Place::Body("/c/0".to_owned())]);
    }

    proptest! {
        #[test]
        fn no_bytes_are_refused_with_anything_but_400_or_422(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let status = refused(bytes).status_code().as_u16();
            prop_assert!(status == 400 || status == 422, "{}", status);
        }
    }
}
