//! A page says whether there is more on either side, wherever it begins.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::executor::block_on;
use proptest::prelude::*;
use volery_history::reads::Reads;
use volery_kernel::chat::ChatId;
use volery_kernel::event::{Body, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_kernel::slot::{Partition, Partitions};
use volery_ports::history::{Anchor, History as _, Page};
use volery_ports::timeline::{Message, Timeline as _, Write};
use volery_testkit::timeline::ModelTimeline;

fn id(raw: u64) -> Id {
    Id::new(raw).unwrap_or(Id::MAX)
}

fn ada() -> UserId {
    UserId(id(1))
}

fn chat() -> ChatId {
    ChatId::direct(ada(), UserId(id(2)))
}

fn message(raw: u64) -> Write {
    let key = SendKey { device: DeviceId(id(7)), session: SessionNumber(id(70)), number: 1 };
    let body = Body { kind: Body::TEXT, bytes: Bytes::from_static(b"hello") };
    let message = Message { id: id(raw), sender: ada(), key, source: Source::new(1, raw), body, reply_to: None };
    Write::Message { chat: chat(), message, resolved: false }
}

fn reads(ids: &BTreeSet<u64>) -> Option<Reads> {
    let timeline = Arc::new(ModelTimeline::default());
    let writes = ids.iter().map(|raw| message(*raw)).collect();
    block_on(timeline.apply(Partition(0), writes, None)).ok()?;
    Some(Reads::new(timeline, Partitions::new(16)?, 1))
}

fn anchors() -> impl Strategy<Value = Anchor> {
    let at = || (0..42u64).prop_map(id);
    prop_oneof![
        Just(Anchor::Newest),
        at().prop_map(Anchor::Before),
        at().prop_map(Anchor::After),
        at().prop_map(Anchor::Around),
    ]
}

/// What is shown, and whether there is more before and after it.
fn expected(ids: &BTreeSet<u64>, anchor: &Anchor, limit: usize) -> (Vec<u64>, bool, bool) {
    let below = |at: u64| ids.range(..at).copied().collect::<Vec<_>>();
    let above = |at: u64| ids.range(at + 1..).copied().collect::<Vec<_>>();
    match anchor {
        Anchor::After(at) => {
            let (near, beyond) = (above(at.get()), ids.range(..=at.get()).next().is_some());
            let shown: Vec<_> = near.iter().copied().take(limit).collect();
            let more = near.len() > shown.len();
            (shown, beyond, more)
        }
        Anchor::Before(_) | Anchor::Newest => {
            let at = if let Anchor::Before(at) = anchor { at.get() } else { Id::MAX.get() };
            let (near, beyond) = (below(at), ids.range(at..).next().is_some());
            let shown = near[near.len().saturating_sub(limit)..].to_vec();
            let more = near.len() > shown.len();
            (shown, more, beyond)
        }
        Anchor::Around(_) | Anchor::AroundTime(_) | Anchor::Cursor(_) => {
            let at = if let Anchor::Around(at) = anchor { at.get() } else { 0 };
            let (older, newer) = (below(at), ids.range(at..).copied().collect::<Vec<_>>());
            let keep_older = older.len().min((limit / 2).max(limit.saturating_sub(newer.len())));
            let shown: Vec<_> = older[older.len() - keep_older..].iter().chain(&newer).copied().take(limit).collect();
            let newer_shown = shown.len() - keep_older;
            (shown, keep_older < older.len(), newer_shown < newer.len())
        }
    }
}

fn shown(page: &Page) -> (Vec<u64>, bool, bool) {
    (page.messages.iter().map(|view| view.id.get()).collect(), page.older.is_some(), page.newer.is_some())
}

proptest! {
    #[test]
    fn a_page_says_what_lies_around_it(
        ids in prop::collection::btree_set(1..41u64, 0..20),
        anchor in anchors(),
        limit in 1..8usize,
    ) {
        let reads = reads(&ids).expect("they are there");
        let page = block_on(reads.page(ada(), chat(), anchor.clone(), limit)).expect("it is there");
        prop_assert_eq!(shown(&page), expected(&ids, &anchor, limit));
    }

    /// Cursors neither repeat nor leave out a message.
    #[test]
    fn cursors_go_through_everything(
        ids in prop::collection::btree_set(1..41u64, 0..20),
        at in 0..42u64,
        limit in 1..8usize,
    ) {
        let reads = reads(&ids).expect("they are there");
        let ask = |anchor| block_on(reads.page(ada(), chat(), anchor, limit)).expect("it is there");
        let first = ask(Anchor::Before(id(at)));
        let mut all: Vec<u64> = shown(&first).0;
        let (mut older, mut newer) = (first.older, first.newer);
        while let Some(cursor) = older {
            let page = ask(Anchor::Cursor(cursor));
            all.splice(0..0, shown(&page).0);
            older = page.older;
        }
        while let Some(cursor) = newer {
            let page = ask(Anchor::Cursor(cursor));
            all.extend(shown(&page).0);
            newer = page.newer;
        }
        prop_assert_eq!(all, ids.into_iter().collect::<Vec<_>>());
    }
}
