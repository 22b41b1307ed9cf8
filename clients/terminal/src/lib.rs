//! `volery chat`: a terminal client. On a terminal it is a screen with chats, a conversation and a
//! line to write in; with `plain` it reads and writes lines, for pipes and scripts.
//!
//! The client library decides everything that concerns the connection; here is only what is shown
//! and what keys mean. Text of others reaches the terminal cleaned of everything that could command it.
//!
//! | module | owns |
//! |---|---|
//! | `login` | asking who somebody is |
//! | `screen` | the loop: draw, wait |
//! | `app` | state of the screen, keys |
//! | `draw` | the picture |
//! | `transcript` | a conversation as rows |
//! | `scroll` | which rows are on the screen |
//! | `unread` | what counts as read |
//! | `editor`, `finder` | what is being written, who is being searched for |
//! | `wrap`, `clock` | text to rows, times |
//! | `plain` | the line mode |

mod app;
mod clock;
mod draw;
mod editor;
mod finder;
mod login;
mod plain;
mod screen;
mod scroll;
mod transcript;
mod unread;
mod wrap;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use volery_client::shell::{AccountError, ApiError};
use volery_client::store::{StoreError, state_home};
use volery_tls::{TlsError, Trust};

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The gateway's address, like `http://127.0.0.1:8400` or `https://chat.example.org`.
    pub gateway: String,
    /// Authorities that are believed instead of the machine's, as PEM.
    pub ca: Option<PathBuf>,
    /// Who; asked for on the terminal if it is missing.
    pub user: Option<String>,
    /// Asked for on the terminal if it is missing and needed. Never from a flag: others could see it.
    pub password: Option<String>,
    /// Make the account first.
    pub register: bool,
    /// Lines instead of a screen.
    pub plain: bool,
    /// Where state is kept; the user's state folder if it is missing.
    pub state: Option<PathBuf>,
}

/// Why the chat ended.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The account could not be opened.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The gateway said no.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// State could not be kept: nothing more may be sent.
    #[error("state cannot be kept: {0}")]
    Store(#[from] StoreError),
    /// The terminal failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A name or a password is needed, and there is no terminal to ask on (or nobody answered).
    #[error("a user name and a password are needed: --user NAME, and VOLERY_PASSWORD in the environment")]
    NobodyToAsk,
    /// The file of authorities is of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no folder for state.
    #[error("neither XDG_STATE_HOME nor HOME names a folder for state")]
    NoStateHome,
    /// A screen needs a terminal.
    #[error("this is no terminal: use --plain")]
    NoTerminal,
    /// The device may not connect any more.
    #[error("{0}")]
    Down(volery_client::core::Down),
}

/// Runs until the user leaves or the input ends.
///
/// # Errors
/// [`Failure`].
pub async fn run(options: Options) -> Result<(), Failure> {
    let home =
        options.state.clone().or_else(|| state_home(|name| std::env::var_os(name))).ok_or(Failure::NoStateHome)?;
    let on_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if !options.plain && !on_terminal {
        return Err(Failure::NoTerminal);
    }
    let trust = Trust::of(options.ca.as_deref())?;
    let client = login::open(&options, &trust, &home).await?;
    if options.plain { plain::run(client).await } else { screen::run(client).await }
}
