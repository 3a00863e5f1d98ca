//! `/docs`: the document as a page to read and to try. It is a part of the program, asks no other
//! host for anything, and its policy lets a browser load nothing from elsewhere.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::responses::NotFound;
use crate::params::PathId;
use crate::problem::ApiError;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const NO_SNIFF: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));

const HTML: &str = include_str!("page/index.html");
const SCRIPT: &str = include_str!("page/page.js");
const STYLE: &str = include_str!("page/page.css");

pub(super) fn routes() -> OpenApiRouter<Bytes> {
    OpenApiRouter::new().routes(routes!(page)).routes(routes!(file))
}

/// The page that shows this description.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "Operations",
    responses((status = 200, description = "A page.", body = String, content_type = "text/html")),
)]
async fn page() -> Response {
    text("text/html; charset=utf-8", HTML)
}

/// A part of the page.
#[utoipa::path(
    get,
    path = "/docs/{file}",
    tag = "Operations",
    params(("file" = String, Path, description = "Its name.", example = "page.js")),
    responses(
        (status = 200, description = "The file.", content(
            (String = "text/javascript"),
            (String = "text/css"),
        )),
        NotFound,
    ),
)]
async fn file(file: PathId) -> Result<Response, ApiError> {
    match &*file.existing::<String>("file")? {
        "page.js" => Ok(text("text/javascript; charset=utf-8", SCRIPT)),
        "page.css" => Ok(text("text/css; charset=utf-8", STYLE)),
        _ => Err(ApiError::NotFound("the page has no such part".to_owned())),
    }
}

fn text(media_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (CONTENT_SECURITY_POLICY, POLICY),
        // The next version of the program has another page.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        NO_SNIFF,
    ];
    (headers, text).into_response()
}
