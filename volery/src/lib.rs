//! Puts Volery together: the command line, and roles, all in one process or each in its own.
//!
//! A library too, so that a whole cluster can be started under a clock that somebody else sets.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | commands and flags |
//! | [`up`] | every role in one process |
//! | `alone` | the roles that are listed, for other processes to ask |
//! | `roles` | which roles there are, and what configuration must say for a set of them |
//! | `compose` | a set of roles started from the log outwards, and stopped |
//! | `common` | what every role is given |
//! | `history`, `accounts`, `numbers`, `cluster` | what roles ask, here or elsewhere |
//! | `engines` | what is below the ports, as configured |
//! | `admin` | what operators do |
//! | `watched` | a log over a network, counted and judged by health |
//! | `sink` | where accounts' events go |

mod accounts;
mod admin;
mod alone;
pub mod cli;
mod cluster;
mod common;
mod compose;
mod engines;
mod history;
mod numbers;
mod roles;
mod sink;
pub mod up;
mod watched;

/// What ends the program with a code other than 0: what was wrong, and what to do about it.
#[derive(Debug)]
pub struct Failure(pub String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
