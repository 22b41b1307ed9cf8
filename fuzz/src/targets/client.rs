//! The client before a hostile node, and before a state file that somebody damaged.
//!
//! A step is a byte that says what happens, then, for most, a length of two bytes and so many bytes.
//! The shell around the device is the least that obeys its effects.

use volery_client::core::{Core, Effect, Loss, SocketId, Token, Turn};
use volery_client::device::Device;
use volery_client::intent::{Act, Intent};
use volery_client::shell::{Grant, Person};
use volery_client::state::{Change, Kept, KeptKey, State};
use volery_client::store::FileStore;
use volery_kernel::id::{DeviceId, SessionNumber};
use volery_kernel::limits;
use volery_kernel::position::Source;
use volery_kernel::time::Timestamp;
use volery_wire::client::Shown;
use volery_wire::codec::{Encoding, decode_reply, encode_reply, join_reply};
use volery_wire::field::Blob;

use super::samples::{self, chat, id, user};
use crate::Verdict;

/// Effects of one step: what a node may make a client do at once.
const EFFECTS_MOST: usize = 4_096;

struct Shell {
    device: Device,
    state: State,
    now: Timestamp,
    socket: SocketId,
}

impl Shell {
    fn new(state: State) -> Self {
        let device = Device::new(user(1), DeviceId(id(3)), state.clone());
        Self { device, state, now: Timestamp(1_000_000), socket: 0 }
    }

    /// One step, and what the shell does about it until nothing more is asked of it.
    fn step(&mut self, what: impl FnOnce(&mut Device, &mut Turn)) {
        let mut turn = Turn::new(self.now, 7);
        what(&mut self.device, &mut turn);
        let mut effects = turn.effects;
        for _ in 0..4 {
            assert!(effects.len() <= EFFECTS_MOST, "{} effects of one step", effects.len());
            let mut turn = Turn::new(self.now, 7);
            effects.into_iter().for_each(|effect| self.obey(effect, &mut turn));
            effects = turn.effects;
        }
    }

