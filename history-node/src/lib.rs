//! history-node: two readers of every partition, and the answers about the past.
//!
//! | module | owns |
//! |---|---|
//! | [`fanout`] | which events a record causes in other partitions (pure) |
//! | [`archive`] | which rows a record causes, and how retries end (pure) |
//! | [`view`] | a stored row as people may see it (pure) |
//! | [`cursor`] | page cursors (pure) |
//! | [`reads`] | pages, chat lists and stretches of a stream, over the timeline |

pub mod archive;
pub mod cursor;
pub mod fanout;
pub mod reads;
pub mod view;
