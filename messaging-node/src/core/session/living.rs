//! A session's typing and presence. Nothing of it is numbered, stored or repeated; what cannot be told now is
//! not told, but presence, of which the newest is told later.

use volery_kernel::chat::ChatId;
use volery_kernel::code::Code;
use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_kernel::time::Timestamp;
use volery_ports::bus::Presence;
use volery_wire::server::{self, Reply};

use super::{Bad, Context, Effect, Session};
use crate::core::lively::{Change, Lively};

impl Session {
    /// Who may not send to somebody may not be seen typing to them either.
    pub(super) fn typing(
        &mut self,
        request: u64,
        to: UserId,
        ctx: &mut Context<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Bad> {
        self.pace.take(ctx.now);
        match self.lookup(to, ctx) {
            Some(true) => self.be_seen_typing(to, ctx.now, effects),
            Some(false) => return Err((Code::UnknownRecipient, Some("to"))),
            None => {
                self.lively().asking = Some((request, to));
                effects.push(Effect::CheckUser(to));
            }
        }
        Ok(())
    }

    fn be_seen_typing(&mut self, to: UserId, now: Timestamp, effects: &mut Vec<Effect>) {
        if to != self.who.user && self.lively().may_type(to, now) {
            effects.push(Effect::Typing(to));
        }
    }

    /// Whether somebody is there to be typed to. While accounts cannot be read, nobody is.
    pub(super) fn typing_checked(
        &mut self,
        user: UserId,
        exists: &Result<bool, Code>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let asking = self.lively.as_mut().and_then(|lively| lively.asking.take_if(|(_, to)| *to == user));
        let Some((request, to)) = asking else { return };
        match exists {
            Ok(true) => self.be_seen_typing(to, now, effects),
            Ok(false) => self.error(request, Code::UnknownRecipient, Some("to"), None, effects),
            Err(code) => self.error(request, *code, None, None, effects),
        }
    }

    pub(super) fn watch(
        &mut self,
        request: u64,
        users: Vec<UserId>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Bad> {
        self.pace.take(now);
        if users.len() > limits::WATCHED_MOST.value {
            return Err((Code::BadRequest, Some("users")));
        }
        self.page_may_start()?;
        let Change { added, left } = self.lively().watch(users);
        effects.push(Effect::Watch { request, added, left });
        Ok(())
    }

    fn lively(&mut self) -> &mut Lively {
        self.lively.get_or_insert_default()
    }

    /// Nothing is kept for who neither types nor watches.
    pub(super) fn calm_down(&mut self, now: Timestamp) {
        self.lively.take_if(|lively| lively.is_idle(now));
    }

    /// Whom it watches.
    #[must_use]
    pub fn watched(&self) -> Vec<UserId> {
        self.lively.as_ref().map_or_else(Vec::new, |lively| lively.watched().collect())
    }

    /// The answer to [`Effect::Watch`]: what holds of each is known.
    pub fn watches(&mut self, request: u64, holds: &dyn Fn(UserId) -> Presence, effects: &mut Vec<Effect>) {
        self.pages = self.pages.saturating_sub(1);
        let all = self.lively.as_mut().map_or_else(Vec::new, |lively| lively.all(holds));
        effects.push(Effect::Reply(request, presence(all)));
    }

    /// Whether it takes what is told to those alone who are live: it holds what was said before, and keeps up.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.stream.is_synced() && self.window.has_room() && !self.closed
    }

    /// Somebody who is watched came or went.
    pub fn presence_changed(&mut self, holds: &dyn Fn(UserId) -> Presence, effects: &mut Vec<Effect>) {
        let news = self.lively.as_mut().map_or_else(Vec::new, |lively| lively.news(holds));
        if !news.is_empty() {
            effects.push(Effect::Reply(0, presence(news)));
        }
    }

    /// These are typing to its user.
    pub fn typed_to(&self, from: &[UserId], effects: &mut Vec<Effect>) {
        let typing = |user: &UserId| server::Typing { chat: ChatId::direct(self.who.user, *user), user: *user };
        effects.extend(from.iter().map(|user| Effect::Reply(0, Reply::Typing(typing(user)))));
    }
}

fn presence(users: Vec<(UserId, Presence)>) -> Reply<'static> {
    let present = |(user, presence)| {
        let last_seen = match presence {
            Presence::Seen(at) => Some(at.0),
            Presence::Online | Presence::Unknown => None,
        };
        server::Present { user, online: presence == Presence::Online, last_seen }
    };
    Reply::Presence(server::Presence { users: users.into_iter().map(present).collect() })
}
