//! `idle`: what a session costs that has talked and is silent now. The slope over five points leaves
//! out what the server needs anyway.
//!
//! The server's bounded caches are filled first, because they are no session's: everybody comes, talks and
//! leaves, a few at a time (what is held of users, chats and tokens), then a few flood (what is held of the
//! newest events). Trap avoided: the slope says nothing if more sessions were open at once before than at the
//! first point, for an allocator keeps what they freed.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use volery_wire::client::Request;
use volery_wire::server::Reply;

use crate::account::Account;
use crate::clock;
use crate::failure::Failure;
use crate::link::Link;
use crate::load::{self, Drive, Span};
use crate::process::rss_kib;
use crate::progress::Progress;
use crate::report::Figure;
use crate::server::Server;

/// Sessions opened at once.
const AT_ONCE: usize = 200;
/// A session to which nothing comes for so long has missed something.
const PATIENCE: Duration = Duration::from_secs(20);
/// The server is at rest when its memory has not changed by more than this from look to look, in KiB: 25 bytes
/// a session between two points.
const REST_KIB: u64 = 64;
/// A server that gives pages back for longer than this does something else.
const REST_WITHIN: Duration = Duration::from_secs(60);

/// Pairs that flood first.
const BEFORE: usize = 100;
/// How long they do; the warm-up is also what passes before each point and between looks at it, so that
/// what happens behind a quiet session (marks, archive) is over.
pub const FILLING: Span = Span { warm_up: Duration::from_secs(2), measured: Duration::from_secs(10) };

/// What was seen.
#[derive(Clone, Debug)]
pub struct Idle {
    /// Sessions and the server's resident memory in KiB, at each point.
    pub points: Vec<(usize, u64)>,
}

/// How many users are needed for so many sessions.
#[must_use]
pub const fn users(sessions: usize) -> usize {
    sessions + 2 * BEFORE
}

/// Opens sessions and weighs the server whenever there are as many as a point says; points rise,
/// and are even. The users are 0 to [`users`] of the last point.
///
/// # Errors
/// A sentence: what did not come.
pub async fn run(server: &Server, at: &[usize], filling: Span) -> Result<Idle, Failure> {
    let sessions = at.last().copied().unwrap_or(0);
    let accounts = server.log_in(0..sessions).await?;
    weigh(server, &accounts, at, filling).await
}

/// The same with accounts that are there already: those of users 0 to the last point, whose node is
/// the server as it runs now.
///
/// # Errors
/// As [`run`].
pub async fn weigh(server: &Server, accounts: &[Account], at: &[usize], filling: Span) -> Result<Idle, Failure> {
    let sessions = at.last().copied().unwrap_or(0);
    for begin in (0..sessions).step_by(AT_ONCE) {
        come(&accounts[..sessions], begin).await?;
    }
    load::run(server, sessions..users(sessions), Drive::Window(8), filling).await?;
    let bar = Progress::new("sessions", sessions as u64);
    let mut links: Vec<Link> = Vec::with_capacity(sessions);
    let mut points = Vec::new();
    for &point in at {
        let quiet = links.len();
        while links.len() < point {
            links.append(&mut come(&accounts[..point], links.len()).await?);
            bar.at(links.len() as u64, "");
        }
        tokio::time::sleep(filling.warm_up).await;
        confirm(&mut links[quiet..]).await?;
        points.push((point, at_rest(server, filling.warm_up).await?));
    }
    Ok(Idle { points })
}

impl Idle {
    /// KiB a session: the slope over all points.
    #[must_use]
    pub fn kib_per_session(&self) -> f64 {
        let points: Vec<_> = self.points.iter().map(|&(at, rss)| (at as f64, rss as f64)).collect();
        slope(&points)
    }

    /// As figures.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let slope = Figure::new("idle_session_kib", self.kib_per_session(), "KiB");
        let points = self.points.iter().map(|(at, rss)| Figure::new(format!("idle_rss[{at}]"), *rss as f64, "KiB"));
        std::iter::once(slope).chain(points).collect()
    }
}

/// Opens the sessions of the next users from number `begin` on, as many as are opened at once; they talk in pairs.
async fn come(accounts: &[Account], begin: usize) -> Result<Vec<Link>, Failure> {
    let next = begin..accounts.len().min(begin + AT_ONCE);
    let opened = next.map(|number| Link::open(&accounts[number], number));
    let mut opened = join_all(opened).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let talked = opened.iter_mut().enumerate().map(|(at, link)| talk(link, accounts[begin + (at ^ 1)].user));
    join_all(talked).await.into_iter().collect::<Result<(), _>>()?;
    Ok(opened)
}

/// One message there, one back, one ping, everything confirmed.
async fn talk(link: &mut Link, peer: volery_kernel::id::UserId) -> Result<(), Failure> {
    let (mut acked, mut got, mut pong) = (false, false, false);
    link.send(peer, "thirty-two bytes, more or less..");
    link.ask(&Request::Ping);
    while !(acked && got && pong) {
        let mut see = |reply: &Reply<'_>| match reply {
            Reply::Ack(_) => acked = true,
            Reply::Message(_) => got = true,
            Reply::Pong(_) => pong = true,
            _ => {}
        };
        let turn = tokio::time::timeout(PATIENCE, link.turn(&mut see)).await;
        turn.map_err(|_| Failure(format!("nothing came: ack {acked}, message {got}, pong {pong}")))??;
    }
    link.confirm();
    link.flush()
}

/// Hears what came after the talk (marks of the other side) and confirms it, as every device does within a
/// second: what is unconfirmed is held by the server.
async fn confirm(links: &mut [Link]) -> Result<(), Failure> {
    for link in links {
        // Else the runtime's budget for one turn of a task would look like silence.
        tokio::task::yield_now().await;
        while let Some(turned) = link.turn(&mut |_| {}).now_or_never() {
            turned?;
        }
        link.confirm();
        link.flush()?;
    }
    Ok(())
}

/// The server's memory once it stays: an allocator gives back what was freed for seconds after.
async fn at_rest(server: &Server, settle: Duration) -> Result<u64, Failure> {
    let begun = clock::nanos();
    let mut before = rss_kib(server.pid())?;
    loop {
        tokio::time::sleep(settle).await;
        let now = rss_kib(server.pid())?;
        if now.abs_diff(before) <= REST_KIB {
            return Ok(now);
        }
        if clock::since(begun) > REST_WITHIN {
            return Err(Failure(format!("the server's memory does not come to rest: {before} KiB, then {now}")));
        }
        before = now;
    }
}

/// Least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(&|point| point.0), mean(&|point| point.1));
    let above: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let below: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_leaves_the_beginning_out() {
        assert!((slope(&[(1.0, 103.0), (2.0, 105.0), (3.0, 107.0)]) - 2.0).abs() < 1e-9);
    }
}
