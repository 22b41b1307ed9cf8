//! history-node: two readers of every partition that is its own, and the answers about the past of all.
//!
//! | module | owns |
//! |---|---|
//! | [`fanout`] | which events a record causes in other partitions (pure) |
//! | [`archive`] | which rows a record causes, and how retries end (pure) |
//! | [`view`] | a stored row as people may see it (pure) |
//! | [`cursor`] | page cursors (pure) |
//! | `fanning`, `archiving` | the shells around both: one task a partition |
//! | `moving` | which partitions are read here, as maps come |
//! | `written` | what one archive has written, for the others |
//! | `aside` | what the timeline refuses for good |
//! | `news` | what a thread waits for, in ticks |
//! | `standing` | how the readers of all partitions stand, for health and metrics |
//! | [`node`] | threads and tasks put together |
//! | [`reads`] | pages, chat lists and stretches of a stream, over the timeline |

pub mod archive;
mod archiving;
mod aside;
pub mod cursor;
mod fanning;
pub mod fanout;
mod moving;
mod news;
pub mod node;
pub mod reads;
mod standing;
pub mod view;
mod written;
