//! The world: one queue of what happens next, in virtual time, and everything that it happens to.
//!
//! The cores are the real ones; this file and its neighbours are their shells. Trap avoided: order
//! depends on nothing but the seed, so ties in time are broken by the order in which things were
//! planned, and nothing iterates over a hash map.

use std::collections::BTreeMap;
use std::sync::Arc;

use volery_client::core::{Loss, SocketId};
use volery_history::reads::Reads;
use volery_kernel::event::{Event, SendKey};
use volery_kernel::id::{DeviceId, EPOCH_MS, Id, UserId};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::log::{AppendError, Appended};
use volery_testkit::timeline::ModelTimeline;

use crate::check::Violation;
use crate::device::Device;
use crate::history::{ArchiveShell, FanoutShell};
use crate::log::SimLog;
use crate::network::{Conn, ConnId};
use crate::node::{Answered, Node};
use crate::oracle::{Fate, Oracle};
use crate::plan::{Fault, Mutation, Plan};
use crate::rng::Rng;
use crate::story::{Story, tell};

/// When a run begins, in milliseconds since the Unix epoch.
pub const START_MS: u64 = EPOCH_MS + 1_000_000_000;
/// Longest time from the end of the faults to rest.
const REST_WITHIN_MS: u64 = 600_000;
/// Everything must stay at rest for this long.
const REST_FOR_MS: u64 = 12_000;

/// Whose append it is.
#[derive(Clone, Debug)]
pub(crate) enum Owner {
    Session(ConnId, Partition),
    Marks(ConnId, Vec<Event>),
    Fanout(Partition, u64, Partition),
    Archive(Partition, u64),
}

/// What happens.
pub(crate) enum Task {
    Fault(Fault),
    Act(usize),
    Start(usize),
    DeviceTick(usize, u64),
    Paging(usize, u64),
    Nag(usize),
    Connected(usize, SocketId, ConnId),
    Lost(usize, SocketId, Loss),
    ToNode(ConnId),
    ToDevice(ConnId),
    NodeLost(ConnId),
    SessionTick(ConnId),
    Answer(ConnId, Answered),
    Take(Partition, Vec<Event>, Option<Owner>),
    Appended(Owner, Result<Vec<Appended>, AppendError>),
    NodeRead(usize, u64, Partition),
    NodeUp(usize),
    FanoutRun(Partition, u64),
    FanoutStart(Partition, usize),
    ArchiveRun(Partition, u64),
    ArchiveDone(Partition, u64),
    ArchiveStart(Partition, usize),
    TimelineBack,
    Heal,
}

/// See the module.
pub struct World {
    pub(crate) plan: Plan,
    pub(crate) rng: Rng,
    pub(crate) now: u64,
    planned: u64,
    queue: BTreeMap<(u64, u64), Task>,
    pub(crate) log: SimLog,
    log_trouble: (u64, u64),
    lag_until: BTreeMap<Partition, u64>,
    log_offset: i64,
    pub(crate) healed: bool,
    pub(crate) timeline: Arc<ModelTimeline>,
    pub(crate) timeline_down_until: u64,
    pub(crate) reads: Reads,
    pub(crate) nodes: Vec<Node>,
    pub(crate) next_generator: u16,
    pub(crate) fanouts: BTreeMap<Partition, FanoutShell>,
    pub(crate) archives: BTreeMap<Partition, ArchiveShell>,
    pub(crate) devices: Vec<Device>,
    pub(crate) conns: BTreeMap<ConnId, Conn>,
    pub(crate) next_conn: ConnId,
    pub(crate) oracle: Oracle,
    pub(crate) acks: BTreeMap<SendKey, Id>,
    /// What happened.
    pub story: Story,
    /// What must not have happened.
    pub violations: Vec<Violation>,
}

pub(crate) fn user_of(n: usize) -> UserId {
    UserId(Id::new(1 + n as u64).unwrap_or_default())
}

fn device_of(n: usize) -> DeviceId {
    DeviceId(Id::new(101 + n as u64).unwrap_or_default())
}

