//! The outbox's way to the log.
//!
//! One task reads what waits and appends it: in order per recipient, at least once, and done only when
//! the log has it. Of several nodes on one store, one leads and appends; the others see what has left.
//! A recipient whose append fails keeps its later entries back until the next pass and holds up nobody
//! else. Whoever caused an entry may wait for it.
//!
//! Trap avoided: an entry is removed after its append, never before; what lies between the two is
//! appended again, which every reader of the log allows for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use tokio::sync::{mpsc, oneshot};
use volery_kernel::chat::Recipient;
use volery_kernel::event::Event;
use volery_ports::sql::{AccountStore, OutboxEntry, OutboxLead, Unavailable};

/// Entries read at once.
const PAGE: usize = 256;
/// Recipients whose entries are appended side by side.
const SIDE_BY_SIDE: usize = 64;
/// Callers that wait at once; more are told "later".
const WAITING: usize = 1_024;

/// The log took nothing, or did not say so: try again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event was not appended: {0}")]
pub struct NotAppended(pub String);

/// Where events of accounts go: the log, under the recipient's key.
#[async_trait]
pub trait EventSink: Send + Sync + 'static {
    /// Appends the event to the stream of [`Event::stream`] and answers when it is durable, or within
    /// the log's deadline that it is not.
    ///
    /// # Errors
    /// [`NotAppended`], also when the outcome is unknown: the event is then appended again.
    async fn append(&self, event: Event) -> Result<(), NotAppended>;
}

/// Asks the relay to go now. Cheap to clone; the relay ends with the last one.
#[derive(Clone)]
pub(crate) struct Relay {
    asks: mpsc::Sender<Ask>,
}

struct Ask {
    number: u64,
    done: oneshot::Sender<()>,
}

impl Relay {
    /// Starts the task. It looks `every` so often by itself for what a crash or an outage left behind.
    pub(crate) fn start(store: Arc<dyn AccountStore>, sink: Arc<dyn EventSink>, every: Duration) -> Self {
        let (asks, asked) = mpsc::channel(WAITING);
        tokio::spawn(run(store, sink, every, asked));
        Self { asks }
    }

    /// Waits until the entry of this number is on the log; `false` if it is not within `patience`.
    pub(crate) async fn tell(&self, number: u64, patience: Duration) -> bool {
        let (done, told) = oneshot::channel();
        let asked = self.asks.try_send(Ask { number, done }).is_ok();
        asked && matches!(tokio::time::timeout(patience, told).await, Ok(Ok(())))
    }
}

async fn run(store: Arc<dyn AccountStore>, sink: Arc<dyn EventSink>, every: Duration, mut asked: mpsc::Receiver<Ask>) {
    let (mut waiting, mut lead) = (Vec::new(), None);
    loop {
        let room = WAITING.saturating_sub(waiting.len()).max(1);
        if let Ok(0) = tokio::time::timeout(every, asked.recv_many(&mut waiting, room)).await {
            return;
        }
        keep_lead(&*store, &mut lead).await;
        let pass = pass(&*store, lead.as_ref().map(|_| &*sink)).await;
        waiting.retain(|ask| !ask.done.is_closed());
        for ask in waiting.extract_if(.., |ask| pass.has_told(ask.number)) {
            let _ = ask.done.send(());
        }
    }
}

/// What one way through the outbox came to.
#[derive(Default)]
struct Pass {
    told: BTreeSet<u64>,
    left: BTreeSet<u64>,
    complete: bool,
}

impl Pass {
    /// Told in this pass, or, if all was read, before it.
    fn has_told(&self, number: u64) -> bool {
        self.told.contains(&number) || self.complete && !self.left.contains(&number)
    }
}

/// Takes the lead if it is free, and gives it up if the store has forgotten it.
async fn keep_lead(store: &dyn AccountStore, lead: &mut Option<Box<dyn OutboxLead>>) {
    if let Some(held) = lead
        && held.holds().await
    {
        return;
    }
    *lead = store.outbox_lead().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "it is not known who leads the outbox");
        None
    });
}

/// One way through the outbox: appends what the log takes; without a `sink`, for who does not lead, it only looks.
async fn pass(store: &dyn AccountStore, sink: Option<&dyn EventSink>) -> Pass {
    let mut pass = Pass::default();
    match through(store, sink, &mut pass).await {
        Ok(()) => pass.complete = true,
        Err(error) => tracing::warn!(%error, "the outbox waits"),
    }
    if sink.is_some() && !pass.left.is_empty() {
        tracing::warn!(left = pass.left.len(), "events of accounts wait for the log");
    }
    pass
}

async fn through(store: &dyn AccountStore, sink: Option<&dyn EventSink>, pass: &mut Pass) -> Result<(), Unavailable> {
    let (mut after, mut stuck) = (0, BTreeSet::new());
    loop {
        let page = store.outbox_take(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.number;
        let Some(sink) = sink else {
            pass.left.extend(page.iter().map(|entry| entry.number));
            continue;
        };
        let done = append_page(sink, page, &mut stuck, pass).await;
        if !done.is_empty() {
            store.outbox_done(&done).await?;
        }
    }
}

/// Appends what may go, each recipient's entries in order, and answers the numbers that stand on the log now.
async fn append_page(
    sink: &dyn EventSink,
    page: Vec<OutboxEntry>,
    stuck: &mut BTreeSet<Recipient>,
    pass: &mut Pass,
) -> Vec<u64> {
    let (back, going): (Vec<_>, Vec<_>) = page.into_iter().partition(|entry| stuck.contains(&entry.entry.stream));
    pass.left.extend(back.iter().map(|entry| entry.number));
    let mut by_recipient = BTreeMap::<_, Vec<_>>::new();
    for entry in going {
        by_recipient.entry(entry.entry.stream).or_default().push(entry);
    }
    let mut outcomes = futures::stream::iter(by_recipient)
        .map(async |(stream, entries)| (stream, append(sink, entries).await))
        .buffer_unordered(SIDE_BY_SIDE);
    let mut done = Vec::new();
    while let Some((stream, (told, left))) = outcomes.next().await {
        if !left.is_empty() {
            stuck.insert(stream);
        }
        done.extend(told);
        pass.left.extend(left);
    }
    pass.told.extend(&done);
    done
}

/// Appends one recipient's entries up to the first that the log does not take; the numbers that stand
/// on the log now, and those left. Bytes that are no event stay where they are, for a person.
async fn append(sink: &dyn EventSink, entries: Vec<OutboxEntry>) -> (Vec<u64>, Vec<u64>) {
    let (mut told, mut left) = (Vec::new(), Vec::new());
    let mut refused = false;
    for OutboxEntry { number, entry } in entries {
        let event = volery_proto::decode(entry.event.into());
        let appended = match event {
            Ok(event) if !refused => sink.append(event).await,
            Ok(_) => Err(NotAppended("after one that was not".into())),
            Err(error) => {
                tracing::error!(%error, number, "an outbox entry is damaged");
                left.push(number);
                continue;
            }
        };
        refused |= appended.is_err();
        if appended.is_ok() { told.push(number) } else { left.push(number) }
    }
    (told, left)
}
