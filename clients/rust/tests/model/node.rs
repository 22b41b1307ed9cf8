//! The node as a device meets it: one stream, a timeline by send key, sessions one after another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use volery_kernel::chat::ChatId;
use volery_kernel::code::Code;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_wire::client::{Mark, Request, Send, Shown};
use volery_wire::field::Blob;
use volery_wire::server::{Ack, Answer, At, Chat, ChatList, Error, Key, Marked, Message, Page, Reply, Synced, Welcome};

use super::{DEVICE, ME, id};

type Named = (SessionNumber, u32);

#[derive(Default)]
pub(crate) struct Node {
    pub(crate) log_down: bool,
    pub(crate) refuse_next: bool,
    stream: Vec<Reply<'static>>,
    timeline: BTreeMap<Id, (u64, String)>,
    taken: BTreeMap<Named, Id>,
    incoming: Vec<Id>,
    last_id: u64,
    session: Option<Session>,
    answered: BTreeSet<Named>,
    refused: BTreeSet<String>,
    horizon: usize,
    on_pages: usize,
}

struct Session {
    number: SessionNumber,
    next: Option<usize>,
    events: u64,
    synced: bool,
    target: usize,
    newest_number: u32,
    retrying: Vec<(UserId, Named)>,
    poisoned: bool,
    confirmed: u64,
    pages_confirmed: bool,
}

impl Node {
    fn take_id(&mut self) -> Id {
        self.last_id += 10;
        id(self.last_id)
    }

    pub(crate) fn left(&mut self) {
        self.session = None;
    }

