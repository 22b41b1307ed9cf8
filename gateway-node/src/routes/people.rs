//! Who I am, where I connect, and who else is there.

use actix_web::web::{Data, Json, Path};
use actix_web::{Responder, get};
use serde::Serialize;
use utoipa::ToSchema;
use volery_kernel::code::Code;
use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_ports::account_service::User;

use crate::caller::Caller;
use crate::input::{Params, parsed};
use crate::problem::Problem;
use crate::server::Shared;

/// A person.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct Person {
    /// Never changes.
    pub(super) id: String,
    /// Unique.
    user_name: String,
    /// As others see it.
    display_name: String,
    /// When the account was made, in milliseconds since the Unix epoch.
    created: u64,
}

impl From<User> for Person {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            user_name: user.user_name,
            display_name: user.display_name,
            created: user.created.0,
        }
    }
}

/// People that were found.
#[derive(Serialize, ToSchema)]
struct Users {
    /// An exact user name first.
    users: Vec<Person>,
}

/// Where to connect.
#[derive(Serialize, ToSchema)]
struct Node {
    /// A WebSocket address.
    #[schema(example = "ws://127.0.0.1:8401/v1/ws")]
    address: String,
}

/// Who I am.
#[utoipa::path(tag = "people", security(("token" = [])),
    responses((status = 200, description = "The account of the token.", body = Person)))]
#[get("/v1/me")]
pub(super) async fn me(caller: Caller, shared: Data<Shared>) -> Result<impl Responder, Problem> {
    person(&shared, caller.0.user).await
}

/// The address of my messaging node.
#[utoipa::path(tag = "people", security(("token" = [])), params(
    ("not" = Option<String>, Query, description = "The address at which no socket could be opened: the answer waits up to two seconds for another.")),
    responses((status = 200, description = "Ask again when a socket cannot be opened.", body = Node)))]
#[get("/v1/node")]
pub(super) async fn node(caller: Caller, shared: Data<Shared>, params: Params) -> Result<impl Responder, Problem> {
    let (nodes, user) = (&shared.nodes, caller.0.user);
    let address = match params.text("not") {
        Some(not) => nodes.other_than(not, user).await,
        None => nodes.of(user),
    };
    let address = address.ok_or_else(|| Problem::new(Code::NoNode).after_seconds(1))?;
    Ok(Json(Node { address }))
}

/// Find people by a part of their name.
#[utoipa::path(tag = "people", security(("token" = [])), params(
    ("q" = String, Query, min_length = 3, max_length = 64, description = "A part of a user name or display name, 3 to 64 characters."),
    ("limit" = Option<u8>, Query, minimum = 1, maximum = 20, description = "1 to 20; 20 if it is missing.")),
    responses((status = 200, description = "An exact user name first.", body = Users)))]
#[get("/v1/users")]
pub(super) async fn find(_: Caller, shared: Data<Shared>, params: Params) -> Result<impl Responder, Problem> {
    let most = limits::USER_SEARCH_MOST.value;
    let part = params.text("q").ok_or_else(|| Problem::bad("q", "this parameter is missing"))?;
    let found = shared.accounts.find_users(part, params.limit(most, most)?).await?;
    Ok(Json(Users { users: found.into_iter().map(Person::from).collect() }))
}

/// A person by id.
#[utoipa::path(tag = "people", security(("token" = [])), 
    params(("id" = String, Path, pattern = "^[0-9]{1,19}$", description = "The user's id.")),
    responses((status = 200, description = "The person.", body = Person)))]
#[get("/v1/users/{id}")]
pub(super) async fn one(_: Caller, shared: Data<Shared>, id: Path<String>) -> Result<impl Responder, Problem> {
    person(&shared, parsed("id", &id)?).await
}

/// A person by user name.
#[utoipa::path(tag = "people", security(("token" = [])),
    params(("user_name" = String, Path, description = "The whole user name.")),
    responses((status = 200, description = "The person.", body = Person)))]
#[get("/v1/users/by-name/{user_name}")]
pub(super) async fn by_name(_: Caller, shared: Data<Shared>, name: Path<String>) -> Result<impl Responder, Problem> {
    let found = shared.accounts.user_by_name(&name).await?;
    found.map(|user| Json(Person::from(user))).ok_or_else(|| Problem::new(Code::UnknownRecipient).in_field("user_name"))
}

async fn person(shared: &Shared, id: UserId) -> Result<Json<Person>, Problem> {
    let found = shared.accounts.users(&[id]).await?.pop();
    found.map(|user| Json(Person::from(user))).ok_or_else(|| Problem::new(Code::UnknownRecipient).in_field("id"))
}
