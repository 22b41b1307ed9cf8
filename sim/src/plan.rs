//! What a seed decides before anything happens: how large the world is, who does what when, and what
//! breaks. Everything later draws from the same sequence.

use crate::rng::Rng;

/// A single thing done wrong, in the world around the cores, which the checks must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Sessions are told that an append is durable before it is, and some never are.
    AckBeforeDurable,
    /// Archive takes every flagged send as new.
    NoLookUp,
    /// Readers do not drop what older sessions append.
    NoFence,
    /// Retries are appended as if they were new.
    RetryWithoutFlag,
    /// `synced` means the end as the owner's tail knows it, not as the log gives it.
    StaleEnd,
    /// Archive's commit is durable before its rows.
    CommitBeforeApply,
    /// What is read from the index is joined to the tail one event late.
    JoinOneLate,
    /// Fan-out commits what it has read, not what it has appended.
    FanoutCommitsBeforeWork,
    /// A session believes that the device confirmed everything at once.
    ReceivedBySending,
    /// Nodes stand still for longer than anybody remembers a fence, and go on where they were.
    LongPauses,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::AckBeforeDurable,
        Self::NoLookUp,
        Self::NoFence,
        Self::RetryWithoutFlag,
        Self::StaleEnd,
        Self::CommitBeforeApply,
        Self::JoinOneLate,
        Self::FanoutCommitsBeforeWork,
        Self::ReceivedBySending,
        Self::LongPauses,
    ];
}

/// Something that breaks. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A device's connection breaks.
    Cut(usize),
    /// A device's app ends and starts again after so long.
    Restart(usize, u64),
    /// A device does not read its socket for so long.
    Stall(usize, u64),
    /// A device stores a position of some other log.
    Garble(usize),
    /// A node is killed and comes back after so long.
    Crash(usize, u64),
    /// A node does nothing for so long.
    Pause(usize, u64),
    /// A node's clock moves, within the bound.
    Step(usize),
    /// A partition's fan-out starts anew, so many commits back.
    Fanout(u16, usize),
    /// A partition's archive starts anew, so many commits back.
    Archive(u16, usize),
    /// The timeline is away for so long.
    Outage(u64),
    /// Appends go wrong in so many of a thousand cases, for so long.
    Log(u64, u64),
    /// Readers of a partition learn of new records only after so long.
    Lag(u16, u64),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// What is done wrong on purpose.
    pub mutation: Option<Mutation>,
    /// Users.
    pub users: usize,
    /// Devices of each user.
    pub devices: Vec<usize>,
    /// Partitions of the log.
    pub partitions: u16,
    /// Messaging nodes.
    pub nodes: usize,
    /// Bytes of a tail.
    pub tail_bytes: usize,
    /// Offsets that a tail is extended backwards before the index is read instead.
    pub extend_most: u64,
    /// Texts as long as they may be: windows fill.
    pub long_texts: bool,
    /// Sends carry how far their device had shown the chat.
    pub sends_mark: bool,
    /// When the faults end, in milliseconds from the start.
    pub faults_end: u64,
    /// What breaks when.
    pub faults: Vec<(u64, Fault)>,
    /// Which device's user does something when.
    pub acts: Vec<(u64, usize)>,
}

impl Plan {
    /// The plan of a seed, and the sequence from which the run goes on.
    #[must_use]
    pub fn of(seed: u64, mutation: Option<Mutation>) -> (Self, Rng) {
        let mut rng = Rng::new(seed);
        let users = rng.within(3, 5) as usize;
        let mut devices: Vec<usize> = (0..users).map(|_| rng.within(1, 3) as usize).collect();
        devices[0] = devices[0].max(2);
        let all: usize = devices.iter().sum();
        let mut plan = Self {
            seed,
            mutation,
            users,
            devices,
            partitions: rng.within(1, 4) as u16,
            nodes: rng.within(1, 2) as usize,
            tail_bytes: rng.within(1_500, 30_000) as usize,
            extend_most: rng.within(0, 12),
            long_texts: rng.chance(150),
            sends_mark: rng.chance(400),
            faults_end: rng.within(20_000, 90_000),
            faults: Vec::new(),
            acts: Vec::new(),
        };
        if plan.long_texts {
            plan.tail_bytes *= 10;
        }
        plan.acts = plan.draw_acts(all, &mut rng);
        plan.faults = (0..rng.within(6, 24)).map(|_| plan.draw_fault(all, &mut rng)).collect();
        plan.faults.sort_by_key(|(at, _)| *at);
        (plan, rng)
    }

    /// Half of the acts come in bursts, as people talk.
    fn draw_acts(&self, devices: usize, rng: &mut Rng) -> Vec<(u64, usize)> {
        let mut acts = Vec::new();
        while acts.len() < 60 + rng.index(60) {
            let at = rng.within(0, self.faults_end);
            let device = rng.index(devices);
            let burst = if rng.chance(300) { rng.within(2, 8) } else { 1 };
            acts.extend((0..burst).map(|n| (at + n * rng.within(0, 40), device)));
        }
        acts.sort_unstable();
        acts
    }

    fn draw_fault(&self, devices: usize, rng: &mut Rng) -> (u64, Fault) {
        let partition = rng.index(usize::from(self.partitions)) as u16;
        let (device, node) = (rng.index(devices), rng.index(self.nodes));
        let fault = match rng.index(26) {
            0..=6 => Fault::Cut(device),
            7 | 8 => Fault::Restart(device, rng.within(1_000, 20_000)),
            9 | 10 => Fault::Stall(device, rng.within(500, 20_000)),
            11 => Fault::Garble(device),
            12..=14 => Fault::Crash(node, rng.within(10, 8_000)),
            15 => Fault::Pause(node, rng.within(50, 2_500)),
            16 => Fault::Step(node),
            17 | 18 => Fault::Fanout(partition, rng.index(4)),
            19..=21 => Fault::Archive(partition, rng.index(4)),
            22 => Fault::Outage(rng.within(500, 25_000)),
            23 | 24 => Fault::Log(rng.within(100, 700), rng.within(500, 15_000)),
            _ => Fault::Lag(partition, rng.within(200, 15_000)),
        };
        (rng.within(0, self.faults_end), fault)
    }
}