impl World {
    /// The world of a plan, before anything happens.
    #[must_use]
    pub fn new(plan: Plan, rng: Rng, telling: bool) -> Self {
        let partitions = Partitions::new(plan.partitions).unwrap_or(ONE);
        let timeline = Arc::new(ModelTimeline::default());
        let mut world = Self {
            rng,
            now: START_MS,
            planned: 0,
            queue: BTreeMap::new(),
            log: SimLog::new(partitions),
            log_trouble: (0, 0),
            lag_until: BTreeMap::new(),
            log_offset: 0,
            healed: false,
            reads: Reads::new(timeline.clone(), partitions),
            timeline,
            timeline_down_until: 0,
            nodes: Vec::new(),
            next_generator: 1,
            fanouts: BTreeMap::new(),
            archives: BTreeMap::new(),
            devices: Vec::new(),
            conns: BTreeMap::new(),
            next_conn: 1,
            oracle: Oracle::default(),
            acks: BTreeMap::new(),
            story: Story::new(telling),
            violations: Vec::new(),
            plan,
        };
        world.populate(partitions);
        world
    }

    fn populate(&mut self, partitions: Partitions) {
        for node in 0..self.plan.nodes {
            self.nodes.push(Node::down());
            self.step_clock(node);
            self.node_up(node);
        }
        for partition in partitions.iter() {
            self.start_fanout(partition, 0);
            self.start_archive(partition, 0);
        }
        for (user, &count) in self.plan.devices.clone().iter().enumerate() {
            for _ in 0..count {
                let n = self.devices.len();
                self.devices.push(Device::new(user_of(user), device_of(n)));
                let at = self.rng.delay(500, self.plan.faults_end / 2);
                self.after(at, Task::Start(n));
                self.after(at + 4_000, Task::Nag(n));
            }
        }
        for (at, fault) in self.plan.faults.clone() {
            self.after(at, Task::Fault(fault));
        }
        for (at, device) in self.plan.acts.clone() {
            self.after(at, Task::Act(device));
        }
        self.after(self.plan.faults_end, Task::Heal);
    }

    pub(crate) fn mutated(&self, mutation: Mutation) -> bool {
        self.plan.mutation == Some(mutation)
    }

    /// Something happens in `delay` milliseconds.
    pub(crate) fn after(&mut self, delay: u64, task: Task) {
        self.at(self.now + delay, task);
    }

    pub(crate) fn at(&mut self, at: u64, task: Task) {
        self.planned += 1;
        self.queue.insert((at.max(self.now), self.planned), task);
    }

    /// Lets everything happen until all is at rest, and checks.
    pub fn run(&mut self) {
        let mut rest_since = None;
        while let Some(((at, _), task)) = self.queue.pop_first() {
            if self.healed && at > self.now {
                let calm = self.unrest().is_none();
                let since = *rest_since.get_or_insert(self.now);
                if !calm {
                    rest_since = None;
                } else if at - since > REST_FOR_MS {
                    break;
                }
            }
            self.now = at;
            if self.now > START_MS + self.plan.faults_end + REST_WITHIN_MS || self.violations.len() > 5 {
                break;
            }
            self.happen(task);
        }
        self.check_at_rest();
    }

    fn happen(&mut self, task: Task) {
        match task {
            Task::Fault(fault) => self.fault(fault),
            Task::Act(device) => self.act(device),
            Task::Start(device) => self.start_device(device),
            Task::DeviceTick(device, life) => self.device_tick(device, life),
            Task::Nag(device) => self.nag(device),
            Task::Paging(device, life) => self.paging(device, life),
            Task::Connected(device, socket, conn) => self.connected(device, socket, conn),
            Task::Lost(device, socket, loss) => self.lost(device, socket, loss),
            Task::ToNode(conn) => self.reach_node(conn),
            Task::ToDevice(conn) => self.reach_device(conn),
            Task::NodeLost(conn) => self.node_lost(conn),
            Task::SessionTick(conn) => self.session_tick(conn),
            Task::Answer(conn, answered) => self.answer(conn, answered),
            Task::Take(partition, events, owner) => self.take(partition, events, owner),
            Task::Appended(owner, result) => self.appended(owner, result),
            Task::NodeRead(node, life, partition) => self.node_read(node, life, partition),
            Task::NodeUp(node) => self.node_up(node),
            Task::FanoutRun(partition, life) => self.run_fanout(partition, life),
            Task::FanoutStart(partition, back) => self.start_fanout(partition, back),
            Task::ArchiveRun(partition, life) => self.run_archive(partition, life),
            Task::ArchiveDone(partition, life) => self.archive_applied(partition, life),
            Task::ArchiveStart(partition, back) => self.start_archive(partition, back),
            Task::TimelineBack => self.timeline_back(),
            Task::Heal => self.heal(),
        }
    }

