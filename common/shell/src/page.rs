//! Lists, page by page.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::value::RawValue;
use streams::{TableEntry, TopicName};

use crate::json;
use crate::params::Query;
use crate::problem::ApiError;
use crate::service::ServiceHandle;

pub(crate) const LIMIT_DEFAULT: usize = 50;
pub(crate) const LIMIT_MAX: usize = 200;

/// Which page of a list is asked for. A cursor is the id of the last thing on the page before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageQuery<Id> {
    after: Bytes,
    limit: usize,
    ids: PhantomData<Id>,
}

/// A number of things that no page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a page has 1 to {LIMIT_MAX} entries")]
struct BadLimit;

impl<Id: FromStr<Err: fmt::Display>> PageQuery<Id> {
    /// What a query of `limit` and `cursor` asks for.
    ///
    /// # Errors
    /// [`ApiError::Invalid`].
    pub fn parse(query: Option<&str>) -> Result<Self, ApiError> {
        let query = Query::parse(query, &["limit", "cursor"])?;
        let limit = limit(&query)?;
        query.read("cursor", Id::from_str)?;
        let after = query.get("cursor").unwrap_or_default();
        let after = Bytes::copy_from_slice(after.as_bytes());
        Ok(PageQuery { after, limit, ids: PhantomData })
    }
}

/// How many entries a page is to have: `limit` of a query.
///
/// # Errors
/// [`ApiError::Invalid`].
pub fn limit(query: &Query<'_>) -> Result<usize, ApiError> {
    Ok(query.read("limit", parse_limit)?.unwrap_or(LIMIT_DEFAULT))
}

fn parse_limit(text: &str) -> Result<usize, BadLimit> {
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())).ok_or(BadLimit)
}

/// A page of a table whose entries are JSON as the API shows it: `{"<name>": [...],
/// "nextCursor": "..."}`, without a cursor on the last page.
///
/// # Errors
/// [`ApiError`] where the service does not answer.
pub async fn answer<Id>(
    service: &ServiceHandle,
    table: TopicName,
    name: &'static str,
    query: &PageQuery<Id>,
) -> Result<Response, ApiError> {
    // One more than is shown, to know whether there are more.
    let entries = service.table_page(table, query.after.clone(), query.limit + 1).await?;
    Ok(json::answer(StatusCode::OK, &Page { name, entries: &entries, limit: query.limit }))
}

struct Page<'a> {
    name: &'static str,
    entries: &'a [(Bytes, TableEntry)],
    limit: usize,
}

impl Serialize for Page<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = &self.entries[..self.entries.len().min(self.limit)];
        let values = shown
            .iter()
            .map(|(_, entry)| serde_json::from_slice::<&RawValue>(&entry.value))
            .collect::<Result<Vec<_>, _>>()
            .map_err(serde::ser::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.name, &values)?;
        if let Some((last, _)) = shown.last().filter(|_| self.entries.len() > self.limit) {
            map.serialize_entry("nextCursor", &String::from_utf8_lossy(last))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Option<(usize, String)> {
        let query = PageQuery::<u8>::parse(Some(text)).ok()?;
        Some((query.limit, String::from_utf8(query.after.to_vec()).unwrap()))
    }

    #[test]
    fn a_page_has_1_to_200_entries_and_50_unless_asked_for() {
        assert_eq!(query(""), Some((50, String::new())));
        assert_eq!(query("limit=1"), Some((1, String::new())));
        assert_eq!(query("limit=200&cursor=7"), Some((200, "7".to_owned())));
        for bad in ["limit=0", "limit=201", "limit=", "limit=+5", "limit=-1", "limit=x"] {
            assert_eq!(query(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_cursor_is_an_id() {
        assert_eq!(query("cursor="), None);
        assert_eq!(query("cursor=x"), None);
    }
}
