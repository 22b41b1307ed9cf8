//! Two archives that leave rows to each other, killed between any two steps and in the middle of a writing: whatever
//! one has committed is there, an echo's message as well, and neither waits for the other for ever.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::collections::BTreeMap;

use futures::executor::block_on;
use proptest::collection::vec;
use proptest::prelude::*;
use volery_history::archive::{Archive, Step};
use volery_kernel::chat::Recipient;
use volery_kernel::event::{Body, Content, Event, Record, Send, SendKey};
use volery_kernel::id::{DeviceId, EPOCH_MS, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Commit, Timeline as _, Write};
use volery_testkit::timeline::ModelTimeline;

/// Steps that suffice to archive everything from the beginning.
const STEPS_MOST: usize = 1_000;

#[derive(Clone, Copy, Debug)]
enum Act {
    /// The next step; a wait is over at once, with or without success.
    Go,
    /// The next step, unless it is a wait.
    Patient,
    /// It is killed, and begins anew.
    Kill,
    /// It is killed while it writes: half of the rows are there.
    Tear,
}

fn acts() -> impl Strategy<Value = Vec<(usize, Act)>> {
    let act = prop_oneof![6 => Just(Act::Go), 6 => Just(Act::Patient), 1 => Just(Act::Kill), 1 => Just(Act::Tear)];
    vec((0..2usize, act), 0..120)
}

fn partitions() -> Partitions {
    Partitions::new(2).unwrap()
}

/// One user in each partition.
fn users() -> [UserId; 2] {
    let of = |user: &UserId, raw: u16| partitions().of(Recipient::User(*user)) == Partition(raw);
    [0, 1].map(|raw| (1..).map(|id| UserId(Id::new(id).unwrap())).find(|user| of(user, raw)).unwrap())
}

fn send(number: u32, from: usize, at: Timestamp) -> Send {
    let session = SessionNumber(Id::new(70).unwrap());
    Send {
        id: Id::first_at(at),
        sender: users()[from],
        recipient: Recipient::User(users()[1 - from]),
        key: SendKey { device: DeviceId(users()[from].0), session, number },
        session,
        flagged: false,
        resolve_only: false,
        shown: None,
        content: Content::Message { body: Body::text("hello".to_owned()), reply_to: None },
    }
}

/// Both logs: who sends, and how many sends later the echo comes.
fn logs(sends: &[(usize, usize)]) -> [Vec<Record>; 2] {
    let mut logs = [Vec::new(), Vec::new()];
    let mut late = vec![Vec::new(); sends.len() + 8];
    let mut append = |to: usize, at, event| {
        let offset = logs[to].len() as u64;
        logs[to].push(Record { offset, stamp: at, event });
        Source::new(1, offset)
    };
    for moment in 0..late.len() {
        let at = Timestamp(EPOCH_MS + 1_000 + moment as u64);
        if let Some(&(from, lag)) = sends.get(moment) {
            let send = send(moment as u32, from, at);
            let origin = append(1 - from, at, Event::Send(send.clone()));
            late[moment + lag].push((from, Event::Echo { origin, send }));
        }
        for (to, echo) in std::mem::take(&mut late[moment]) {
            append(to, at, echo);
        }
    }
    logs
}

struct Run {
    logs: [Vec<Record>; 2],
    cores: [Archive; 2],
    written: BTreeMap<Partition, Source>,
    timeline: ModelTimeline,
}

impl Run {
    fn new(logs: [Vec<Record>; 2]) -> Self {
        let cores = [0, 1].map(|_| Archive::new(1, partitions(), None));
        Self { logs, cores, written: BTreeMap::new(), timeline: ModelTimeline::default() }
    }

