//! Many devices in one thread: each is the client's own state machine ([`volery_client`]) behind a
//! socket of the door, with a [`habit`] in front of it. They reconnect, retry and catch up as a good
//! client does; what they see is counted, and recorded if the run is checked.
//!
//! One task polls one device; nothing is handed between tasks. Whoever drives a run calls in from
//! outside, between polls.

mod clockwork;
mod effects;
pub mod habit;
mod place;
mod rest;
mod shown;
mod unit;
mod wishes;

use std::cell::{Cell, Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinHandle;
use volery_checker::history::{History, What};
use volery_client::device::Device;
use volery_kernel::chat::ChatId;
use volery_kernel::limits;
use volery_tls::Trust;

use crate::account::Account;
use crate::clock;
use crate::failure::Failure;
use crate::gateways::Gateways;
use crate::record::Recorder;
use crate::tally::Tally;
use clockwork::Clockwork;
use habit::{Habit, Quiet};
use unit::Unit;

/// How long archive is given before what it lacks is looked for again.
const READ_AGAIN_EVERY: Duration = Duration::from_millis(500);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Devices that connect at once where nobody wants a storm.
const AT_ONCE: usize = 200;
/// A device that has heard nothing for so long has nothing under way: what it heard last is confirmed
/// after a second, and from that follows a mark that others hear, through fan-out.
const QUIET: Duration = Duration::from_millis(limits::RECEIVED_EVERY_MS.value + 1_000);

/// What all devices share.
pub(crate) struct World {
    pub(crate) tally: RefCell<Tally>,
    pub(crate) recorder: RefCell<Option<Recorder>>,
    pub(crate) gateways: Gateways,
    /// Length of a message's text.
    pub(crate) bytes: usize,
    clockwork: Clockwork,
}

impl World {
    fn is_checked(&self) -> bool {
        self.recorder.borrow().is_some()
    }

    fn recorded(&self, record: impl FnOnce(&mut Recorder)) {
        if let Some(recorder) = self.recorder.borrow_mut().as_mut() {
            record(recorder);
        }
    }
}

/// See the module. Needs a `LocalSet`; dropping it breaks all connections.
pub struct Fleet {
    world: Rc<World>,
    units: Vec<Rc<RefCell<Unit>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Fleet {
    /// No device yet. Texts have `bytes` bytes; with `history`, everything is recorded under that name.
    ///
    /// # Errors
    /// The system gives no timer, or there is no such gateway.
    pub fn new(gateway: &str, bytes: usize, history: Option<String>) -> Result<Self, Failure> {
        Self::at(Gateways::at(gateway, &Trust::machine())?, bytes, history)
    }

    /// The same with gateways that are known.
    ///
    /// # Errors
    /// The system gives no timer.
    pub fn at(gateways: Gateways, bytes: usize, history: Option<String>) -> Result<Self, Failure> {
        let world = Rc::new(World {
            tally: RefCell::new(Tally::new()?),
            recorder: RefCell::new(history.map(Recorder::new)),
            gateways,
            bytes,
            clockwork: Clockwork::new()?,
        });
        let clock = Rc::clone(&world);
        let ticking = tokio::task::spawn_local(async move {
            // It fails only with the timer's descriptor, and then nothing goes on: the run says so.
            let _ = clock.clockwork.run().await;
        });
        Ok(Self { world, units: Vec::new(), tasks: vec![ticking] })
    }

    /// A device that is not connected yet; its number.
    pub fn add(&mut self, account: Account) -> usize {
        let number = self.units.len();
        let (user, device) = (account.user, account.device);
        self.world.recorded(|recorder| recorder.push(number as u32, What::Device { user, device }));
        let unit = Rc::new(RefCell::new(Unit::new(number, account, Rc::clone(&self.world))));
        self.units.push(Rc::clone(&unit));
        self.tasks.push(tokio::task::spawn_local(poll_fn(move |cx| {
            unit.borrow_mut().poll(cx);
            Poll::Pending
        })));
        number
    }

    /// How many devices there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// The device connects and stays connected.
    pub fn start(&self, device: usize) {
        self.units[device].borrow_mut().start();
    }

    /// The device's app is closed. What it has stored is there when it starts again.
    pub fn stop(&self, device: usize) {
        self.units[device].borrow_mut().stop();
    }

    /// The device's connection breaks without a word.
    pub fn cut(&self, device: usize) {
        self.units[device].borrow_mut().cut();
    }

    /// The person in front of the device does this from now on.
    pub fn take_up(&self, device: usize, habit: Box<dyn Habit>) {
        self.units[device].borrow_mut().take_up(habit);
    }

    /// Nobody does anything any more; what is under way goes on.
    pub fn quiet(&self) {
        (0..self.len()).for_each(|device| self.take_up(device, Box::new(Quiet)));
    }

    /// Looks at a device.
    pub fn look<T>(&self, device: usize, at: impl FnOnce(&Device) -> T) -> T {
        at(&self.units[device].borrow().device)
    }

    /// Whether the device is connected and holds everything.
    #[must_use]
    pub fn is_synced(&self, device: usize) -> bool {
        self.units[device].borrow().is_synced()
    }

    /// The node of the device's session, by its number in the tally.
    #[must_use]
    pub fn node_of(&self, device: usize) -> Option<usize> {
        self.units[device].borrow().place.session()
    }

    /// How many sessions each node has, by its number in the tally.
    #[must_use]
    pub fn by_node(&self) -> Vec<usize> {
        let mut counts = vec![0; self.tally().nodes.len()];
        (0..self.len()).filter_map(|device| self.node_of(device)).for_each(|node| counts[node] += 1);
        counts
    }

    /// Nobody cuts this device or those to whom it writes: deliveries to it tell what others suffer.
    pub fn stands_by(&self, device: usize) {
        self.units[device].borrow_mut().stands_by = true;
    }

    /// How many are.
    #[must_use]
    pub fn synced(&self) -> usize {
        (0..self.len()).filter(|device| self.is_synced(*device)).count()
    }

    /// The counts so far.
    #[must_use]
    pub fn tally(&self) -> Ref<'_, Tally> {
        self.world.tally.borrow()
    }

    /// What is measured begins now.
    pub fn begin(&self) {
        self.world.tally.borrow_mut().begin();
    }

    /// Changes the counts: a look at a moment's latencies is one.
    pub fn tally_mut<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        change(&mut self.world.tally.borrow_mut())
    }

    /// Connects all devices, some hundred at once, and waits until all are synced. `opened` is told
    /// how many are.
    ///
    /// # Errors
    /// How many are not after `within`.
    pub async fn start_all(&self, within: Duration, opened: impl Fn(usize)) -> Result<(), Failure> {
        let begun = clock::nanos();
        for first in (0..self.len()).step_by(AT_ONCE) {
            let batch = first..self.len().min(first + AT_ONCE);
            batch.clone().for_each(|device| self.start(device));
            let left = within.saturating_sub(clock::since(begun));
            let missing = || batch.clone().filter(|device| !self.is_synced(*device)).count();
            self.until("devices are not synced", left, missing).await?;
            opened(batch.end);
        }
        Ok(())
    }

    /// Waits until nothing is `missing`.
    ///
    /// # Errors
    /// How much is missing after `within`, of `what`.
    pub async fn until(&self, what: &str, within: Duration, missing: impl Fn() -> usize) -> Result<(), Failure> {
        let begun = clock::nanos();
        loop {
            let count = missing();
            if count == 0 {
                return Ok(());
            }
            if clock::since(begun) > within {
                return Err(Failure(format!("{count} {what} after {within:?}; so far: {}", self.trouble())));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn trouble(&self) -> String {
        let tally = self.tally();
        let errors = tally.errors.iter().map(|(code, count)| format!("{code} × {count}"));
        let errors: Vec<_> = errors.collect();
        if errors.is_empty() { "no errors".to_owned() } else { errors.join(", ") }
    }

    /// Waits until every device is synced, everything that anybody wanted has come to its end, and
    /// nothing is heard any more.
    ///
    /// # Errors
    /// How many devices are busy after `within`, and with what.
    pub async fn settle(&self, within: Duration) -> Result<(), Failure> {
        let busy = || self.units.iter().filter_map(|unit| business(&unit.borrow())).collect::<Vec<_>>();
        let settled = self.until("devices are busy", within, || busy().len()).await;
        settled.map_err(|Failure(what)| {
            let mut with: BTreeMap<&str, usize> = BTreeMap::new();
            busy().into_iter().for_each(|what| *with.entry(what).or_default() += 1);
            let with: Vec<_> = with.into_iter().map(|(what, count)| format!("{count} {what}")).collect();
            Failure(format!("{what} ({})", with.join(", ")))
        })
    }

    /// The end of a checked run: all devices connect, settle, read their chats, and record what they
    /// show. The history is complete then; `None` if nothing was recorded.
    ///
    /// # Errors
    /// How many devices are not done after `within`, for each of the two halves.
    pub async fn come_to_rest(&self, within: Duration) -> Result<Option<History>, Failure> {
        self.quiet();
        let down = |device: &usize| self.look(*device, |app| app.core().wake_at().is_none());
        (0..self.len()).filter(down).for_each(|device| self.start(device));
        self.settle(within).await?;
        if self.world.recorder.borrow().is_none() {
            return Ok(None);
        }
        for (device, chats) in self.readers() {
            self.units[device].borrow_mut().record_view(chats);
            self.world.clockwork.wake(device);
        }
        let again = Cell::new(clock::nanos());
        let reading = || {
            if clock::since(again.get()) >= READ_AGAIN_EVERY {
                again.set(clock::nanos());
                self.read_again();
            }
            self.units.iter().filter(|unit| !unit.borrow().rest.is_done()).count()
        };
        self.until("devices have not read their chats", within, reading).await?;
        Ok(self.world.recorder.borrow_mut().take().map(Recorder::into_history))
    }

    fn read_again(&self) {
        for (device, unit) in self.units.iter().enumerate() {
            if unit.borrow().rest.waits() {
                unit.borrow_mut().rest.again();
                self.world.clockwork.wake(device);
            }
        }
    }

    /// Which device reads which chats: each chat once, by the first device that shows it.
    fn readers(&self) -> BTreeMap<usize, Vec<ChatId>> {
        let mut taken = BTreeSet::new();
        let chats = |device: usize| self.look(device, |app| app.view().chats().iter().map(|chat| chat.id()).collect());
        let new = |chats: Vec<ChatId>, taken: &mut BTreeSet<ChatId>| {
            chats.into_iter().filter(|chat| taken.insert(*chat)).collect()
        };
        (0..self.len()).map(|device| (device, new(chats(device), &mut taken))).collect()
    }
}

/// What a device is busy with, if it is.
fn business(unit: &Unit) -> Option<&'static str> {
    let core = unit.device.core();
    match () {
        () if !unit.is_synced() => Some("are not synced"),
        () if !core.outbox().is_idle() => Some("have something to send"),
        () if !core.is_marked() => Some("have a mark to say"),
        () if clock::since(unit.heard_at) < QUIET => Some("still hear something"),
        () => None,
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
