//! What a port promises, as code: one conformance suite and one model for each.
//!
//! An engine is done when it passes its suite; simulations run on the models.

pub mod engine;
pub mod log;
pub mod skip;
pub mod sql;
pub mod timeline;
