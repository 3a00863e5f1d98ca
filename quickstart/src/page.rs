//! A page for people: it places orders and shows what the services do with them.
//!
//! It is here and in no service, because it uses the routes of all of them from the one address
//! that it is served from. Its files are in `page/`, ES modules as browsers take them: nothing
//! builds them, and each change of a file is a change of the program.

use std::hash::{DefaultHasher, Hasher};

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use shell::etag::Known;

/// Everything comes from this server, and nothing is written into the page itself: text from
/// outside that should ever be taken for markup does nothing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// A file of the page.
#[derive(Clone, Copy, Debug)]
struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const FILES: [File; 14] = [
    file("/", HTML, include_str!("../page/index.html")),
    file("/page/style.css", STYLE, include_str!("../page/style.css")),
    file("/page/icon.svg", IMAGE, include_str!("../page/icon.svg")),
    file("/page/api.js", SCRIPT, include_str!("../page/api.js")),
    file("/page/dom.js", SCRIPT, include_str!("../page/dom.js")),
    file("/page/flow.js", SCRIPT, include_str!("../page/flow.js")),
    file("/page/list.js", SCRIPT, include_str!("../page/list.js")),
    file("/page/live.js", SCRIPT, include_str!("../page/live.js")),
    file("/page/main.js", SCRIPT, include_str!("../page/main.js")),
    file("/page/order.js", SCRIPT, include_str!("../page/order.js")),
    file("/page/place.js", SCRIPT, include_str!("../page/place.js")),
    file("/page/rates.js", SCRIPT, include_str!("../page/rates.js")),
    file("/page/sums.js", SCRIPT, include_str!("../page/sums.js")),
    file("/page/tables.js", SCRIPT, include_str!("../page/tables.js")),
];

const fn file(path: &'static str, content_type: &'static str, text: &'static str) -> File {
    File { path, content_type, text }
}

/// The routes of the page.
pub fn router() -> Router {
    FILES.into_iter().fold(Router::new(), |router, file| {
        let tag = tag(file.text);
        router.route(file.path, get(async move |known: Known| answer(file, tag, &known)))
    })
}

/// The entity tag of a text. A browser asks with it each time, so that after an update it has no
/// files of two versions.
fn tag(text: &str) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    let tag = format!("\"{:016x}\"", hasher.finish());
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""))
}

fn answer(file: File, tag: HeaderValue, known: &Known) -> Response {
    let is_known = known.contains(&tag);
    let headers = [
        (ETAG, tag),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let content_type = [(CONTENT_TYPE, HeaderValue::from_static(file.content_type))];
    (headers, content_type, file.text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_file_names_is_served() {
        let named = FILES.iter().flat_map(|file| file.text.split(['"', '\'']));
        let named = named.filter_map(|word| match word.strip_prefix("./") {
            Some(module) => Some(format!("/page/{module}")),
            None => word.starts_with("/page/").then(|| word.to_owned()),
        });
        let named: Vec<String> = named.collect();

        assert!(named.len() > FILES.len(), "{named:?}");
        for path in &named {
            assert!(FILES.iter().any(|file| file.path == path), "{path}");
        }
        for file in &FILES[1..] {
            assert!(named.iter().any(|path| path == file.path), "{} is not used", file.path);
        }
    }

    #[test]
    fn no_file_names_another_host() {
        for file in FILES {
            let text = file.text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("://"), "{}", file.path);
        }
    }

    #[test]
    fn each_text_has_its_own_tag() {
        let mut tags: Vec<_> = FILES.iter().map(|file| tag(file.text)).collect();
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), FILES.len());
        assert_eq!(tag("text"), tag("text"));
    }
}
