//! Registration, log-in, tokens, and the devices that are logged in.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, Responder, delete, get, post};
use serde::Serialize;
use utoipa::ToSchema;
use volery_kernel::id::DeviceId;
use volery_ports::account_service::{AccountError, Device, Grant, LogIn, Registration, Told};
use volery_ports::accounts::Claims;

use crate::caller::{Address, Caller};
use crate::input::{Fields, parsed};
use crate::problem::Problem;
use crate::routes::people::Person;
use crate::server::Shared;

/// An account to make.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read field by field")]
struct Register {
    /// 3 to 32 characters of a-z, 0-9 and _, beginning with a letter.
    #[schema(example = "ada", pattern = "^[a-z][a-z0-9_]{2,31}$")]
    user_name: String,
    /// 1 to 64 characters, none of them a control or bidirectional one; the user name if it is missing or
    /// empty.
    #[schema(example = "Ada Lovelace", max_length = 64)]
    display_name: Option<String>,
    /// At least 8 characters, at most 1,024 bytes.
    #[schema(example = "correct horse battery", min_length = 8, max_length = 1_024)]
    password: String,
}

/// A log-in.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read field by field")]
struct Login {
    /// Who.
    #[schema(example = "ada")]
    user_name: String,
    /// The password.
    #[schema(example = "correct horse battery")]
    password: String,
    /// What you call this device: at most 64 characters, none of them a control or bidirectional one.
    #[schema(example = "laptop", max_length = 64)]
    device_name: Option<String>,
}

/// A refresh token to exchange.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read field by field")]
struct Refresh {
    /// As log-in or the last refresh gave it; good for one use.
    refresh_token: String,
}

/// What a device holds. Store it before it is used.
#[derive(Serialize, ToSchema)]
struct Tokens {
    /// Whose.
    user: String,
    /// The device, issued at log-in: `hello` names it.
    device: String,
    /// A JWT for `Authorization: Bearer` and for `hello`.
    access_token: String,
    /// First moment at which it is void, in milliseconds since the Unix epoch.
    access_expires: u64,
    /// Exchange it at `/v1/refresh`, once.
    refresh_token: String,
    /// First moment at which it is void, in milliseconds since the Unix epoch.
    refresh_expires: u64,
    /// Where to connect: a WebSocket address. Empty while no messaging node is up: ask `/v1/node` then.
    node: String,
}

/// A device that is logged in.
#[derive(Serialize, ToSchema)]
struct Session {
    /// Its id.
    device: String,
    /// What you called it.
    name: String,
    /// When it logged in, in milliseconds since the Unix epoch.
    created: u64,
    /// When it logged in or refreshed last, in milliseconds since the Unix epoch.
    last_seen: u64,
    /// It is the one that asks.
    current: bool,
}

/// Devices that are logged in, newest first, at most 100.
#[derive(Serialize, ToSchema)]
struct Sessions {
    /// The devices.
    sessions: Vec<Session>,
}

/// Make an account.
#[utoipa::path(tag = "accounts", request_body = inline(Register),
    responses((status = 201, description = "It is there: log in.", body = Person)))]
#[post("/v1/register")]
pub(super) async fn register(
    from: Address,
    shared: Data<Shared>,
    mut fields: Fields,
) -> Result<impl Responder, Problem> {
    let registration = Registration {
        user_name: fields.required("user_name")?,
        display_name: fields.optional("display_name")?.unwrap_or_default(),
        password: fields.required("password")?,
    };
    shared.limits.register(from.0, &registration.user_name)?;
    let user = Person::from(shared.accounts.register(registration).await?);
    let at = format!("/v1/users/{}", user.id);
    Ok(HttpResponse::Created().insert_header(("location", at)).json(user))
}

/// Log in: a new device with its tokens.
#[utoipa::path(tag = "accounts", request_body = inline(Login),
    responses((status = 200, description = "Store all of it.", body = Tokens)))]
#[post("/v1/login")]
pub(super) async fn log_in(from: Address, shared: Data<Shared>, mut fields: Fields) -> Result<impl Responder, Problem> {
    let log_in = LogIn {
        user_name: fields.required("user_name")?,
        password: fields.required("password")?,
        device_name: fields.optional("device_name")?.unwrap_or_default(),
    };
    shared.limits.log_in(from.0, &log_in.user_name)?;
    let grant = shared.accounts.log_in(log_in).await?;
    Ok(tokens(&shared, grant))
}

