//! Problems as the document tells them: what a route lists among its `responses(...)`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::json::{JsonBody, NoBody};

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The schema of a problem, which [`ApiError`](crate::problem::ApiError) becomes.
#[derive(Debug)]
pub struct Problem;

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        let text = |description: &str| {
            ObjectBuilder::new().schema_type(Type::String).description(Some(description)).build()
        };
        let status = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(400))
            .maximum(Some(599))
            .description(Some("The status of the answer."));
        let kind = "A URN of the kind of problem: the code, in lower case.";
        let mut problem = ObjectBuilder::new()
            .description(Some(
                "Problem details (RFC 9457). Some kinds have members of their own: the `id` of an \
                 order, its `state`, the `order` so far, what is `missing`.",
            ))
            .property("type", text(kind))
            .property("title", text("The code in words."))
            .property("status", status)
            .property("detail", text("What is wrong, with its values, for people."))
            .property("instance", text("The path that was asked for."))
            .property("code", text("The kind of problem, for programs."))
            .property("errors", ArrayBuilder::new().items(violation()));
        for name in ["type", "title", "status", "detail", "instance", "code"] {
            problem = problem.required(name);
        }
        Schema::from(problem.build()).into()
    }
}

impl ToSchema for Problem {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Problem")
    }
}

fn violation() -> Object {
    let text = |description: &str| {
        ObjectBuilder::new().schema_type(Type::String).description(Some(description)).build()
    };
    ObjectBuilder::new()
        .description(Some("A part of the request that is not what it should be."))
        .property("pointer", text("Where it stands in the body, as a JSON pointer (RFC 6901)."))
        .property("parameter", text("Or its name, where it is a part of the path or the query."))
        .property("header", text("Or its name, where it is a header."))
        .property("detail", text("What is wrong with it."))
        .required("detail")
        .build()
}

/// An answer that is a problem.
pub fn problem(description: &str) -> Response {
    let schema = Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build()
}

/// The answer of a service that cannot do now what it is asked for.
pub(crate) fn unavailable() -> Response {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    let retry_after = HeaderBuilder::new()
        .schema(Some(seconds.build()))
        .description(Some("How many seconds to wait before a retry."))
        .build();
    let mut response = problem(
        "The log cannot be reached, lists are being made anew, there is too much to do, or the \
         server stops. A retry is safe; where the answer has an `id`, with that id.",
    );
    response.headers.insert("Retry-After".to_owned(), retry_after.into());
    response
}

fn responses<const COUNT: usize>(told: [(u16, &str); COUNT]) -> BTreeMap<String, RefOr<Response>> {
    let response =
        |(status, description): (u16, &str)| (status.to_string(), problem(description).into());
    told.map(response).into()
}

const NOT_WHOLE: (u16, &str) = (400, "The body is not whole.");
const TIMED_OUT: (u16, &str) = (408, "The body did not arrive in time.");
const TOO_LARGE: (u16, &str) = (413, "The body is longer than 256 KiB.");

impl IntoResponses for JsonBody {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses([
            (400, "The body is no JSON text."),
            TIMED_OUT,
            TOO_LARGE,
            (415, "The body is not declared as `application/json` in UTF-8."),
            (422, "Parts of the request are not valid: `errors` names each. Nothing is changed."),
        ])
    }
}

impl IntoResponses for NoBody {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses([NOT_WHOLE, TIMED_OUT, TOO_LARGE])
    }
}

/// The answers of a route with parameters in its query.
#[derive(Debug)]
pub struct BadQuery;

impl IntoResponses for BadQuery {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses([(
            422,
            "A parameter is not valid, is unknown, or is given more than once: `errors` names it.",
        )])
    }
}

/// The answers of a route about one thing that has to exist.
#[derive(Debug)]
pub struct NotFound;

impl IntoResponses for NotFound {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses([(404, "There is no such thing, for certain: what was answered before is seen.")])
    }
}

/// The answer to a client that knows what it asks for: see [`Known`](crate::etag::Known).
#[derive(Debug)]
pub struct NotModified;

impl IntoResponses for NotModified {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let tag = HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
            .description(Some("The version, in quotes."));
        let response = ResponseBuilder::new()
            .description("Its version is among those of `If-None-Match`.")
            .header("ETag", tag.build());
        BTreeMap::from([("304".to_owned(), response.build().into())])
    }
}
