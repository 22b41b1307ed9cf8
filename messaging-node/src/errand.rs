//! What a session asks of log, accounts and history, and how the answers come back to it.
//!
//! Each errand is a future in the session's actor: it ends with the actor, and its answer is fed to
//! the core. None waits without an end: appends are given up by the core's own deadline.

use actix::fut::WrapFuture;
use actix::{ActorFutureExt, AsyncContext, Context};
use futures::FutureExt as _;
use volery_kernel::chat::Recipient;
use volery_kernel::code::Code;
use volery_kernel::event::Event;
use volery_kernel::id::UserId;
use volery_kernel::position::{Offset, Position};
use volery_kernel::slot::Partition;
use volery_node::metrics::{Leg, Stage, SyncBy};
use volery_ports::history::HistoryError;
use volery_ports::log::{AppendError, Chunk, ReadError};

use crate::core::session::{Effect, Fetched};
use crate::session::SessionActor;

/// Events of one stretch out of the index: many, so that who is behind catches up with friends who write all the time.
const STRETCH_MOST: usize = 64;
/// Chats asked for at once when their delivered marks are swept.
const SWEEP_MOST: usize = 256;

/// Carries out an effect that needs the outside; what concerns the socket is not for here.
pub(crate) fn run(effect: Effect, act: &SessionActor, ctx: &mut Context<SessionActor>) {
    match effect {
        Effect::Append(partition, events) => append(partition, events, act, ctx),
        Effect::AppendMarks(events) => append_marks(events, act, ctx),
        Effect::CheckUser(user) => check_user(user, act, ctx),
        Effect::Authenticate(request, token) => {
            let shared = act.thread.shared.clone();
            let asked = async move { shared.accounts.authenticate(&token, shared.clock.now()).await };
            answer(ctx, act, asked, move |claims, act, ctx| {
                act.feed(ctx, |core, _, effects| core.refreshed(request, claims, effects));
            });
        }
        Effect::AskEnd => ask_end(act, ctx),
        Effect::AskArchived => ask_archived(act, ctx),
        Effect::Fetch(from, position) => fetch(from, position, act, ctx),
        Effect::Page(request, chat, anchor, limit) => {
            let (shared, user) = (act.thread.shared.clone(), act.user());
            let asked = async move { shared.history.page(user, chat, anchor, limit).await };
            answer(ctx, act, asked, move |page, act, ctx| {
                act.feed(ctx, |core, _, effects| core.page(request, chat, page, effects));
            });
        }
        Effect::Chats(request, cursor, limit) => {
            let (shared, user) = (act.thread.shared.clone(), act.user());
            let asked = async move { shared.history.chats(user, cursor, limit).await };
            answer(ctx, act, asked, move |page, act, ctx| {
                act.feed(ctx, |core, _, effects| core.chats(request, page, effects));
            });
        }
        Effect::AskUndelivered => {
            let (shared, user) = (act.thread.shared.clone(), act.user());
            let asked = async move { shared.history.undelivered(user, SWEEP_MOST).await };
            answer(ctx, act, asked, |chats, act, ctx| match chats {
                Ok(chats) => act.feed(ctx, |core, lent, effects| core.undelivered(chats, lent, effects)),
                // The device's next confirmation, or its user's reading, says it again.
                Err(error) => tracing::debug!(%error, "undelivered chats could not be read"),
            });
        }
        Effect::Typing(to) => act.thread.typing(act.user(), to),
        Effect::Watch { request, added, left } => {
            let thread = act.thread.clone();
            let unread = thread.watch(&act.signal, &added, &left);
            let asked = async move { thread.read_presence(unread).await };
            answer(ctx, act, asked, move |(), act, ctx| {
                let thread = act.thread.clone();
                act.feed(ctx, |core, _, effects| core.watches(request, &|user| thread.presence(user), effects));
            });
        }
        Effect::Reply(..) | Effect::Event { .. } | Effect::Close(_) => {}
    }
}

fn answer<T: 'static>(
    ctx: &mut Context<SessionActor>,
    act: &SessionActor,
    asked: impl Future<Output = T> + 'static,
    then: impl FnOnce(T, &mut SessionActor, &mut Context<SessionActor>) + 'static,
) {
    ctx.spawn(asked.into_actor(act).map(|answer, act, ctx| act.take_answer(|act| then(answer, act, ctx))));
}

fn append(partition: Partition, events: Vec<Event>, act: &SessionActor, ctx: &mut Context<SessionActor>) {
    let shared = act.thread.shared.clone();
    let count = events.len() as u64;
    let batch = volery_reader::to_batch(&events);
    shared.metrics.messages.of(Stage::Accepted).inc_by(count);
    let asked = async move {
        let result = shared.append(partition, batch).await;
        if let Ok(appended) = &result {
            shared.metrics.messages.of(Stage::Appended).inc_by(appended.len() as u64);
            let now = shared.clock.now();
            let seconds = shared.metrics.stage_seconds.of(Leg::Appended);
            events.iter().for_each(|event| seconds.observe(now.since(event.id().time()) as f64 / 1_000.0));
        }
        result
    };
    answer(ctx, act, asked, move |result, act, ctx| {
        act.feed(ctx, |core, lent, effects| core.appended(partition, result, lent, effects));
    });
}

