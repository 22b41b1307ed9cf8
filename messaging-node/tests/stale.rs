//! A send that was long on its way: refused before anything is appended, and its session ends.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::borrow::Cow;

use volery_kernel::generator::Generator;
use volery_kernel::id::{DeviceId, EPOCH_MS, Id, SessionNumber, UserId};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_messaging::core::pace::Rate;
use volery_messaging::core::session::{Context, Effect, Opening, Session};
use volery_messaging::core::stream::Follower;
use volery_messaging::core::tail::Tail;
use volery_wire::client::{Change, Request, Send};
use volery_wire::server::Reply;

const WELCOME: Timestamp = Timestamp(EPOCH_MS + 1_000_000);

/// A session that was welcomed at [`WELCOME`], and the node around it.
struct World {
    session: Session,
    ids: Generator,
    tail: Tail,
    /// Whether recipients are known to exist.
    known: Option<bool>,
}

impl World {
    fn new() -> Self {
        let (user, device) = (UserId::new(1).unwrap(), DeviceId::new(2).unwrap());
        let opening = Opening {
            who: Follower { user, device, session: SessionNumber(Id::new(3).unwrap()) },
            token_until: WELCOME.plus(100_000_000),
            largest_id: Id::ZERO,
            resume: None,
            request: 1,
            rate: Rate { per_second: 50, burst: 200 },
            generation: 1,
        };
        let session = Session::open(opening, WELCOME, &mut Vec::new());
        let ids = Generator::new(1, WELCOME, WELCOME.plus(100_000_000));
        Self { session, ids, tail: Tail::new(Partition(0), 1, 0, 1_000), known: Some(true) }
    }

    /// What follows from an input so long after `welcome`, as far as it concerns sends.
    fn at(&mut self, ms: u64, input: impl FnOnce(&mut Session, &mut Context<'_>, &mut Vec<Effect>)) -> Vec<String> {
        let (known, mut effects) = (self.known, Vec::new());
        let known = |_| known;
        let partitions = Partitions::new(1).unwrap();
        let (now, tail) = (WELCOME.plus(ms), &self.tail);
        input(
            &mut self.session,
            &mut Context { now, ids: &mut self.ids, agrees: true, tail, partitions, known: &known },
            &mut effects,
        );
        effects.iter().filter_map(name).collect()
    }

    fn hear(&mut self, request: Request<'_>, ms: u64) -> Vec<String> {
        self.at(ms, |session, ctx, effects| session.request(7, request, ctx, effects))
    }
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

fn send(number: u32, since_welcome: u64) -> Request<'static> {
    let (to, text) = (UserId::new(9).unwrap(), Cow::Borrowed("hi"));
    Request::Send(Send { to, number, since_welcome, retry_of: None, shown: None, text, reply_to: None })
}

fn change(since_welcome: u64) -> Change<'static> {
    let (to, id) = (UserId::new(9).unwrap(), Id::new(5).unwrap());
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
        assert_eq!(World::new().hear(kind(60_000), 64_994), ["append"]);
        assert_eq!(World::new().hear(kind(60_000), 65_001), ["stale", "close: retry"]);
    }
}

#[test]
fn nothing_is_taken_after_a_stale_send() {
    let mut world = World::new();
    assert_eq!(world.hear(send(1, 100), 200), ["append"]);
    assert_eq!(world.hear(send(2, 300), 10_000), ["stale", "close: retry"]);
    assert_eq!(world.hear(send(3, 10_000), 10_000), ["stale"]);
}

/// One of the two clocks is wrong; which one, nobody can tell.
#[test]
fn a_count_that_is_ahead_of_the_node_is_stale_too() {
    assert_eq!(World::new().hear(send(1, 1_500), 1_000), ["append"]);
    assert_eq!(World::new().hear(send(1, 1_501), 1_000), ["stale", "close: retry"]);
    assert_eq!(World::new().hear(send(1, u64::MAX), 1_000), ["stale", "close: retry"]);
}

#[test]
fn looking_the_recipient_up_is_part_of_the_way() {
    let mut world = World { known: None, ..World::new() };
    let user = UserId::new(9).unwrap();
    assert_eq!(world.hear(send(1, 0), 10), ["look up"]);
    let found = world.at(5_001, |session, ctx, effects| session.checked(user, Ok(true), ctx, effects));
    assert_eq!(found, ["stale", "close: retry"]);
}
