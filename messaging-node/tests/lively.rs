//! Typing and presence in a session: who is seen typing to whom, what is told of those who are watched, and when.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use volery_kernel::code::Code;
use volery_kernel::generator::Generator;
use volery_kernel::id::{DeviceId, EPOCH_MS, Id, SessionNumber, UserId};
use volery_kernel::limits;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_messaging::core::pace::Rate;
use volery_messaging::core::session::{Context, Effect, Opening, Session};
use volery_messaging::core::stream::Follower;
use volery_messaging::core::tail::Tail;
use volery_ports::bus::Presence;
use volery_wire::client::{self, Request};
use volery_wire::server::Reply;

const WELCOME: Timestamp = Timestamp(EPOCH_MS + 1_000_000);

struct World {
    session: Session,
    ids: Generator,
    tail: Tail,
    known: Option<bool>,
}

impl World {
    fn new(known: Option<bool>) -> Self {
        let opening = Opening {
            who: Follower {
                user: user(1),
                device: DeviceId::new(2).unwrap(),
                session: SessionNumber(Id::new(3).unwrap()),
            },
            token_until: WELCOME.plus(100_000_000),
            largest_id: Id::ZERO,
            resume: None,
            request: 1,
            rate: Rate { per_second: 50, burst: 200 },
            generation: 1,
        };
        let session = Session::open(opening, WELCOME, &mut Vec::new());
        let ids = Generator::new(1, WELCOME, WELCOME.plus(100_000_000));
        Self { session, ids, tail: Tail::new(Partition(0), 1, 0, 1_000), known }
    }

    /// What follows from an input so long after `welcome`, in words.
    fn at(&mut self, ms: u64, input: impl FnOnce(&mut Session, &mut Context<'_>, &mut Vec<Effect>)) -> Vec<String> {
        let (known, mut effects) = (self.known, Vec::new());
        let known = |_| known;
        let (now, partitions) = (WELCOME.plus(ms), Partitions::new(1).unwrap());
        let mut ctx = Context { now, ids: &mut self.ids, agrees: true, tail: &self.tail, partitions, known: &known };
        input(&mut self.session, &mut ctx, &mut effects);
        effects.iter().map(words).collect()
    }

    fn types(&mut self, to: u64, ms: u64) -> Vec<String> {
        let request = Request::Typing(client::Typing { to: user(to) });
        self.at(ms, |session, ctx, effects| session.request(7, request, ctx, effects))
    }

    fn watches(&mut self, users: impl IntoIterator<Item = u64>) -> Vec<String> {
        let request = Request::Presence(client::Presence { users: users.into_iter().map(user).collect() });
        self.at(10, |session, ctx, effects| session.request(7, request, ctx, effects))
    }
}

fn user(number: u64) -> UserId {
    UserId::new(number).unwrap()
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
    assert_eq!(world.types(9, 0), ["typing to 9"]);
    assert_eq!(world.types(9, limits::TYPING_EVERY_MS.value - 1), none, "too soon");
    assert_eq!(world.types(9, limits::TYPING_EVERY_MS.value), ["typing to 9"]);
    assert_eq!(world.types(1, 10_000), none, "nobody watches oneself");
    assert_eq!(World::new(Some(false)).types(9, 0), ["7: unknown_recipient"]);

    let mut world = World::new(None);
    for (found, expected) in [
        (Ok(true), vec!["typing to 9"]),
        (Ok(false), vec!["7: unknown_recipient"]),
        (Err(Code::AccountsUnavailable), vec!["7: accounts_unavailable"]),
    ] {
        assert_eq!(world.types(9, 20_000), ["look 9 up"]);
        let checked = |found: Result<bool, Code>| {
            move |session: &mut Session, ctx: &mut Context<'_>, effects: &mut Vec<Effect>| {
                session.checked(user(9), found, ctx, effects);
            }
        };
        assert_eq!(world.at(20_010, checked(found)), expected);
        assert_eq!(world.at(20_020, checked(found)), none, "asked once, answered once");
    }
}

#[test]
fn who_is_watched_is_told_once_and_then_again_when_it_changes() {
    let mut world = World::new(Some(true));
    assert_eq!(world.watches([5, 4, 5]), ["7: +4,5 -"]);
    let first = |who: UserId| if who == user(4) { Presence::Online } else { Presence::Unknown };
    assert_eq!(world.at(20, |session, _, effects| session.watches(7, &first, effects)), ["7: 4 5?0"]);
    let seen = |_: UserId| Presence::Seen(Timestamp(77));
    let news = world.at(30, |session, _, effects| session.presence_changed(&first, effects));
    assert_eq!(news, [""; 0], "nothing changed");
    assert_eq!(world.watches([4, 6]), ["7: +6 -5"]);
    assert_eq!(world.at(40, |session, _, effects| session.presence_changed(&seen, effects)), ["0: 4?77 6?77"]);
    assert_eq!(world.session.watched(), [user(4), user(6)]);
    assert_eq!(world.watches([]), ["7: + -4,6"]);
    assert_eq!(world.watches(1..=257), ["7: bad_request"]);
    assert_eq!(world.session.watched(), [], "nothing changed");
}

#[test]
fn questions_that_wait_are_bounded() {
    let mut world = World::new(Some(true));
    let answers: Vec<_> = (0..9).flat_map(|round| world.watches([round])).collect();
    assert_eq!(answers.last().map(String::as_str), Some("7: busy"));
    world.at(20, |session, _, effects| session.watches(7, &|_| Presence::Unknown, effects));
    assert_eq!(world.watches([9]), ["7: +9 -7"]);
}

#[test]
fn only_who_is_synced_is_told_without_being_asked() {
    let mut world = World::new(Some(true));
    assert!(!world.session.is_live());
    let chat = "direct:1:9";
    let told = world.at(10, |session, _, effects| session.typed_to(&[user(9)], effects));
    assert_eq!(told, [format!("0: 9 types in {chat}")]);
    // Nothing was there before, so pages hold nothing: the device goes on from the log's end.
    world.at(20, |session, ctx, effects| session.end_is(0, ctx, effects));
    let position = volery_kernel::position::Position::default().to_bytes().to_vec();
    let resume = Request::Resume(client::Resume { position: volery_wire::field::Blob(position) });
    world.at(30, |session, ctx, effects| session.request(8, resume, ctx, effects));
    world.at(40, |session, ctx, effects| session.end_is(0, ctx, effects));
    assert!(world.session.is_live());
}
