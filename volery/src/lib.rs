//! Puts Volery together: the command line, and every role in one process.
//!
//! A library too, so that a whole cluster can be started under a clock that somebody else sets.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | commands and flags |
//! | [`up`] | every role in one process |
//! | `history` | history, here, alone or elsewhere |
//! | `engines` | what is below the ports, as configured |
//! | `admin` | what operators do |
//! | `calls`, `watched` | engines watched from outside: counted, timed, judged by health |
//! | `trust`, `trusted` | a log that is believed as long as it stays the one that it was |
//! | `generation` | `volery admin log-generation` |
//! | `sink` | where accounts' events go |

mod admin;
mod calls;
pub mod cli;
mod engines;
mod generation;
mod history;
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
