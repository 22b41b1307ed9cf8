//! A change out of the index whose message is not stored yet goes to the device as the live stream has it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod world;

use std::borrow::Cow;

use volery_kernel::chat::ChatId;
use volery_kernel::event::Body;
use volery_kernel::id::Id;
use volery_kernel::slot::Partition;
use volery_messaging::core::session::{Effect, Fetched};
use volery_messaging::core::tail::Tail;
use volery_ports::history::{Happened, Stretch};
use volery_ports::timeline::{Change, ChangeKind};
use volery_wire::client::{self, Request};
use volery_wire::field::Blob;
use volery_wire::server::{Changed, Reply};
use world::{World, user};

/// A session that follows its stream from the beginning, of which the tail holds nothing.
fn following() -> World {
    let mut world = World::new(Some(true));
    world.tail = Tail::new(Partition(0), 1, 9, 1_000);
    world.at(10, |session, ctx, effects| session.end_is(0, ctx, effects));
    let position = Blob(world.tail.beginning().to_bytes().to_vec());
    world.hear(Request::Resume(client::Resume { position }), 20);
    world.at(30, |session, ctx, effects| session.end_is(9, ctx, effects));
    world
}

#[test]
fn a_change_goes_before_its_message() {
    let (chat, target) = (ChatId::direct(user(1), user(9)), Id::new(50).unwrap());
    let kinds = [ChangeKind::Edit(Body::text("early")), ChangeKind::Delete, ChangeKind::React("👍".to_owned())];
    let events = (60..).zip(kinds).map(|(raw, what)| {
        let change = Change { id: Id::new(raw).unwrap(), actor: user(9), what };
        (4, Happened::Early(chat, target, change))
    });
    let stretch = Stretch { events: events.collect(), complete_below: 0 };
    let effects =
        following().at(40, |session, ctx, effects| session.fetched(0, Fetched::Stretch(stretch), ctx, effects));
    let told: Vec<_> = effects
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Reply(n, Reply::Changed(changed)) => Some((n, changed)),
            _ => None,
        })
        .collect();
    let changed = |raw| Changed {
        chat,
        id: target,
        change: Id::new(raw).unwrap(),
        by: user(9),
        text: None,
        deleted: false,
        emoji: None,
        key: None,
        position: None,
    };
    let expected = [
        (1, Changed { text: Some(Cow::Borrowed("early")), ..changed(60) }),
        (2, Changed { deleted: true, ..changed(61) }),
        (3, Changed { emoji: Some(Cow::Borrowed("👍")), ..changed(62) }),
    ];
    assert_eq!(told, expected);
}
