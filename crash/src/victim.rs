//! The server that is broken: `volery up` at fixed ports, so that clients find it again after a kill.
//!
//! The trap: a port that the kernel may give to any outgoing connection can be taken while the
//! server is down. So ports come from below that range, and are tried first.

use std::net::TcpListener;
use std::path::Path;

use loadtest::failure::Failure;
use loadtest::server::{Server, Setup};
use rand::RngExt as _;
use rand::rngs::StdRng;

/// Below what Linux gives to outgoing connections.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
const PORTS_TRIED: usize = 1_000;

/// See the module. Dropping it ends the server.
#[derive(Debug)]
pub struct Victim {
    server: Server,
}

impl Victim {
    /// Starts it, at ports of its own.
    ///
    /// # Errors
    /// As [`Server::start`]; or no port is free.
    pub fn start(mut setup: Setup, rng: &mut StdRng) -> Result<Self, Failure> {
        for door in ["gateway", "messaging"] {
            setup.settings.push(format!("{door}.listen={}", free_address(rng)?));
        }
        Ok(Self { server: Server::start(&setup)? })
    }

    /// What it is.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// It has ended by itself.
    pub fn kill(&self) -> Result<(), Failure> {
        self.signal(libc::SIGKILL)
    }

    /// Takes all processor time from it; it is given back when the answer is dropped.
    ///
    /// # Errors
    /// It has ended by itself.
    pub fn pause(&self) -> Result<Paused<'_>, Failure> {
        self.signal(libc::SIGSTOP)?;
        Ok(Paused(self))
    }

    fn signal(&self, signal: i32) -> Result<(), Failure> {
        let pid = i32::try_from(self.server.pid())?;
        // SAFETY: a signal to a child that nobody has waited for, so its number is still its own.
        if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().into()) }
    }

    /// Starts it on the same folder, at the same ports. Its clients go on meanwhile.
    ///
    /// # Errors
    /// As [`Server::restart`].
    pub async fn started_again(self) -> Result<Self, Failure> {
        self.started_again_after(|_| Ok(())).await
    }

    /// The same, once something was done with the folder, which nobody has open then.
    ///
    /// # Errors
    /// As [`Server::restart_after`].
    pub async fn started_again_after(
        mut self,
        between: impl FnOnce(&Path) -> Result<(), Failure> + Send + 'static,
    ) -> Result<Self, Failure> {
        tokio::task::spawn_blocking(move || self.server.restart_after(between).map(|()| self)).await?
    }
}

/// A server that stands still.
#[derive(Debug)]
pub struct Paused<'v>(&'v Victim);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        // It fails only if the server is gone, which whoever looks next is told.
        let _ = self.0.signal(libc::SIGCONT);
    }
}

fn free_address(rng: &mut StdRng) -> Result<String, Failure> {
    let mut tries = (0..PORTS_TRIED).map(|_| format!("127.0.0.1:{}", rng.random_range(PORTS)));
    let free = tries.find(|address| TcpListener::bind(address).is_ok());
    free.ok_or_else(|| Failure(format!("no port of {PORTS:?} is free")))
}
