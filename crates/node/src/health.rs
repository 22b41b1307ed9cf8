//! What each part of a node says of itself, and what follows for people and for probes.
//!
//! An engine that is away makes a part `Down`, never `Failed`: it recovers by itself, and a restart
//! would only add a storm of reconnects to the outage. Liveness fails for `Failed` alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// What a part says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "reason", rename_all = "snake_case")]
pub enum State {
    /// Not there yet: opening, replaying, connecting for the first time.
    Starting,
    /// Serves.
    Ready,
    /// Serves, without something that people will miss.
    Degraded(String),
    /// Does not serve, and will again by itself.
    Down(String),
    /// Does not serve, and only a restart helps.
    Failed(String),
}

impl State {
    fn serves(&self) -> bool {
        matches!(self, Self::Ready | Self::Degraded(_))
    }
}

struct Registered {
    /// Of two holders of one name only the newer is listened to.
    generation: u64,
    state: State,
    started: bool,
}

#[derive(Default)]
struct Parts {
    by_name: BTreeMap<&'static str, Registered>,
    generations: u64,
    draining: bool,
}

/// The health of one node; clones share it.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<Parts>>);

/// The right to speak for one part. When it is dropped, the part is `Down`.
pub struct Part {
    health: Health,
    name: &'static str,
    generation: u64,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Every part has served once: `/startupz`.
    pub started: bool,
    /// No part needs a restart: `/livez`.
    pub live: bool,
    /// Every part serves, and the node does not shut down: `/readyz`.
    pub ready: bool,
    /// The node shuts down.
    pub draining: bool,
    /// Each part's state by its name: `/healthz`.
    pub parts: BTreeMap<&'static str, State>,
}

impl Health {
    /// No parts: not started until one is there.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A part that starts. Whoever spoke for this name before is not listened to any more.
    #[must_use]
    pub fn part(&self, name: &'static str) -> Part {
        let mut parts = self.lock();
        parts.generations += 1;
        let generation = parts.generations;
        parts.by_name.insert(name, Registered { generation, state: State::Starting, started: false });
        Part { health: self.clone(), name, generation }
    }

    /// The node shuts down: not ready from now on, for load balancers to look elsewhere.
    pub fn drain(&self) {
        self.lock().draining = true;
    }

    /// How everything is.
    #[must_use]
    pub fn report(&self) -> Report {
        let parts = self.lock();
        let all = || parts.by_name.values();
        let started = !parts.by_name.is_empty() && all().all(|part| part.started);
        Report {
            started,
            live: !all().any(|part| matches!(part.state, State::Failed(_))),
            ready: started && !parts.draining && all().all(|part| part.state.serves()),
            draining: parts.draining,
            parts: parts.by_name.iter().map(|(&name, part)| (name, part.state.clone())).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Serves.
    pub fn ready(&self) {
        self.set(State::Ready);
    }

    /// Serves, without what `reason` says.
    pub fn degraded(&self, reason: impl Into<String>) {
        self.set(State::Degraded(reason.into()));
    }

    /// Does not serve for the moment.
    pub fn down(&self, reason: impl Into<String>) {
        self.set(State::Down(reason.into()));
    }

    /// Needs a restart.
    pub fn failed(&self, reason: impl Into<String>) {
        self.set(State::Failed(reason.into()));
    }

    /// Says how it is.
    pub fn set(&self, state: State) {
        let mut parts = self.health.lock();
        if let Some(part) = parts.by_name.get_mut(self.name).filter(|part| part.generation == self.generation) {
            part.started |= state.serves();
            part.state = state;
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut parts = self.health.lock();
        if let Some(part) = parts.by_name.get_mut(self.name).filter(|part| part.generation == self.generation)
            && !matches!(part.state, State::Failed(_))
        {
            part.state = State::Down("stopped".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(health: &Health) -> (bool, bool, bool) {
        let report = health.report();
        (report.started, report.live, report.ready)
    }

    #[test]
    fn a_node_is_ready_when_every_part_is() {
        let health = Health::new();
        assert_eq!(probes(&health), (false, true, false));
        let (log, timeline) = (health.part("log"), health.part("timeline"));
        log.ready();
        assert_eq!(probes(&health), (false, true, false));
        timeline.degraded("compaction is behind");
        assert_eq!(probes(&health), (true, true, true));
    }

    #[test]
    fn an_engine_that_is_away_asks_for_no_restart_and_undoes_no_start() {
        let health = Health::new();
        let log = health.part("log");
        log.ready();
        log.down("no leader");
        assert_eq!(probes(&health), (true, true, false));
        log.ready();
        assert_eq!(probes(&health), (true, true, true));
        log.failed("a segment is damaged");
        assert_eq!(probes(&health), (true, false, false));
    }

    #[test]
    fn a_dying_part_does_not_speak_for_its_successor() {
        let health = Health::new();
        let old = health.part("door");
        let new = health.part("door");
        new.ready();
        old.down("late news");
        drop(old);
        assert_eq!(probes(&health), (true, true, true));
        drop(new);
        assert_eq!(health.report().parts["door"], State::Down("stopped".into()));
    }

    #[test]
    fn draining_is_not_ready_and_still_alive() {
        let health = Health::new();
        let door = health.part("door");
        door.ready();
        health.drain();
        assert_eq!(probes(&health), (true, true, false));
    }

    #[test]
    fn people_read_names_states_and_reasons() {
        let health = Health::new();
        let log = health.part("log");
        log.down("the disk is full");
        let json = serde_json::to_value(health.report()).expect("plain data");
        assert_eq!(json["parts"]["log"], serde_json::json!({"state": "down", "reason": "the disk is full"}));
    }
}
