//! `day`: people come, read, answer, chat in bursts with pauses, change what was said, and leave; some come back on
//! another device. Who comes and goes when is decided here from a random number generator and the time; what
//! somebody does while there is a [`Habit`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use volery_client::core::Link;
use volery_client::device::Device;
use volery_kernel::chat::ChatId;
use volery_kernel::id::UserId;

use super::{Stage, changes};
use crate::clock;
use crate::fleet::habit::{Habit, Quiet, Wish};

/// Nobody leaves sooner.
const STAY_LEAST: f64 = 1.0;

/// How people live.
#[derive(Clone, Debug)]
pub struct Habits {
    /// Devices that each person has.
    pub devices: usize,
    /// People who come, a second, all together.
    pub arrivals: f64,
    /// How long one stays on average, in seconds.
    pub stay: f64,
    /// How long one pauses on average before doing the next thing, in seconds.
    pub pause: f64,
    /// With how many others one chats.
    pub contacts: usize,
    /// How likely one comes back on another device.
    pub switch: f64,
    /// How likely one changes a message, if nothing is unread, instead of scrolling or writing.
    pub changes: f64,
}

/// Somebody comes to a device, or leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Comes.
    Come(usize),
    /// Leaves.
    Leave(usize),
}

/// Who is there.
pub struct Day {
    habits: Habits,
    random: StdRng,
    next_arrival: u64,
    leaving: BinaryHeap<Reverse<(u64, usize)>>,
    /// By person: the device used last, and whether it is used now.
    people: Vec<(usize, bool)>,
}

impl Day {
    /// Nobody is there yet.
    #[must_use]
    pub fn new(habits: Habits, stage: &Stage<'_>) -> Self {
        Self::with(habits, stage.accounts.len(), rand::make_rng(), clock::nanos())
    }

    fn with(habits: Habits, devices: usize, random: StdRng, now: u64) -> Self {
        let people = vec![(0, false); devices / habits.devices.max(1)];
        Self { habits, random, next_arrival: now, leaving: BinaryHeap::new(), people }
    }

    /// When somebody comes or leaves next, in ns.
    fn due(&self) -> u64 {
        self.leaving.peek().map_or(self.next_arrival, |Reverse((at, _))| (*at).min(self.next_arrival))
    }

    /// Who comes or leaves now; nobody if all are there already.
    fn next(&mut self, now: u64) -> Option<Order> {
        if let Some(Reverse((_, person))) = self.leaving.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.leaving.pop();
            self.people[person].1 = false;
            return Some(Order::Leave(self.device_of(person)));
        }
        if self.next_arrival > now {
            return None;
        }
        self.next_arrival = now + nanos(exponential(&mut self.random, 1.0 / self.habits.arrivals));
        let person = self.somebody_absent()?;
        if self.random.random_bool(self.habits.switch.clamp(0.0, 1.0)) {
            self.people[person].0 = self.random.random_range(0..self.habits.devices.max(1));
        }
        self.people[person].1 = true;
        let stay = exponential(&mut self.random, self.habits.stay).max(STAY_LEAST);
        self.leaving.push(Reverse((now + nanos(stay), person)));
        Some(Order::Come(self.device_of(person)))
    }

    fn somebody_absent(&mut self) -> Option<usize> {
        let count = self.people.len();
        let from = self.random.random_range(0..count.max(1));
        (0..count).map(|step| (from + step) % count).find(|person| !self.people[*person].1)
    }

    fn device_of(&self, person: usize) -> usize {
        person * self.habits.devices + self.people[person].0
    }

    /// Lives for a while.
    pub async fn live(&mut self, stage: &Stage<'_>, time: Duration) {
        let end = clock::nanos() + time.as_nanos() as u64;
        loop {
            let now = clock::nanos();
            if now >= end {
                return;
            }
            match (self.due() <= now).then(|| self.next(now)).flatten() {
                Some(Order::Come(device)) => {
                    stage.fleet.start(device);
                    stage.fleet.take_up(device, Box::new(self.person(stage, device)));
                }
                Some(Order::Leave(device)) => {
                    stage.fleet.take_up(device, Box::new(Quiet));
                    stage.fleet.stop(device);
                }
                None => tokio::time::sleep(Duration::from_nanos(self.due().min(end).saturating_sub(now))).await,
            }
        }
    }

    fn person(&mut self, stage: &Stage<'_>, device: usize) -> Person {
        let (each, count) = (self.habits.devices, self.people.len());
        let own = device / each;
        // A circle: one knows those who sit next to one, on both sides.
        let sides = (1..=self.habits.contacts.div_ceil(2)).flat_map(|step| [own + step, own + count - step % count]);
        let known = sides.map(|person| person % count).filter(|person| *person != own).take(self.habits.contacts);
        let peers = known.map(|person| stage.accounts[person * each].user).collect();
        Person::new(peers, &self.habits, self.random.next_u64())
    }
}

