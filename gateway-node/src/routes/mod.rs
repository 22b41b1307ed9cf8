//! The routes, one file a subject. To add one: a function with `#[utoipa::path]`, a line in [`all`],
//! then `make generate`. A function that takes a [`crate::caller::Caller`] is closed to everybody
//! without a token; what the caller may reach is decided where the answer is made.

mod accounts;
mod chats;
pub(crate) mod health;
mod people;

use utoipa_actix_web::service_config::ServiceConfig;

pub(crate) fn all(config: &mut ServiceConfig<'_>) {
    config
        .service(accounts::register)
        .service(accounts::log_in)
        .service(accounts::refresh)
        .service(accounts::log_out)
        .service(accounts::sessions)
        .service(accounts::revoke)
        .service(accounts::jwks)
        .service(people::me)
        .service(people::node)
        .service(people::find)
        .service(people::by_name)
        .service(people::one)
        .service(chats::list)
        .service(chats::messages)
        .service(health::healthz)
        .service(health::livez)
        .service(health::readyz)
        .service(health::startupz)
        .service(health::metrics);
}
