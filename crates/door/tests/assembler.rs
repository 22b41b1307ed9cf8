//! The reading core against random conversations, cut anywhere, and against noise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use support::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, frame};
use volery_door::assembler::{Assembler, Event, Message};
use volery_door::frame::{Kind, Role};
use volery_kernel::code::Close;

/// What somebody says, and the frames that say it.
#[derive(Clone, Debug)]
enum Said {
    Message { kind: Kind, fragments: Vec<Vec<u8>>, between: Vec<Vec<u8>> },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn said() -> impl Strategy<Value = Said> {
    let small = || vec(any::<u8>(), 0..=125);
    let text = prop_oneof!["\\PC{0,80}", "[a-z]{120,140}"].prop_map(String::into_bytes);
    let binary = prop_oneof![vec(any::<u8>(), 0..300), (65_000..70_000usize).prop_map(|length| vec![7; length])];
    let whole = prop_oneof![(Just(Kind::Text), text), (Just(Kind::Binary), binary)];
    let message = (whole, vec(any::<prop::sample::Index>(), 0..4), vec(small(), 0..3));
    prop_oneof![
        4 => message.prop_map(|((kind, data), cuts, between)| {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.index(data.len() + 1)).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([data.len()]);
            let starts = [0].into_iter().chain(cuts.iter().copied());
            let fragments = starts.zip(ends).map(|(start, end)| data[start..end].to_vec()).collect();
            Said::Message { kind, fragments, between }
        }),
        1 => small().prop_map(Said::Ping),
        1 => small().prop_map(Said::Pong),
    ]
}

fn write(said: &[Said], key: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for said in said {
        match said {
            Said::Ping(payload) => bytes.extend(frame(FIN | PING, key, payload)),
            Said::Pong(payload) => bytes.extend(frame(FIN | PONG, key, payload)),
            Said::Message { kind, fragments, between } => {
                let mut between = between.iter();
                for (at, fragment) in fragments.iter().enumerate() {
                    let opcode = if *kind == Kind::Text { TEXT } else { BINARY };
                    let opcode = if at == 0 { opcode } else { CONTINUATION };
                    let last = at + 1 == fragments.len();
                    bytes.extend(frame(if last { FIN | opcode } else { opcode }, key, fragment));
                    if !last {
                        between.next().into_iter().for_each(|ping| bytes.extend(frame(FIN | PING, key, ping)));
                    }
                }
            }
        }
    }
    bytes
}

fn meant(said: &[Said]) -> Vec<Event<'static>> {
    let mut events = Vec::new();
    for said in said {
        match said {
            Said::Ping(payload) => events.push(Event::Ping(payload.clone().into())),
            Said::Pong(payload) => events.push(Event::Pong(payload.clone().into())),
            Said::Message { kind, fragments, between } => {
                let pings = between.iter().take(fragments.len() - 1);
                events.extend(pings.map(|ping| Event::Ping(ping.clone().into())));
                events.push(Event::Message(Message { kind: *kind, data: fragments.concat().into() }));
            }
        }
    }
    events
}

fn owned(event: Event<'_>) -> Event<'static> {
    match event {
        Event::Message(Message { kind, data }) => Event::Message(Message { kind, data: data.into_owned().into() }),
        Event::Ping(data) => Event::Ping(data.into_owned().into()),
        Event::Pong(data) => Event::Pong(data.into_owned().into()),
        Event::Close(said) => Event::Close(said),
        Event::Violation(code) => Event::Violation(code),
    }
}

fn read(assembler: &mut Assembler, piece: &[u8]) -> Vec<Event<'static>> {
    let mut bytes = piece.to_vec();
    let mut input = &mut bytes[..];
    let mut events = Vec::new();
    while let Some(event) = assembler.next(&mut input) {
        events.push(owned(event));
    }
    assert!(input.is_empty(), "everything is taken");
    events
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_048) })]

    #[test]
    fn any_cut_of_a_conversation_means_the_same(
        said in vec(said(), 0..6),
        cuts in vec(any::<prop::sample::Index>(), 0..8),
        key in any::<Option<[u8; 4]>>(),
    ) {
        let bytes = write(&said, key);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let role = if key.is_some() { Role::Server } else { Role::Client };
        let mut assembler = Assembler::new(role, 1 << 20);
        let events: Vec<_> = cuts.windows(2).flat_map(|cut| read(&mut assembler, &bytes[cut[0]..cut[1]])).collect();
        prop_assert_eq!(events, meant(&said));
        prop_assert_eq!((assembler.unfinished(), assembler.held()), (None, 0));
    }

    #[test]
    fn noise_is_refused_the_same_way_however_it_is_cut(
        noise in vec(prop_oneof![3 => any::<u8>(), 1 => Just(0x81), 1 => Just(0x82), 1 => 0x80..=0x8au8], 0..400),
        cut in any::<prop::sample::Index>(),
        role in prop_oneof![Just(Role::Server), Just(Role::Client)],
    ) {
        let mut assembler = Assembler::new(role, 200);
        let whole = read(&mut assembler, &noise);
        prop_assert!(assembler.held() < 4_096);
        let cut = cut.index(noise.len() + 1);
        let mut assembler = Assembler::new(role, 200);
        let mut twice = read(&mut assembler, &noise[..cut]);
        twice.extend(read(&mut assembler, &noise[cut..]));
        prop_assert_eq!(whole, twice);
    }
}

