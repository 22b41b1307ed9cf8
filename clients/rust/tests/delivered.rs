//! That a message was delivered follows from what a device confirms. If the server takes that to its
//! grave, the device says it itself.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use volery_client::core::{Core, Effect, Loss, Token, Turn};
use volery_client::state::State;
use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_kernel::time::Timestamp;
use volery_wire::client::{Mark, Request, Shown};
use volery_wire::field::Blob;
use volery_wire::server::{Chat, ChatList, MarkKind, Marked, Message, Reply, Synced, Welcome};

const AFTER_MS: u64 = 5_000;

fn user(number: u64) -> UserId {
    UserId::new(number).unwrap()
}

fn chat() -> ChatId {
    ChatId::direct(user(1), user(3))
}

fn step(core: &mut Core, now: u64, input: impl FnOnce(&mut Core, &mut Turn)) -> Vec<Mark> {
    let mut turn = Turn::new(Timestamp(now), 7);
    input(core, &mut turn);
    let said = |effect| match effect {
        Effect::Send { message: Request::Mark(mark), .. } => Some(mark),
        _ => None,
    };
    turn.effects.into_iter().filter_map(said).collect()
}

fn hear(core: &mut Core, now: u64, socket: u64, n: u64, reply: &Reply<'_>) -> Vec<Mark> {
    step(core, now, |core, turn| {
        core.frame(socket, n, 10, reply, turn);
    })
}

/// Up to this source, that is.
fn sync(core: &mut Core, now: u64, socket: u64, source: u64) -> Vec<Mark> {
    step(core, now, |core, turn| core.connected(socket, turn));
    let session = SessionNumber(Id::new(socket).unwrap());
    let welcome = Welcome { user: user(1), device: DeviceId::new(2).unwrap(), session, now: 77, window: 65_536 };
    hear(core, now, socket, 0, &Reply::Welcome(welcome));
    hear(
        core,
        now,
        socket,
        0,
        &Reply::Synced(Synced { position: Some(Blob(vec![socket as u8])), below: Source(source).next() }),
    )
}

fn synced() -> Core {
    let mut core = Core::new(user(1), DeviceId::new(2).unwrap(), &State::default());
    step(&mut core, 900, Core::start);
    let token = Token { text: "t".to_owned(), until: Timestamp(u64::MAX) };
    step(&mut core, 950, |core, turn| core.token(token, turn));
    assert_eq!(sync(&mut core, 1_000, 1, 4), []);
    core
}

fn message(source: u64) -> Message<'static> {
    Message {
        chat: chat(),
        id: Id::new(source * 10).unwrap(),
        from: user(3),
        source: Source(source),
        text: "hi".into(),
        reply_to: None,
        key: None,
        shown: None,
        edited: None,
        deleted: None,
        reactions: Vec::new(),
        position: Some(Blob(vec![2])),
    }
}

fn event(source: u64) -> Reply<'static> {
    Reply::Message(message(source))
}

/// The chat's newest message has this source.
fn listed(source: u64) -> Reply<'static> {
    let none = Shown { source: Source::ZERO, id: Id::ZERO };
    let newest = Some(Message { position: None, ..message(source) });
    let (newest_incoming, unread) = (Source(source), 1);
    let chat = Chat {
        chat: chat(),
        newest,
        unread,
        read: none,
        delivered: None,
        peer_delivered: none,
        peer_read: none,
        newest_incoming,
    };
    Reply::ChatList(ChatList { chats: vec![chat], next: None })
}

fn marked(source: u64) -> Reply<'static> {
    let (kind, id) = (MarkKind::Delivered, Id::new(source * 10).unwrap());
    Reply::Marked(Marked { chat: chat(), reader: user(1), kind, source: Source(source), id, position: None })
}

#[test]
fn a_mark_that_the_server_took_to_its_grave_is_said_by_the_device() {
    let mut core = synced();
    assert_eq!(hear(&mut core, 1_100, 1, 1, &event(5)), []);
    step(&mut core, 1_200, |core, turn| core.lost(1, Loss::Broken, turn));
    assert!(!core.is_marked());
    let soon = core.wake_at().unwrap();
    step(&mut core, soon.0, Core::tick);
    let said = sync(&mut core, 2_000, 2, 5);
    let [Mark { chat: of, kind: MarkKind::Delivered, source: Source(5), id }] = &said[..] else { panic!("{said:?}") };
    assert_eq!((*of, id.get()), (chat(), 50));
    assert_eq!(hear(&mut core, 2_100, 2, 1, &marked(5)), []);
    assert!(core.is_marked());
}

#[test]
fn what_the_server_marks_in_time_is_not_said() {
    let mut core = synced();
    hear(&mut core, 1_100, 1, 1, &event(5));
    hear(&mut core, 1_600, 1, 2, &marked(5));
    // In a conversation that goes on, each mark falls short of the newest message.
    hear(&mut core, 1_700, 1, 3, &event(6));
    hear(&mut core, 5_000, 1, 4, &event(7));
    hear(&mut core, 5_100, 1, 5, &marked(6));
    assert_eq!(step(&mut core, 1_700 + AFTER_MS, Core::tick), []);
    let [Mark { source: Source(7), .. }] = step(&mut core, 5_100 + AFTER_MS, Core::tick)[..] else {
        panic!("the last one is said after {AFTER_MS} ms")
    };
}

/// Archive may be ahead of the stream, and behind it: what a page shows proves nothing of what comes before.
#[test]
fn what_pages_show_ahead_of_the_stream_is_marked_when_the_stream_has_brought_it() {
    let mut core = synced();
    assert_eq!(hear(&mut core, 1_100, 1, 7, &listed(6)), []);
    let shown = Shown { source: Source(6), id: Id::new(60).unwrap() };
    assert_eq!(step(&mut core, 1_200, |core, turn| core.read(chat(), shown, turn)), []);
    assert_eq!(step(&mut core, 1_200 + 2 * AFTER_MS, Core::tick), []);
    assert!(core.wake_at() > Some(Timestamp(1_200 + 2 * AFTER_MS)), "nothing is due before the stream moves");
    assert!(!core.is_marked());
    assert_eq!(hear(&mut core, 12_000, 1, 1, &event(5)), []);
    assert_eq!(step(&mut core, 12_001, Core::tick), []);
    hear(&mut core, 12_100, 1, 2, &event(6));
    let said: Vec<_> = step(&mut core, 12_101, Core::tick).iter().map(|mark| (mark.kind, mark.source)).collect();
    assert_eq!(said, [(MarkKind::Read, Source(6)), (MarkKind::Delivered, Source(6))]);
}