/// Somebody in front of a device.
pub struct Person {
    peers: Vec<UserId>,
    pause: f64,
    changes: f64,
    random: StdRng,
    next: u64,
    /// Messages that are still to be written to somebody.
    burst: (u32, usize),
}

impl Person {
    fn new(peers: Vec<UserId>, habits: &Habits, seed: u64) -> Self {
        let (pause, changes) = (habits.pause, habits.changes.clamp(0.0, 1.0));
        Self { peers, pause, changes, random: StdRng::seed_from_u64(seed), next: 0, burst: (0, 0) }
    }

    fn wait(&mut self, now: u64, mean: f64) {
        self.next = now + nanos(exponential(&mut self.random, mean));
    }

    /// The next thing: go on writing, read what is unread and perhaps answer, change a message, scroll, begin to write.
    fn choose(&mut self, now: u64, device: &Device, wishes: &mut Vec<Wish>) {
        if let (left @ 1.., peer) = self.burst {
            wishes.push(Wish::Say { to: self.peers[peer], meant: now });
            self.burst.0 = left - 1;
            return self.wait(now, self.pause / 4.0);
        }
        let me = device.view().me();
        let chats = device.view().chats();
        if let Some(unread) = chats.iter().find(|chat| chat.unread() > 0) {
            wishes.push(Wish::Open(unread.id()));
            if let Some(shown) = unread.shown(unread.timeline.lines()) {
                wishes.push(Wish::Read(unread.id(), shown));
            }
            let peer = self.peers.iter().position(|peer| ChatId::direct(me, *peer) == unread.id());
            if let Some(peer) = peer.filter(|_| self.random.random_bool(0.6)) {
                self.burst = (self.random.random_range(1..=3), peer);
            }
        } else if self.random.random_bool(self.changes) {
            wishes.extend(changes::draw(&mut self.random, device));
        } else if self.random.random_bool(0.2) && !chats.is_empty() {
            let chat = chats[self.random.random_range(0..chats.len())].id();
            wishes.extend([Wish::Open(chat), Wish::Older(chat)]);
        } else if self.random.random_bool(0.5) && !self.peers.is_empty() {
            self.burst = (self.random.random_range(1..=5), self.random.random_range(0..self.peers.len()));
        }
        self.wait(now, self.pause);
    }
}

impl Habit for Person {
    fn due(&self) -> Option<u64> {
        Some(self.next)
    }

    fn act(&mut self, now: u64, device: &Device, wishes: &mut Vec<Wish>) {
        if self.next > now {
            return;
        }
        match device.core().link() {
            Link::Synced => self.choose(now, device, wishes),
            _ => self.wait(now, self.pause / 4.0),
        }
    }
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// How long until something happens that happens each `mean` on average.
fn exponential(random: &mut StdRng, mean: f64) -> f64 {
    let uniform: f64 = random.random_range(f64::EPSILON..1.0);
    -uniform.ln() * mean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn habits() -> Habits {
        Habits { devices: 2, arrivals: 5.0, stay: 4.0, pause: 1.0, contacts: 4, switch: 0.5, changes: 0.1 }
    }

    #[test]
    fn who_came_leaves_and_comes_back_on_either_device() {
        let mut day = Day::with(habits(), 40, StdRng::seed_from_u64(1), 0);
        let (mut there, mut came, mut most) = (std::collections::BTreeSet::new(), [0; 2], 0);
        let mut now = 0;
        while now < nanos(200.0) {
            now = day.due();
            match day.next(now) {
                Some(Order::Come(device)) => {
                    assert!(there.insert(device / 2), "somebody comes who is there");
                    came[device % 2] += 1;
                }
                Some(Order::Leave(device)) => assert!(there.remove(&(device / 2)), "somebody leaves who is away"),
                None => {}
            }
            most = most.max(there.len());
        }
        assert!(came.iter().all(|came| *came > 100), "{came:?}");
        assert!((10..=20).contains(&most), "{most}");
    }

    #[test]
    fn exponential_times_have_their_mean() {
        let mut random = StdRng::seed_from_u64(2);
        let mean = (0..20_000).map(|_| exponential(&mut random, 3.0)).sum::<f64>() / 20_000.0;
        assert!((2.9..3.1).contains(&mean), "{mean}");
    }
}
