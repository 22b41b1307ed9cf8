//! Sessions that send at their times, whatever became of what they sent before, and time the
//! acknowledgements from the moment at which each was meant to be sent.
//!
//! The same sessions drive both arms of a comparison: a bare program answers as a node does.

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
const ALL_ACKED_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Seen {
    acks: Histogram<u64>,
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
    pub async fn open(accounts: &[Account]) -> Result<Self, Failure> {
        let opened = accounts.iter().enumerate().map(|(number, account)| Link::open(account, number));
        let links = try_join_all(opened).await?;
        let seen = Rc::new(RefCell::new(Seen { acks: histogram()?, open: 0, failed: None }));
        let (mut due, mut tasks) = (Vec::new(), Vec::new());
        for (at, link) in links.into_iter().enumerate() {
            let (sender, times) = mpsc::unbounded_channel();
            due.push(sender);
            tasks.push(tokio::task::spawn_local(follow(link, accounts[at ^ 1].user, times, Rc::clone(&seen))));
        }
        Ok(Self { due, seen, tasks })
    }

    /// One window: so many sends a second, spread evenly over all sessions.
    ///
    /// # Errors
    /// A session that failed, or sends that were not acknowledged within 30 s.
    pub async fn window(&self, rate: u64, length: Duration) -> Result<Histogram<u64>, Failure> {
        let sends = usize::try_from(rate * length.as_millis() as u64 / 1_000)?;
        self.seen.borrow_mut().acks.reset();
        self.seen.borrow_mut().open = sends;
        pace(rate, sends, self.due.clone());
        let begun = clock::nanos();
        while self.seen.borrow().open > 0 {
            if let Some(failed) = self.seen.borrow_mut().failed.take() {
                return Err(Failure(failed));
            }
            if clock::since(begun) > length + ALL_ACKED_WITHIN {
                return Err(Failure("sends were not acknowledged in time".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(self.seen.borrow().acks.clone())
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

async fn follow(mut link: Link, peer: UserId, mut times: mpsc::UnboundedReceiver<u64>, seen: Rc<RefCell<Seen>>) {
    let mut sent = VecDeque::new();
    loop {
        let mut see = |reply: &Reply<'_>| {
            if matches!(reply, Reply::Ack(_))
                && let Some(meant) = sent.pop_front()
            {
                let mut seen = seen.borrow_mut();
                seen.open = seen.open.saturating_sub(1);
                seen.acks.saturating_record(clock::since(meant).as_micros() as u64);
            }
        };
        let turned = tokio::select! {
            biased;
            Some(meant) = times.recv() => {
                sent.push_back(meant);
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
