//! Typing and presence on a device: said now and then, shown for a while, forgotten with the session.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use volery_client::core::{Core, Effect, Loss, Token, Turn};
use volery_client::state::State;
use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_kernel::time::Timestamp;
use volery_wire::client::{self, Request};
use volery_wire::server::{Message, Presence, Present, Reply, Synced, Typing, Welcome};

fn user(number: u64) -> UserId {
    UserId::new(number).unwrap()
}

fn chat() -> ChatId {
    ChatId::direct(user(1), user(3))
}

/// What is said of typing and presence in a step at `now`.
fn step(core: &mut Core, now: u64, input: impl FnOnce(&mut Core, &mut Turn)) -> Vec<Request<'static>> {
    let mut turn = Turn::new(Timestamp(now), 7);
    input(core, &mut turn);
    let said = |effect| match effect {
        Effect::Send { message, .. } => Some(message),
        _ => None,
    };
    let lively = |message: &Request<'_>| matches!(message, Request::Typing(_) | Request::Presence(_));
    turn.effects.into_iter().filter_map(said).filter(lively).collect()
}

fn hear(core: &mut Core, now: u64, socket: u64, n: u64, reply: &Reply<'_>) -> Vec<Request<'static>> {
    step(core, now, |core, turn| {
        core.frame(socket, n, 10, reply, turn);
    })
}

/// What is said of it until the session is synced.
fn sync(core: &mut Core, now: u64, socket: u64) -> Vec<Request<'static>> {
    step(core, now, |core, turn| core.connected(socket, turn));
    let session = SessionNumber(Id::new(socket).unwrap());
    let welcome = Welcome { user: user(1), device: DeviceId::new(2).unwrap(), session, now: 77, window: 65_536 };
    let said = hear(core, now, socket, 0, &Reply::Welcome(welcome));
    assert_eq!(step(core, now, |core, turn| core.typing(user(3), turn)), [], "not before everything is here");
    hear(core, now, socket, 0, &Reply::Synced(Synced::default()));
    said
}

fn synced() -> Core {
    let mut core = Core::new(user(1), DeviceId::new(2).unwrap(), &State::default());
    step(&mut core, 900, Core::start);
    let token = Token { text: "t".to_owned(), until: Timestamp(u64::MAX) };
    step(&mut core, 950, |core, turn| core.token(token, turn));
    assert_eq!(sync(&mut core, 1_000, 1), [], "nobody is watched");
    core
}

fn watch(users: &[u64]) -> Request<'static> {
    Request::Presence(client::Presence { users: users.iter().copied().map(user).collect() })
}

fn present(number: u64, online: bool, last_seen: Option<u64>) -> Present {
    Present { user: user(number), online, last_seen }
}

#[test]
fn typing_is_said_now_and_then() {
    let mut core = synced();
    let typing = |core: &mut Core, now, to| {
        let said = step(core, now, |core, turn| core.typing(user(to), turn));
        assert!(said.iter().all(|said| *said == Request::Typing(client::Typing { to: user(to) })), "{said:?}");
        said.len()
    };
    let keys =
        [(2_000, 3, 1), (2_100, 3, 0), (4_999, 3, 0), (5_000, 3, 1), (5_001, 4, 1), (5_002, 4, 0), (5_003, 1, 0)];
    for (now, to, expected) in keys {
        assert_eq!(typing(&mut core, now, to), expected, "to {to} at {now}");
    }
}

#[test]
fn who_types_is_shown_for_a_while_or_until_they_have_written() {
    let mut core = synced();
    let typing = Reply::Typing(Typing { chat: chat(), user: user(3) });
    let typists = |core: &Core| core.typists(chat()).collect::<Vec<_>>();
    hear(&mut core, 2_000, 1, 0, &typing);
    hear(&mut core, 3_000, 1, 0, &typing);
    assert_eq!((typists(&core), core.wake_at()), (vec![user(3)], Some(Timestamp(9_000))));
    step(&mut core, 8_999, Core::tick);
    assert_eq!(typists(&core), [user(3)]);
    step(&mut core, 9_000, Core::tick);
    assert_eq!(typists(&core), []);

    hear(&mut core, 10_000, 1, 0, &typing);
    let message = Message {
        chat: chat(),
        id: Id::new(10).unwrap(),
        from: user(3),
        source: Source(1),
        text: "hi".into(),
        reply_to: None,
        key: None,
        shown: None,
        edited: None,
        deleted: None,
        reactions: Vec::new(),
        position: None,
    };
    hear(&mut core, 10_100, 1, 1, &Reply::Message(message));
    assert_eq!(typists(&core), []);
}

#[test]
fn who_is_watched_is_said_anew_in_each_session_and_forgotten_between_them() {
    let mut core = synced();
    let on_screen = |core: &mut Core, now, users: &[u64]| {
        let users = users.iter().copied().map(user).collect();
        step(core, now, |core, turn| core.watch(users, turn))
    };
    assert_eq!(on_screen(&mut core, 2_000, &[5, 3, 5]), [watch(&[3, 5])]);
    assert_eq!(on_screen(&mut core, 2_001, &[3, 5]), [], "nothing new");
    assert_eq!(core.presence(user(3)), None);
    let (there, gone) = (present(3, true, None), present(5, false, Some(77)));
    let told = Presence { users: vec![there, gone, present(6, true, None)] };
    hear(&mut core, 2_100, 1, 9, &Reply::Presence(told));
    assert_eq!([3, 5, 6].map(|number| core.presence(user(number))), [Some(there), Some(gone), None]);
    assert_eq!(on_screen(&mut core, 2_200, &[5]), [watch(&[5])]);
    assert_eq!([3, 5].map(|number| core.presence(user(number))), [None, Some(gone)]);

    step(&mut core, 3_000, |core, turn| core.lost(1, Loss::Broken, turn));
    assert_eq!((core.presence(user(5)), core.typists(chat()).count()), (None, 0));
    step(&mut core, 40_000, Core::tick);
    assert_eq!(sync(&mut core, 41_000, 2), [watch(&[5])]);
}