/// Exchange a refresh token for new tokens. Used twice, it logs its device out: one of the two is a thief.
#[utoipa::path(tag = "accounts", request_body = inline(Refresh),
    responses((status = 200, description = "The old refresh token is void: store the new one.", body = Tokens)))]
#[post("/v1/refresh")]
pub(super) async fn refresh(
    from: Address,
    shared: Data<Shared>,
    mut fields: Fields,
) -> Result<impl Responder, Problem> {
    let refresh_token = fields.required("refresh_token")?;
    shared.limits.refresh(from.0)?;
    let grant = shared.accounts.refresh(&refresh_token).await?;
    Ok(tokens(&shared, grant))
}

fn tokens(shared: &Shared, grant: Grant) -> Json<Tokens> {
    Json(Tokens {
        user: grant.user.to_string(),
        device: grant.device.to_string(),
        access_token: grant.access_token,
        access_expires: grant.access_expires.0,
        refresh_token: grant.refresh_token,
        refresh_expires: grant.refresh_expires.0,
        node: shared.nodes.of_or_any(grant.user),
    })
}

/// Log this device out.
#[utoipa::path(tag = "accounts", security(("token" = [])), responses(
    (status = 204, description = "It is logged out, and its sessions are being closed."),
    (status = 202, description = "It is logged out; its sessions are told as soon as the log takes it.")))]
#[post("/v1/logout")]
pub(super) async fn log_out(caller: Caller, shared: Data<Shared>) -> Result<impl Responder, Problem> {
    out(&shared, caller.0, caller.0.device).await
}

/// Log one of my devices out.
#[utoipa::path(tag = "accounts", security(("token" = [])), 
    params(("device" = String, Path, pattern = "^[0-9]{1,19}$", description = "The device.")),
    responses(
    (status = 204, description = "It is logged out, and its sessions are being closed."),
    (status = 202, description = "It is logged out; its sessions are told as soon as the log takes it.")))]
#[delete("/v1/me/sessions/{device}")]
pub(super) async fn revoke(
    caller: Caller,
    shared: Data<Shared>,
    device: Path<String>,
) -> Result<impl Responder, Problem> {
    out(&shared, caller.0, parsed("device", &device)?).await
}

async fn out(shared: &Shared, caller: Claims, device: DeviceId) -> Result<HttpResponse, Problem> {
    let status = match shared.accounts.revoke(caller, device).await? {
        Told::OnTheLog => StatusCode::NO_CONTENT,
        Told::Later => StatusCode::ACCEPTED,
    };
    Ok(HttpResponse::new(status))
}

/// My devices that are logged in.
#[utoipa::path(tag = "accounts", security(("token" = [])),
    responses((status = 200, description = "Newest first, at most 100.", body = Sessions)))]
#[get("/v1/me/sessions")]
pub(super) async fn sessions(caller: Caller, shared: Data<Shared>) -> Result<impl Responder, Problem> {
    let devices = shared.accounts.devices(caller.0).await?;
    Ok(Json(Sessions { sessions: devices.into_iter().map(|device| session(device, caller.0.device)).collect() }))
}

fn session(device: Device, asking: DeviceId) -> Session {
    Session {
        device: device.id.to_string(),
        name: device.name,
        created: device.created.0,
        last_seen: device.last_seen.0,
        current: device.id == asking,
    }
}

/// The public keys of access tokens, as a JSON Web Key Set.
#[utoipa::path(tag = "accounts",
    responses((status = 200, description = "RFC 7517.", content_type = "application/jwk-set+json", body = Object)))]
#[get("/.well-known/jwks.json")]
pub(super) async fn jwks(shared: Data<Shared>) -> Result<impl Responder, Problem> {
    let keys = shared.accounts.keys().await.map_err(AccountError::from)?;
    Ok(HttpResponse::Ok()
        .content_type("application/jwk-set+json")
        .insert_header(("cache-control", "public, max-age=300"))
        .body(keys))
}
