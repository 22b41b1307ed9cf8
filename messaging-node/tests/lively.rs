//! Typing and presence in a session: who is seen typing to whom, what is told of those who are watched, and when.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod world;

use volery_kernel::code::Code;
use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_kernel::time::Timestamp;
use volery_messaging::core::session::{Context, Effect, Session};
use volery_ports::bus::Presence;
use volery_wire::client::{self, Request};
use volery_wire::field::Blob;
use volery_wire::server::Reply;
use world::{World, user};

/// What follows from an input so long after `welcome`, in words.
fn at(world: &mut World, ms: u64, input: impl FnOnce(&mut Session, &mut Context<'_>, &mut Vec<Effect>)) -> Vec<String> {
    world.at(ms, input).iter().map(words).collect()
}

fn types(world: &mut World, to: u64, ms: u64) -> Vec<String> {
    world.hear(Request::Typing(client::Typing { to: user(to) }), ms).iter().map(words).collect()
}

fn watches(world: &mut World, users: impl IntoIterator<Item = u64>) -> Vec<String> {
    let request = Request::Presence(client::Presence { users: users.into_iter().map(user).collect() });
    world.hear(request, 10).iter().map(words).collect()
}

fn words(effect: &Effect) -> String {
    let numbers = |users: &[UserId]| users.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    match effect {
        Effect::Typing(to) => format!("typing to {to}"),
        Effect::CheckUser(user) => format!("look {user} up"),
        Effect::Watch { request, added, left } => format!("{request}: +{} -{}", numbers(added), numbers(left)),
        Effect::Reply(n, Reply::Error(error)) => format!("{n}: {}", error.code),
        Effect::Reply(n, Reply::Typing(typing)) => format!("{n}: {} types in {}", typing.user, typing.chat),
        Effect::Reply(n, Reply::Presence(presence)) => {
            let present = presence.users.iter().map(|one| match (one.online, one.last_seen) {
                (true, None) => format!(" {}", one.user),
                (false, seen) => format!(" {}?{}", one.user, seen.unwrap_or(0)),
                (true, Some(_)) => "both".to_owned(),
            });
            format!("{n}:{}", present.collect::<String>())
        }
        _ => "something else".to_owned(),
    }
}

#[test]
fn typing_goes_to_those_to_whom_a_send_may_go() {
    let none: [&str; 0] = [];
    let mut world = World::new(Some(true));
    assert_eq!(types(&mut world, 9, 0), ["typing to 9"]);
    assert_eq!(types(&mut world, 9, limits::TYPING_EVERY_MS.value - 1), none, "too soon");
    assert_eq!(types(&mut world, 9, limits::TYPING_EVERY_MS.value), ["typing to 9"]);
    assert_eq!(types(&mut world, 1, 10_000), none, "nobody watches oneself");
    assert_eq!(types(&mut World::new(Some(false)), 9, 0), ["7: unknown_recipient"]);

    let mut world = World::new(None);
    for (found, expected) in [
        (Ok(true), vec!["typing to 9"]),
        (Ok(false), vec!["7: unknown_recipient"]),
        (Err(Code::AccountsUnavailable), vec!["7: accounts_unavailable"]),
    ] {
        assert_eq!(types(&mut world, 9, 20_000), ["look 9 up"]);
        let checked = |found: Result<bool, Code>| {
            move |session: &mut Session, ctx: &mut Context<'_>, effects: &mut Vec<Effect>| {
                session.checked(user(9), found, ctx, effects);
            }
        };
        assert_eq!(at(&mut world, 20_010, checked(found)), expected);
        assert_eq!(at(&mut world, 20_020, checked(found)), none, "asked once, answered once");
    }
}

#[test]
fn who_is_watched_is_told_once_and_then_again_when_it_changes() {
    let mut world = World::new(Some(true));
    assert_eq!(watches(&mut world, [5, 4, 5]), ["7: +4,5 -"]);
    let first = |who: UserId| if who == user(4) { Presence::Online } else { Presence::Unknown };
    assert_eq!(at(&mut world, 20, |session, _, effects| session.watches(7, &first, effects)), ["7: 4 5?0"]);
    let seen = |_: UserId| Presence::Seen(Timestamp(77));
    let news = at(&mut world, 30, |session, _, effects| session.presence_changed(&first, effects));
    assert_eq!(news, [""; 0], "nothing changed");
    assert_eq!(watches(&mut world, [4, 6]), ["7: +6 -5"]);
    assert_eq!(at(&mut world, 40, |session, _, effects| session.presence_changed(&seen, effects)), ["0: 4?77 6?77"]);
    assert_eq!(world.session.watched(), [user(4), user(6)]);
    assert_eq!(watches(&mut world, []), ["7: + -4,6"]);
    assert_eq!(watches(&mut world, 1..=257), ["7: bad_request"]);
    assert_eq!(world.session.watched(), [], "nothing changed");
}

#[test]
fn questions_that_wait_are_bounded() {
    let mut world = World::new(Some(true));
    let answers: Vec<_> = (0..9).flat_map(|round| watches(&mut world, [round])).collect();
    assert_eq!(answers.last().map(String::as_str), Some("7: busy"));
    at(&mut world, 20, |session, _, effects| session.watches(7, &|_| Presence::Unknown, effects));
    assert_eq!(watches(&mut world, [9]), ["7: +9 -7"]);
}

#[test]
fn only_who_is_synced_is_told_without_being_asked() {
    let mut world = World::new(Some(true));
    assert!(!world.session.is_live());
    let chat = "direct:1:9";
    let told = at(&mut world, 10, |session, _, effects| session.typed_to(&[user(9)], effects));
    assert_eq!(told, [format!("0: 9 types in {chat}")]);
    // Nothing was there before, so pages hold nothing: the device goes on from the log's end.
    at(&mut world, 20, |session, ctx, effects| session.end_is(0, ctx, effects));
    let position = Blob(world.tail.beginning().to_bytes().to_vec());
    let resume = Request::Resume(client::Resume { position });
    at(&mut world, 30, |session, ctx, effects| session.request(8, resume, ctx, effects));
    at(&mut world, 40, |session, ctx, effects| session.end_is(0, ctx, effects));
    assert!(world.session.is_live());
}
