//! The people of a round, on one recorded fleet: some flood each other in pairs, others live a day:
//! come, read, answer, change what was said, leave, change devices. Both at once, so that a break meets all of them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use loadtest::account::{Account, log_in};
use loadtest::clock;
use loadtest::failure::Failure;
use loadtest::fleet::Fleet;
use loadtest::fleet::habit::{Flood, Habit, Wish};
use loadtest::scenario::Stage;
use loadtest::scenario::day::{Day, Habits};
use loadtest::server::Server;
use loadtest::target::Target;
use serde::Serialize;
use volery_client::core::Link;
use volery_client::device::Device;
use volery_client::intent::Key;
use volery_client::outbox::Phase;

/// Bytes of a text.
const TEXT: usize = 128;
const OPENED_WITHIN: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// In ns.
const MILLI: u64 = 1_000_000;
const DEVICES_EACH: usize = 2;
/// Every second thing that somebody begins is a change: each break is to meet some that are not archived yet.
const CHANGES: f64 = 0.5;

/// How many people there are, and how busy.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sizes {
    /// Who flood each other in pairs: an even number.
    pub flooders: usize,
    /// Sends that each of them keeps unacknowledged.
    pub window: usize,
    /// How often each of them tops that up, in ms; as soon as there is room if `None`.
    pub every_ms: Option<u64>,
    /// Who live a day, with two devices each.
    pub people: usize,
}

impl Sizes {
    /// Users that a round takes.
    #[must_use]
    pub const fn users(&self) -> usize {
        self.flooders + self.people
    }
}

/// Somebody who floods, at times or as soon as there is room.
struct Writer {
    flood: Flood,
    every: Option<u64>,
    next: u64,
}

impl Habit for Writer {
    fn due(&self) -> Option<u64> {
        self.every.map(|_| self.next)
    }

    fn act(&mut self, now: u64, device: &Device, wishes: &mut Vec<Wish>) {
        if let Some(every) = self.every {
            if now < self.next {
                return;
            }
            self.next = now + every;
        }
        self.flood.act(now, device, wishes);
    }
}

/// See the module.
pub struct Crowd<'t> {
    /// The fleet, and the accounts of those who live a day: devices 0 and on.
    pub stage: Stage<'t>,
    begun: u64,
    spare: Range<usize>,
}

impl<'t> Crowd<'t> {
    /// Logs `users` in, connects those who flood and sets them going. Everything is recorded under `name`.
    ///
    /// # Errors
    /// A log-in that was refused, or how many devices are not synced in time.
    pub async fn gather(
        gateway: &str,
        target: &'t Target,
        users: Range<usize>,
        sizes: Sizes,
        name: String,
    ) -> Result<Self, Failure> {
        let (flooding, living) =
            Server::people(users).into_iter().enumerate().partition::<Vec<_>, _>(|(at, _)| *at < sizes.flooders);
        let flooding: Vec<_> = flooding.into_iter().map(|(_, person)| person).collect();
        let living: Vec<_> =
            living.into_iter().flat_map(|(_, person)| std::iter::repeat_n(person, DEVICES_EACH)).collect();
        let (flooders, accounts) = (log_in(gateway, &flooding).await?, log_in(gateway, &living).await?);
        let spares = log_in(gateway, &flooding).await?;
        let begun = clock::nanos();
        let mut fleet = Fleet::new(gateway, TEXT, Some(name))?;
        for account in accounts.iter().chain(&flooders).chain(&spares) {
            fleet.add(account.clone());
        }
        let spare = fleet.len() - spares.len()..fleet.len();
        let crowd = Self { stage: Stage { target, fleet, accounts }, begun, spare };
        crowd.flood(&flooders, sizes).await?;
        Ok(crowd)
    }

