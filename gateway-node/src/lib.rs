//! The HTTP edge: JSON over HTTP for everything that is not the live connection.
//!
//! Owns routes, their limits, their errors and their description (OpenAPI). It decides nothing about
//! accounts or history: it asks `volery_ports::account_service` and `volery_ports::history`, in the
//! name of whoever the token says (G8). Every error is `application/problem+json` with a code of
//! `volery_kernel::code` (G9), those of the framework included: what is not yet one becomes one on its
//! way out, in [`edge`].
//!
//! | module | owns |
//! |---|---|
//! | [`server`] | the listener, its options, its end |
//! | [`edge`] | what happens to every request: id, access log, metrics, problems |
//! | [`problem`] | errors as answers |
//! | [`input`] | bodies, queries and path segments, checked |
//! | [`caller`] | who asks, and from where |
//! | [`limit`] | how often |
//! | [`nodes`] | where clients connect |
//! | [`routes`] | the routes, one file a subject |
//! | [`view`] | messages and chats as JSON |
//! | [`probes`] | health and metrics of processes without a gateway |
//! | [`when`] | points in time as text |
//! | [`outside`] | the readers of all that, for checks |
//! | [`document`] | OpenAPI, and what is not there: 404 and 405 |

mod caller;
mod document;
mod edge;
mod input;
mod limit;
mod nodes;
#[doc(hidden)]
pub mod outside;
mod probes;
mod problem;
mod routes;
mod server;
mod view;
mod when;

pub use document::openapi;
pub use limit::Rates;
pub use probes::Probes;
pub use server::{Gateway, GatewayOptions, GatewayParts};