    // ----- faults -----

    fn fault(&mut self, fault: Fault) {
        if self.healed {
            return;
        }
        tell!(self, ["all"], "FAULT {fault:?}");
        match fault {
            Fault::Cut(device) => self.cut_device(device),
            Fault::Restart(device, ms) => self.restart_device(device, ms),
            Fault::Stall(device, ms) => self.devices[device].stalled_until = self.now + ms,
            Fault::Garble(device) => self.garble(device),
            Fault::Crash(node, ms) => self.crash_node(node, ms),
            Fault::Pause(node, ms) => {
                let longer = if self.mutated(Mutation::LongPauses) { 45_000 } else { 0 };
                self.nodes[node].paused_until = self.now + ms + longer;
            }
            Fault::Step(node) => self.step_clock(node),
            Fault::Fanout(partition, back) => self.kill_fanout(Partition(partition), back),
            Fault::Archive(partition, back) => self.kill_archive(Partition(partition), back),
            Fault::Outage(ms) => self.timeline_outage(ms),
            Fault::Log(per_mille, ms) => self.log_trouble = (per_mille, self.now + ms),
            Fault::Lag(partition, ms) => {
                self.lag_until.insert(Partition(partition), self.now + ms);
            }
        }
    }

    fn timeline_outage(&mut self, ms: u64) {
        self.timeline.set_down(true);
        self.timeline_down_until = self.timeline_down_until.max(self.now + ms);
        self.at(self.timeline_down_until, Task::TimelineBack);
    }

    fn timeline_back(&mut self) {
        if self.now >= self.timeline_down_until {
            self.timeline.set_down(false);
        }
    }

    /// Nothing breaks any more, and everybody comes back.
    fn heal(&mut self) {
        tell!(self, ["all"], "everything is healed");
        self.healed = true;
        self.timeline.set_down(false);
        self.timeline_down_until = 0;
        self.log_trouble = (0, 0);
        self.lag_until.clear();
        for device in 0..self.devices.len() {
            self.devices[device].stalled_until = 0;
            self.after(1, Task::Start(device));
        }
        for node in 0..self.nodes.len() {
            self.nodes[node].paused_until = 0;
        }
    }

    /// Any moment of the log's clock: within 20 ms, so that stamps step back a little.
    fn stamp(&mut self) -> Timestamp {
        if self.rng.chance(50) {
            self.log_offset = self.rng.within(0, 20) as i64 - 10;
        }
        Timestamp(self.now.saturating_add_signed(self.log_offset))
    }

    // ----- the log -----

    /// Appends, well or badly, and tells the owner how it went.
    pub(crate) fn append(&mut self, partition: Partition, mut events: Vec<Event>, owner: Owner) {
        let session = matches!(owner, Owner::Session(..));
        if session && self.mutated(Mutation::RetryWithoutFlag) {
            for event in &mut events {
                if let Event::Send(send) = event {
                    send.flagged = false;
                }
            }
        }
        if session && self.mutated(Mutation::AckBeforeDurable) {
            return self.append_carelessly(partition, events, owner);
        }
        let (per_mille, until) = self.log_trouble;
        let trouble = self.rng.chance(if self.now < until { per_mille } else { 10 });
        if !trouble || self.healed {
            let delay = self.rng.delay(6, 60);
            return self.after(delay, Task::Take(partition, events, Some(owner)));
        }
        self.append_badly(partition, events, owner);
    }

