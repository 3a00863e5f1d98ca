//! What stands in the request line: ids in the path, parameters in the query.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use crate::problem::{ApiError, Place, Violation};

/// The one id in a path, decoded but not looked at yet.
///
/// A text that no id can have is answered by what was asked of it: a thing of that id cannot
/// exist, so to read or change it is 404; to create it is 422.
#[derive(Clone, Debug)]
pub struct PathId(Option<String>);

impl PathId {
    /// The id of something that should exist.
    ///
    /// # Errors
    /// [`ApiError::NotFound`] where it is no id; `what` says of what kind.
    pub fn existing<Id: FromStr>(&self, what: &str) -> Result<Id, ApiError> {
        let id = self.0.as_ref().and_then(|text| text.parse().ok());
        id.ok_or_else(|| ApiError::NotFound(format!("no {what} can have that id")))
    }

    /// The id for something that may be new.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] where it is no id.
    pub fn creating<Id: FromStr<Err: fmt::Display>>(&self) -> Result<Id, ApiError> {
        let violation = |detail: &dyn fmt::Display| {
            ApiError::from(Violation::new(Place::Parameter("id".to_owned()), detail))
        };
        let text = self.0.as_ref().ok_or_else(|| violation(&"an id is UTF-8 text"))?;
        text.parse().map_err(|error: Id::Err| violation(&error))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match RawPathParams::from_request_parts(parts, state).await {
            Ok(params) => Ok(PathId(params.iter().next().map(|(_, value)| value.to_owned()))),
            Err(RawPathParamsRejection::InvalidUtf8InPathParam(_)) => Ok(PathId(None)),
            Err(other) => Err(ApiError::Internal { cause: other.body_text() }),
        }
    }
}

/// The parameters of a query. Each must be known and stand there once: a misspelt one would
/// otherwise be a different request than was meant.
#[derive(Clone, Debug, Default)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// The parameters of a query that may have these.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] with every unknown or repeated one.
    pub fn parse(query: Option<&'a str>, known: &[&str]) -> Result<Self, ApiError> {
        let Some(query) = query else { return Ok(Query::default()) };
        let mut parameters: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        let mut violations = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let refuse = |detail: &str| {
                let name: String = name.chars().take(NAME_CHARACTERS_MAX).collect();
                Violation::new(Place::Parameter(name), detail)
            };
            if !known.contains(&&*name) {
                violations.push(refuse("there is no such parameter"));
            } else if parameters.iter().any(|(other, _)| *other == name) {
                violations.push(refuse("it is given more than once"));
            } else {
                parameters.push((name, value));
            }
        }
        if violations.is_empty() {
            Ok(Query(parameters))
        } else {
            violations.truncate(VIOLATIONS_MAX);
            Err(ApiError::Invalid(violations))
        }
    }

    /// A parameter as it was given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// A parameter as the value that it says; `None` where it is not given.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] with what `parse` found wrong.
    pub fn read<T, E: fmt::Display>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ApiError> {
        let violation = |error| Violation::new(Place::Parameter(name.to_owned()), error);
        Ok(self.get(name).map(parse).transpose().map_err(violation)?)
    }
}

/// How much of a client's own text an error repeats.
const NAME_CHARACTERS_MAX: usize = 40;
const VIOLATIONS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Result<Query<'_>, ApiError> {
        Query::parse(Some(query), &["until", "timeout"])
    }

    #[test]
    fn parameters_are_decoded() {
        let query = parameters("until=PA%49D&timeout=").unwrap();

        assert_eq!(query.get("until"), Some("PAID"));
        assert_eq!(query.get("timeout"), Some(""));
        assert_eq!(Query::parse(None, &["until"]).unwrap().get("until"), None);
    }

    #[test]
    fn a_value_that_cannot_be_read_is_told_with_its_name() {
        let query = parameters("timeout=soon").unwrap();
        let error = query.read("timeout", |text| text.parse::<u8>()).unwrap_err();

        let ApiError::Invalid(violations) = error else { panic!("another error") };
        assert_eq!(violations[0].place, Place::Parameter("timeout".to_owned()));
        assert_eq!(query.read("until", |text| text.parse::<u8>()).unwrap(), None);
    }

    #[test]
    fn every_unknown_and_repeated_parameter_is_told() {
        let error = parameters("untill=PAID&timeout=1&timeout=2").unwrap_err();

        let ApiError::Invalid(violations) = error else { panic!("another error") };
        let places: Vec<_> = violations.into_iter().map(|violation| violation.place).collect();
        let parameter = |name: &str| Place::Parameter(name.to_owned());
        assert_eq!(places, [parameter("untill"), parameter("timeout")]);
    }

    #[test]
    fn a_text_that_is_no_id_is_not_found_or_not_valid() {
        let number = PathId(Some("7".to_owned()));
        assert_eq!(number.existing::<u8>("thing").unwrap(), 7);
        assert_eq!(number.creating::<u8>().unwrap(), 7);
        for other in [PathId(Some("x".to_owned())), PathId(None)] {
            assert_eq!(other.existing::<u8>("thing").unwrap_err().status_code(), 404);
            assert_eq!(other.creating::<u8>().unwrap_err().status_code(), 422);
        }
    }
}
