//! Entity tags: has what the client knows changed since?

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::IF_NONE_MATCH;
use axum::http::request::Parts;

/// The entity tag of a version.
pub fn of_version(version: u32) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The tags of what a client knows already: it wants news and nothing else. Taken out of the
/// request, whose other headers then need no memory while it waits.
#[derive(Clone, Debug)]
pub struct Known(Vec<HeaderValue>);

impl Known {
    /// Whether the client knows what has this tag (RFC 9110, section 13.1.2: weak comparison, `*`
    /// matches whatever there is).
    pub fn contains(&self, tag: &HeaderValue) -> bool {
        let tags = self.0.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        tags.map(<[u8]>::trim_ascii).any(|known| {
            known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes()
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Known {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Known(parts.headers.get_all(IF_NONE_MATCH).iter().cloned().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knows(values: &[&str], version: u32) -> bool {
        let values = values.iter().map(|value| value.parse().unwrap());
        Known(values.collect()).contains(&of_version(version))
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
