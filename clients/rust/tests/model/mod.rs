//! A client's core between a stored state and a modelled node, in virtual time.

pub(crate) mod node;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use volery_client::core::{Core, Effect, Link, Loss, SocketId, Token, Turn};
use volery_client::intent::{Act, Draft, Local};
use volery_client::state::{Change, State};
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_kernel::time::Timestamp;
use volery_wire::client::Request;
use volery_wire::server::Reply;

use node::Node;

/// What happens next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Say(u64),
    ToNode(usize),
    ToClient(usize),
    Wait(u64),
    /// The socket breaks after the node took some and the client heard some of what was under way.
    Cut {
        processed: usize,
        heard: usize,
    },
    Restart {
        stream_lost: bool,
    },
    LogDown,
    LogUp,
    Reset,
    Gap,
    Incoming,
    RefuseNext,
}

pub(crate) fn id(raw: u64) -> Id {
    Id::new(raw).unwrap()
}

type Input = Box<dyn FnOnce(&mut Core, &mut Turn)>;

pub(crate) const ME: u64 = 100;
pub(crate) const DEVICE: u64 = 7;

pub(crate) struct World {
    core: Core,
    state: State,
    now: u64,
    random: u64,
    node: Node,
    socket: Option<SocketId>,
    up: VecDeque<(u64, Request<'static>)>,
    down: VecDeque<(u64, Reply<'static>)>,
    said: BTreeMap<String, u64>,
    ended: BTreeMap<String, Vec<Result<Id, String>>>,
    seen: BTreeSet<Id>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let state = State::default();
        let mut world = Self {
            core: core_of(&state),
            state,
            now: 1_000_000,
            random: seed,
            node: Node::default(),
            socket: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            said: BTreeMap::new(),
            ended: BTreeMap::new(),
            seen: BTreeSet::new(),
        };
        world.input(|core, turn| core.start(turn));
        world
    }

    pub(crate) fn step(&mut self, step: &Step) {
        match *step {
            Step::Say(to) => self.say(to),
            Step::ToNode(most) => self.node_hears(most),
            Step::ToClient(most) => self.client_hears(most),
            Step::Wait(ms) => self.wait(ms),
            Step::Cut { processed, heard } => self.cut(processed, heard),
            Step::Restart { stream_lost } => self.restart(stream_lost),
            Step::LogDown => self.node.log_down = true,
            Step::LogUp => self.node.log_down = false,
            Step::Reset => self.node.forget_positions(),
            Step::Gap => {
                if self.socket.is_some() {
                    self.node.gap();
                }
            }
            Step::Incoming => self.node.incoming(),
            Step::RefuseNext => self.node.refuse_next = true,
        }
        self.node.collect(&mut self.down);
    }

    fn say(&mut self, to: u64) {
        let text = format!("{to}-{}", self.said.len());
        self.said.insert(text.clone(), to);
        let act = Act::Say { text, reply_to: None };
        let draft = Draft { to: UserId(id(to)), act, at: Timestamp(self.now), shown: None };
        self.input(|core, turn| {
            core.intend(draft, turn).unwrap();
        });
    }

    fn input(&mut self, input: impl FnOnce(&mut Core, &mut Turn)) {
        let later = self.turn(input);
        for effect in later {
            match effect {
                Effect::Token => {
                    let token = Token { text: "t".into(), until: Timestamp(self.now + 900_000) };
                    self.boxed(Box::new(move |core, turn| core.token(token, turn)));
                }
                Effect::Connect { socket, .. } => self.boxed(Box::new(move |core, turn| core.connected(socket, turn))),
                Effect::Reset => {
                    self.seen = self.node.incoming_on_pages().collect();
                    self.boxed(Box::new(|core, turn| core.pages_read(turn)));
                }
                _ => {}
            }
        }
    }

    /// Ends the recursion of types.
    fn boxed(&mut self, input: Input) {
        self.input(input);
    }

    /// One step of the core; gives what it asks of its surroundings.
    fn turn(&mut self, input: impl FnOnce(&mut Core, &mut Turn)) -> Vec<Effect> {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut turn = Turn::new(Timestamp(self.now), self.random >> 16);
        input(&mut self.core, &mut turn);
        let mut later: Vec<Effect> = Vec::new();
        for effect in turn.effects {
            self.carry_out(effect, &mut later);
        }
        later
    }

    fn carry_out(&mut self, effect: Effect, later: &mut Vec<Effect>) {
        match effect {
            Effect::Store(changes) => changes.into_iter().for_each(|change| self.store(change)),
            Effect::Connect { socket, address } => {
                self.open(socket);
                later.push(Effect::Connect { socket, address });
            }
            Effect::Send { socket, request, message } => {
                if Some(socket) == self.socket {
                    self.leaves_only_when_it_may(&message);
                    self.up.push_back((request, message));
                }
            }
            Effect::Close(socket) => {
                if Some(socket) == self.socket {
                    self.hang_up(usize::MAX);
                }
            }
            Effect::Ended(ended) => {
                let Act::Say { text, .. } = ended.intent.act else { unreachable!() };
                self.ended.entry(text).or_default().push(ended.outcome.map(|taken| taken.id));
            }
            Effect::Token | Effect::Reset => later.push(effect),
            Effect::Link(_) => {}
        }
    }

    fn store(&mut self, change: Change) {
        // Storing twice is storing once.
        self.state.apply(change.clone());
        self.state.apply(change);
    }

    /// Its key is stored, and what is new waits for the retries of its chat.
    fn leaves_only_when_it_may(&self, message: &Request<'static>) {
        let Request::Send(send) = message else { return };
        let session = send.retry_of.unwrap_or(self.state.session);
        let kept = self
            .state
            .outbox
            .values()
            .find(|kept| kept.key.is_some_and(|key| (key.session, key.number) == (session, send.number)));
        assert!(kept.is_some(), "{send:?} left before its key was stored");
        let older = |local: &&Local| self.state.outbox[*local].key.is_some_and(|key| key.session < self.state.session);
        let unanswered: Vec<_> = self.state.outbox.keys().filter(older).collect();
        let same_chat = unanswered.iter().filter(|local| {
            let kept = &self.state.outbox[**local];
            kept.intent.to == send.to
                && kept.failed.is_none()
                && !matches!(&kept.intent.act, Act::Say { text, .. } if *text == send.text)
        });
        for local in same_chat {
            let kept = &self.state.outbox[*local];
            assert!(send.retry_of.is_some(), "{send:?} is new, {kept:?} is unanswered");
            assert!(kept.intent.local > self.local_of(&send.text), "{send:?} overtakes {kept:?}");
        }
    }

    fn local_of(&self, wanted: &str) -> Local {
        let says = |act: &Act| matches!(act, Act::Say { text, .. } if text == wanted);
        self.state.outbox.values().find(|kept| says(&kept.intent.act)).unwrap().intent.local
    }

    fn open(&mut self, socket: SocketId) {
        self.hang_up(usize::MAX);
        self.socket = Some(socket);
    }

    /// The node may still take what was under way.
    fn hang_up(&mut self, processed: usize) {
        if self.socket.take().is_some() {
            self.node_hears(processed);
            self.up.clear();
            self.down.clear();
            self.node.left();
        }
    }

    fn node_hears(&mut self, most: usize) {
        for _ in 0..most.min(self.up.len()) {
            let (request, message) = self.up.pop_front().unwrap();
            self.node.hear(request, message, &mut self.down);
        }
    }

    fn client_hears(&mut self, most: usize) {
        for _ in 0..most {
            let (Some((n, reply)), Some(socket)) = (self.down.pop_front(), self.socket) else { return };
            if let Reply::Message(message) = &reply {
                self.seen.insert(message.id);
            }
            // What a socket said that was left before is ignored.
            self.input(|core, turn| {
                assert!(!core.frame(socket + 1_000, n, 40, &reply, turn));
                core.frame(socket, n, 40, &reply, turn);
            });
        }
    }

    fn cut(&mut self, processed: usize, heard: usize) {
        let Some(socket) = self.socket else { return };
        self.client_hears(heard);
        if self.socket == Some(socket) {
            self.hang_up(processed);
            self.input(|core, turn| core.lost(socket, Loss::Broken, turn));
        }
    }

    fn restart(&mut self, stream_lost: bool) {
        self.hang_up(usize::MAX);
        let text = serde_json::to_string(&self.state).unwrap();
        self.state = serde_json::from_str(&text).unwrap();
        if stream_lost {
            self.state.position = None;
        }
        self.core = core_of(&self.state);
        self.input(|core, turn| core.start(turn));
    }

    fn wait(&mut self, ms: u64) {
        let (until, mut idle) = (self.now + ms, 0);
        while let Some(at) = self.core.wake_at().filter(|at| at.0 <= until) {
            idle = if at.0 > self.now { 0 } else { idle + 1 };
            assert!(idle < 10, "time stands still: {:?}", self.core.link());
            self.now = self.now.max(at.0);
            self.input(|core, turn| core.tick(turn));
        }
        self.now = until;
    }

    /// Everything works from here on, for as long as it takes.
    pub(crate) fn calm_down(&mut self) {
        self.node.log_down = false;
        self.node.refuse_next = false;
        for _ in 0..400 {
            if self.core.outbox().is_idle()
                && self.core.link() == Link::Synced
                && self.down.is_empty()
                && self.up.is_empty()
            {
                return;
            }
            self.node_hears(usize::MAX);
            self.node.collect(&mut self.down);
            self.client_hears(usize::MAX);
            self.wait(1_000);
        }
        panic!("never calm: {:?} {:?}", self.core.link(), self.core.outbox());
    }

    pub(crate) fn check(&self) {
        assert!(self.node.pages_confirmed(), "after a reset, `synced` is followed by `received`");
        for text in self.said.keys() {
            let ended = self.ended.get(text).map(Vec::as_slice).unwrap_or_default();
            // A restart may make the client hear of the same end again, never of another one.
            let first = ended.first().unwrap_or_else(|| panic!("{text} never ended"));
            assert!(ended.iter().all(|end| end == first), "{text} ended as {ended:?}");
            assert_eq!(first.as_ref().ok(), self.node.id_of(text).as_ref(), "{text} is in the timeline as confirmed");
        }
        for to in 1..4 {
            let numbers =
                self.node.chat(to).into_iter().map(|text| text.split_once('-').unwrap().1.parse::<u64>().unwrap());
            assert!(numbers.is_sorted_by(|a, b| a < b), "chat {to} is out of order");
        }
        for incoming in self.node.incoming_ids() {
            assert!(self.seen.contains(&incoming), "{incoming} never came");
        }
    }
}

fn core_of(state: &State) -> Core {
    Core::new(UserId(id(ME)), DeviceId(id(DEVICE)), state)
}