    fn obey(&mut self, effect: Effect, turn: &mut Turn) {
        match effect {
            Effect::Store(changes) => changes.into_iter().for_each(|change| self.state.apply(change)),
            Effect::Connect { socket, .. } => {
                self.socket = socket;
                self.device.input(turn, |core, turn| core.connected(socket, turn));
            }
            Effect::Token => {
                let token = Token { text: "t".into(), until: self.now.plus(900_000) };
                self.device.input(turn, |core, turn| core.token(token, turn));
            }
            Effect::Send { .. } | Effect::Close(_) | Effect::Ended(_) | Effect::Reset | Effect::Link(_) => {}
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        let act = Act::Say { text: String::from_utf8_lossy(bytes).into_owned(), reply_to: None };
        let to = user(2 + bytes.len() as u64 % 2);
        let now = self.now;
        // A full outbox is an answer too.
        self.step(|device, turn| device.intend(to, act, now, turn).map_or((), |_| ()));
    }

    /// What holds after every step: what is shown is bounded, what is stored can be gone on from.
    fn check(&self) {
        for chat in self.device.view().chats() {
            assert!(chat.unread() <= limits::UNREAD_MOST.value);
            assert!(chat.timeline.lines().map(|line| line.id).is_sorted());
        }
        let restored = Core::new(user(1), DeviceId(id(3)), &self.state);
        let wanted = |core: &Core| core.outbox().items().map(|item| item.intent.clone()).collect::<Vec<_>>();
        assert_eq!(wanted(&restored), wanted(self.device.core()), "what is stored is not what is wanted");
    }
}

/// Frames, time, losses and wishes in any order.
pub(crate) fn session(mut bytes: &[u8]) -> Verdict {
    let mut shell = Shell::new(State::default());
    shell.step(|device, turn| device.input(turn, Core::start));
    let mut frames = None;
    while let Some((&kind, rest)) = bytes.split_first() {
        bytes = rest;
        match kind % 16 {
            0 => shell.now = shell.device.wake_at().unwrap_or(shell.now).max(shell.now),
            1 => shell.step(|device, turn| device.open(Some(chat()), turn)),
            2 => shell.step(|device, turn| {
                device.older(chat(), turn);
            }),
            3 => {
                let (socket, loss) =
                    (shell.socket, if kind < 64 { Loss::Broken } else { Loss::Closed(4_000 + u16::from(kind)) });
                shell.step(|device, turn| device.lost(socket, loss, turn));
            }
            4 => shell.step(|device, turn| device.read(chat(), Shown { source: Source(u64::MAX), id: id(9) }, turn)),
            other => {
                let Some((piece, rest)) = piece(bytes) else { break };
                bytes = rest;
                if other == 5 {
                    shell.say(piece);
                } else if let Ok(Some((n, reply))) = decode_reply(Encoding::MessagePack, piece) {
                    frames = Some(());
                    let socket = shell.socket;
                    shell.step(|device, turn| device.frame(socket, n, piece.len(), &reply, turn));
                }
            }
        }
        shell.step(|device, turn| device.input(turn, Core::tick));
    }
    shell.check();
    Verdict::of(frames)
}

fn piece(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

pub(crate) fn sessions() -> Vec<Vec<u8>> {
    let step = |kind: u8, bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap_or_default().to_le_bytes();
        [&[kind], &length[..], bytes].concat()
    };
    let frame = |(n, reply)| {
        let (op, body) = encode_reply(Encoding::MessagePack, &reply);
        step(6, &join_reply(Encoding::MessagePack, op, n, &body))
    };
    let frames: Vec<Vec<u8>> = (1..).zip(samples::replies()).map(frame).collect();
    let busy = [&step(5, b"hi"), &frames[0], &vec![1], &step(5, b"hi again"), &frames[1], &frames[8], &frames[13]];
    let lost = [&frames[0], &step(5, b"hi"), &vec![3, 0, 0], &frames[0], &frames[12]];
    vec![frames.concat(), busy.map(Vec::as_slice).concat(), lost.map(Vec::as_slice).concat()]
}

/// A state that is read is one that a client goes on from, and is written so that it is read again.
pub(crate) fn state(bytes: &[u8]) -> Verdict {
    let Ok(state) = FileStore::decode(bytes) else { return Verdict::Refused };
    let written = FileStore::encode(&state).unwrap_or_default();
    assert_eq!(FileStore::decode(&written).ok().as_ref(), Some(&state));
    let held = state.outbox.len();
    let mut shell = Shell::new(state);
    shell.step(|device, turn| device.input(turn, Core::start));
    let welcome = samples::replies().swap_remove(0);
    let socket = shell.socket;
    shell.step(|device, turn| device.frame(socket, 0, 1, &welcome, turn));
    shell.say(b"one more");
    assert!(shell.device.core().outbox().items().count() <= held + 1);
    shell.check();
    Verdict::of((held > 0).then_some(()))
}

pub(crate) fn states() -> Vec<Vec<u8>> {
    let intent = |local, text: &str| Intent {
        local,
        to: user(2),
        act: Act::Say { text: text.into(), reply_to: Some(id(5)) },
        at: Timestamp(1),
        shown: Some(Shown { source: Source(1), id: id(1) }),
    };
    let key = Some(KeptKey { session: SessionNumber(id(4)), number: 1 });
    let kept = [
        Kept { intent: intent(0, "hi"), key, failed: None },
        Kept {
            intent: Intent { act: Act::React { id: id(5), emoji: "👍".into() }, ..intent(1, "") },
            key: None,
            failed: None,
        },
        Kept { intent: intent(2, "refused"), key, failed: Some("blocked".into()) },
    ];
    let outbox = kept.into_iter().map(|kept| (kept.intent.local, kept)).collect();
    let state = State {
        session: SessionNumber(id(4)),
        largest_id: id(9),
        position: Some(Blob(vec![1; 19])),
        undelivered: Vec::new(),
        outbox,
    };
    let snapshot = FileStore::encode(&state).unwrap_or_default();
    let changes = [
        Change::Session(SessionNumber(id(6))),
        Change::Progress { position: None, largest_id: id(10), undelivered: Vec::new() },
        Change::Wanted(intent(3, "later")),
        Change::Keyed { local: 3, session: SessionNumber(id(6)), number: 1 },
        Change::Failed { local: 0, code: "refused".into() },
        Change::Gone(1),
    ];
    let line = |change: &Change| format!("{{\"change\":{}}}\n", serde_json::to_string(change).unwrap_or_default());
    let journal: String = changes.iter().map(line).collect();
    vec![[&snapshot[..], journal.as_bytes()].concat(), snapshot]
}

/// What a gateway answers, and the account file that is made of it.
pub(crate) fn answer(bytes: &[u8]) -> Verdict {
    let grant = serde_json::from_slice::<Grant>(bytes).ok().inspect(|grant| {
        let written = serde_json::to_vec_pretty(grant).unwrap_or_default();
        assert_eq!(serde_json::from_slice::<Grant>(&written).ok().as_ref(), Some(grant));
    });
    let person = serde_json::from_slice::<Person>(bytes).ok().inspect(|person| {
        let written = serde_json::to_vec(person).unwrap_or_default();
        assert_eq!(serde_json::from_slice::<Person>(&written).ok().as_ref(), Some(person));
    });
    Verdict::of(grant.map(drop).or(person.map(drop)))
}

pub(crate) fn answers() -> Vec<Vec<u8>> {
    let grant = Grant {
        user: user(1),
        device: DeviceId(id(3)),
        access_token: "a.b.c".into(),
        access_expires: Timestamp(u64::MAX),
        refresh_token: "r".into(),
        refresh_expires: Timestamp(1),
        node: "ws://127.0.0.1:8401/v1/ws".into(),
    };
    let person = Person { id: user(1), user_name: "ada".into(), display_name: "Ada é".into() };
    [serde_json::to_vec(&grant), serde_json::to_vec(&person)].into_iter().filter_map(Result::ok).collect()
}

pub(crate) const STATE: &[&[u8]] = &[
    b"\n",
    b"{\"change\":",
    b"{\"snapshot\":{",
    b"\"outbox\":{\"0\":{\"intent\":",
    b"\"wanted\":{",
    b"\"local\":",
    b"\"session\":\"4\"",
    b"\"gone\":",
    b"\"at\":1",
    b"\"to\":\"2\"",
    b"\"act\":{\"say\":{\"text\":\"",
    b"}",
    b"}}",
    b",",
    b"18446744073709551615",
];
