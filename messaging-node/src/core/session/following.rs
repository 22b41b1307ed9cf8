//! A session's place in its stream: what comes from the tail, the log, the index; what is told of it.

use volery_kernel::code::{Close, Code};
use volery_kernel::event::{Event, Seen};
use volery_kernel::position::{Offset, Position, Source};
use volery_ports::history::{Happened, Stretch};
use volery_wire::server::{self, Reply};

use super::{Bad, Context, Effect, Session};
use crate::core::entry::{self, blob};
use crate::core::stream::{self, Step};

/// What became of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It lies in the tail now, or nothing was missed.
    IntoTail,
    /// So much of it comes out of the index, at least a record more than before.
    Stretch(Stretch),
    /// History or log cannot be read.
    Failed,
    /// Neither log nor index reach back that far, or the position is of another log.
    Refused,
}

impl Session {
    pub(super) fn resume(&mut self, position: &[u8], effects: &mut Vec<Effect>) -> Result<(), Bad> {
        let position = Position::from_bytes(position).map_err(|_| (Code::InvalidPosition, Some("position")))?;
        // Pages hold no answers: those that lie before the position would never be told.
        if self.sends.awaits_answers() {
            self.close(Close::Retry, effects);
            return Ok(());
        }
        self.sweep_after_sync = true;
        self.retry_fetch_at = None;
        let step = self.stream.resume(position);
        self.step(step, effects);
        Ok(())
    }

    /// The log's end, asked for by [`Effect::AskEnd`].
    pub fn end_is(&mut self, end: Offset, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        let mut steps = Vec::new();
        self.stream.end_is(end, ctx.tail, &mut steps);
        for step in steps {
            self.step(step, effects);
        }
        self.advance(ctx, effects);
    }

    /// What became of [`Effect::Fetch`] from this offset.
    pub fn fetched(&mut self, from: Offset, fetched: Fetched, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        if !self.stream.awaits_fetch(from) {
            return;
        }
        match fetched {
            Fetched::IntoTail => self.stream.fetched(0),
            Fetched::Stretch(stretch) => self.stretch(stretch, effects),
            Fetched::Failed => self.fetch_failed(ctx, effects),
            Fetched::Refused => {
                if let Some(step) = self.stream.fetch_refused(ctx.tail) {
                    self.step(step, effects);
                }
            }
        }
        self.advance(ctx, effects);
    }

    fn stretch(&mut self, stretch: Stretch, effects: &mut Vec<Effect>) {
        for (offset, happened) in stretch.events {
            self.happened(offset, happened, effects);
        }
        self.stream.fetched(stretch.complete_below);
    }

    pub(super) fn happened(&mut self, offset: Offset, happened: Happened, effects: &mut Vec<Effect>) {
        let message = matches!(happened, Happened::Message(..));
        let (reply, incoming, bytes) = match happened {
            Happened::Message(chat, view) | Happened::Changed(chat, view) => {
                let incoming =
                    (view.sender != self.who.user).then_some((chat, Seen { source: view.source, id: view.id }));
                // A change of one's own message may be another device's.
                if message && view.key.session == self.who.session && !self.stream.repeats_own() {
                    return;
                }
                self.sends.raise_floor(view.largest_id());
                let bytes = view.body.bytes.len();
                (Reply::Message(entry::of_view(self.who.user, chat, view)), incoming, bytes)
            }
            Happened::Early(chat, target, change) => {
                self.sends.raise_floor(change.id);
                let changed = entry::of_change(chat, target, change);
                let bytes = changed.text.as_deref().map_or(0, str::len);
                (Reply::Changed(changed), None, bytes)
            }
            Happened::Answer(answer) if answer.key.device == self.who.device => {
                self.sends.answered(&answer);
                (Reply::Answer(entry::of_answer(&answer, None)), None, 0)
            }
            Happened::Answer(_) => return,
            Happened::Mark { reader, chat, kind, seen } => {
                let (source, id) = (seen.source, seen.id);
                let kind = entry::mark_kind(kind);
                (Reply::Marked(server::Marked { chat, reader, kind, source, id, position: None }), None, 0)
            }
        };
        let n = self.window.send(entry::AROUND_FRAME + bytes, Some(offset), incoming);
        effects.push(Effect::Reply(n, reply));
    }

    /// Live delivery goes on, the fetch is tried again.
    fn fetch_failed(&mut self, ctx: &Context<'_>, effects: &mut Vec<Effect>) {
        const AGAIN_AFTER_MS: u64 = 1_000;
        if let Some(step) = self.stream.fetch_failed(ctx.tail) {
            self.step(step, effects);
        }
        self.retry_fetch_at = Some(ctx.now.plus(AGAIN_AFTER_MS));
    }

    /// How far archive is: told to the device with `reset`.
    pub fn archived(&mut self, position: Position, effects: &mut Vec<Effect>) {
        effects.push(Effect::Reply(0, Reply::Reset(server::At { position: Some(blob(position)) })));
    }

    pub(super) fn step(&mut self, step: Step, effects: &mut Vec<Effect>) {
        match step {
            Step::AskEnd => effects.push(Effect::AskEnd),
            Step::Reset { synced } => {
                // It is not known at once how far archive is.
                if synced {
                    effects.push(Effect::Reply(0, Reply::Gap));
                }
                self.sweep_after_sync = true;
                effects.push(Effect::AskArchived);
            }
            Step::Fetch(from) => effects.push(Effect::Fetch(from, self.stream.unverified())),
            Step::Gap => effects.push(Effect::Reply(0, Reply::Gap)),
            Step::Synced(position, below) => {
                let below = Source::new(self.generation, below);
                effects.push(Effect::Reply(0, Reply::Synced(server::Synced { position: position.map(blob), below })));
                // Pages were read: `resume` confirmed what they brought, and perhaps nothing later does.
                if std::mem::take(&mut self.sweep_after_sync) {
                    effects.push(Effect::AskUndelivered);
                }
            }
            Step::Revoked => self.close(Close::Revoked, effects),
            Step::Event { .. } => {}
        }
    }

    /// The tail has news, or the window has room again.
    pub fn advance(&mut self, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        if self.closed {
            return;
        }
        let mut steps = Vec::new();
        let who = self.who;
        let (sends, generation) = (&mut self.sends, ctx.tail.generation());
        self.stream.pump(ctx.tail, &mut self.window, |window, step| match step {
            Step::Event { entry, positioned } => {
                if let Event::Answer(answer) = entry.event() {
                    sends.answered(answer);
                }
                sends.raise_floor(entry.event().id());
                let in_order = positioned.then(|| entry.offset());
                let n = window.send(entry.frame_bytes(), in_order, stream::incoming(who, &entry, generation));
                steps.push(Err(Effect::Event { n, entry, positioned }));
            }
            other => steps.push(Ok(other)),
        });
        for step in steps {
            match step {
                Ok(step) => self.step(step, effects),
                Err(event) => effects.push(event),
            }
        }
        self.flush_marks(ctx, effects);
    }
}
