//! What a reader must read back before it may judge is there as long as there is something to judge, however old it is.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::sync::Arc;

use futures::executor::block_on;
use volery_kernel::chat::Recipient;
use volery_kernel::event::{Body, Content, Event, Send, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::limits;
use volery_kernel::position::Offset;
use volery_kernel::rules::{Rules, Verdict};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Clock as _;
use volery_ports::log::Log as _;
use volery_testkit::log::ModelLog;
use volery_testkit::sql::ManualClock;

const P: Partition = Partition(0);

struct Bench {
    clock: Arc<ManualClock>,
    log: ModelLog,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let log = ModelLog::new(1, Partitions::new(1).unwrap(), Arc::<ManualClock>::clone(&clock));
        Self { clock, log }
    }

    /// One send of a session that began at `session`, its id taken now.
    fn append(&self, session: Id) {
        let (session, user) = (SessionNumber(session), UserId(Id::new(1).unwrap()));
        let send = Send {
            id: self.id(),
            sender: user,
            recipient: Recipient::User(user),
            key: SendKey { device: DeviceId(Id::new(7).unwrap()), session, number: 1 },
            session,
            flagged: false,
            resolve_only: false,
            shown: None,
            content: Content::Message { body: Body::text("hi".to_owned()), reply_to: None },
        };
        block_on(self.log.append(P, volery_reader::to_batch(&[Event::Send(send)]))).unwrap();
    }

    fn id(&self) -> Id {
        Id::first_at(self.clock.now())
    }

    /// As archive does once in a while.
    fn release(&self, done: Offset) {
        let before = block_on(volery_reader::releasable(&self.log, P, done, self.clock.now())).unwrap();
        block_on(self.log.release(P, done, before)).unwrap();
    }

    fn start(&self) -> Offset {
        block_on(self.log.extent(P)).unwrap().start
    }

    /// What a reader that starts at `from` does with the record there.
    fn verdict(&self, from: Offset) -> Verdict {
        let mut rules = Rules::default();
        block_on(volery_reader::read_back(&self.log, P, from)).unwrap().iter().for_each(|record| {
            rules.judge(record);
        });
        rules.judge(&block_on(volery_reader::read(&self.log, P, from)).unwrap().records[0])
    }
}

/// The readers end between a send and the late append of one that was given up; the night is longer than the log keeps what
/// is read.
#[test]
fn a_fence_stays_for_what_nobody_has_read() {
    let bench = Bench::new();
    let given_up = bench.id();
    bench.clock.advance(1_000);
    bench.append(bench.id());
    bench.append(given_up);
    bench.clock.advance(6 * limits::RETAIN_LOG_MS.value);
    bench.release(1);
    assert_eq!(bench.verdict(1), Verdict::Fenced);
}

/// A partition that is quiet for long keeps nothing, and holds nothing else back.
#[test]
fn what_is_old_goes_when_everything_is_read() {
    let bench = Bench::new();
    bench.append(bench.id());
    bench.append(bench.id());
    bench.clock.advance(limits::RETAIN_LOG_MS.value + 1);
    bench.release(2);
    assert_eq!(bench.start(), 2);
}

#[test]
fn what_is_young_stays() {
    let bench = Bench::new();
    bench.append(bench.id());
    bench.release(1);
    assert_eq!(bench.start(), 0);
}
