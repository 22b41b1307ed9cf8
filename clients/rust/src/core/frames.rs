//! What a frame from the node changes.

use volery_kernel::code::Code;
use volery_kernel::id::Id;
use volery_kernel::position::Source;
use volery_kernel::time::Timestamp;
use volery_wire::client::Shown;
use volery_wire::field::Blob;
use volery_wire::server::{self, MarkKind, Message, Reply};

use super::{After, Core, Down, Effect, Phase, SocketId, Stage, Turn};
use crate::outbox::{Ended, Taken};
use crate::state::Change;

impl Core {
    /// A frame: its socket, what stands in the envelope's second place, its length in bytes, what it
    /// says. True if it is to be shown: a view takes it before the effects are carried out.
    pub fn frame(&mut self, socket: SocketId, n: u64, bytes: usize, reply: &Reply<'_>, turn: &mut Turn) -> bool {
        if socket != self.socket {
            return false;
        }
        (self.heard, self.pinged) = (turn.now, None);
        match (self.phase, reply) {
            (Phase::Greeting { .. }, Reply::Welcome(welcome)) => {
                self.welcome(welcome, turn);
                true
            }
            (Phase::Greeting { request, .. }, Reply::Error(error)) if n == request => {
                self.hello_refused(error, turn);
                false
            }
            (_, Reply::Moved(moved)) => {
                self.moved = Some(moved.address.clone());
                false
            }
            (Phase::Open { .. }, reply) => self.open_frame(n, bytes, reply, turn),
            _ => false,
        }
    }

    fn welcome(&mut self, welcome: &server::Welcome, turn: &mut Turn) {
        self.previous_session = welcome.session;
        self.welcomed = turn.now;
        self.outbox.open();
        turn.store(Change::Session(welcome.session));
        self.plan_ping(turn);
        self.go(Phase::Open { session: welcome.session, stage: Stage::Syncing }, turn);
        self.watch_again(turn);
        self.pump(turn);
    }

    fn hello_refused(&mut self, error: &server::Error<'_>, turn: &mut Turn) {
        let is = |code: Code| error.code == code.text();
        let after = match error.retryable {
            true => After::Later,
            false if is(Code::InvalidToken) => After::NewToken,
            false if is(Code::Revoked) => After::Never(Down::LoggedOut),
            false => After::Never(Down::Refused),
        };
        self.leave(after, turn);
    }

    fn open_frame(&mut self, n: u64, bytes: usize, reply: &Reply<'_>, turn: &mut Turn) -> bool {
        if matches!(reply, Reply::Message(_) | Reply::Changed(_) | Reply::Marked(_) | Reply::Answer(_)) {
            return self.event(n, bytes, reply, turn);
        }
        match reply {
            Reply::Ack(ack) => self.ack(ack, turn),
            Reply::Synced(synced) => self.synced(synced, turn),
            Reply::Pong(at) => self.at(at.position.as_ref()),
            // While pages are read a gap asks nothing: a reset must not be forgotten over it.
            Reply::Gap if self.reset_to.is_none() => self.stage(Stage::Syncing, turn),
            Reply::Reset(at) => self.reset(at, turn),
            Reply::Error(error) => self.error(n, error, turn),
            Reply::Typing(_) | Reply::Presence(_) => self.lively.told(reply, turn.now),
            Reply::Page(page) => page.messages.iter().for_each(|message| self.meet(message, turn)),
            Reply::ChatList(list) => {
                list.chats.iter().filter_map(|chat| chat.newest.as_ref()).for_each(|message| self.meet(message, turn));
                list.chats.iter().for_each(|chat| self.listed(chat, turn.now));
            }
            _ => {}
        }
        matches!(reply, Reply::Page(_) | Reply::ChatList(_) | Reply::Gap | Reply::Error(_))
    }

    fn event(&mut self, n: u64, bytes: usize, reply: &Reply<'_>, turn: &mut Turn) -> bool {
        if !self.received.take(n, bytes, turn.now) {
            return false;
        }
        match reply {
            Reply::Message(message) => {
                self.meet(message, turn);
                self.lively.wrote(message.chat, message.from);
                if message.from != self.user {
                    self.brought_below = self.brought_below.max(message.source.next());
                    let shown = Shown { source: message.source, id: message.id };
                    self.delivered.expect(message.chat, shown, turn.now);
                }
                self.at(message.position.as_ref());
            }
            Reply::Changed(changed) => {
                self.changed(changed, turn);
                self.at(changed.position.as_ref());
            }
            Reply::Marked(marked) => {
                self.marked(marked, turn.now);
                self.at(marked.position.as_ref());
            }
            Reply::Answer(answer) => {
                self.answer(answer, turn);
                self.at(answer.position.as_ref());
            }
            _ => {}
        }
        self.confirm(turn);
        true
    }

    fn see(&mut self, id: Id) {
        self.largest_id = self.largest_id.max(id);
    }

    /// Positions count only outside of a reset: what is pushed meanwhile is not everything.
    fn at(&mut self, position: Option<&Blob>) {
        if !matches!(self.phase, Phase::Open { stage: Stage::Resetting, .. }) && position.is_some() {
            self.position = position.cloned();
        }
    }

