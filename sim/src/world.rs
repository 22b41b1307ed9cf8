//! The world: one queue of what happens next, in virtual time, and everything that it happens to.
//!
//! The cores are the real ones; this file and its neighbours are their shells. Trap avoided: order
//! depends on nothing but the seed, so ties in time are broken by the order in which things were
//! planned, and nothing iterates over a hash map.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use volery_checker::history::History;
use volery_client::core::{Loss, SocketId};
use volery_history::reads::Reads;
use volery_kernel::event::Event;
use volery_kernel::id::{DeviceId, EPOCH_MS, Id, UserId};
use volery_kernel::map::{NodeKind, PartitionMap, PerKind};
use volery_kernel::position::Offset;
use volery_kernel::slot::{Partition, Partitions};
use volery_ports::log::{AppendError, Appended};
use volery_ports::timeline::{Commit, Write};
use volery_testkit::timeline::ModelTimeline;

use crate::appends::{LogTrouble, Owner};
use crate::archive::ArchiveShell;
use crate::check::Violation;
use crate::cluster::Cluster;
use crate::device::Device;
use crate::fanout::FanoutShell;
use crate::fault::Fault;
use crate::historian::Historian;
use crate::log::SimLog;
use crate::maps::{Follower, GATEWAYS};
use crate::mutation::Mutation;
use crate::network::{Conn, ConnId};
use crate::node::Node;
use crate::oracle::Oracle;
use crate::plan::{HISTORIANS, Plan};
use crate::rng::Rng;
use crate::session::Answered;
use crate::story::Story;

/// When a run begins, in milliseconds since the Unix epoch.
pub const START_MS: u64 = EPOCH_MS + 1_000_000_000;
/// Longest time from the end of the faults to rest.
const REST_WITHIN_MS: u64 = 600_000;
/// Everything must stay at rest for this long.
const REST_FOR_MS: u64 = 12_000;
/// After so many violations a run ends.
const VIOLATIONS_MOST: usize = 5;

/// What happens.
pub(crate) enum Task {
    Fault(Fault),
    Talk(usize),
    Answer(usize, UserId),
    Read(usize),
    Start(usize),
    DeviceTick(usize, u64),
    Paging(usize, u64),
    BackUp(usize),
    Connected(usize, SocketId, ConnId),
    Lost(usize, SocketId, Loss),
    ToNode(ConnId),
    ToDevice(ConnId),
    NodeLost(ConnId),
    SessionTick(ConnId),
    Answered(ConnId, Answered),
    Take(Partition, Vec<Event>, Option<Owner>),
    Appended(Owner, Result<Vec<Appended>, AppendError>),
    Look(NodeKind),
    Map(Follower, u64, Arc<PartitionMap>),
    HelloLate(ConnId, u64),
    Begun(usize, u64, Partition, Offset),
    NodeRead(usize, u64, Partition),
    Part(usize, u64),
    NodeUp(usize),
    HistorianUp(usize),
    FanoutRun(Partition, u64),
    FanoutStart(Partition, (usize, u64), usize),
    ArchiveRun(Partition, u64),
    ArchiveDone(Partition, u64),
    ArchiveStart(Partition, (usize, u64), usize),
    LateWrite(Partition, Vec<Write>, Option<Commit>),
    TimelineBack,
    Night(u64),
    Morning,
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
    pub(crate) log_trouble: LogTrouble,
    pub(crate) lag_until: BTreeMap<Partition, u64>,
    pub(crate) healed: bool,
    /// Nobody is up before this.
    pub(crate) night_until: u64,
    pub(crate) timeline: Arc<ModelTimeline>,
    pub(crate) timeline_down_until: u64,
    pub(crate) reads: Reads,
    pub(crate) clusters: PerKind<Cluster>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) historians: Vec<Historian>,
    /// By which map each gateway goes.
    pub(crate) gateways: Vec<Arc<PartitionMap>>,
    /// Which nodes have taken sends of a partition's users since the newest map, which is of this version.
    pub(crate) takers: BTreeMap<Partition, (u64, BTreeSet<usize>)>,
    pub(crate) next_generator: u16,
    pub(crate) fanouts: BTreeMap<(Partition, u64), FanoutShell>,
    pub(crate) archives: BTreeMap<(Partition, u64), ArchiveShell>,
    /// Lives of readers, counted.
    pub(crate) lives: u64,
    pub(crate) devices: Vec<Device>,
    /// Answers that quick people still give.
    pub(crate) answers_left: u32,
    pub(crate) conns: BTreeMap<ConnId, Conn>,
    pub(crate) next_conn: ConnId,
    pub(crate) oracle: Oracle,
    /// Sends that left a device for the first time.
    pub(crate) sends: u64,
    /// Faults that broke something.
    pub(crate) broken: u64,
    /// What devices did and saw.
    pub history: History,
    /// What happened.
    pub story: Story,
    /// What must not have happened.
    pub violations: Vec<Violation>,
}

pub(crate) fn user_of(n: usize) -> UserId {
    UserId(Id::new(1 + n as u64).unwrap_or_default())
}

