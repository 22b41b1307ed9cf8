//! The bus' conformance suite. There is no model beside it: the engine within one process is as short as one.

mod conformance;
mod listener;

pub use conformance::conformance;
pub use listener::Listener;