fn append_marks(events: Vec<Event>, act: &SessionActor, ctx: &mut Context<SessionActor>) {
    let shared = act.thread.shared.clone();
    let partition = act.owned.tail.borrow().partition();
    let batch = volery_reader::to_batch(&events);
    let asked = async move { shared.append_soon(partition, batch).await };
    answer(ctx, act, asked, move |result: Result<_, AppendError>, act, ctx| {
        if result.is_err() {
            act.feed(ctx, |core, _, _| core.marks_failed(events));
        }
    });
}

fn check_user(user: UserId, act: &SessionActor, ctx: &mut Context<SessionActor>) {
    let shared = act.thread.shared.clone();
    let asked = async move { shared.accounts.user_exists(user).await };
    answer(ctx, act, asked, move |exists, act, ctx| {
        if exists == Ok(true) {
            act.thread.remember(user);
        }
        let exists = exists.map_err(|_| Code::AccountsUnavailable);
        act.feed(ctx, |core, lent, effects| core.checked(user, exists, lent, effects));
    });
}

/// The log's end, if the log has it at hand.
pub(crate) fn end_at_once(act: &SessionActor) -> Option<Offset> {
    let partition = act.owned.tail.borrow().partition();
    let extent = act.thread.shared.log.extent(partition).now_or_never()?;
    extent.ok().map(|extent| extent.end)
}

/// Asked until the log answers: without an end there is no `synced`.
fn ask_end(act: &SessionActor, ctx: &mut Context<SessionActor>) {
    let shared = act.thread.shared.clone();
    let partition = act.owned.tail.borrow().partition();
    let asked = async move {
        loop {
            match shared.log.extent(partition).await {
                Ok(extent) => return extent.end,
                Err(error) => {
                    tracing::debug!(%partition, %error, "the log's end is not known");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    };
    answer(ctx, act, asked, |end, act, ctx| {
        act.feed(ctx, |core, lent, effects| core.end_is(end, lent, effects));
        act.owned.tell_at(end, &act.signal);
    });
}

/// Asked until history answers: without it a device cannot start anew.
fn ask_archived(act: &SessionActor, ctx: &mut Context<SessionActor>) {
    let shared = act.thread.shared.clone();
    let beginning = act.owned.tail.borrow().beginning();
    let partition = beginning.partition;
    let asked = async move {
        loop {
            match shared.history.archived(partition).await {
                Ok(position) => return position.unwrap_or(beginning),
                Err(error) => {
                    tracing::debug!(%partition, %error, "it is not known how far archive is");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    };
    answer(ctx, act, asked, |position, act, ctx| {
        act.synced_by = SyncBy::Reset;
        act.feed(ctx, |core, _, effects| core.archived(position, effects));
    });
}

/// The stream from an offset on: out of the log if that is near, else out of the index.
fn fetch(from: Offset, position: Option<Position>, act: &SessionActor, ctx: &mut Context<SessionActor>) {
    let (shared, owned, user) = (act.thread.shared.clone(), act.owned.clone(), act.user());
    let partition = owned.tail.borrow().partition();
    let asked = async move {
        if let Some(position) = position {
            match shared.log.read(partition, position.source.offset(), 1).await {
                // What the log no longer has cannot be compared: the index dates further back.
                Err(ReadError::OutOfRange { .. }) => {}
                // The place is before the end: a log that has nothing there has not heard of it yet.
                Ok(Chunk { records, .. }) if records.is_empty() => return Fetched::Failed,
                Ok(Chunk { records, .. }) if !is_at(&records, position) => return Fetched::Refused,
                Ok(_) => {}
                Err(_) => return Fetched::Failed,
            }
        }
        if !owned.tail.borrow().missed(Recipient::User(user), from) {
            return Fetched::IntoTail;
        }
        if let Ok(true) = owned.extend_to(from, &shared).await {
            return Fetched::IntoTail;
        }
        match shared.history.stretch(user, partition, from, STRETCH_MOST).await {
            Ok(stretch) if stretch.complete_below > from => Fetched::Stretch(stretch),
            Err(HistoryError::TooOld) => Fetched::Refused,
            Ok(_) | Err(_) => Fetched::Failed,
        }
    };
    answer(ctx, act, asked, move |fetched, act, ctx| {
        tracing::debug!(%partition, user = %user, from, fetched = told(&fetched), "what lies before the tail");
        match &fetched {
            Fetched::IntoTail if act.owned.tail.borrow().start() <= from => act.synced_by = SyncBy::Log,
            Fetched::Stretch(stretch) => {
                act.synced_by = SyncBy::Index;
                act.owned.tell_at(stretch.complete_below, &act.signal);
            }
            Fetched::IntoTail | Fetched::Failed | Fetched::Refused => {}
        }
        act.feed(ctx, |core, lent, effects| core.fetched(from, fetched, lent, effects));
    });
}

fn is_at(records: &[volery_ports::log::StoredRecord], position: Position) -> bool {
    let decoded = records.first().map(|stored| volery_reader::id_of(stored.clone()));
    decoded == Some(position.id)
}

fn told(fetched: &Fetched) -> String {
    match fetched {
        Fetched::IntoTail => "into the tail".to_owned(),
        Fetched::Stretch(stretch) => format!("{} events, up to {}", stretch.events.len(), stretch.complete_below),
        Fetched::Failed => "not now".to_owned(),
        Fetched::Refused => "never".to_owned(),
    }
}
