//! What is due: pings, time-outs, the next attempt; and when the core wants to be called again.

use super::{
    After, Core, DEAD_AFTER_MS, OPEN_WITHIN_MS, PONG_WITHIN_MS, PROBE_AFTER_MS, Phase, Request, Stage, TOKEN_AHEAD_MS,
    Timestamp, Turn, limits,
};

impl Core {
    /// Does what is due. Harmless at any time.
    pub fn tick(&mut self, turn: &mut Turn) {
        match self.phase {
            Phase::Waiting { until } if until <= turn.now => self.connect(turn),
            Phase::Connecting { since } | Phase::Greeting { since, .. } if turn.now.since(since) >= OPEN_WITHIN_MS => {
                self.moved = None;
                self.leave(After::Later, turn);
            }
            Phase::Open { .. } => self.tick_open(turn),
            Phase::Down(_)
            | Phase::Waiting { .. }
            | Phase::Authorizing
            | Phase::Connecting { .. }
            | Phase::Greeting { .. } => {}
        }
    }

    pub(super) fn tick_open(&mut self, turn: &mut Turn) {
        if self.dead_at() <= turn.now {
            return self.leave(After::Again, turn);
        }
        let probe = self.probe_at().is_some_and(|at| at <= turn.now);
        if probe || self.ping_at <= turn.now {
            self.pinged.get_or_insert(turn.now);
            self.send(Request::Ping, turn);
            self.plan_ping(turn);
        }
        if self.token_ends().is_some_and(|at| at <= turn.now) {
            self.ask_token(turn);
        }
        self.lively.expire(turn.now);
        self.confirm(turn);
        self.say_marks(turn);
        self.pump(turn);
    }

    /// When the socket counts as lost unless something is heard.
    pub(super) fn dead_at(&self) -> Timestamp {
        let silent = self.heard.plus(limits::SILENCE_MS.value);
        let unanswered = self.pinged.map(|pinged| pinged.plus(PONG_WITHIN_MS));
        let waited = self.waiting_since.map(|since| since.max(self.heard).plus(DEAD_AFTER_MS));
        [unanswered, waited].into_iter().flatten().fold(silent, Timestamp::min)
    }

    /// When a ping is to ask whether anybody is there.
    pub(super) fn probe_at(&self) -> Option<Timestamp> {
        let since = self.waiting_since.filter(|_| self.pinged.is_none())?;
        Some(since.max(self.heard).plus(PROBE_AFTER_MS))
    }

    /// 55 s ± 10 %.
    pub(super) fn plan_ping(&mut self, turn: &Turn) {
        let tenth = limits::PING_EVERY_MS.value / 10;
        let wait = limits::PING_EVERY_MS.value - tenth + turn.random % (2 * tenth + 1);
        self.ping_at = turn.now.plus(wait);
    }

    pub(super) fn token_ends(&self) -> Option<Timestamp> {
        let token = self.token.as_ref().filter(|_| !self.token_asked)?;
        Some(token.until.minus(TOKEN_AHEAD_MS))
    }

    /// When [`Core::tick`] has something to do next, if nothing else happens before.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Down(_) | Phase::Authorizing => None,
            Phase::Waiting { until } => Some(until),
            Phase::Connecting { since } | Phase::Greeting { since, .. } => Some(since.plus(OPEN_WITHIN_MS)),
            Phase::Open { stage, .. } => {
                let marks =
                    [&self.marks, &self.delivered].map(|marks| marks.due(self.brought_below)).into_iter().flatten();
                let marks = marks.filter(|_| stage == Stage::Synced);
                let alive = [Some(self.dead_at()), Some(self.ping_at), self.probe_at()];
                let times = alive.into_iter().chain([self.token_ends(), self.received.due(), self.lively.due()]);
                times.flatten().chain(marks).min()
            }
        }
    }
}