    fn act(&mut self, n: usize, act: Act) {
        let written = self.written.clone();
        let written = |partition: Partition| written.get(&partition).copied();
        let step = self.cores[n].next(&written);
        match (act, step) {
            (Act::Kill, _) => self.begin_anew(n),
            (Act::Tear, Step::Write(mut rows, _) | Step::Apply(mut rows, _)) => {
                rows.truncate(rows.len() / 2);
                self.write(n, rows, None);
                self.begin_anew(n);
            }
            (_, Step::Write(rows, through)) => {
                self.write(n, rows, None);
                self.cores[n].wrote();
                self.raise(n, through);
            }
            (Act::Go, Step::Await(_)) => self.cores[n].waited(&written),
            (_, Step::Await(_)) => {}
            (_, Step::Apply(rows, commit)) => {
                self.write(n, rows, commit);
                self.cores[n].applied();
                self.check(n);
            }
            (_, Step::Read) => {
                let from = self.cores[n].next_offset() as usize;
                let records: Vec<_> = self.logs[n].iter().skip(from).take(3).cloned().collect();
                self.cores[n].read(records);
            }
            (_, step) => panic!("nothing was retried: {step:?}"),
        }
    }

    fn write(&self, n: usize, rows: Vec<Write>, commit: Option<Commit>) {
        block_on(self.timeline.apply(Partition(n as u16), rows, commit)).unwrap();
    }

    fn raise(&mut self, n: usize, through: Source) {
        let held = self.written.entry(Partition(n as u16)).or_default();
        *held = through.max(*held);
    }

    fn committed(&self, n: usize) -> Option<Commit> {
        block_on(self.timeline.committed(Partition(n as u16))).unwrap()
    }

    /// What was told the other one stays told: it lives on.
    fn begin_anew(&mut self, n: usize) {
        let committed = self.committed(n);
        self.cores[n] = Archive::new(1, partitions(), committed);
        self.logs[n][..self.cores[n].next_offset() as usize].iter().for_each(|record| self.cores[n].warm(record));
    }

    /// What is committed is on pages, whoever accepted it.
    fn check(&self, n: usize) {
        let below = self.committed(n).map_or(0, |commit| commit.source.offset() + 1);
        for record in &self.logs[n][..below as usize] {
            let (Event::Send(send) | Event::Echo { send, .. }) = &record.event else { continue };
            let row = block_on(self.timeline.message(send.chat(), send.id)).unwrap().into_row();
            assert!(row.is_some(), "{n} has committed {below} and {record:?} is not there");
            assert!(block_on(self.timeline.sent(send.key)).unwrap().is_some(), "the send key of {record:?}");
        }
    }

    fn is_done(&self, n: usize) -> bool {
        self.committed(n).map_or(0, |commit| commit.source.offset() + 1) == self.logs[n].len() as u64
    }
}

proptest! {
    #[test]
    fn what_is_committed_is_there(sends in vec((0..2usize, 0..8usize), 1..40), acts in acts()) {
        let mut run = Run::new(logs(&sends));
        for (n, act) in acts {
            run.act(n, act);
        }
        for _ in 0..STEPS_MOST {
            (0..2).for_each(|n| run.act(n, Act::Patient));
        }
        prop_assert!(run.is_done(0) && run.is_done(1), "they wait for each other");
    }

    /// Without a kill, and with patience, everything is written once.
    #[test]
    fn nothing_is_written_again(sends in vec((0..2usize, 0..8usize), 1..40), turns in vec(0..2usize, 0..120)) {
        let mut run = Run::new(logs(&sends));
        let mut rows = BTreeMap::<Id, usize>::new();
        let rest = (0..STEPS_MOST).map(|n| n % 2);
        for n in turns.into_iter().chain(rest) {
            let written = run.written.clone();
            if let Step::Write(writes, _) | Step::Apply(writes, _) = run.cores[n].next(&|of| written.get(&of).copied()) {
                for write in writes {
                    let Write::Message { message, .. } = write else { continue };
                    *rows.entry(message.id).or_default() += 1;
                }
            }
            run.act(n, Act::Patient);
        }
        prop_assert!(run.is_done(0) && run.is_done(1), "they wait for each other");
        prop_assert_eq!(rows.len(), sends.len());
        prop_assert!(rows.values().all(|count| *count == 1), "{:?}", rows);
    }
}
