//! The engines of one machine: everything that `volery up` keeps lies in one folder, in these formats.
//!
//! | module | port | on disk |
//! |---|---|---|
//! | [`log`] | `volery_ports::log` | segment files of our own, fdatasync grouped |
//! | [`timeline`] | `volery_ports::timeline` | an LSM tree (fjall) |
//! | [`bus`] | `volery_ports::bus` | nothing: it may be lost |

pub mod bus;
pub mod log;
pub mod timeline;