    pub(crate) fn hear(&mut self, request: u64, message: Request<'_>, down: &mut VecDeque<(u64, Reply<'static>)>) {
        match message {
            Request::Hello(hello) => {
                let number = SessionNumber(self.take_id());
                assert!(hello.previous_session < number);
                let position = hello.resume.map(|blob| usize::from_be_bytes(blob.0.try_into().unwrap()));
                let next = position.filter(|position| *position >= self.horizon);
                self.session = Some(Session {
                    number,
                    next,
                    events: 0,
                    synced: false,
                    target: self.stream.len(),
                    newest_number: 0,
                    retrying: Vec::new(),
                    poisoned: false,
                    confirmed: 0,
                    pages_confirmed: next.is_some(),
                });
                let welcome = Welcome {
                    user: UserId(id(ME)),
                    device: DeviceId(id(DEVICE)),
                    session: number,
                    now: 0,
                    window: 65_536,
                };
                down.push_back((request, Reply::Welcome(welcome)));
                if next.is_none() {
                    self.on_pages = self.incoming.len();
                    down.push_back((0, Reply::Reset(at(self.stream.len()))));
                }
            }
            Request::Send(send) => self.send(request, &send, down),
            Request::Resume(resume) => {
                let end = self.stream.len();
                if let Some(session) = &mut self.session {
                    session.next = Some(usize::from_be_bytes(resume.position.0.try_into().unwrap()));
                    session.target = end;
                }
            }
            Request::Received(received) => {
                let Some(session) = &mut self.session else { return };
                assert!(received.n <= session.events && received.n >= session.confirmed);
                session.pages_confirmed |= session.synced;
                session.confirmed = received.n;
            }
            Request::Ping => down.push_back((request, Reply::Pong(At::default()))),
            Request::Refresh(_) => down.push_back((request, Reply::Done)),
            Request::Chats(_) => down.push_back((request, Reply::ChatList(self.list()))),
            Request::History(history) => down.push_back((request, Reply::Page(self.page(history.chat)))),
            Request::Mark(mark) => {
                let reader = UserId(id(ME));
                let Mark { chat, kind, source, id } = mark;
                self.stream.push(Reply::Marked(Marked { chat, reader, kind, source, id, position: None }));
            }
            other => panic!("{other:?}"),
        }
    }

    fn send(&mut self, request: u64, send: &Send<'_>, down: &mut VecDeque<(u64, Reply<'static>)>) {
        let Some(session) = &mut self.session else { return };
        let mut refuse = |code: Code| down.push_back((request, Reply::Error(error(code, send.number))));
        session.poisoned |= self.log_down;
        if session.poisoned {
            return refuse(Code::LogUnavailable);
        }
        if let Some((_, named)) = session.retrying.iter().find(|(to, _)| *to == send.to) {
            // Only an answer to an earlier retry of the same send can make a device believe otherwise.
            assert!(self.answered.contains(named), "{send:?} before {named:?} is answered");
            session.poisoned = true;
            return refuse(Code::RetriesFirst);
        }
        // What is refused once is always refused.
        if std::mem::take(&mut self.refuse_next) && self.id_of(&send.text).is_none() {
            self.refused.insert(send.text.to_string());
        }
        let refused = self.refused.contains(&*send.text);
        let Some(session) = &mut self.session else { return };
        let Some(first) = send.retry_of else {
            assert!(send.number > session.newest_number, "numbers rise");
            session.newest_number = send.number;
            let named = (session.number, send.number);
            if refused {
                return refuse(Code::UnknownRecipient);
            }
            let id = self.accept(send, named);
            return down.push_back((request, Reply::Ack(Ack { number: send.number, id, source: Source(id.get()) })));
        };
        assert!(first < session.number);
        let named = (first, send.number);
        session.retrying.push((send.to, named));
        let id = (!refused).then(|| self.taken.get(&named).copied().unwrap_or_else(|| self.accept(send, named)));
        let error = refused.then(|| "refused".to_owned());
        let source = id.map(|id| Source(id.get()));
        self.answered.insert(named);
        self.stream.push(Reply::Answer(Answer {
            session: first,
            number: send.number,
            id,
            source,
            error,
            position: None,
        }));
    }

    fn accept(&mut self, send: &Send<'_>, named: Named) -> Id {
        let id = self.take_id();
        self.taken.insert(named, id);
        self.timeline.insert(id, (send.to.get(), send.text.to_string()));
        let key = Key { device: DeviceId(super::id(DEVICE)), session: named.0, number: named.1 };
        self.stream.push(Reply::Message(message(id, send.to.get(), ME, Some(key), &send.text)));
        id
    }

    fn list(&self) -> ChatList<'static> {
        let none = Shown { source: Source(0), id: Id::ZERO };
        let chats = (1..4).map(chat_with).filter_map(|chat| {
            let newest = self.page(chat).messages.pop();
            let (read, peer_delivered, peer_read, newest_incoming) = (none, none, none, Source(0));
            newest.is_some().then_some(Chat {
                chat,
                newest,
                unread: 0,
                read,
                delivered: None,
                peer_delivered,
                peer_read,
                newest_incoming,
            })
        });
        ChatList { chats: chats.collect(), next: None }
    }

    fn page(&self, chat: ChatId) -> Page<'static> {
        let messages = self.stream.iter().filter_map(|event| match event {
            Reply::Message(message) if message.chat == chat => Some(message.clone()),
            _ => None,
        });
        Page { chat, messages: messages.collect(), older: None, newer: None, covers: Source(0) }
    }

    pub(crate) fn incoming(&mut self) {
        let id = self.take_id();
        self.incoming.push(id);
        self.stream.push(Reply::Message(message(id, 1, 1, None, "hello")));
    }

    pub(crate) fn forget_positions(&mut self) {
        self.horizon = self.stream.len() + 1;
    }

    /// The window was full: everything from some time back comes again.
    pub(crate) fn gap(&mut self) {
        let end = self.stream.len();
        if let Some(session) = self.session.as_mut().filter(|session| session.synced) {
            session.synced = false;
            session.target = end;
            session.next = session.next.map(|next| next.saturating_sub(2));
        }
    }

    /// What the session is to be told now.
    pub(crate) fn collect(&mut self, down: &mut VecDeque<(u64, Reply<'static>)>) {
        let Some(session) = &mut self.session else { return };
        let Some(next) = &mut session.next else { return };
        while *next < self.stream.len() {
            let mut event = self.stream[*next].clone();
            *next += 1;
            let own = matches!(&event, Reply::Message(message) if message.key.is_some_and(|key| key.session == session.number));
            if let Reply::Answer(answer) = &event {
                session.retrying.retain(|(_, named)| *named != (answer.session, answer.number));
            }
            match &mut event {
                Reply::Message(message) => message.position = Some(blob(*next)),
                Reply::Answer(answer) => answer.position = Some(blob(*next)),
                Reply::Marked(marked) => marked.position = Some(blob(*next)),
                _ => {}
            }
            if !own || *next % 3 == 0 {
                session.events += 1;
                down.push_back((session.events, event));
            }
        }
        if !session.synced && *next >= session.target {
            session.synced = true;
            down.push_back((
                0,
                Reply::Synced(Synced { position: at(*next).position, below: Source(self.last_id).next() }),
            ));
        }
    }

    /// Whether what pages brought was confirmed after `synced`.
    pub(crate) fn pages_confirmed(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.pages_confirmed)
    }

    pub(crate) fn id_of(&self, text: &str) -> Option<Id> {
        self.timeline.iter().find(|(_, (_, held))| held == text).map(|(id, _)| *id)
    }

    pub(crate) fn chat(&self, to: u64) -> Vec<&str> {
        self.timeline.values().filter(|(held, _)| *held == to).map(|(_, text)| text.as_str()).collect()
    }

    pub(crate) fn incoming_ids(&self) -> impl Iterator<Item = Id> {
        self.incoming.iter().copied()
    }

    /// Those that pages hold up to the newest reset's position.
    pub(crate) fn incoming_on_pages(&self) -> impl Iterator<Item = Id> {
        self.incoming.iter().copied().take(self.on_pages)
    }
}

fn blob(position: usize) -> Blob {
    Blob(position.to_be_bytes().to_vec())
}

fn at(position: usize) -> At {
    At { position: Some(blob(position)) }
}

fn error(code: Code, number: u32) -> Error<'static> {
    Error {
        code: code.text().into(),
        message: code.meaning().into(),
        retryable: code.retryable(),
        field: None,
        number: Some(number),
    }
}

pub(crate) fn chat_with(peer: u64) -> ChatId {
    ChatId::direct(UserId(id(ME)), UserId(id(peer)))
}

fn message(id: Id, peer: u64, from: u64, key: Option<Key>, text: &str) -> Message<'static> {
    Message {
        chat: chat_with(peer),
        id,
        from: UserId(super::id(from)),
        source: Source(id.get()),
        text: text.to_owned().into(),
        reply_to: None,
        key,
        shown: None,
        edited: None,
        deleted: None,
        reactions: Vec::new(),
        position: None,
    }
}
