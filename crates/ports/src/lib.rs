//! The traits through which roles meet engines and each other, each with its contract in prose.
//!
//! A port is written to its weakest engine (Kafka for the log, Cassandra for the timeline), so that
//! nothing above can tell which one is below. `volery-testkit` holds one conformance suite and one
//! model for each; an engine is done when it passes them. To add an engine: implement the trait in
//! `crates/engines/`, run the suite against it, add a constructor where roles are assembled.
//!
//! | module | who asks | who answers |
//! |---|---|---|
//! | [`log`] | sessions, owners, fan-out, archive, outbox | an engine |
//! | [`timeline`] | archive, history's reads | an engine |
//! | [`history`] | sessions, gateway | history-node |
//! | [`accounts`] | sessions, gateway | account-node |
//! | [`account_service`] | gateway | account-node |
//! | [`sql`] | account-node, id generators | an engine |
//! | [`ids`] | account-node | the node's generator |
//! | [`cluster`] | messaging, gateway, operators | config-node |
//! | [`cluster_store`] | config-node | an engine |
//! | [`ids::Numbers`] | every node that issues ids | idgen |
//! | [`bus`] | sessions | an engine |

pub mod account_service;
pub mod accounts;
pub mod bus;
pub mod cluster;
pub mod cluster_store;
pub mod history;
pub mod ids;
pub mod log;
pub mod sql;
pub mod timeline;
