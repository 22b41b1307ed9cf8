//! A device that keeps the rules of `docs/protocol.md`: stores what must be stored, confirms, retries.
//!
//! Bodies are JSON values whatever the encoding, so that tests read as the document does. What it has
//! heard in this session is kept in [`Device::heard`]; what it holds in [`Device::held`], by chat and id.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use volery_wire::codec::{Encoding, decode_reply, decode_request, encode_reply, encode_request};
use volery_wire::op::ServerOp;

use super::http;
use super::server::Addresses;
use super::socket::{Came, Socket};
use super::{NEVER, now};

mod reading;

/// A frame from the node.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) op: ServerOp,
    pub(crate) n: u64,
    pub(crate) body: Value,
}

impl Heard {
    /// An id or source of its body.
    pub(crate) fn number(&self, field: &str) -> u64 {
        number(&self.body[field])
    }

    /// The code of an `error`.
    pub(crate) fn code(&self) -> &str {
        assert_eq!(self.op, ServerOp::Error, "not an error: {self:?}");
        self.body["code"].as_str().expect("a code")
    }

    fn is_event(&self) -> bool {
        use ServerOp::{Answer, Changed, Marked, Message};
        matches!(self.op, Message | Changed | Marked | Answer)
    }
}

/// A 64-bit number, as JSON carries it.
pub(crate) fn number(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no number: {value}"))
}

/// A send that is neither acknowledged nor refused for good.
#[derive(Clone, Debug)]
pub(crate) struct Unconfirmed {
    pub(crate) to: u64,
    pub(crate) text: String,
    /// Its key.
    session: u64,
    number: u32,
    /// The request that it left with, in the session that is open.
    request: Option<u64>,
}

impl Unconfirmed {
    /// Whether it has left in the session that is open.
    pub(crate) fn is_under_way(&self) -> bool {
        self.request.is_some()
    }
}

/// How a send was confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    Acked,
    /// A retry was answered with an id from before this session.
    Existed,
    /// A retry was answered with a new id.
    New,
}

/// See the module.
pub(crate) struct Device {
    addresses: Arc<Mutex<Addresses>>,
    pub(crate) encoding: Encoding,
    pub(crate) user: u64,
    pub(crate) device: u64,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
    /// The number of the session that is open, or was last.
    pub(crate) session: u64,
    pub(crate) largest: u64,
    pub(crate) position: Option<Value>,
    socket: Option<Socket>,
    requests: u64,
    number: u32,
    welcomed: Instant,
    pub(crate) heard: Vec<Heard>,
    newest_event: u64,
    confirmed_event: u64,
    /// Whether it says `received` by itself.
    pub(crate) confirms: bool,
    pub(crate) held: BTreeMap<String, BTreeMap<u64, Value>>,
    pub(crate) unconfirmed: Vec<Unconfirmed>,
    /// Text, id and how, of every send that was confirmed.
    pub(crate) confirmed: Vec<(String, u64, Confirmed)>,
}

impl Device {
    pub(crate) fn new(addresses: Arc<Mutex<Addresses>>, tokens: &Value) -> Self {
        let text = |field: &str| tokens[field].as_str().expect("a text").to_owned();
        Self {
            addresses,
            encoding: Encoding::MessagePack,
            user: number(&tokens["user"]),
            device: number(&tokens["device"]),
            token: text("access_token"),
            refresh_token: text("refresh_token"),
            session: 0,
            largest: 0,
            position: None,
            socket: None,
            requests: 0,
            number: 0,
            welcomed: now(),
            heard: Vec::new(),
            newest_event: 0,
            confirmed_event: 0,
            confirms: true,
            held: BTreeMap::new(),
            unconfirmed: Vec::new(),
            confirmed: Vec::new(),
        }
    }

