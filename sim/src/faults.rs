//! Faults as they happen, the night in which everybody is away, and how all of it ends.

use volery_kernel::limits;
use volery_kernel::map::NodeKind;
use volery_kernel::position::Offset;
use volery_kernel::rules::release_before;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;

use crate::fault::Fault;
use crate::plan::{FAULTS_LEAST, SENDS_LEAST};
use crate::story::{What, tell};
use crate::world::{START_MS, Task, World};

/// Absences from here on are of months.
const MONTH_MS: u64 = limits::INDEX_MS.value;

impl World {
    pub(crate) fn fault(&mut self, fault: Fault) {
        if self.healed || self.now < self.night_until {
            return;
        }
        tell!(self, ["all"], "FAULT {fault:?}");
        self.record_fault(format!("{fault:?}"));
        if self.breaks(fault) {
            self.broken += 1;
        }
    }

    /// Whether it changed anything: what is down already cannot be killed.
    fn breaks(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Cut(device) => self.cut_device(device),
            Fault::Offline(device, ms) => self.take_offline(device, ms),
            Fault::Restart(device, ms) => self.restart_device(device, ms),
            Fault::Stall(device, ms) => {
                self.devices[device].stalled_until = self.now + ms;
                true
            }
            Fault::Garble(device) => self.garble(device),
            Fault::Restore(device, empty) => self.restore(device, empty),
            Fault::Replace(device) => self.replace(device),
            Fault::Crash(kind, node, ms) => self.crash(kind, node, ms),
            Fault::Pause(kind, node, ms) => self.pause(kind, node, ms),
            Fault::Sever(kind, node, ms) => self.sever(kind, node, ms),
            Fault::Drain(kind, node, ms) => self.drain(kind, node, ms),
            Fault::Step(node) => {
                self.story.count(What::ClockStep);
                self.step_clock(node);
                true
            }
            Fault::Drift(node, per_s) => {
                self.story.count(What::ClockDrift);
                self.drift_clock(node, per_s);
                true
            }
            Fault::Fanout(partition, back) => self.kill_fanout(Partition(partition), back),
            Fault::Archive(partition, back) => self.kill_archive(Partition(partition), back),
            Fault::Outage(ms) => self.timeline_outage(ms),
            Fault::Log(per_mille, ms) => {
                (self.log_trouble.per_mille, self.log_trouble.until) = (per_mille, self.now + ms);
                true
            }
            Fault::LogAhead(ms) => {
                self.log_trouble.ahead = Some(ms);
                true
            }
            Fault::Lag(partition, ms) => {
                self.lag_until.insert(Partition(partition), self.now + ms);
                true
            }
        }
    }

    fn crash(&mut self, kind: NodeKind, n: usize, ms: u64) -> bool {
        match kind {
            NodeKind::Messaging => self.crash_node(n, ms),
            NodeKind::History => self.crash_historian(n, ms),
        }
    }

    fn timeline_outage(&mut self, ms: u64) -> bool {
        self.story.count(What::Outage);
        self.timeline.set_down(true);
        self.timeline_down_until = self.timeline_down_until.max(self.now + ms);
        self.at(self.timeline_down_until, Task::TimelineBack);
        true
    }

    pub(crate) fn timeline_back(&mut self) {
        if self.now >= self.timeline_down_until {
            self.timeline.set_down(false);
        }
    }

    // ----- the night -----

    /// Everybody goes away; what is under way comes to its end. Nodes are started anew while nobody looks.
    pub(crate) fn night(&mut self, ms: u64) {
        tell!(self, ["all"], "NIGHT for {} days", ms / 86_400_000);
        self.night_until = self.now + ms;
        for n in 0..self.devices.len() {
            self.restart_device(n, 0);
        }
        for kind in NodeKind::ALL {
            for n in 0..self.count_of(kind) {
                if self.rng.chance(300) {
                    self.crash(kind, n, ms / 2);
                }
            }
        }
        self.at(self.night_until, Task::Morning);
    }

    /// The log's and the index's housekeeping has deleted what is old; everybody comes back.
    pub(crate) fn morning(&mut self) {
        for partition in self.partitions().iter() {
            let done = self.archived_below(partition).min(self.log.fanned_out(partition, 0));
            let before = self.releasable(partition, done);
            if self.log.release(partition, done, before) {
                self.story.count(What::LogReleased);
            }
            self.expire_index(partition, Timestamp(self.now).minus(MONTH_MS));
            tell!(self, ["all"], "the log of p{partition} begins at {}", self.log.start(partition));
        }
        for n in 0..self.devices.len() {
            let at = self.rng.delay(3_000, 20_000);
            self.after(at, Task::Start(n));
        }
    }

    fn releasable(&self, partition: Partition, done: Offset) -> Timestamp {
        let unread = done < self.log.end(partition);
        let last = self.log.read(partition, done.saturating_sub(1), 1);
        let after = last.first().filter(|_| unread).map(|last| last.stamp);
        release_before(after, Timestamp(self.now))
    }

    /// Somebody was away: for how long?
    pub(crate) fn count_absence(&mut self, ms: u64) {
        if ms >= MONTH_MS {
            self.story.count(What::AwayMonths);
        } else if ms >= 60_000 {
            self.story.count(What::AwayMinutes);
        }
    }

    // ----- the end -----

    /// Nothing breaks any more, and everybody comes back; but for a sea that was too calm until now. A
    /// pause that has begun goes on: what waits in it is to be met.
    pub(crate) fn heal(&mut self) {
        if self.broken < FAULTS_LEAST {
            match (0..self.devices.len()).find(|n| self.devices[*n].conn.is_some()) {
                Some(connected) => self.fault(Fault::Cut(connected)),
                // Where every node is severed or gone, nobody ever connects.
                None => self.heal_clusters(),
            }
            return self.after(500, Task::Heal);
        }
        tell!(self, ["all"], "everything is healed");
        self.healed = true;
        self.timeline.set_down(false);
        (self.timeline_down_until, self.log_trouble.until, self.log_trouble.ahead) = (0, 0, None);
        self.lag_until.clear();
        self.plan.faults_end = self.now - START_MS;
        for n in 0..self.devices.len() {
            (self.devices[n].stalled_until, self.devices[n].offline_until) = (0, 0);
            self.after(1, Task::Start(n));
        }
        self.heal_clusters();
        let missing = SENDS_LEAST.saturating_sub(self.sends);
        for _ in 0..missing {
            let (n, at) = (self.rng.index(self.devices.len()), self.rng.within(2_000, 6_000));
            self.after(at, Task::Talk(n));
        }
    }
}