    async fn flood(&self, flooders: &[Account], sizes: Sizes) -> Result<(), Failure> {
        let first = self.stage.accounts.len();
        let devices = first..first + flooders.len();
        devices.clone().for_each(|device| self.fleet().start(device));
        let missing = || devices.clone().filter(|device| !self.fleet().is_synced(*device)).count();
        self.fleet().until("devices are not synced", OPENED_WITHIN, missing).await?;
        for device in devices.clone() {
            let to = flooders[(device - first) ^ 1].user;
            let (flood, every) = (Flood { to, window: sizes.window }, sizes.every_ms.map(|ms| ms * MILLI));
            self.fleet().take_up(device, Box::new(Writer { flood, every, next: 0 }));
        }
        Ok(())
    }

    /// Lets the others come and go while `play` goes on.
    ///
    /// # Errors
    /// What `play` says.
    pub async fn live<T>(&self, play: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let people = self.stage.accounts.len() / DEVICES_EACH;
        let habits = Habits {
            devices: DEVICES_EACH,
            arrivals: people as f64,
            stay: 2.0,
            pause: 0.6,
            contacts: 4,
            switch: 0.5,
            changes: CHANGES,
        };
        let mut day = Day::new(habits, &self.stage);
        tokio::select! {
            played = play => played,
            () = day.live(&self.stage, DAY) => Err(Failure("the day is over, and nothing came of it".to_owned())),
        }
    }

    /// A second device of each who floods, on which nobody was ever: once started, it reads whole chats.
    #[must_use]
    pub fn spare(&self) -> Range<usize> {
        self.spare.clone()
    }

    /// Its devices.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.stage.fleet
    }

    /// Microseconds since its history began.
    #[must_use]
    pub fn now(&self) -> u64 {
        clock::since(self.begun).as_micros() as u64
    }

    /// Sends that were handed to a socket and have no answer, by device.
    #[must_use]
    pub fn unacknowledged(&self) -> BTreeSet<(usize, Key)> {
        let open = |device: usize| {
            self.fleet().look(device, |app| {
                let items = app.core().outbox().items().filter(|item| !matches!(item.phase, Phase::Failed(_)));
                items.filter_map(|item| item.key).map(|key| (device, key)).collect::<Vec<_>>()
            })
        };
        (0..self.fleet().len()).flat_map(open).collect()
    }

    /// Devices whose app is open.
    #[must_use]
    pub fn open(&self) -> Vec<usize> {
        (0..self.fleet().len()).filter(|device| self.is_open(*device)).collect()
    }

    fn is_open(&self, device: usize) -> bool {
        self.fleet().look(device, |app| !matches!(app.core().link(), Link::Down(_)))
    }

    fn told(&self, device: usize) -> String {
        self.fleet().look(device, |app| {
            let (core, at) = (app.core(), clock::stamp(clock::nanos()));
            let (reads, waiting) =
                (if core.starts_anew() { ", reading its pages" } else { "" }, core.outbox().items().count());
            format!("device {device}: {:?}{reads} at {at}, {waiting} sends wait", core.link())
        })
    }

    /// Waits until no device is synced any more: everything that the server had written is read.
    ///
    /// # Errors
    /// How many still are.
    pub async fn lost(&self, within: Duration) -> Result<(), Failure> {
        self.fleet().until("connections outlive their server", within, || self.fleet().synced()).await
    }

    /// Waits until each of these devices was synced, or its app closed.
    ///
    /// # Errors
    /// How many were not.
    pub async fn back(&self, devices: Vec<usize>, within: Duration) -> Result<(), Failure> {
        let (begun, mut away) = (clock::nanos(), devices);
        loop {
            away.retain(|device| self.is_open(*device) && !self.fleet().is_synced(*device));
            if away.is_empty() {
                return Ok(());
            }
            if clock::since(begun) > within {
                let away: Vec<_> = away.into_iter().map(|device| self.told(device)).collect();
                return Err(Failure(format!("not synced after {within:?}: {}", away.join("; "))));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
