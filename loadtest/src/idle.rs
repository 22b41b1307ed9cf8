//! `idle`: what a session costs that has talked and is silent now. The slope over five points leaves
//! out what the server needs anyway.

use std::time::Duration;

use futures::future::join_all;
use indicatif::ProgressBar;
use volery_wire::client::Request;
use volery_wire::server::Reply;

use crate::account::log_in;
use crate::failure::Failure;
use crate::link::Link;
use crate::load::{self, Drive, Span};
use crate::process::rss_kib;
use crate::report::{Better, Figure};
use crate::server::Server;
use crate::tally::text;

/// Sessions opened at once.
const AT_ONCE: usize = 200;
const POINTS: usize = 5;
/// A session to which nothing comes for so long has missed something.
const PATIENCE: Duration = Duration::from_secs(20);
/// What happens behind a quiet session (marks, archive) is over by then.
const SETTLE: Duration = Duration::from_secs(2);

/// Pairs that fill the server's caches first: those are bounded, and not what a session costs.
pub(crate) const BEFORE: usize = 100;
const FILLING: Span = Span { warm_up: Duration::from_secs(2), measured: Duration::from_secs(10) };

/// Opens `sessions` sessions and answers the slope. There are twice [`BEFORE`] users beyond them.
pub(crate) async fn run(server: &Server, sessions: usize) -> Result<Vec<Figure>, Failure> {
    let others = sessions..sessions + 2 * BEFORE;
    load::run(server, "before", others, Drive::Window(8), FILLING).await?;
    let accounts = log_in(server, 0..sessions).await?;
    let bar = ProgressBar::new(sessions as u64).with_message("sessions");
    let mut links: Vec<Link> = Vec::with_capacity(sessions);
    let mut points = Vec::new();
    while links.len() < sessions {
        let next = links.len()..sessions.min(links.len() + AT_ONCE);
        let begin = next.start;
        let opened = next.map(|number| Link::open(&accounts[number], number));
        let mut opened = join_all(opened).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let talked = opened.iter_mut().enumerate().map(|(at, link)| talk(link, accounts[begin + (at ^ 1)].user));
        join_all(talked).await.into_iter().collect::<Result<(), _>>()?;
        links.append(&mut opened);
        bar.set_position(links.len() as u64);
        if links.len() * POINTS / sessions > points.len() {
            tokio::time::sleep(SETTLE).await;
            points.push((links.len() as f64, rss_kib(server.pid())? as f64));
        }
    }
    bar.finish_and_clear();
    let mut figures = vec![Figure::judged("idle_session_kib", slope(&points), "KiB", Better::Lower, 3.0, 2.0)];
    figures.extend(points.iter().map(|(at, rss)| Figure::plain(format!("idle_rss[{at}]"), *rss, "KiB")));
    Ok(figures)
}

/// One message there, one back, one ping, everything confirmed.
async fn talk(link: &mut Link, peer: volery_kernel::id::UserId) -> Result<(), Failure> {
    let (mut acked, mut got, mut pong) = (false, false, false);
    link.send(peer, &text(0, 32));
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
