//! Connections: frames in order in both directions, until somebody cuts them at any moment.

use std::collections::VecDeque;

use volery_client::core::{Loss, SocketId};
use volery_kernel::position::Offset;

use crate::story::{What, tell};
use crate::world::{Task, World};

/// Names a connection of the run.
pub(crate) type ConnId = u64;

/// See the module.
pub(crate) struct Conn {
    pub(crate) device: usize,
    pub(crate) socket: SocketId,
    pub(crate) node: usize,
    /// Which life of the node it was opened to.
    pub(crate) life: u64,
    /// Frames on their way to the node.
    up: VecDeque<Vec<u8>>,
    /// Frames on their way to the device, and perhaps a close behind them.
    down: VecDeque<Result<Vec<u8>, u16>>,
    /// Frames that the node has and does not read yet.
    pub(crate) unread: VecDeque<Vec<u8>>,
    up_at: u64,
    down_at: u64,
    /// The device writes into it no more.
    pub(crate) cut: bool,
    /// The end of the user's partition when `hello` was processed.
    pub(crate) hello_end: Offset,
}

impl Conn {
    pub(crate) fn new(device: usize, socket: SocketId, node: usize, life: u64) -> Self {
        let (up, down, unread) = Default::default();
        Self { device, socket, node, life, up, down, unread, up_at: 0, down_at: 0, cut: false, hello_end: 0 }
    }
}

impl Conn {
    /// Whether nothing is on its way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.cut || (self.up.is_empty() && self.down.is_empty() && self.unread.is_empty())
    }
}

impl World {
    pub(crate) fn send_up(&mut self, id: ConnId, frame: Vec<u8>) {
        let delay = self.rng.delay(15, 250);
        let now = self.now;
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.cut) else { return };
        conn.up.push_back(frame);
        conn.up_at = conn.up_at.max(now + delay);
        let at = conn.up_at;
        self.at(at, Task::ToNode(id));
    }

    pub(crate) fn send_down(&mut self, id: ConnId, frame: Result<Vec<u8>, u16>) {
        let delay = self.rng.delay(15, 250);
        let now = self.now;
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.cut) else { return };
        conn.down.push_back(frame);
        conn.down_at = conn.down_at.max(now + delay);
        let at = conn.down_at;
        self.at(at, Task::ToDevice(id));
    }

    pub(crate) fn reach_node(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let node = &self.nodes[conn.node];
        if node.process.is_paused(self.now) {
            let at = node.process.paused_until;
            return self.at(at, Task::ToNode(id));
        }
        let Some(frame) = conn.up.pop_front() else { return };
        if node.process.life == conn.life {
            conn.unread.push_back(frame);
            self.read_frames(id);
        }
    }

    pub(crate) fn reach_device(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let (device, socket) = (conn.device, conn.socket);
        let stalled_until = self.devices[device].stalled_until;
        if stalled_until > self.now {
            return self.at(stalled_until, Task::ToDevice(id));
        }
        match conn.down.pop_front() {
            Some(Ok(frame)) => self.hear(device, socket, id, &frame),
            Some(Err(close)) => self.lost(device, socket, Loss::Closed(close)),
            None => {}
        }
    }

    /// The device leaves its socket, or the network breaks it: what is on its way to the node may
    /// still be read there; what is on its way to the device is lost. The node notices later.
    pub(crate) fn cut(&mut self, id: ConnId) {
        let keep = self.rng.index(4);
        let noticed = if self.healed { 100 } else { self.rng.delay(300, 15_000) };
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.cut) else { return };
        conn.cut = true;
        conn.down.clear();
        if keep < 3 {
            conn.up.truncate(keep);
        }
        let at = conn.up_at.max(self.now) + noticed;
        self.at(at, Task::NodeLost(id));
    }

    /// The network breaks a device's connection.
    pub(crate) fn cut_device(&mut self, device: usize) -> bool {
        let Some((id, socket)) = self.devices[device].conn else { return false };
        self.story.count(What::Cut);
        tell!(self, [format!("d{device}")], "the connection {id} of d{device} breaks");
        self.cut(id);
        let delay = self.rng.delay(200, 4_000);
        self.after(delay, Task::Lost(device, socket, Loss::Broken));
        true
    }

    /// A device has no network for a while.
    pub(crate) fn take_offline(&mut self, device: usize, ms: u64) -> bool {
        self.cut_device(device);
        self.devices[device].offline_until = self.now + ms;
        self.count_absence(ms);
        self.devices[device].core.is_some()
    }
}
