//! A reset whose pages take their time: what comes meanwhile must not make the client forget it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use volery_client::core::{Core, Effect, Link, Token, Turn};
use volery_client::state::State;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::time::Timestamp;
use volery_wire::client::Request;
use volery_wire::field::Blob;
use volery_wire::server::{At, Reply, Synced, Welcome};

const SOCKET: u64 = 1;

fn step(core: &mut Core, input: impl FnOnce(&mut Core, &mut Turn)) -> Vec<Effect> {
    let mut turn = Turn::new(Timestamp(1_000), 7);
    input(core, &mut turn);
    turn.effects
}

fn hear(core: &mut Core, reply: Reply<'static>) {
    step(core, |core, turn| {
        core.frame(SOCKET, 0, 10, &reply, turn);
    });
}

/// A core that was told `reset` and reads its pages.
fn resetting(position: &Blob) -> Core {
    let (user, device) = (UserId::new(1).unwrap(), DeviceId::new(2).unwrap());
    let mut core = Core::new(user, device, &State::default());
    step(&mut core, Core::start);
    let token = Token { text: "t".to_owned(), until: Timestamp(u64::MAX) };
    step(&mut core, |core, turn| core.token(token, turn));
    step(&mut core, |core, turn| core.connected(SOCKET, turn));
    let session = SessionNumber(Id::new(9).unwrap());
    hear(&mut core, Reply::Welcome(Welcome { user, device, session, now: 1_000, window: 65_536 }));
    hear(&mut core, Reply::Reset(At { position: Some(position.clone()) }));
    core
}

#[test]
fn a_gap_while_pages_are_read_asks_nothing() {
    let position = Blob(vec![1, 2, 3]);
    let mut core = resetting(&position);
    hear(&mut core, Reply::Gap);
    let effects = step(&mut core, Core::pages_read);
    let resumes = |effect: &Effect| matches!(effect, Effect::Send { message: Request::Resume(resume), .. } if resume.position == position);
    assert!(effects.iter().any(resumes), "{effects:?}");
    hear(&mut core, Reply::Synced(Synced { position: Some(position), ..Synced::default() }));
    assert_eq!(core.link(), Link::Synced);
}
