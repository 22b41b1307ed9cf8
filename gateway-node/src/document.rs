//! What there is (OpenAPI) and, by the same table, what there is not: 404, or 405 with `Allow`.

use actix_web::http::header;
use actix_web::web::{Data, Redirect};
use actix_web::{App, HttpRequest, HttpResponse, Responder, ResponseError as _};
use utoipa::openapi::path::PathItem;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};
use utoipa_actix_web::AppExt as _;
use utoipa_actix_web::service_config::ServiceConfig;
use volery_kernel::code::Code;

use crate::problem::{PROBLEM_JSON, Problem, ProblemBody};
use crate::routes;
use crate::server::Shared;

/// Where the description is.
pub(crate) const OPENAPI_PATH: &str = "/v1/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Volery",
        description = "Chat over HTTP: accounts, people, chats and pages. The live connection is a WebSocket \
                       at the address that `/v1/node` answers. Ids and source positions are strings of decimal \
                       digits, times are milliseconds since the Unix epoch."
    ),
    components(schemas(ProblemBody))
)]
struct Api;

/// A token for who wants one, and the error that every operation may answer.
struct Everywhere;

impl Modify for Everywhere {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        api.components.get_or_insert_with(Components::new).add_security_scheme("token", SecurityScheme::Http(bearer));
        for item in api.paths.paths.values_mut() {
            for operation in operations(item) {
                operation.responses.responses.insert("default".into(), RefOr::T(any_problem()));
            }
        }
    }
}

fn any_problem() -> Response {
    let schema = Ref::from_schema_name("Problem");
    ResponseBuilder::new()
        .description("It was not done; `code` says why.")
        .content(PROBLEM_JSON, Content::new(Some(schema)))
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut utoipa::openapi::path::Operation> {
    [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten()
}

/// The description of all routes. Wants nothing of a running gateway.
pub(crate) fn description() -> utoipa::openapi::OpenApi {
    let app = App::new().into_utoipa_app().openapi(Api::openapi());
    let (_, mut api) = app.configure(|config: &mut ServiceConfig| routes::all(config)).split_for_parts();
    Everywhere.modify(&mut api);
    api
}

/// `docs/reference/openapi.json`: the OpenAPI 3.1 description of the HTTP edge.
#[must_use]
pub fn openapi() -> String {
    description().to_pretty_json().map(|json| json + "\n").unwrap_or_default()
}

/// Every address and the methods that it takes.
pub(crate) struct Table(Vec<(String, Vec<&'static str>)>);

impl Table {
    pub(crate) fn new(api: &utoipa::openapi::OpenApi) -> Self {
        let mut table: Vec<_> = api.paths.paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect();
        table.extend([OPENAPI_PATH, "/docs"].map(|path| (path.to_owned(), vec!["GET"])));
        Self(table)
    }

    /// What the address takes; `None` if there is no such address.
    fn allowed(&self, path: &str) -> Option<&[&'static str]> {
        let fits = |(template, _): &&(String, Vec<&'static str>)| matches(template, path);
        self.0.iter().find(fits).map(|(_, methods)| methods.as_slice())
    }
}

fn methods(item: &PathItem) -> Vec<&'static str> {
    let taken = [("DELETE", item.delete.is_some()), ("GET", item.get.is_some()), ("POST", item.post.is_some())];
    taken.into_iter().filter(|(_, taken)| *taken).map(|(method, _)| method).collect()
}

fn matches(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(segment)) if wanted == segment => {}
            (Some(wanted), Some(segment)) if wanted.starts_with('{') && !segment.is_empty() => {}
            _ => return false,
        }
    }
}

/// Whatever no route took.
pub(crate) async fn nothing_here(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    let Some(allowed) = shared.table.allowed(request.path()) else {
        return HttpResponse::from_error(Problem::new(Code::NotFound));
    };
    let problem = Problem::new(Code::MethodNotAllowed);
    let mut response = problem.error_response();
    if let Ok(value) = header::HeaderValue::from_str(&allowed.join(", ")) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

pub(crate) async fn to_the_docs() -> impl Responder {
    Redirect::to("/docs/")
}

#[cfg(test)]
mod tests {
    use volery_kernel::limits;

    use super::*;

    #[test]
    fn addresses_are_matched_segment_by_segment() {
        assert!(matches("/v1/users/{id}", "/v1/users/7"));
        assert!(matches("/v1/users/by-name/{user_name}", "/v1/users/by-name/ada"));
        for other in ["/v1/users", "/v1/users/", "/v1/users/7/", "/v1/users/7/8", "/v2/users/7", "/"] {
            assert!(!matches("/v1/users/{id}", other), "{other}");
        }
    }

    #[test]
    fn bounds_are_described_as_they_are_kept() {
        let api = serde_json::to_value(description()).expect("JSON");
        let parameter = |path: &str, name: &str| {
            let all = api["paths"][path]["get"]["parameters"].as_array().expect("parameters");
            all.iter().find(|parameter| parameter["name"] == name).expect("this one")["schema"].clone()
        };
        for (path, most) in [
            ("/v1/users", limits::USER_SEARCH_MOST),
            ("/v1/chats", limits::CHATS_MOST),
            ("/v1/chats/{chat}/messages", limits::PAGE_MOST),
        ] {
            let limit = parameter(path, "limit");
            assert_eq!((&limit["minimum"], &limit["maximum"]), (&1.into(), &most.value.into()), "{path}");
        }
        let part = parameter("/v1/users", "q");
        let lengths = (&part["minLength"], &part["maxLength"]);
        let kept = (limits::USER_SEARCH_CHARS_LEAST.value, limits::DISPLAY_NAME_CHARS.value);
        assert_eq!(lengths, (&kept.0.into(), &kept.1.into()));
        let body = &api["paths"]["/v1/register"]["post"]["requestBody"]["content"]["application/json"]["schema"];
        let password = &body["properties"]["password"];
        let lengths = (&password["minLength"], &password["maxLength"]);
        let kept = (limits::PASSWORD_CHARS_LEAST.value, limits::PASSWORD_BYTES.value);
        assert_eq!(lengths, (&kept.0.into(), &kept.1.into()));
        assert_eq!(body["properties"]["display_name"]["maxLength"], limits::DISPLAY_NAME_CHARS.value);
    }

    #[test]
    fn every_operation_is_described() {
        let mut api = description();
        assert!(api.paths.paths.len() >= 18);
        for (path, item) in &mut api.paths.paths {
            for operation in operations(item) {
                assert!(operation.summary.is_some(), "{path}");
                assert!(operation.responses.responses.contains_key("default"), "{path}");
            }
        }
    }
}
