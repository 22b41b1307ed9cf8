//! How the node is: for people, for Kubernetes, for Prometheus.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, Responder, get};
use volery_kernel::code::Code;
use volery_node::health::Health;
use volery_node::metrics::{CONTENT_TYPE, Metrics};

use crate::problem::Problem;

/// What is answered from.
pub(crate) struct Probed {
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
}

/// How every part is, for people.
#[utoipa::path(tag = "health", responses(
    (status = 200, description = "Every part serves.", content_type = "application/json", body = Object),
    (status = 503, description = "Some part does not.", content_type = "application/json", body = Object)))]
#[get("/healthz")]
pub(crate) async fn healthz(probed: Data<Probed>) -> impl Responder {
    report(&probed, probed.health.report().ready)
}

/// Whether a restart would not help.
#[utoipa::path(tag = "health", responses(
    (status = 200, description = "It lives.", content_type = "application/json", body = Object),
    (status = 503, description = "Restart it.", content_type = "application/json", body = Object)))]
#[get("/livez")]
pub(crate) async fn livez(probed: Data<Probed>) -> impl Responder {
    report(&probed, probed.health.report().live)
}

/// Whether it may be sent requests.
#[utoipa::path(tag = "health", responses(
    (status = 200, description = "It serves.", content_type = "application/json", body = Object),
    (status = 503, description = "Look elsewhere.", content_type = "application/json", body = Object)))]
#[get("/readyz")]
pub(crate) async fn readyz(probed: Data<Probed>) -> impl Responder {
    report(&probed, probed.health.report().ready)
}

/// Whether every part has served once.
#[utoipa::path(tag = "health", responses(
    (status = 200, description = "It has started.", content_type = "application/json", body = Object),
    (status = 503, description = "Wait.", content_type = "application/json", body = Object)))]
#[get("/startupz")]
pub(crate) async fn startupz(probed: Data<Probed>) -> impl Responder {
    report(&probed, probed.health.report().started)
}

fn report(probed: &Probed, good: bool) -> HttpResponse {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(status).json(probed.health.report())
}

/// Metrics in the text form of Prometheus.
#[utoipa::path(tag = "health", responses(
    (status = 200, description = "All of them.", content_type = "text/plain", body = String)))]
#[get("/metrics")]
pub(crate) async fn metrics(probed: Data<Probed>) -> Result<impl Responder, Problem> {
    let text = probed.metrics.render().map_err(|error| {
        tracing::error!(%error, "metrics cannot be rendered");
        Problem::new(Code::Internal)
    })?;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}
