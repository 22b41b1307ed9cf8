//! What a port promises, as code: one conformance suite and one model for each.
//!
//! An engine is done when it passes its suite; simulations run on the models. So is a role, and whoever
//! stands for it on another machine.

pub mod accounts;
pub mod bus;
pub mod cluster;
pub mod cluster_store;
pub mod engine;
pub mod history;
pub mod log;
pub mod numbers;
pub mod proxy;
pub mod skip;
pub mod sql;
pub mod timeline;