    /// The same device, connected anew and synced, with JSON in place of MessagePack.
    pub(crate) fn in_json(mut self) -> Self {
        self.encoding = Encoding::Json;
        self.connect();
        self.sync();
        self
    }

    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses.lock().expect("unpoisoned").clone()
    }

    // ----- connecting -----

    /// Opens a socket without a hello; an error if the server is not there.
    pub(crate) fn open(&self) -> std::io::Result<Socket> {
        Socket::open(&self.addresses().door, self.encoding)
    }

    /// The body of this device's hello.
    pub(crate) fn hello(&self) -> Value {
        let mut hello = json!({
            "token": self.token, "device": self.device.to_string(),
            "previous_session": self.session.to_string(), "largest_id": self.largest.to_string(),
        });
        if let Some(position) = &self.position {
            hello["resume"] = position.clone();
        }
        hello
    }

    /// Connects, says hello and is welcomed.
    pub(crate) fn connect(&mut self) {
        let welcome = self.greet();
        assert_eq!(welcome.op, ServerOp::Welcome, "{welcome:?}");
    }

    /// Connects and says hello; the answer.
    pub(crate) fn greet(&mut self) -> Heard {
        let socket = self.open().expect("the door is open");
        self.begin(socket).expect("an answer to hello")
    }

    /// Connects when the server is there; false if it is not (yet).
    pub(crate) fn try_connect(&mut self) -> bool {
        let Ok(socket) = self.open() else { return false };
        self.begin(socket).is_some_and(|answer| answer.op == ServerOp::Welcome)
    }

    fn begin(&mut self, socket: Socket) -> Option<Heard> {
        self.drop_socket();
        self.socket = Some(socket);
        (self.heard, self.requests, self.number) = (Vec::new(), 0, 0);
        (self.newest_event, self.confirmed_event) = (0, 0);
        let request = self.ask("hello", self.hello());
        let answer = self.find(NEVER, |heard| heard.n == request && !heard.is_event())?;
        if answer.op == ServerOp::Welcome {
            (self.session, self.welcomed) = (answer.number("session"), now());
        }
        Some(answer)
    }

    /// Leaves the socket as a crash does; retries begin anew.
    pub(crate) fn drop_socket(&mut self) {
        if let Some(socket) = self.socket.take() {
            socket.cut();
        }
        self.unconfirmed.iter_mut().for_each(|send| send.request = None);
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// The socket itself, for what no client should say.
    pub(crate) fn socket(&mut self) -> &mut Socket {
        self.socket.as_mut().expect("connected")
    }

    /// The close that ends this session.
    pub(crate) fn closed(&mut self) -> (u16, String) {
        let mut socket = self.socket.take().expect("connected");
        socket.closed()
    }

    // ----- saying -----

    /// Sends a request; answers its id. A send tells when it is said, unless `body` does.
    pub(crate) fn ask(&mut self, operation: &str, mut body: Value) -> u64 {
        self.requests += 1;
        let request = self.requests;
        if ["send", "edit", "delete", "react", "unreact"].contains(&operation) && body["since_welcome"].is_null() {
            body["since_welcome"] = json!(now().duration_since(self.welcomed).as_millis() as u64);
        }
        let bytes = self.encode(operation, request, body);
        self.socket().send(&bytes);
        request
    }

    /// A frame's bytes in this device's encoding.
    pub(crate) fn encode(&self, operation: &str, request: u64, body: Value) -> Vec<u8> {
        let frame = json!([operation, request, body]).to_string();
        let (request, decoded) = decode_request(Encoding::Json, frame.as_bytes()).expect("a request");
        encode_request(self.encoding, request, &decoded)
    }

    /// Asks and waits for the answer.
    pub(crate) fn call(&mut self, operation: &str, body: Value) -> Heard {
        let request = self.ask(operation, body);
        self.answer(request)
    }

    /// The answer to a request.
    pub(crate) fn answer(&mut self, request: u64) -> Heard {
        self.wait(&format!("the answer to request {request}"), |heard| heard.n == request && !heard.is_event())
    }

    /// The number for the next send.
    pub(crate) fn next_number(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    /// Sends a text without waiting for anything.
    pub(crate) fn send(&mut self, to: u64, text: &str) -> u64 {
        let (session, number) = (self.session, self.next_number());
        self.unconfirmed.push(Unconfirmed { to, text: text.to_owned(), session, number, request: None });
        let request = self.ask("send", json!({"to": to.to_string(), "number": number, "text": text}));
        if let Some(send) = self.unconfirmed.last_mut() {
            send.request = Some(request);
        }
        request
    }

    /// Sends a text and waits for its acknowledgement; its id and source.
    pub(crate) fn say(&mut self, to: u64, text: &str) -> (u64, u64) {
        let request = self.send(to, text);
        let ack = self.answer(request);
        assert_eq!(ack.op, ServerOp::Ack, "{ack:?}");
        (ack.number("id"), ack.number("source"))
    }

    /// Sends the oldest unconfirmed send of an earlier session again, unless that is under way. One at a
    /// time, as is right for one chat. True while there is one.
    pub(crate) fn retry(&mut self) -> bool {
        let session = self.session;
        let Some(index) = self.unconfirmed.iter().position(|send| send.session != session) else { return false };
        if self.unconfirmed[index].request.is_none() {
            let Unconfirmed { to, text, session, number, .. } = self.unconfirmed[index].clone();
            let body = json!({
                "to": to.to_string(), "number": number, "retry_of": session.to_string(), "text": text,
            });
            self.unconfirmed[index].request = Some(self.ask("send", body));
        }
        true
    }

    /// Confirms everything that came.
    pub(crate) fn confirm(&mut self) {
        self.confirmed_event = self.newest_event;
        let n = self.newest_event;
        self.ask("received", json!({"n": n}));
    }

    // ----- hearing -----

    /// The first frame of this session, heard already or to come, for which `is` holds.
    pub(crate) fn wait(&mut self, what: &str, is: impl Fn(&Heard) -> bool) -> Heard {
        self.find(NEVER, is).unwrap_or_else(|| panic!("{what}: not within {NEVER:?}, or the socket ended: {self}"))
    }

    /// Waits until something holds of this device.
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = now() + NEVER;
        while !holds(self) {
            assert!(self.pump(deadline), "{what}: not within {NEVER:?}, or the socket ended: {self}");
        }
    }

    fn find(&mut self, within: Duration, is: impl Fn(&Heard) -> bool) -> Option<Heard> {
        let deadline = now() + within;
        let mut looked = 0;
        loop {
            if let Some(heard) = self.heard[looked..].iter().find(|heard| is(heard)) {
                return Some(heard.clone());
            }
            looked = self.heard.len();
            if !self.pump(deadline) {
                return None;
            }
        }
    }

    /// Hears everything that comes until the answer to a ping: nothing that was due is outstanding.
    pub(crate) fn settle(&mut self) {
        self.call("ping", json!({}));
    }

    /// Hears one frame. False if there was none by the deadline, or the socket has ended.
    pub(crate) fn pump(&mut self, deadline: Instant) -> bool {
        let Some(socket) = &mut self.socket else { return false };
        match socket.next(deadline) {
            Came::Frame(frame) => {
                self.hear(&frame);
                true
            }
            Came::Nothing => false,
            Came::Closed(..) | Came::Ended => {
                self.drop_socket();
                false
            }
        }
    }

    fn hear(&mut self, frame: &[u8]) {
        let (n, reply) = decode_reply(self.encoding, frame).expect("a frame").expect("an operation of this version");
        let (op, body) = encode_reply(Encoding::Json, &reply);
        let heard = Heard { op, n, body: serde_json::from_slice(&body).expect("JSON") };
        self.apply(&heard);
        if heard.is_event() {
            assert!(n > self.newest_event, "event numbers rise: {n} after {}", self.newest_event);
            self.newest_event = n;
            if self.confirms && n >= self.confirmed_event + 16 {
                self.confirm();
            }
        }
        self.heard.push(heard);
    }

    fn apply(&mut self, heard: &Heard) {
        match heard.op {
            ServerOp::Message => self.hold(&heard.body),
            ServerOp::Page => heard.body["messages"].as_array().into_iter().flatten().for_each(|m| self.hold(m)),
            ServerOp::Ack => self.acked(heard),
            ServerOp::Answer => self.answered(heard),
            _ => {}
        }
        let at_reset = heard.op == ServerOp::Reset;
        if let Some(position) = heard.body.get("position").filter(|_| !at_reset) {
            self.position = Some(position.clone());
        }
    }

    fn hold(&mut self, message: &Value) {
        let id = number(&message["id"]);
        self.largest = self.largest.max(id);
        let chat = message["chat"].as_str().expect("a chat").to_owned();
        let mut message = message.clone();
        if let Some(fields) = message.as_object_mut() {
            fields.remove("position");
        }
        self.held.entry(chat).or_default().insert(id, message);
    }

    fn acked(&mut self, heard: &Heard) {
        let (session, n) = (self.session, heard.body["number"].as_u64());
        let found =
            self.unconfirmed.iter().position(|send| send.session == session && Some(u64::from(send.number)) == n);
        if let Some(index) = found {
            self.confirm_send(index, heard, Confirmed::Acked);
        }
    }

    fn answered(&mut self, heard: &Heard) {
        let key = (heard.number("session"), heard.body["number"].as_u64());
        let found = self.unconfirmed.iter().position(|send| (send.session, Some(u64::from(send.number))) == key);
        if let Some(index) = found.filter(|_| heard.body.get("error").is_none()) {
            let how = if heard.number("id") < self.session { Confirmed::Existed } else { Confirmed::New };
            self.confirm_send(index, heard, how);
        }
    }

    fn confirm_send(&mut self, index: usize, heard: &Heard, how: Confirmed) {
        let send = self.unconfirmed.remove(index);
        let id = heard.number("id");
        let message = json!({
            "chat": self.chat_with(send.to), "id": heard.body["id"], "from": self.user.to_string(),
            "source": heard.body["source"], "text": send.text,
        });
        self.hold(&message);
        self.confirmed.push((send.text, id, how));
    }
}

/// What a message says.
pub(crate) fn text_of(message: &Value) -> &str {
    message["text"].as_str().expect("a text")
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, device, session, heard, unconfirmed, .. } = self;
        let newest: Vec<_> = heard.iter().rev().take(5).collect();
        write!(
            f,
            "user {user}, device {device}, session {session}, {} unconfirmed, newest first: {newest:?}",
            unconfirmed.len()
        )
    }
}
