//! `kill -9` while sends are unacknowledged, again and again.
//!
//! Two people write without a pause, each in a thread; whatever was unacknowledged when the server died
//! is retried, flagged, after it is back. In the end the pages must hold every send once, under the id
//! that its sender was told, in its sender's order, the same for both.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::kit::device::{Confirmed, number, text_of};
use super::kit::{Device, NEVER, Server, now, wait_for};

const KILLS: usize = 10;
/// Sends under way at once: enough that a kill always meets some.
const UNDER_WAY: usize = 24;
/// Acknowledgements between two kills, of both together.
const BETWEEN: usize = 60;

#[derive(Default)]
struct Progress {
    confirmed: AtomicUsize,
    unconfirmed: AtomicUsize,
    /// Sends that were unacknowledged when a socket died.
    hit: AtomicUsize,
    stop: AtomicBool,
}

#[test]
fn nothing_is_lost_or_doubled_by_kill_9() {
    let mut server = Server::start_with(
        &["ada", "bob"],
        &["--messaging-sends-per-second", "100000", "--messaging-sends-burst", "100000"],
    );
    let (ada, bob) = (server.synced("ada"), server.synced("bob").in_json());
    let (ada_is, bob_is) = (ada.user, bob.user);
    let progress = [Progress::default(), Progress::default()];
    let mut devices: Vec<Device> = std::thread::scope(|scope| {
        let writers = [(ada, bob_is, "a", &progress[0]), (bob, ada_is, "b", &progress[1])];
        let writers =
            writers.map(|(device, to, name, progress)| scope.spawn(move || write(device, to, name, progress)));
        for _ in 0..KILLS {
            let before = sum(&progress, |p| &p.confirmed);
            wait_for("a conversation, with sends under way", || {
                let enough = sum(&progress, |p| &p.confirmed) >= before + BETWEEN;
                (enough && sum(&progress, |p| &p.unconfirmed) > 0).then_some(())
            });
            server.kill();
            server.start_again();
        }
        progress.iter().for_each(|progress| progress.stop.store(true, Ordering::Relaxed));
        writers.into_iter().map(|writer| writer.join().expect("a writer")).collect()
    });
    let hit = sum(&progress, |p| &p.hit);
    assert!(hit >= KILLS, "every kill met unacknowledged sends: {hit}");
    judge(&mut devices, hit);
}

fn sum(progress: &[Progress; 2], of: impl Fn(&Progress) -> &AtomicUsize) -> usize {
    progress.iter().map(|progress| of(progress).load(Ordering::Relaxed)).sum()
}

/// Sends until told to stop and everything is confirmed.
fn write(mut device: Device, to: u64, name: &str, progress: &Progress) -> Device {
    let mut sent = 0;
    let deadline = now() + 4 * NEVER;
    loop {
        assert!(now() < deadline, "{name} is done in time: {device}");
        if !device.is_connected() {
            progress.hit.fetch_add(device.unconfirmed.len(), Ordering::Relaxed);
            wait_for("the server is back", || device.try_connect().then_some(()));
        }
        let stop = progress.stop.load(Ordering::Relaxed);
        if !device.retry() {
            if stop && device.unconfirmed.is_empty() {
                return device;
            }
            while !stop && device.unconfirmed.len() < UNDER_WAY {
                device.send(to, &format!("{name} {sent}"));
                sent += 1;
            }
        }
        device.pump(now() + Duration::from_millis(20));
        progress.confirmed.store(device.confirmed.len(), Ordering::Relaxed);
        progress.unconfirmed.store(device.unconfirmed.len(), Ordering::Relaxed);
    }
}

fn judge(devices: &mut [Device], hit: usize) {
    let count = devices.iter().map(|device| device.confirmed.len()).sum();
    let chat = devices[0].chat_with(devices[1].user);
    let pages: Vec<_> = devices.iter_mut().map(|device| bare(&device.pages_of(&chat, count))).collect();
    assert_eq!(pages[0], pages[1], "both sides' pages are equal");
    assert_eq!(pages[0].len(), count, "every send is there, and once");
    let ids: HashMap<&str, u64> = pages[0].iter().map(|(id, _, text)| (text.as_str(), *id)).collect();
    for device in devices.iter() {
        for (text, id, _) in &device.confirmed {
            assert_eq!(ids.get(text.as_str()), Some(id), "{text} stands under the id that its sender was told");
        }
        let own: Vec<&str> =
            pages[0].iter().filter(|(_, from, _)| *from == device.user).map(|(_, _, text)| text.as_str()).collect();
        let name = own[0].split(' ').next().expect("a name");
        let sent: Vec<_> = (0..own.len()).map(|n| format!("{name} {n}")).collect();
        assert_eq!(own, sent, "one device's sends stand in its order");
    }
    let how = |how| devices.iter().flat_map(|device| &device.confirmed).filter(|(.., how_it)| *how_it == how).count();
    let (existed, new) = (how(Confirmed::Existed), how(Confirmed::New));
    println!("{count} messages, {KILLS} kills; of {hit} unacknowledged sends {existed} existed, {new} were new");
    assert!(existed > 0 && new > 0, "kills met sends on either side of the disk: {existed} existed, {new} were new");
    for device in devices {
        device.settle();
        device.until("its stream has brought everything", |device| device.texts(&chat).len() == count);
    }
}

fn bare(page: &[serde_json::Value]) -> Vec<(u64, u64, String)> {
    page.iter().map(|m| (number(&m["id"]), number(&m["from"]), text_of(m).to_owned())).collect()
}
