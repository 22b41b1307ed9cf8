//! The log's conformance suite and model.
//!
//! [`conformance`] states the contract of [`volery_ports::log`] case by case and ends with random
//! operations that are compared with what the answers allow. [`ModelLog`] is the contract in memory,
//! with everything that may go wrong on demand: simulations run on it. Both are written to Kafka's
//! semantics: an append may fail and be there all the same, at once or later; a record may be there twice.

mod conformance;
mod model;
mod random;

pub use conformance::conformance;
pub use model::{Fate, ModelLog};
pub use random::random;

use bytes::Bytes;
use volery_ports::log::NewRecord;

/// A record whose value begins with `n` and has `size` bytes, at least 8. Every third has a header.
#[must_use]
pub fn record(n: u64, size: usize) -> NewRecord {
    let mut value = n.to_be_bytes().to_vec();
    value.resize(size.max(8), n as u8);
    let headers = if n.is_multiple_of(3) { vec![("trace".to_owned(), Bytes::from_static(b"abc"))] } else { Vec::new() };
    NewRecord { key: [n as u8; 9], headers, value: value.into() }
}
