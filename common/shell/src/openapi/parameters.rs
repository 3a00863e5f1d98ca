//! Parameters as the document tells them: what a route lists among its `params(...)`.

use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Required, Schema};

use crate::etag::Known;
use crate::page::{LIMIT_DEFAULT, LIMIT_MAX};

/// How long a page of a list is: what [`page::limit`](crate::page::limit) reads.
#[derive(Debug)]
pub struct Limit;

impl IntoParams for Limit {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .minimum(Some(1))
            .maximum(Some(LIMIT_MAX));
        let description =
            format!("How many there are on a page, {LIMIT_DEFAULT} where it is left out.");
        let limit = ParameterBuilder::new()
            .name("limit")
            .parameter_in(ParameterIn::Query)
            .description(Some(description))
            .required(Required::False)
            .schema(Some(Schema::from(number.build())))
            .example(Some(LIMIT_DEFAULT.into()));
        vec![limit.build()]
    }
}

impl IntoParams for Known {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let tags = ObjectBuilder::new().schema_type(Type::String);
        let known = ParameterBuilder::new()
            .name("If-None-Match")
            .parameter_in(ParameterIn::Header)
            .description(Some("Versions that are known already, as `ETag` told them."))
            .required(Required::False)
            .schema(Some(Schema::from(tags.build())))
            .example(Some("\"0\"".into()));
        vec![known.build()]
    }
}
