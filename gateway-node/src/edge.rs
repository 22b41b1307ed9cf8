//! What happens to every request on its way in and out: an id, a line in the access log, metrics, and
//! a body for every error.
//!
//! Traps avoided: paths and queries hold names and tokens, so the log and the metrics name the route's
//! template; errors of the framework itself (a body too large, a bad path) would go out as plain text.

use actix_web::Error;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use tokio::time::Instant;
use volery_kernel::code::Code;

use crate::problem::{PROBLEM_JSON, Problem};
use crate::server::Shared;

/// What metrics and log call an address that is no route.
const NO_ROUTE: &str = "other";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(crate) async fn edge(
    shared: Data<Shared>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let begun = Instant::now();
    let method = request.method().clone();
    let request_id = shared.request_id();
    let response = next.call(request).await?.map_into_boxed_body();
    let mut response = with_problem(&shared, response, &request_id);
    headers(&mut response, &request_id);
    account(&shared, &response, &method, begun, &request_id);
    Ok(response)
}

/// Gives an error the body that it lacks. Answers that bring a body of their own (health) keep it.
fn with_problem(shared: &Shared, response: ServiceResponse<BoxBody>, request_id: &str) -> ServiceResponse<BoxBody> {
    let Some(problem) = problem_of(&response) else { return response };
    if let Some(cause) = &problem.cause {
        tracing::warn!(request_id, code = problem.code.text(), cause, "a request failed");
    }
    shared.metrics.errors.of(problem.code).inc();
    let body = serde_json::to_vec(&problem.body(request_id)).unwrap_or_default();
    response.map_body(|head, _| {
        head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        BoxBody::new(body)
    })
}

fn problem_of(response: &ServiceResponse<BoxBody>) -> Option<Problem> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let error = response.response().error();
    match error.and_then(|error| error.as_error::<Problem>()) {
        Some(problem) => Some(problem.clone()),
        None if error.is_none() && response.headers().contains_key(header::CONTENT_TYPE) => None,
        None => Some(Problem::of_status(status, error)),
    }
}

fn headers(response: &mut ServiceResponse<BoxBody>, request_id: &str) {
    let ours = response.request().path().starts_with("/v1/");
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if ours {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn account(shared: &Shared, response: &ServiceResponse<BoxBody>, method: &Method, begun: Instant, request_id: &str) {
    let route = response.request().match_pattern();
    let route = route.as_deref().unwrap_or(NO_ROUTE);
    let (status, seconds) = (response.status().as_u16(), begun.elapsed().as_secs_f64());
    shared.metrics.http_requests.answered(route, method.as_str(), status);
    shared.metrics.http_request_seconds.took(route, seconds);
    let peer = response.request().peer_addr().map(|peer| peer.ip().to_string());
    tracing::info!(
        target: "volery::access",
        request_id,
        method = method.as_str(),
        route,
        status,
        milliseconds = seconds * 1_000.0,
        peer,
        "request"
    );
    if status == Code::Internal.http() {
        tracing::error!(request_id, route, "a fault of ours");
    }
}
