//! What is done wrong on purpose between a session's core and its world: effects that are changed or
//! left out, answers that are made up. Without a mutation everything passes as it is.

use std::collections::{BTreeMap, BTreeSet};

use volery_kernel::code::Code;
use volery_kernel::event::{Event, Seen};
use volery_kernel::id::Id;
use volery_kernel::position::{Position, Source};
use volery_kernel::slot::Partition;
use volery_messaging::core::session::{Effect, error_body};
use volery_ports::log::{AppendError, Appended};
use volery_wire::client::Request;
use volery_wire::server::Reply;

use crate::log::GENERATION;
use crate::mutation::Mutation;
use crate::network::ConnId;
use crate::session::as_taken;
use crate::world::World;

/// What a session's shell remembers to do it wrong.
#[derive(Default)]
pub(crate) struct Wrong {
    /// The newest id that was sent: a cursor.
    newest: Id,
    /// Sends whose append failed; the session does not know.
    failed: BTreeSet<Id>,
    /// The window was full: events are left out until the next `synced`.
    dropping: bool,
    /// The ids that the core took, and those that stand on the log.
    ids: BTreeMap<Id, Id>,
}

impl From<Option<Position>> for Wrong {
    fn from(resume: Option<Position>) -> Self {
        Self { newest: resume.map(|position| position.id).unwrap_or_default(), ..Self::default() }
    }
}

impl World {
    /// An effect as the mutation leaves it.
    pub(crate) fn go_wrong(&mut self, id: ConnId, effect: Effect) -> Option<Effect> {
        let Some(mutation) = self.plan.case.mutation else { return Some(effect) };
        match (mutation, effect) {
            (Mutation::SessionGoesOn, Effect::Reply(request, Reply::Ack(ack))) if self.has_failed(id, ack.id) => {
                let error = error_body(Code::OutcomeUnknown, None, Some(ack.number), None);
                Some(Effect::Reply(request, Reply::Error(error)))
            }
            (Mutation::NoFloor, Effect::Append(partition, events)) => {
                Some(Effect::Append(partition, self.without_floor(id, events)))
            }
            (Mutation::NoFloor, Effect::Reply(request, Reply::Ack(mut ack))) => {
                let taken = self.shell(id).and_then(|held| held.wrong.ids.get(&ack.id).copied());
                ack.id = taken.unwrap_or(ack.id);
                Some(Effect::Reply(request, Reply::Ack(ack)))
            }
            (Mutation::CursorById, Effect::Event { n, entry, positioned }) => {
                let held = self.shell(id)?;
                let newer = entry.event().id() > held.wrong.newest;
                held.wrong.newest = held.wrong.newest.max(entry.event().id());
                newer.then_some(Effect::Event { n, entry, positioned })
            }
            (Mutation::OverflowWithoutGap, effect) => self.leave_out(id, effect),
            (Mutation::SendingMarksToEcho, Effect::Append(partition, events)) => {
                Some(Effect::Append(partition, self.mark_to_echo(id, events)))
            }
            (Mutation::MarksById, Effect::AppendMarks(events)) => {
                Some(Effect::AppendMarks(events.into_iter().map(|event| self.by_id(event)).collect()))
            }
            (_, effect) => Some(effect),
        }
    }

    /// A request as the mutation lets its session hear it: every send as if it were said just now.
    pub(crate) fn request_wrong<'a>(&mut self, id: ConnId, mut request: Request<'a>) -> Request<'a> {
        if !self.mutated(Mutation::StaleTaken) {
            return request;
        }
        let Some(n) = self.conns.get(&id).map(|conn| conn.node) else { return request };
        let now = self.nodes[n].clock(self.now);
        let since = self.shell(id).map_or(0, |held| now.since(held.welcomed));
        match &mut request {
            Request::Send(send) => send.since_welcome = since,
            Request::Edit(change) | Request::Delete(change) | Request::React(change) | Request::Unreact(change) => {
                change.since_welcome = since;
            }
            _ => {}
        }
        request
    }

    /// An answer of the log as the mutation leaves it.
    pub(crate) fn heard_wrong(
        &mut self,
        id: ConnId,
        partition: Partition,
        flying: &[Id],
        result: Result<Vec<Appended>, AppendError>,
    ) -> Result<Vec<Appended>, AppendError> {
        if !self.mutated(Mutation::SessionGoesOn) || !matches!(result, Err(AppendError::Unknown(_))) {
            return result;
        }
        let (end, now) = (self.log.end(partition), self.now);
        if let Some(held) = self.shell(id) {
            held.wrong.failed.extend(flying);
        }
        Ok(as_taken(end, flying.len(), now))
    }

    fn has_failed(&mut self, id: ConnId, send: Id) -> bool {
        self.shell(id).is_some_and(|held| held.wrong.failed.contains(&send))
    }

    fn without_floor(&mut self, id: ConnId, mut events: Vec<Event>) -> Vec<Event> {
        let Some(n) = self.conns.get(&id).map(|conn| conn.node) else { return events };
        let now = self.nodes[n].clock(self.now);
        for event in &mut events {
            let Event::Send(send) = event else { continue };
            let Ok(taken) = self.nodes[n].floorless.take(now, Id::ZERO) else { continue };
            let core = std::mem::replace(&mut send.id, taken);
            if let Some(held) = self.shell(id) {
                held.wrong.ids.insert(core, taken);
            }
        }
        events
    }

    /// From a full window until everything was sent nothing is; nobody is told.
    fn leave_out(&mut self, id: ConnId, effect: Effect) -> Option<Effect> {
        let held = self.shell(id)?;
        match &effect {
            Effect::Reply(_, Reply::Gap) => {
                held.wrong.dropping = true;
                None
            }
            Effect::Reply(_, Reply::Synced(_)) => {
                let dropped = std::mem::take(&mut held.wrong.dropping);
                (!dropped).then_some(effect)
            }
            Effect::Event { .. } | Effect::Reply(_, Reply::Message(_) | Reply::Changed(_)) if held.wrong.dropping => {
                None
            }
            _ => Some(effect),
        }
    }

    fn mark_to_echo(&mut self, id: ConnId, mut events: Vec<Event>) -> Vec<Event> {
        let Some(partition) = self.shell(id).map(|held| held.partition) else { return events };
        let Some(newest) = self.log.end(partition).checked_sub(1) else { return events };
        for event in &mut events {
            if let Event::Send(send) = event {
                send.shown = Some(Seen { source: Source::new(GENERATION, newest), id: send.id });
            }
        }
        events
    }

    fn by_id(&self, mut event: Event) -> Event {
        if let Event::Mark(mark) = &mut event {
            let covered = self.oracle.incoming(mark.reader, mark.chat, Source(u64::MAX));
            let covered = covered.filter(|held| held.send.id <= mark.seen.id).map(|held| held.offset).max();
            let source = covered.map_or(Source::ZERO, |offset| Source::new(GENERATION, offset));
            mark.seen.source = mark.seen.source.max(source);
        }
        event
    }
}
