//! What a seed decides before anything happens: how large the world is, who does what when, and what
//! breaks. Everything later draws from the same sequence.

use volery_kernel::map::NodeKind;

use crate::fault::{Fault, Kind, Mix, TROUBLES, Trouble, USUAL};
use crate::mutation::Mutation;
use crate::rng::Rng;

/// No seed is a calm sea: at least so many users…
pub const USERS_LEAST: usize = 4;
/// … devices …
pub const DEVICES_LEAST: usize = 6;
/// … sends that really left a device …
pub const SENDS_LEAST: u64 = 60;
/// … and faults that really broke something.
pub const FAULTS_LEAST: u64 = 6;

/// History nodes.
pub const HISTORIANS: usize = 2;

const DAY_MS: u64 = 86_400_000;

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// In whose fault mix; `None` for the seed's own.
    pub mix: Option<Mutation>,
    /// What is done wrong on purpose.
    pub mutation: Option<Mutation>,
    /// Every pause is a minute longer: readers forget what was fenced before it.
    pub long_pauses: bool,
}

impl Case {
    /// A seed as it is.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self { seed, mix: None, mutation: None, long_pauses: false }
    }

    /// A seed in the mix of a mutation, with or without it.
    #[must_use]
    pub fn with(seed: u64, mutation: Mutation, wrong: bool) -> Self {
        Self { mix: Some(mutation), mutation: wrong.then_some(mutation), ..Self::of(seed) }
    }

    /// The command that runs it again.
    #[must_use]
    pub fn command(&self) -> String {
        let named = |flag: &str, mutation: Option<Mutation>| {
            mutation.map_or_else(String::new, |mutation| format!(" --{flag} {mutation:?}"))
        };
        let mix = named("mix", self.mix.filter(|_| self.mutation.is_none()));
        let pauses = if self.long_pauses { " --long-pauses" } else { "" };
        format!("cargo run -p sim -- --seed {}{mix}{}{pauses}", self.seed, named("mutation", self.mutation))
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is run.
    pub case: Case,
    /// Users.
    pub users: usize,
    /// Devices of each user, to begin with.
    pub devices: Vec<usize>,
    /// Partitions of the log.
    pub partitions: u16,
    /// Messaging nodes.
    pub nodes: usize,
    /// Every node goes by a map that gives all to itself: owners are doubled all the time.
    pub any_node: bool,
    /// When the last messaging node joins, if not at the beginning.
    pub joins: Option<u64>,
    /// Bytes of a tail.
    pub tail_bytes: usize,
    /// Offsets that a tail is extended backwards before the index is read instead.
    pub extend_most: u64,
    /// Texts as long as they may be: windows fill.
    pub long_texts: bool,
    /// Sends carry how far their device had shown the chat.
    pub sends_mark: bool,
    /// People answer at once.
    pub quick: bool,
    /// How many of a thousand talks are bursts.
    pub bursts: u64,
    /// How often somebody reads a chat.
    pub readings: usize,
    /// Every pause is a minute longer.
    pub long_pauses: bool,
    /// Slow appends end within the deadline.
    pub slow_within_deadline: bool,
    /// So many times as much breaks as usual.
    pub rough: u64,
    /// When everybody goes away, and for how long.
    pub night: Option<(u64, u64)>,
    /// When the faults end, in milliseconds from the start.
    pub faults_end: u64,
    /// What breaks how often.
    pub mix: Mix<Kind>,
    /// How appends go wrong.
    pub troubles: Mix<Trouble>,
    /// What breaks when.
    pub faults: Vec<(u64, Fault)>,
    /// Which device's user says something when.
    pub talks: Vec<(u64, usize)>,
    /// Which device's user reads something when.
    pub reads: Vec<(u64, usize)>,
}

impl Plan {
    /// The plan of a case, and the sequence from which the run goes on.
    #[must_use]
    pub fn of(case: Case) -> (Self, Rng) {
        let mut rng = Rng::new(case.seed);
        let mut plan = Self::draw(case, &mut rng);
        if let Some(mutation) = case.mix.or(case.mutation) {
            mutation.bend(&mut plan);
        }
        if plan.long_texts {
            plan.tail_bytes *= 10;
        }
        let all: usize = plan.devices.iter().sum();
        plan.talks = plan.draw_talks(all, &mut rng);
        plan.reads = (0..plan.readings).map(|_| (rng.within(0, plan.faults_end), rng.index(all))).collect();
        plan.faults = (0..plan.rough * rng.within(10, 28)).map(|_| plan.draw_fault(all, &mut rng)).collect();
        plan.faults.sort_by_key(|(at, _)| *at);
        plan.sleep();
        (plan, rng)
    }

    /// Events that wait for a target of fan-out at most: few, so that targets which take nothing matter.
    #[must_use]
    pub fn lane_most(&self) -> usize {
        1 + self.case.seed as usize % 8
    }

