//! What the routes are, told by themselves: an OpenAPI 3.1 document, and a page that shows it.
//!
//! - [`parameters`]: parameters that several routes take
//! - [`responses`]: problems as the document tells them, for the descriptions of routes
//! - `page`: `/docs`
//!
//! A route is described where it is written (`#[utoipa::path]`), and added to its router by that
//! description (`routes!`), so that path and method stand in one place.

mod page;
pub mod parameters;
pub mod responses;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, Ref, RefOr, Schema,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::json;

/// What every answer may be, whatever the route.
const OF_EVERY_ROUTE: [(&str, &str); 2] = [("500", "Fault"), ("503", "Unavailable")];

const ABOUT: &str = "Orders, the products they are for, and the customers who pay for them. What \
    is answered with a 2xx status is on disk, and a request that is sent again changes nothing. \
    Errors are problem details (RFC 9457) with a `code` for programs.";

/// The route of the document and those of its page.
pub(crate) fn routes() -> OpenApiRouter<Bytes> {
    OpenApiRouter::new().routes(routes!(openapi)).merge(page::routes())
}

/// This description of the API.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "Operations",
    responses((status = 200, description = "An OpenAPI 3.1 document.", body = serde_json::Value)),
)]
async fn openapi(State(document): State<Bytes>) -> Response {
    json::answer_text(StatusCode::OK, document)
}

/// The document of these routes, with what surrounds each of them.
pub(crate) fn document(mut routes: OpenApi) -> Bytes {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0"));
    routes.info = InfoBuilder::new()
        .title("Order management")
        .version("1")
        .description(Some(ABOUT))
        .license(Some(license.build()))
        .build();
    let components = routes.components.take().unwrap_or_default();
    let components = ComponentsBuilder::from(components)
        .schema_from::<responses::Problem>()
        .response("Fault", responses::problem("The service has a fault, which is in its log."))
        .response("Unavailable", responses::unavailable());
    routes.components = Some(components.build());
    for operation in routes.paths.paths.values_mut().flat_map(operations) {
        operation.parameters.iter_mut().flatten().for_each(never_null);
        for (status, name) in OF_EVERY_ROUTE {
            let response = Ref::from_response_name(name).into();
            operation.responses.responses.entry(status.to_owned()).or_insert(response);
        }
    }
    // The document is made of strings, numbers and lists, which can all be written.
    serde_json::to_vec(&routes).map(Bytes::from).unwrap_or_default()
}

/// A parameter that may be left out is not `null`, which a query or a header cannot say.
fn never_null(parameter: &mut RefOr<Parameter>) {
    if let RefOr::T(Parameter { schema: Some(RefOr::T(Schema::Object(schema))), .. }) = parameter
        && let SchemaType::Array(types) = &mut schema.schema_type
    {
        types.retain(|kind| *kind != Type::Null);
        if let [only] = &types[..] {
            schema.schema_type = SchemaType::Type(only.clone());
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post].into_iter().filter_map(Option::as_mut)
}
