//! A session's sends: checked, parked until their recipient is known, taken, acknowledged.

use std::collections::VecDeque;

use bytes::Bytes;
use volery_kernel::chat::Recipient;
use volery_kernel::code::{Close, Code};
use volery_kernel::event::{Body, Content, Seen, SendKey};
use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_kernel::rules::is_fresh;
use volery_kernel::slot::Partition;
use volery_ports::log::{AppendError, Appended};
use volery_wire::client::SendHead;
use volery_wire::server::{self, Reply};

use super::{Bad, Context, Effect, Session};
use crate::core::sends::{Asked, Out};

/// A send that waits until its recipient was looked up.
pub(super) struct Parked {
    asked: Asked,
    user: UserId,
    /// When its device said it: milliseconds from `welcome`, by its own clock.
    said: u64,
}

impl Session {
    pub(super) fn send(
        &mut self,
        request: u64,
        head: SendHead,
        content: Result<Content, Bad>,
        ctx: &mut Context<'_>,
        effects: &mut Vec<Effect>,
    ) {
        self.pace.take(ctx.now);
        let asked = content.and_then(|content| self.asked(request, head, content));
        let checked = asked.and_then(|asked| self.sends.check(&asked).map(|()| asked).map_err(|code| (code, None)));
        match checked {
            Ok(asked) => self.admit(Parked { asked, user: head.to, said: head.since_welcome }, ctx, effects),
            Err((code, field)) => self.error(request, code, field, Some(head.number), effects),
        }
        self.advance(ctx, effects);
    }

    pub(super) fn asked(&self, request: u64, head: SendHead, content: Content) -> Result<Asked, Bad> {
        if head.number == 0 {
            return Err((Code::BadRequest, Some("number")));
        }
        let shown =
            head.shown.filter(|_| self.stream.is_synced()).map(|shown| Seen { source: shown.source, id: shown.id });
        if shown.is_some_and(|seen| self.is_ahead(seen)) {
            return Err((Code::MarkAhead, Some("shown")));
        }
        let session = head.retry_of.unwrap_or(self.who.session);
        let key = SendKey { device: self.who.device, session, number: head.number };
        let recipient = Recipient::User(head.to);
        Ok(Asked { request, recipient, key, flagged: head.retry_of.is_some(), resolve_only: false, shown, content })
    }

    /// Takes a send, or parks it (and all behind it) until its recipient was looked up.
    pub(super) fn admit(&mut self, parked: Parked, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        if self.parked.is_empty() {
            match self.lookup(parked.user, ctx) {
                Some(exists) => return self.take(parked, exists, ctx, effects),
                None => effects.push(Effect::CheckUser(parked.user)),
            }
        }
        self.parked.push_back(parked);
    }

    pub(super) fn lookup(&self, user: UserId, ctx: &Context<'_>) -> Option<bool> {
        if user == self.who.user { Some(true) } else { (ctx.known)(user) }
    }

    pub(super) fn unpark(&mut self, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        while let Some(front) = self.parked.front() {
            let Some(exists) = self.lookup(front.user, ctx) else {
                return effects.push(Effect::CheckUser(front.user));
            };
            let Some(parked) = self.parked.pop_front() else { return };
            self.take(parked, exists, ctx, effects);
        }
        // An idle session keeps nothing.
        self.parked = VecDeque::new();
    }

    /// Accounts' answer: `Err` while they cannot be read.
    pub fn checked(
        &mut self,
        user: UserId,
        exists: Result<bool, Code>,
        ctx: &mut Context<'_>,
        effects: &mut Vec<Effect>,
    ) {
        self.typing_checked(user, &exists, ctx.now, effects);
        if self.parked.front().is_none_or(|front| front.user != user) {
            return;
        }
        let Some(parked) = self.parked.pop_front() else { return };
        match exists {
            Ok(exists) => self.take(parked, exists, ctx, effects),
            Err(code) => {
                self.sends.end(code);
                self.error(parked.asked.request, code, None, Some(parked.asked.key.number), effects);
            }
        }
        self.unpark(ctx, effects);
        self.advance(ctx, effects);
    }

    /// Stale is judged here, where the id is taken: what came before, the look-up too, is part of the way.
    pub(super) fn take(&mut self, parked: Parked, exists: bool, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        let Parked { mut asked, said, .. } = parked;
        let (request, number) = (asked.request, asked.key.number);
        if let Some(code) = self.sends.ended() {
            return self.error(request, code, None, Some(number), effects);
        }
        if !ctx.agrees {
            self.sends.end(Code::NoIds);
            return self.error(request, Code::NoIds, None, Some(number), effects);
        }
        if !is_fresh(said, ctx.now.since(self.welcomed)) {
            self.sends.end(Code::Stale);
            self.error(request, Code::Stale, None, Some(number), effects);
            return self.close(Close::Retry, effects);
        }
        if !exists && !asked.flagged {
            return self.error(request, Code::UnknownRecipient, Some("to"), Some(number), effects);
        }
        asked.resolve_only = !exists;
        let partition = ctx.partitions.of(asked.recipient);
        let mut out = Vec::new();
        let taken = self.sends.take(asked, partition, ctx.ids, ctx.now, &mut out);
        self.carry_out(out, effects);
        if let Err(code) = taken {
            self.error(request, code, None, Some(number), effects);
        }
    }

    pub(super) fn carry_out(&mut self, out: Vec<Out>, effects: &mut Vec<Effect>) {
        for out in out {
            match out {
                Out::Append(partition, events) => effects.push(Effect::Append(partition, events)),
                Out::Ack { request, number, id, source } => {
                    effects.push(Effect::Reply(request, Reply::Ack(server::Ack { number, id, source })));
                }
                Out::Failed { request, number, code } => self.error(request, code, None, Some(number), effects),
                Out::CloseToRetry => self.close(Close::Retry, effects),
            }
        }
    }

    /// The log's answer to [`Effect::Append`].
    pub fn appended(
        &mut self,
        partition: Partition,
        result: Result<Vec<Appended>, AppendError>,
        ctx: &mut Context<'_>,
        effects: &mut Vec<Effect>,
    ) {
        if self.closed {
            return;
        }
        let mut out = Vec::new();
        self.sends.appended(partition, result, &mut out);
        self.carry_out(out, effects);
        self.advance(ctx, effects);
    }
}

pub(super) fn text(text: &str) -> Result<Body, Bad> {
    if text.is_empty() {
        return Err((Code::EmptyText, Some("text")));
    }
    if text.len() > limits::TEXT_BYTES.value {
        return Err((Code::TooLarge, Some("text")));
    }
    Ok(Body::text(Bytes::copy_from_slice(text.as_bytes())))
}

pub(super) fn emoji(emoji: Option<&str>) -> Result<String, Bad> {
    match emoji {
        Some(emoji) if !emoji.is_empty() && emoji.len() <= limits::EMOJI_BYTES.value => Ok(emoji.to_owned()),
        _ => Err((Code::BadRequest, Some("emoji"))),
    }
}