    fn draw(case: Case, rng: &mut Rng) -> Self {
        let users = rng.within(USERS_LEAST as u64, 5) as usize;
        let mut devices: Vec<usize> = (0..users).map(|_| rng.within(1, 3) as usize).collect();
        devices[0] = devices[0].max(2);
        while devices.iter().sum::<usize>() < DEVICES_LEAST {
            devices[rng.index(users)] += 1;
        }
        let long = rng.chance(150);
        let faults_end = if long { rng.within(200_000, 900_000) } else { rng.within(20_000, 90_000) };
        let night_ms = if rng.chance(500) { rng.within(8, 12) } else { rng.within(33, 60) } * DAY_MS;
        let night = (rng.within(faults_end / 4, faults_end / 2), night_ms);
        Self {
            case,
            users,
            devices,
            partitions: rng.within(1, 4) as u16,
            nodes: rng.within(2, 3) as usize,
            any_node: rng.chance(200),
            joins: rng.chance(300).then(|| rng.within(0, faults_end)),
            tail_bytes: rng.within(1_500, 30_000) as usize,
            extend_most: rng.within(0, 12),
            long_texts: rng.chance(150),
            sends_mark: rng.chance(400),
            quick: rng.chance(200),
            bursts: rng.within(100, 600),
            readings: rng.within(10, 40) as usize,
            long_pauses: case.long_pauses,
            slow_within_deadline: false,
            rough: 1,
            night: rng.chance(150).then_some(night),
            faults_end,
            mix: Mix::draw(&USUAL, rng),
            troubles: Mix::draw(&TROUBLES, rng),
            faults: Vec::new(),
            talks: Vec::new(),
            reads: Vec::new(),
        }
    }

    /// Many come in bursts, as people talk.
    fn draw_talks(&self, devices: usize, rng: &mut Rng) -> Vec<(u64, usize)> {
        let mut talks = Vec::new();
        let wanted = rng.within(SENDS_LEAST + 10, SENDS_LEAST + 60) as usize;
        while talks.len() < wanted {
            let at = rng.within(0, self.faults_end);
            let device = rng.index(devices);
            let burst = if rng.chance(self.bursts) { rng.within(2, 8) } else { 1 };
            talks.extend((0..burst).map(|n| (at + n * rng.within(0, 40), device)));
        }
        talks.sort_unstable();
        talks
    }

    fn draw_fault(&self, devices: usize, rng: &mut Rng) -> (u64, Fault) {
        let kind = self.mix.pick(rng);
        (rng.within(0, self.faults_end), self.fault_of(kind, devices, rng))
    }

    fn fault_of(&self, kind: Kind, devices: usize, rng: &mut Rng) -> Fault {
        let partition = rng.index(usize::from(self.partitions)) as u16;
        let (device, node, historian) = (rng.index(devices), rng.index(self.nodes), rng.index(HISTORIANS));
        match kind {
            Kind::Cut => Fault::Cut(device),
            Kind::Offline => Fault::Offline(device, rng.delay(5_000, 400_000)),
            Kind::Restart if rng.chance(200) => Fault::Restart(device, rng.within(60_000, 900_000)),
            Kind::Restart => Fault::Restart(device, rng.within(200, 20_000)),
            Kind::Stall => Fault::Stall(device, rng.within(500, 20_000)),
            Kind::Garble => Fault::Garble(device),
            Kind::Restore => Fault::Restore(device, rng.chance(500)),
            Kind::Replace => Fault::Replace(device),
            Kind::Crash => Fault::Crash(NodeKind::Messaging, node, rng.within(10, 8_000)),
            Kind::Pause => Fault::Pause(NodeKind::Messaging, node, pause(rng)),
            Kind::Sever => Fault::Sever(NodeKind::Messaging, node, sever(rng)),
            Kind::Drain => Fault::Drain(NodeKind::Messaging, node, rng.within(1_000, 40_000)),
            Kind::HistoryCrash => Fault::Crash(NodeKind::History, historian, rng.within(10, 8_000)),
            Kind::HistoryPause => Fault::Pause(NodeKind::History, historian, pause(rng)),
            Kind::HistorySever => Fault::Sever(NodeKind::History, historian, sever(rng)),
            Kind::HistoryDrain => Fault::Drain(NodeKind::History, historian, rng.within(1_000, 40_000)),
            Kind::Step => Fault::Step(node),
            Kind::Drift => Fault::Drift(node, rng.within(0, 200) as i64 - 100),
            Kind::Fanout => Fault::Fanout(partition, rng.index(4)),
            Kind::Archive => Fault::Archive(partition, rng.index(4)),
            Kind::Outage => Fault::Outage(rng.within(500, 25_000)),
            Kind::Log => Fault::Log(rng.within(100, 700), rng.within(500, 15_000)),
            Kind::Lag => Fault::Lag(partition, rng.within(200, 15_000)),
            Kind::LogAhead => Fault::LogAhead(rng.within(5_100, 5_300)),
        }
    }

    /// What comes after the night comes so much later.
    fn sleep(&mut self) {
        let Some((at, ms)) = self.night else { return };
        let later = |when: &mut u64| {
            if *when >= at {
                *when += ms;
            }
        };
        self.talks.iter_mut().chain(&mut self.reads).for_each(|(when, _)| later(when));
        self.faults.iter_mut().for_each(|(when, _)| later(when));
        self.joins.iter_mut().chain([&mut self.faults_end]).for_each(later);
    }
}

/// A lease lasts 3 s: some pauses are too short to lose it.
fn pause(rng: &mut Rng) -> u64 {
    if rng.chance(300) { rng.within(2_500, 60_000) } else { rng.within(50, 2_500) }
}

/// Once in a while for as long as the run goes on.
fn sever(rng: &mut Rng) -> u64 {
    if rng.chance(150) { 1_000_000 } else { rng.within(500, 30_000) }
}
