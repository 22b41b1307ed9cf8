//! A session's marks: what its device confirmed, what its user has read.

use volery_kernel::chat::ChatId;
use volery_kernel::code::Code;
use volery_kernel::event::{Event, Mark, MarkKind, Seen};
use volery_kernel::id::Id;
use volery_kernel::limits;
use volery_kernel::position::{Offset, Source};
use volery_kernel::time::Timestamp;
use volery_wire::{client, server};

use super::{Bad, Context, Effect, Session};
use crate::core::marks::Waiting;

impl Session {
    pub(super) fn is_ahead(&self, seen: Seen) -> bool {
        let ahead = |held: Offset| seen.source >= Source::new(self.generation, held);
        seen.source != Source::ZERO && self.stream.held_below().is_none_or(ahead)
    }

    pub(super) fn mark(&mut self, mark: &client::Mark, now: Timestamp) -> Result<(), Bad> {
        if mark.chat.peer_of(self.who.user).is_none() {
            return Err((Code::UnknownChat, Some("chat")));
        }
        if !self.stream.is_synced() {
            return Err((Code::NotSynced, None));
        }
        let seen = Seen { source: mark.source, id: mark.id };
        if self.is_ahead(seen) {
            return Err((Code::MarkAhead, Some("source")));
        }
        if seen.id.time() > now.plus(2 * limits::CLOCK_BOUND_MS.value) {
            return Err((Code::MarkAhead, Some("id")));
        }
        let kind = match mark.kind {
            server::MarkKind::Delivered => MarkKind::Delivered,
            server::MarkKind::Read => MarkKind::Read,
        };
        self.marks.add(Waiting { chat: mark.chat, kind, seen });
        Ok(())
    }

    pub(super) fn received(&mut self, n: u64, effects: &mut Vec<Effect>) -> Result<(), Bad> {
        let marks = &mut self.marks;
        let confirmed =
            self.window.confirm(n, |(chat, seen)| marks.add(Waiting { chat, kind: MarkKind::Delivered, seen }));
        confirmed.map_err(|_| (Code::BadRequest, Some("n")))?;
        if self.stream.is_synced() && self.marks.take_sweep() {
            effects.push(Effect::AskUndelivered);
        }
        Ok(())
    }

    /// The answer to [`Effect::AskUndelivered`].
    pub fn undelivered(&mut self, chats: Vec<(ChatId, Seen)>, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        for (chat, seen) in chats {
            if !self.is_ahead(seen) {
                self.marks.add(Waiting { chat, kind: MarkKind::Delivered, seen });
            }
        }
        self.advance(ctx, effects);
    }

    /// Marks could not be appended: they wait again.
    pub fn marks_failed(&mut self, events: Vec<Event>) {
        for event in events {
            if let Event::Mark(Mark { chat, kind, seen, .. }) = event {
                self.marks.add(Waiting { chat, kind, seen });
            }
        }
    }

    pub(super) fn flush_marks(&mut self, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        if !self.stream.is_synced() || self.closed {
            return;
        }
        if self.marks.due().is_none_or(|due| due > ctx.now) {
            return;
        }
        // A mark's id only names its record: without one, marks wait.
        let Ok(id) = ctx.ids.take(ctx.now, Id::ZERO) else { return };
        let reader = self.who.user;
        let mark = |Waiting { chat, kind, seen }| Event::Mark(Mark { id, reader, chat, kind, seen });
        // What was pushed loosely may be confirmed before what the stream brings later and lies before it.
        let confirmed = self.window.unconfirmed_from().unwrap_or(Offset::MAX);
        let may = |mark: &Waiting| mark.kind == MarkKind::Read || mark.seen.source.offset() < confirmed;
        let events: Vec<_> = self.marks.take(ctx.now, may).into_iter().map(mark).collect();
        if !events.is_empty() {
            effects.push(Effect::AppendMarks(events));
        }
    }
}
