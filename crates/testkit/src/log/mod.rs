//! The log's conformance suite and model.