#[test]
fn two_cuts_at_every_byte_mean_the_same() {
    let fragments = vec![b"a".to_vec(), vec![], b"bc".to_vec()];
    let said = [
        Said::Message { kind: Kind::Binary, fragments: vec![b"x".to_vec()], between: vec![] },
        Said::Message { kind: Kind::Text, fragments, between: vec![b"p".to_vec(), vec![]] },
        Said::Pong(b"q".to_vec()),
        Said::Message { kind: Kind::Text, fragments: vec![vec![]], between: vec![] },
        Said::Message { kind: Kind::Binary, fragments: vec![vec![9; 130]], between: vec![] },
    ];
    let bytes = write(&said, Some([6, 7, 8, 9]));
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let mut assembler = Assembler::new(Role::Server, 200);
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            let events: Vec<_> = pieces.into_iter().flat_map(|piece| read(&mut assembler, piece)).collect();
            assert_eq!(events, meant(&said), "{first} {second}");
            assert_eq!((assembler.unfinished(), assembler.held()), (None, 0), "{first} {second}");
        }
    }
}

#[test]
fn clients_mask_and_servers_do_not() {
    for (role, key) in [(Role::Client, Some([1; 4])), (Role::Server, None)] {
        let events = read(&mut Assembler::new(role, 100), &frame(FIN | TEXT, key, b"x"));
        assert_eq!(events, [Event::Violation(Close::ProtocolError)], "{role:?}");
    }
}

#[test]
fn a_whole_frame_is_lent_and_nothing_is_kept() {
    let mut bytes = frame(FIN | TEXT, Some([1, 2, 3, 4]), b"lent");
    let range = bytes.as_ptr_range();
    let mut assembler = Assembler::new(Role::Server, 100);
    let mut input = &mut bytes[..];
    let Some(Event::Message(message)) = assembler.next(&mut input) else { panic!("no message") };
    assert!(range.contains(&message.data.as_ptr()), "the message lies in the input");
    assert_eq!((assembler.held(), assembler.unfinished()), (0, None));
}

#[test]
fn an_unfinished_message_has_a_number_until_it_ends() {
    let mut assembler = Assembler::new(Role::Client, 100);
    read(&mut assembler, &frame(TEXT, None, b"begun"));
    let first = assembler.unfinished();
    assert!(first.is_some());
    read(&mut assembler, &frame(FIN | PING, None, b"alive"));
    assert_eq!(assembler.unfinished(), first, "a ping does not end it");
    read(&mut assembler, &frame(FIN | CONTINUATION, None, b""));
    assert_eq!(assembler.unfinished(), None);
    read(&mut assembler, &[FIN | BINARY]);
    assert!(assembler.unfinished().is_some_and(|second| Some(second) != first), "another message");
}

#[test]
fn nothing_is_heard_after_the_end() {
    let mut assembler = Assembler::new(Role::Client, 100);
    let close = frame(FIN | CLOSE, None, b"\x03\xe8bye");
    let bytes = [close, frame(FIN | TEXT, None, b"more")].concat();
    assert_eq!(read(&mut assembler, &bytes), [Event::Close(Some((1000, "bye".into())))]);
    assert_eq!(read(&mut assembler, &bytes), []);
    let mut assembler = Assembler::new(Role::Server, 100);
    assert_eq!(read(&mut assembler, &bytes), [Event::Violation(Close::ProtocolError)]);
    assert_eq!(read(&mut assembler, &bytes), []);
}