    fn stage(&mut self, stage: Stage, turn: &mut Turn) {
        if let Phase::Open { session, .. } = self.phase {
            self.go(Phase::Open { session, stage }, turn);
        }
    }

    fn synced(&mut self, synced: &server::Synced, turn: &mut Turn) {
        if matches!(self.phase, Phase::Open { stage: Stage::Resetting, .. }) {
            return;
        }
        self.at(synced.position.as_ref());
        self.brought_below = self.brought_below.max(synced.below);
        self.stage(Stage::Synced, turn);
        if self.outbox.is_idle() {
            self.backoff.reset();
        }
        if std::mem::take(&mut self.pages_unconfirmed) {
            self.confirm_now(turn);
        }
        self.confirm(turn);
        self.say_marks(turn);
    }

    fn reset(&mut self, at: &server::At, turn: &mut Turn) {
        self.reset_to = Some(at.position.clone().unwrap_or_default());
        self.position = None;
        self.store_progress(turn);
        self.stage(Stage::Resetting, turn);
        turn.push(Effect::Reset);
    }

    fn ack(&mut self, ack: &server::Ack, turn: &mut Turn) {
        let Phase::Open { session, .. } = self.phase else { return };
        let taken = Taken { id: ack.id, source: Some(ack.source) };
        let ended = self.outbox.acknowledged(session, ack.number, taken);
        self.progress(ended, turn);
    }

    fn answer(&mut self, answer: &server::Answer, turn: &mut Turn) {
        let taken = answer.id.map(|id| Taken { id, source: answer.source });
        let outcome = taken.ok_or_else(|| answer.error.clone().unwrap_or_default());
        let ended = self.outbox.answered((answer.session, answer.number), outcome);
        self.progress(ended, turn);
    }

    /// A send came to its end: others may go.
    fn progress(&mut self, ended: Option<Ended>, turn: &mut Turn) {
        let Some(ended) = ended else { return };
        self.backoff.reset();
        self.waiting_since = self.waiting_since.map(|_| turn.now).filter(|_| self.outbox.awaits_ack());
        self.finish(ended, turn);
        self.pump(turn);
    }

    fn finish(&mut self, ended: Ended, turn: &mut Turn) {
        let local = ended.intent.local;
        match &ended.outcome {
            Ok(taken) => {
                self.see(taken.id);
                // In this order: an app that dies between the two must not ask for an id below this one's.
                self.store_progress(turn);
                turn.store(Change::Gone(local));
            }
            Err(code) => turn.store(Change::Failed { local, code: code.clone() }),
        }
        turn.push(Effect::Ended(ended));
    }

    /// A message that is held from now on; one of ours ends its intent.
    fn meet(&mut self, message: &server::Message<'_>, turn: &mut Turn) {
        self.see(message.largest_id());
        self.meet_key(message.key, Taken { id: message.id, source: Some(message.source) }, turn);
    }

    fn changed(&mut self, changed: &server::Changed<'_>, turn: &mut Turn) {
        self.see(changed.change);
        self.meet_key(changed.key, Taken { id: changed.change, source: None }, turn);
    }

    fn meet_key(&mut self, key: Option<server::Key>, taken: Taken, turn: &mut Turn) {
        let Some(key) = key.filter(|key| key.device == self.device) else { return };
        if let Some(ended) = self.outbox.met((key.session, key.number), taken) {
            self.finish(ended, turn);
            self.pump(turn);
        }
    }

    /// What came in by pages is held, too, and the mark that follows from it can get lost as well.
    fn listed(&mut self, chat: &server::Chat<'_>, now: Timestamp) {
        let is_behind = chat.delivered.is_none_or(|delivered| delivered.source < chat.newest_incoming);
        let newest = chat.newest.as_ref().filter(|_| is_behind && chat.newest_incoming > Source::ZERO);
        if let Some(Message { id, .. }) = newest {
            self.delivered.expect(chat.chat, Shown { source: chat.newest_incoming, id: *id }, now);
        }
    }

    /// What is read is delivered.
    fn marked(&mut self, marked: &server::Marked, now: Timestamp) {
        self.see(marked.id);
        if marked.reader != self.user {
            return;
        }
        let shown = Shown { source: marked.source, id: marked.id };
        self.delivered.met(marked.chat, shown, now);
        if marked.kind == MarkKind::Read {
            self.marks.met(marked.chat, shown, now);
        }
    }

    fn error(&mut self, request: u64, error: &server::Error<'_>, turn: &mut Turn) {
        if !self.outbox.is_under_way(request) {
            self.delivered.refused(request, turn.now);
            return self.marks.refused(request, turn.now);
        }
        if !error.retryable {
            let ended = self.outbox.refused(request, error.code.to_string());
            return self.progress(ended, turn);
        }
        // The log may be well: what is unconfirmed can be retried at once.
        let soon = [Code::OutcomeUnknown, Code::RetriesFirst, Code::Stale].iter().any(|code| error.code == code.text());
        self.leave(if soon { After::Again } else { After::Later }, turn);
    }
}
