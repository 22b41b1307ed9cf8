//! When a send left: counted from `welcome`, anew in every session; what a stale one leads to; and what silence
//! does.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use volery_client::core::{Core, Effect, Token, Turn};
use volery_client::intent::{Act, Draft};
use volery_client::state::State;
use volery_kernel::code::Code;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::time::Timestamp;
use volery_wire::client::{Request, Send};
use volery_wire::server::{At, Error, Reply, Welcome};

/// The sends that leave in a step at `now`.
fn step(core: &mut Core, now: u64, input: impl FnOnce(&mut Core, &mut Turn)) -> Vec<(u64, Send<'static>)> {
    let mut turn = Turn::new(Timestamp(now), 7);
    input(core, &mut turn);
    let sent = |effect| match effect {
        Effect::Send { request, message: Request::Send(send), .. } => Some((request, send)),
        _ => None,
    };
    turn.effects.into_iter().filter_map(sent).collect()
}

fn welcome(core: &mut Core, now: u64, socket: u64, session: u64) -> Vec<(u64, Send<'static>)> {
    let (user, device) = (UserId::new(1).unwrap(), DeviceId::new(2).unwrap());
    let session = SessionNumber(Id::new(session).unwrap());
    step(core, now, |core, turn| core.connected(socket, turn));
    let welcome = Reply::Welcome(Welcome { user, device, session, now: 77, window: 65_536 });
    step(core, now, |core, turn| {
        core.frame(socket, 0, 10, &welcome, turn);
    })
}

/// A device that is about to connect.
fn connecting() -> Core {
    let mut core = Core::new(UserId::new(1).unwrap(), DeviceId::new(2).unwrap(), &State::default());
    step(&mut core, 900, Core::start);
    let token = Token { text: "t".to_owned(), until: Timestamp(u64::MAX) };
    step(&mut core, 950, |core, turn| core.token(token, turn));
    core
}

#[test]
fn every_attempt_says_how_long_its_session_is_open() {
    let mut core = connecting();
    assert!(welcome(&mut core, 1_000, 1, 9).is_empty());
    let act = Act::Say { text: "hi".to_owned(), reply_to: None };
    let draft = Draft { to: UserId::new(3).unwrap(), act, at: Timestamp(5), shown: None };
    let sent = step(&mut core, 4_500, |core, turn| {
        core.intend(draft, turn).unwrap();
    });
    let [(request, first)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((first.since_welcome, first.retry_of), (3_500, None));

    let (code, message) = (Code::Stale.text().into(), Code::Stale.meaning().into());
    let error = Reply::Error(Error { code, message, retryable: true, field: None, number: Some(1) });
    step(&mut core, 9_000, |core, turn| {
        core.frame(1, *request, 10, &error, turn);
    });
    let soon = core.wake_at().unwrap();
    assert!(soon <= Timestamp(9_250), "the node is well: it comes back at once, not at {soon}");
    step(&mut core, soon.0, Core::tick);
    let again = welcome(&mut core, 9_800, 2, 10);
    let [(_, retry)] = &again[..] else { panic!("{again:?}") };
    assert_eq!((retry.since_welcome, retry.retry_of), (0, Some(SessionNumber(Id::new(9).unwrap()))));
}

#[test]
fn a_ping_that_is_not_answered_ends_the_session() {
    let mut core = connecting();
    welcome(&mut core, 1_000, 1, 9);
    // Whether anything is closed in a tick, and when the next one is due.
    let tick = |core: &mut Core| {
        let now = core.wake_at().unwrap();
        let mut turn = Turn::new(now, 7);
        core.tick(&mut turn);
        let closed = turn.effects.iter().any(|effect| matches!(effect, Effect::Close(_)));
        (now.0, closed)
    };
    let (pinged, closed) = tick(&mut core);
    assert!((49_500..=61_500).contains(&(pinged - 1_000)) && !closed, "a ping after {pinged}");
    let pong = Reply::Pong(At::default());
    step(&mut core, pinged + 19_000, |core, turn| {
        core.frame(1, 2, 10, &pong, turn);
    });
    let (again, closed) = tick(&mut core);
    assert!(again > pinged + 20_000 && !closed, "it was answered: the next thing is a ping, at {again}");
    assert_eq!(tick(&mut core), (again + 20_000, true), "that one was not");
}
