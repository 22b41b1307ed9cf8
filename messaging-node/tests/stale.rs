//! A send that was long on its way: refused before anything is appended, and its session ends.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod world;

use std::borrow::Cow;

use volery_kernel::id::Id;
use volery_messaging::core::session::Effect;
use volery_wire::client::{Change, Request, Send};
use volery_wire::server::Reply;
use world::{World, user};

/// What follows, as far as it concerns sends.
fn names(effects: &[Effect]) -> Vec<String> {
    effects.iter().filter_map(name).collect()
}

fn name(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Append(..) => Some("append".to_owned()),
        Effect::CheckUser(_) => Some("look up".to_owned()),
        Effect::Reply(_, Reply::Error(error)) => Some(error.code.to_string()),
        Effect::Close(close) => Some(format!("close: {}", close.text())),
        _ => None,
    }
}

fn known() -> World {
    World::new(Some(true))
}

fn hear(world: &mut World, request: Request<'_>, ms: u64) -> Vec<String> {
    names(&world.hear(request, ms))
}

fn send(number: u32, since_welcome: u64) -> Request<'static> {
    let (to, text) = (user(9), Cow::Borrowed("hi"));
    Request::Send(Send { to, number, since_welcome, retry_of: None, shown: None, text, reply_to: None })
}

fn change(since_welcome: u64) -> Change<'static> {
    let (to, id) = (user(9), Id::new(5).unwrap());
    let (text, emoji) = (Some("hi".into()), Some("+".into()));
    Change { to, number: 1, since_welcome, retry_of: None, shown: None, id, text, emoji }
}

/// After a minute it is 6 ms less: so much may a steady clock run ahead.
#[test]
fn every_kind_of_send_is_taken_for_five_seconds_and_not_longer() {
    let kinds: [fn(u64) -> Request<'static>; 5] = [
        |said| send(1, said),
        |said| Request::Edit(change(said)),
        |said| Request::Delete(change(said)),
        |said| Request::React(change(said)),
        |said| Request::Unreact(change(said)),
    ];
    for kind in kinds {
        assert_eq!(hear(&mut known(), kind(60_000), 64_994), ["append"]);
        assert_eq!(hear(&mut known(), kind(60_000), 65_001), ["stale", "close: retry"]);
    }
}

#[test]
fn nothing_is_taken_after_a_stale_send() {
    let mut world = known();
    assert_eq!(hear(&mut world, send(1, 100), 200), ["append"]);
    assert_eq!(hear(&mut world, send(2, 300), 10_000), ["stale", "close: retry"]);
    assert_eq!(hear(&mut world, send(3, 10_000), 10_000), ["stale"]);
}

/// One of the two clocks is wrong; which one, nobody can tell.
#[test]
fn a_count_that_is_ahead_of_the_node_is_stale_too() {
    assert_eq!(hear(&mut known(), send(1, 1_500), 1_000), ["append"]);
    assert_eq!(hear(&mut known(), send(1, 1_501), 1_000), ["stale", "close: retry"]);
    assert_eq!(hear(&mut known(), send(1, u64::MAX), 1_000), ["stale", "close: retry"]);
}

#[test]
fn looking_the_recipient_up_is_part_of_the_way() {
    let mut world = World::new(None);
    assert_eq!(hear(&mut world, send(1, 0), 10), ["look up"]);
    let found = world.at(5_001, |session, ctx, effects| session.checked(user(9), Ok(true), ctx, effects));
    assert_eq!(names(&found), ["stale", "close: retry"]);
}
