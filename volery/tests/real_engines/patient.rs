//! A device that does not give up: it connects anew and retries until it is through, as people's do.

use std::time::Duration;

use volery_wire::op::ServerOp;

use super::kit::device::text_of;
use super::kit::{Device, NEVER, Server, now, wait_for};
use super::outage::health;

pub(super) fn comes_back(device: &mut Device) {
    device.pump(now());
    if !device.is_connected() {
        wait_for("a welcome", || device.try_connect().then_some(()));
    }
}

/// Says it, however often that takes.
pub(super) fn gets_through(device: &mut Device, to: u64, text: &str) {
    comes_back(device);
    device.send(to, text);
    until_confirmed(device, text);
}

/// Waits until a send is confirmed, and retries it whenever its socket was closed.
pub(super) fn until_confirmed(device: &mut Device, text: &str) {
    let deadline = now() + NEVER;
    while device.unconfirmed.iter().any(|send| send.text == text) {
        assert!(now() < deadline, "{text}: not within {NEVER:?}: {device}");
        comes_back(device);
        device.retry();
        device.pump(now() + Duration::from_millis(100));
    }
}

pub(super) fn hears(device: &mut Device, chat: &str, text: &str) {
    let deadline = now() + NEVER;
    while !device.texts(chat).iter().any(|held| held == text) {
        assert!(now() < deadline, "{text}: not heard within {NEVER:?}: {device}");
        comes_back(device);
        device.pump(now() + Duration::from_millis(100));
    }
}

/// Waits until the pages hold these and nothing else, in this order.
pub(super) fn reads(device: &mut Device, server: &Server, chat: &str, texts: &[&str]) {
    let deadline = now() + NEVER;
    loop {
        comes_back(device);
        let page = super::outage::page(device, chat);
        let held = page.body["messages"].as_array().into_iter().flatten().map(text_of);
        if page.op == ServerOp::Page && held.eq(texts.iter().copied()) {
            return;
        }
        assert!(now() < deadline, "{texts:?} are not on {page:?}: {:?}", health(server));
        std::thread::sleep(Duration::from_millis(100));
    }
}
