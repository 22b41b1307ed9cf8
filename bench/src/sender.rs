//! Sessions that send at their times, whatever became of what they sent before, and time what becomes
//! of each from the moment at which it was meant to be sent.
//!
//! The same sessions drive both arms of a comparison: a bare program acknowledges as a node does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures::future::try_join_all;
use hdrhistogram::Histogram;
use loadtest::account::Account;
use loadtest::clock;
use loadtest::failure::Failure;
use loadtest::link::Link;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use volery_kernel::id::UserId;
use volery_wire::server::Reply;

use crate::stats::histogram;

/// Bytes of a text.
pub const TEXT: usize = 256;
const ALL_WITHIN: Duration = Duration::from_secs(30);

/// What is timed of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// Until its sender has the acknowledgement.
    Acknowledged,
    /// Until its recipient has the message.
    Delivered,
}

#[derive(Debug)]
struct Seen {
    times: Histogram<u64>,
    open: usize,
    failed: Option<String>,
}

/// Pairs that write to each other; dropping it ends their sessions.
#[derive(Debug)]
pub struct Senders {
    due: Vec<mpsc::UnboundedSender<u64>>,
    seen: Rc<RefCell<Seen>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Senders {
    /// Opens a session of each account; neighbours (0 and 1, 2 and 3, …) write to each other.
    ///
    /// # Errors
    /// A session that was not opened.
    pub async fn open(accounts: &[Account], timed: Timed) -> Result<Self, Failure> {
        let opened = accounts.iter().enumerate().map(|(number, account)| Link::open(account, number));
        let links = try_join_all(opened).await?;
        let seen = Rc::new(RefCell::new(Seen { times: histogram()?, open: 0, failed: None }));
        let (mut due, mut tasks) = (Vec::new(), Vec::new());
        for (at, link) in links.into_iter().enumerate() {
            let (sender, times) = mpsc::unbounded_channel();
            due.push(sender);
            tasks.push(tokio::task::spawn_local(follow(link, accounts[at ^ 1].user, times, timed, Rc::clone(&seen))));
        }
        Ok(Self { due, seen, tasks })
    }

    /// One window: so many sends a second, spread evenly over all sessions.
    ///
    /// # Errors
    /// A session that failed, or sends of which what is timed did not come within 30 s.
    pub async fn window(&self, rate: u64, length: Duration) -> Result<Histogram<u64>, Failure> {
        let sends = usize::try_from(rate * length.as_millis() as u64 / 1_000)?;
        self.seen.borrow_mut().times.reset();
        self.seen.borrow_mut().open = sends;
        pace(rate, sends, self.due.clone());
        let begun = clock::nanos();
        while self.seen.borrow().open > 0 {
            if let Some(failed) = self.seen.borrow_mut().failed.take() {
                return Err(Failure(failed));
            }
            if clock::since(begun) > length + ALL_WITHIN {
                return Err(Failure("what was sent did not come in time".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(self.seen.borrow().times.clone())
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// From a thread of its own: a runtime's timers are exact to a millisecond only.
fn pace(rate: u64, sends: usize, due: Vec<mpsc::UnboundedSender<u64>>) {
    let (step, begin) = (1_000_000_000 / rate.max(1), clock::nanos() + 10_000_000);
    std::thread::spawn(move || {
        for (number, to) in (0..sends as u64).zip(due.iter().cycle()) {
            let meant = begin + number * step;
            std::thread::sleep(Duration::from_nanos(meant.saturating_sub(clock::nanos())));
            if to.send(meant).is_err() {
                return;
            }
        }
    });
}

impl Seen {
    fn came(&mut self, meant: u64) {
        self.open = self.open.saturating_sub(1);
        self.times.saturating_record(clock::since(meant).as_micros() as u64);
    }
}

async fn follow(
    mut link: Link,
    peer: UserId,
    mut times: mpsc::UnboundedReceiver<u64>,
    timed: Timed,
    seen: Rc<RefCell<Seen>>,
) {
    let mut sent = VecDeque::new();
    loop {
        let mut see = |reply: &Reply<'_>| {
            let meant = match (timed, reply) {
                (Timed::Acknowledged, Reply::Ack(_)) => sent.pop_front(),
                (Timed::Delivered, Reply::Message(message)) if message.from == peer => meant(&message.text),
                _ => None,
            };
            if let Some(meant) = meant {
                seen.borrow_mut().came(meant);
            }
        };
        let turned = tokio::select! {
            biased;
            Some(meant) = times.recv() => {
                if timed == Timed::Acknowledged {
                    sent.push_back(meant);
                }
                link.send(peer, &format!("{meant:.<TEXT$}"));
                link.flush()
            }
            turned = link.turn(&mut see) => turned,
        };
        if let Err(Failure(what)) = turned {
            seen.borrow_mut().failed = Some(what);
            return;
        }
    }
}

/// A text begins with the time at which it was meant to be sent.
fn meant(text: &str) -> Option<u64> {
    text.split('.').next()?.parse().ok()
}