pub(crate) fn device_of(n: usize) -> DeviceId {
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
            log_trouble: LogTrouble::default(),
            lag_until: BTreeMap::new(),
            healed: false,
            night_until: 0,
            reads: Reads::new(timeline.clone(), partitions, crate::log::GENERATION),
            timeline,
            timeline_down_until: 0,
            clusters: PerKind::from_fn(|_| Cluster::new(partitions)),
            nodes: Vec::new(),
            historians: (0..HISTORIANS).map(|n| Historian::down(n, partitions)).collect(),
            gateways: (0..GATEWAYS).map(|_| Arc::new(PartitionMap::unowned(partitions))).collect(),
            takers: BTreeMap::new(),
            next_generator: 1,
            fanouts: BTreeMap::new(),
            archives: BTreeMap::new(),
            lives: 0,
            devices: Vec::new(),
            answers_left: if plan.quick { 60 } else { 0 },
            conns: BTreeMap::new(),
            next_conn: 1,
            oracle: Oracle::default(),
            sends: 0,
            broken: 0,
            history: History::new(plan.case.command()),
            story: Story::new(telling),
            violations: Vec::new(),
            plan,
        };
        world.populate(partitions);
        world
    }

    fn populate(&mut self, partitions: Partitions) {
        for n in 0..self.plan.nodes {
            self.nodes.push(Node::down(n, partitions));
            self.step_clock(n);
            let joins = self.plan.joins.filter(|_| n + 1 == self.plan.nodes);
            self.after(joins.unwrap_or(0), Task::NodeUp(n));
        }
        (0..HISTORIANS).for_each(|n| self.after(0, Task::HistorianUp(n)));
        self.after(0, Task::Look(NodeKind::History));
        if self.has_maps(NodeKind::Messaging) {
            self.after(0, Task::Look(NodeKind::Messaging));
        }
        for (user, &count) in self.plan.devices.clone().iter().enumerate() {
            for _ in 0..count {
                let at = self.rng.delay(500, self.plan.faults_end.min(90_000) / 4);
                self.new_device(user_of(user), at);
            }
        }
        self.schedule();
    }

    fn schedule(&mut self) {
        for (at, fault) in self.plan.faults.clone() {
            self.after(at, Task::Fault(fault));
        }
        for (at, device) in self.plan.talks.clone() {
            self.after(at, Task::Talk(device));
        }
        for (at, device) in self.plan.reads.clone() {
            self.after(at, Task::Read(device));
        }
        if let Some((at, ms)) = self.plan.night {
            self.after(at, Task::Night(ms));
        }
        self.after(self.plan.faults_end, Task::Heal);
    }

    pub(crate) fn mutated(&self, mutation: Mutation) -> bool {
        self.plan.case.mutation == Some(mutation)
    }

    /// Something happens in `delay` milliseconds.
    pub(crate) fn after(&mut self, delay: u64, task: Task) {
        self.at(self.now + delay, task);
    }

    pub(crate) fn at(&mut self, at: u64, task: Task) {
        self.planned += 1;
        self.queue.insert((at.max(self.now), self.planned), task);
    }

    /// Names a life of a reader.
    pub(crate) fn next_life(&mut self) -> u64 {
        self.lives += 1;
        self.lives
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
            let overdue = self.now > START_MS + self.plan.faults_end + REST_WITHIN_MS;
            if overdue || self.violations.len() > VIOLATIONS_MOST {
                break;
            }
            self.happen(task);
        }
        self.check_at_rest();
    }

    fn happen(&mut self, task: Task) {
        match task {
            Task::Fault(fault) => self.fault(fault),
            Task::Talk(device) => self.talk(device),
            Task::Answer(device, to) => self.answer_to(device, to),
            Task::Read(device) => self.read(device),
            Task::Start(device) => self.start_device(device),
            Task::DeviceTick(device, life) => self.device_tick(device, life),
            Task::BackUp(device) => self.consider_backup(device),
            Task::Paging(device, life) => self.paging(device, life),
            Task::Connected(device, socket, conn) => self.connected(device, socket, conn),
            Task::Lost(device, socket, loss) => self.lost(device, socket, loss),
            Task::ToNode(conn) => self.reach_node(conn),
            Task::ToDevice(conn) => self.reach_device(conn),
            Task::NodeLost(conn) => self.node_lost(conn),
            Task::SessionTick(conn) => self.session_tick(conn),
            Task::Answered(conn, answered) => self.answer(conn, answered),
            Task::Take(partition, events, owner) => self.take(partition, events, owner),
            Task::Appended(owner, result) => self.appended(owner, result),
            Task::Look(kind) => self.look(kind),
            Task::Map(follower, life, map) => self.map_heard(follower, life, map),
            Task::HelloLate(conn, request) => self.hello_late(conn, request),
            Task::Begun(node, reading, partition, end) => self.begun(node, reading, partition, end),
            Task::NodeRead(node, reading, partition) => self.node_read(node, reading, partition),
            Task::Part(node, life) => self.part_on(node, life),
            Task::NodeUp(node) => self.node_up(node),
            Task::HistorianUp(node) => self.historian_up(node),
            Task::FanoutRun(partition, life) => self.run_fanout(partition, life),
            Task::FanoutStart(partition, at, back) => self.start_fanout(partition, at, back),
            Task::ArchiveRun(partition, life) => self.run_archive(partition, life),
            Task::ArchiveDone(partition, life) => self.archive_applied(partition, life),
            Task::ArchiveStart(partition, at, back) => self.start_archive(partition, at, back),
            Task::LateWrite(partition, writes, commit) => self.write_late(partition, writes, commit),
            Task::TimelineBack => self.timeline_back(),
            Task::Night(ms) => self.night(ms),
            Task::Morning => self.morning(),
            Task::Heal => self.heal(),
        }
    }
}

const ONE: Partitions = match Partitions::new(1) {
    Some(one) => one,
    None => unreachable!(),
};
