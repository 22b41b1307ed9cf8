//! Certificates as they are on disk, for every door and every client of Volery: read, checked, and read
//! again when they change. No connection is made here, and no clock is read.
//!
//! One crypto provider is named everywhere, ring: a process with two of them panics where neither is named.
//!
//! | module | owns |
//! |---|---|
//! | [`pem`] | files of certificates and keys, and what can be wrong with them |
//! | [`reloaded`] | a value made of files, as they were when they last made sense |
//! | [`door`] | the certificate that clients are shown |
//! | [`trust`] | whom a client believes |
//! | [`validity`] | until when a certificate is good |

mod door;
mod pem;
mod reloaded;
mod trust;
mod validity;

pub use door::{DoorFiles, DoorTls};
pub use pem::{TlsError, TlsErrors, authorities, certificates, private_key};
pub use reloaded::{Look, Reloaded};
pub use trust::Trust;
pub use validity::ends;
