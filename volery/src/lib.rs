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
//! | `watched` | a log over a network, counted and judged by health |
//! | `sink` | where accounts' events go |

mod admin;
pub mod cli;
mod engines;
mod history;
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
