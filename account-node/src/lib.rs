//! The account node: who people are, which devices they have, and what a token is worth.
//!
//! Owns users, devices and tokens in the account store (`volery_ports::sql`), and the outbox's way to
//! the log. Sessions ask it through `volery_ports::accounts`, the gateway through
//! `volery_ports::account_service`; [`AccountNode`] answers both. Where it is elsewhere, [`RemoteAccounts`]
//! judges tokens by the same rules.
//!
//! | module | owns |
//! |---|---|
//! | [`names`] | what names and passwords may be |
//! | [`password`] | the thread that hashes |
//! | [`token`] | access tokens and their keys |
//! | [`held`] | bounded memory of what was looked up |
//! | [`known`] | what is known of tokens and devices, and what it decides |
//! | [`verifier`] | tokens on the live path, here or on other nodes, also while SQL is away |
//! | [`service`] | what people do with their accounts |
//! | [`relay`] | the outbox's way to the log |
//! | [`import`] | many users at once |

mod held;
mod import;
mod known;
mod names;
mod node;
mod password;
mod relay;
mod service;
mod token;
mod verifier;

pub use import::{ImportError, Imported, Progress, import_users};
pub use node::{AccountNode, AccountOptions, AccountParts, StartError};
pub use password::HashCost;
pub use relay::{EventSink, NotAppended};
pub use verifier::{RemoteAccounts, VerifierOptions};
