//! Entity tags: has what the client knows changed since?

use axum::http::header::IF_NONE_MATCH;
use axum::http::{HeaderMap, HeaderValue};

/// The entity tag of a version.
pub fn of_version(version: u32) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether a request wants nothing but news since the version with this tag (RFC 9110, section
/// 13.1.2: weak comparison, `*` matches whatever there is).
pub fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|known| known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knows(values: &[&str], version: u32) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_NONE_MATCH, value.parse().unwrap());
        }
        is_known(&headers, &of_version(version))
    }

    #[test]
    fn a_tag_is_known_where_it_is_among_those_sent() {
        assert_eq!(of_version(12), "\"12\"");
        for values in
            [&["\"2\""][..], &["W/\"2\""], &["\"1\" , \"2\""], &["\"1\"", "\"2\""], &["*"]]
        {
            assert!(knows(values, 2), "{values:?}");
        }
        for values in [&[][..], &["\"1\""], &["2"], &["\"22\""], &[""]] {
            assert!(!knows(values, 2), "{values:?}");
        }
    }
}
