//! [`AccountService`](volery_ports::account_service::AccountService), and with it
//! [`Accounts`](volery_ports::accounts::Accounts), across machines.
//!
//! | file | owns |
//! |---|---|
//! | `convert` | people, devices, claims, grants: what travels both ways |
//! | `failure` | refusals as statuses |
//! | `door` | the service over an `AccountService` |
//! | `client` | an `AccountService` over the service |

mod client;
pub(crate) mod convert;
mod door;
mod failure;
#[cfg(test)]
mod tests;

pub use client::AccountClient;
pub(crate) use door::{NAME, door};