    fn append_badly(&mut self, partition: Partition, events: Vec<Event>, owner: Owner) {
        let unknown = || Err(AppendError::Unknown("injected".to_owned()));
        let answered = self.rng.delay(50, 6_000);
        let kept: Vec<Event> = events[..self.rng.within(1, events.len().max(1) as u64) as usize].to_vec();
        match self.rng.index(8) {
            0 => self.after(answered, Task::Appended(owner, Err(AppendError::Unavailable("injected".to_owned())))),
            1 => self.after(answered, Task::Appended(owner, Err(AppendError::Full))),
            2 => {
                self.story.count("append failed and lost");
                self.after(answered, Task::Appended(owner, unknown()));
            }
            3 | 4 => {
                self.story.count("append failed and kept");
                let taken = self.rng.delay(50, 4_500);
                self.after(taken, Task::Take(partition, kept, None));
                self.after(answered, Task::Appended(owner, unknown()));
            }
            5 => {
                self.story.count("append failed and kept very late");
                let taken = self.rng.within(10_300, 14_000);
                self.after(taken, Task::Take(partition, kept, None));
                self.after(answered, Task::Appended(owner, unknown()));
            }
            6 => {
                self.story.count("append slow");
                let slow =
                    if self.rng.chance(300) { self.rng.within(10_300, 12_000) } else { self.rng.within(500, 6_000) };
                self.after(slow, Task::Take(partition, events, Some(owner)));
            }
            _ => {
                self.story.count("append twice");
                let first = self.rng.within(1, 100);
                let second = first + self.rng.delay(50, 2_000);
                let (one, two) = if self.rng.chance(500) { (Some(owner), None) } else { (None, Some(owner)) };
                self.after(first, Task::Take(partition, events.clone(), one));
                self.after(second, Task::Take(partition, events, two));
            }
        }
    }

    fn append_carelessly(&mut self, partition: Partition, events: Vec<Event>, owner: Owner) {
        let appended = |n| Appended { offset: self.log.end(partition) + n, stamp: Timestamp(self.now) };
        let answer = (0..events.len() as u64).map(appended).collect();
        self.after(1, Task::Appended(owner, Ok(answer)));
        if !self.rng.chance(60) {
            self.after(3, Task::Take(partition, events, None));
        }
    }

    fn take(&mut self, partition: Partition, events: Vec<Event>, owner: Option<Owner>) {
        let mut appended = Vec::with_capacity(events.len());
        for event in events {
            let stamp = self.stamp();
            let taken = self.log.take(partition, event, stamp);
            appended.push(taken);
            self.taken(partition, taken);
        }
        if let Some(owner) = owner {
            let delay = self.rng.delay(6, 60);
            self.after(delay, Task::Appended(owner, Ok(appended)));
        }
        self.wake_readers(partition);
    }

    fn taken(&mut self, partition: Partition, taken: Appended) {
        let Some(record) = self.log.read(partition, taken.offset, 1).first().cloned() else { return };
        let fate = self.oracle.read(partition, &record);
        match fate {
            Fate::Counts => {}
            Fate::Flagged => self.story.count("flagged retry"),
            Fate::Fenced => self.story.count("fenced record"),
            Fate::Late => self.story.count("late send dropped"),
        }
        if self.story.is_on() {
            let (tag, what) = crate::check::describe(&record.event);
            let place = format!("p{partition}");
            let fate = if fate == Fate::Counts { String::new() } else { format!("  ({fate:?})") };
            tell!(self, [tag, place], "log p{partition}/{}: {what}{fate}", taken.offset);
        }
    }

    fn wake_readers(&mut self, partition: Partition) {
        let lag = self.lag_until.get(&partition).copied().unwrap_or(0).saturating_sub(self.now);
        for node in 0..self.nodes.len() {
            let delay = self.reader_delay(lag);
            self.after(delay, Task::NodeRead(node, self.nodes[node].life, partition));
        }
        let delay = self.reader_delay(lag);
        self.wake_fanout(partition, delay);
        let delay = self.reader_delay(lag);
        self.wake_archive(partition, delay);
    }

    fn reader_delay(&mut self, lag: u64) -> u64 {
        let delay = self.rng.delay(10, 200);
        if lag > 0 && self.rng.chance(500) { delay + lag } else { delay }
    }

    fn appended(&mut self, owner: Owner, result: Result<Vec<Appended>, AppendError>) {
        match owner {
            Owner::Session(conn, partition) => self.answer(conn, Answered::Appended(partition, result)),
            Owner::Marks(conn, events) => {
                if result.is_err() {
                    self.answer(conn, Answered::MarksFailed(events));
                }
            }
            Owner::Fanout(partition, life, target) => self.fanned_out(partition, life, target, result.is_ok()),
            Owner::Archive(partition, life) => {
                let offset = result.ok().and_then(|appended| appended.first().copied()).map(|appended| appended.offset);
                self.archive_appended(partition, life, offset);
            }
        }
    }
}

const ONE: Partitions = match Partitions::new(1) {
    Some(one) => one,
    None => unreachable!(),
};
