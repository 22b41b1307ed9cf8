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
//! | `certificates` | those of roles and doors: opened, looked at again, judged by health |
//! | `admission` | whether the log is the cluster's |
//! | `history`, `accounts`, `numbers`, `cluster` | what roles ask, here or elsewhere |
//! | `settings` | what of the dynamic settings each part goes by |
//! | `engines` | what is below the ports, as configured |
//! | `admin` | what operators do |
//! | `calls`, `watched` | engines watched from outside: counted, timed, judged by health |
//! | `trust`, `trusted` | a log that is believed as long as it stays the one that it was |
//! | `generation` | `volery admin log-generation` |
//! | `sink` | where accounts' events go |

mod accounts;
mod admin;
mod admission;
mod alone;
mod calls;
mod certificates;
pub mod cli;
mod cluster;
mod common;
mod compose;
mod engines;
mod generation;
mod history;
mod numbers;
mod roles;
mod settings;
mod sink;
mod trust;
mod trusted;
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
