//! Roles that ask each other across machines. A trait of `volery-ports` is answered by the role
//! itself, or by a client here that asks the role elsewhere: which one is a constructor, and nobody
//! who asks can tell.
//!
//! Where a role runs, its door is opened: `Doors::new().history(role).serve(listener, shutdown)`, with more roles behind the
//! same door. Where it is asked, its client stands for it: `HistoryClient::new(Remote::new(&endpoints, options)?)`, and
//! [`AccountClient`], [`NumbersClient`] and [`ClusterClient`] alike, of clones of one [`Remote`] where the same processes
//! answer. `tests/same.rs` wires both.
//!
//! What differs is time: a call may end with the port's `Unavailable` because its deadline passed or
//! nobody could be reached. Calls that only look are made again within a budget; calls that change
//! something are made once, so an `Unavailable` from them leaves open whether they were done. Watches last
//! as long as their caller's patience on top of the deadline.
//!
//! | module | owns |
//! |---|---|
//! | [`history`], [`accounts`], [`numbers`], [`cluster`] | a port each: messages, refusals, door, client |
//! | [`calls`] | endpoints, deadlines, retries: [`Remote`] |
//! | [`doors`] | what listens: [`Doors`] |
//! | [`tls`] | certificates of both sides, as they are on disk |
//! | [`check`] | single fields of messages, and which means nothing |
//! | [`refusal`] | what the refusals of all contracts have in common |
//! | [`status`] | refusals as gRPC carries them |
//! | `messages` | what messages say as typed values, for checks of the contracts |
//! | [`limits`] | every bound, with its reason |

mod accounts;
mod calls;
mod check;
mod cluster;
mod doors;
mod history;
mod limits;
#[doc(hidden)]
pub mod messages;
mod numbers;
mod refusal;
mod status;
mod tls;

pub use accounts::AccountClient;
pub use calls::{BadEndpoint, CallOptions, Remote, Watched};
pub use cluster::ClusterClient;
pub use doors::{DoorError, Doors};
pub use history::HistoryClient;
pub use numbers::NumbersClient;
pub use tls::{Tls, TlsError, TlsFiles};

/// What the build script made of the contracts, in modules as the packages are nested.
#[allow(clippy::all, unreachable_pub, dead_code, reason = "made by the build script from the contracts")]
mod wire {
    pub(crate) mod log {
        pub(crate) mod v1 {
            tonic::include_proto!("volery.log.v1");
        }
    }
    pub(crate) mod history {
        pub(crate) mod v1 {
            tonic::include_proto!("volery.history.v1");
        }
    }
    pub(crate) mod account {
        pub(crate) mod v1 {
            tonic::include_proto!("volery.account.v1");
        }
    }
    pub(crate) mod config {
        pub(crate) mod v1 {
            tonic::include_proto!("volery.config.v1");
        }
    }
    pub(crate) mod idgen {
        pub(crate) mod v1 {
            tonic::include_proto!("volery.idgen.v1");
        }
    }
}
