//! One session by hand, made to be cheap, for measurements that do what no good client does: stop
//! reading, resume from any position, be cut without a word. It confirms what it gets, resumes after
//! a `reset`, and hands everything else to its caller. It keeps no messages and retries nothing:
//! what it sends must not be counted as a promise.
//!
//! Frames written between two turns leave together, in one system call.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::task::Poll;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::Instant;
use volery_door::address::Address;
use volery_door::frame::Kind;
use volery_door::handshake::client::Offer;
use volery_door::listener::connect;
use volery_door::outbound::Written;
use volery_door::socket::{Heard, Limits, Socket};
use volery_door::stream::Stream;
use volery_kernel::id::{Id, SessionNumber, UserId};
use volery_tls::Trust;
use volery_wire::client::{Hello, Received, Request, Resume, Send};
use volery_wire::codec::{Encoding, decode_reply, encode_request};
use volery_wire::field::Blob;
use volery_wire::server::{At, Reply};

use crate::account::Account;
use crate::clock;
use crate::failure::Failure;
use crate::gateways::source_of;

const ENCODING: Encoding = Encoding::MessagePack;
/// Events are confirmed after so many, or so many bytes, or this long.
const CONFIRM_FRAMES: u64 = 16;
const CONFIRM_BYTES: usize = 16 * 1_024;
const CONFIRM_NANOS: u64 = 1_000_000_000;
const LIMITS: Limits = Limits { message: 2 << 20, queue: 2 << 20 };
/// As long as the Rust client waits for a node.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// A session is synced within this.
const SYNCED_WITHIN: Duration = Duration::from_secs(30);

/// How a session begins.
#[derive(Clone, Debug, Default)]
pub struct Open {
    /// Size of the socket's receive buffer in bytes, as the kernel is asked for; its default if `None`.
    pub receive_buffer: Option<u32>,
    /// The device's session before this one: [`Link::session`] of it.
    pub previous: Option<SessionNumber>,
    /// The largest id that the device has seen; 0 for none.
    pub largest_id: Id,
    /// The position that the device has stored: [`Link::position`].
    pub resume: Option<Blob>,
}

/// An open session. Dropping it breaks the connection without a close frame.
#[derive(Debug)]
pub struct Link {
    socket: Socket,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    requests: u64,
    sends: u32,
    /// Number of the last event, and what is not confirmed yet.
    event: u64,
    confirmed: u64,
    bytes: usize,
    since: u64,
    synced: bool,
    welcomed: u64,
    session: Option<SessionNumber>,
    position: Option<Blob>,
    largest_id: Id,
    out: Vec<Vec<u8>>,
    failed: Option<String>,
}

impl Link {
    /// Connects from the address of user `number` ([`source_of`]), says hello as a new device and
    /// waits until it is synced.
    ///
    /// # Errors
    /// A sentence: refused, or not synced within 30 s.
    pub async fn open(account: &Account, number: usize) -> Result<Self, Failure> {
        Self::open_as(account, number, &Open::default()).await
    }

    /// The same for a device that says where it was, or that has little room.
    ///
    /// # Errors
    /// As [`Link::open`].
    pub async fn open_as(account: &Account, number: usize, open: &Open) -> Result<Self, Failure> {
        let mut link = Self::greet(account, number, open).await?;
        while !link.state.synced {
            let turn = tokio::time::timeout(SYNCED_WITHIN, link.turn(&mut |_| {})).await;
            turn.map_err(|_| Failure(format!("user {number} was not synced in time")))??;
        }
        Ok(link)
    }

    /// Connects and asks for a session, and waits for no answer: the caller takes [`Link::turn`]s
    /// until [`Link::is_synced`], as it likes.
    ///
    /// # Errors
    /// A sentence: no connection, or no handshake within 10 s.
    pub async fn greet(account: &Account, number: usize, open: &Open) -> Result<Self, Failure> {
        let socket = connect_from(source_of(number), &account.node, &account.trust, open.receive_buffer).await?;
        let mut link = Self { socket, state: State::default() };
        link.state.ask(&Request::Hello(Hello {
            token: account.access_token.as_str().into(),
            device: account.device,
            previous_session: open.previous.unwrap_or(SessionNumber(Id::ZERO)),
            largest_id: open.largest_id,
            resume: open.resume.clone(),
        }));
        link.flush()?;
        Ok(link)
    }

    /// Whether `synced` came since the beginning or the last `gap`.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.state.synced
    }

    /// The session's number, once it is welcome.
    #[must_use]
    pub fn session(&self) -> Option<SessionNumber> {
        self.state.session
    }

    /// The newest position that came: where a device which stored it goes on ([`Open::resume`]).
    #[must_use]
    pub fn position(&self) -> Option<&Blob> {
        self.state.position.as_ref()
    }

    /// The largest id seen ([`Open::largest_id`]).
    #[must_use]
    pub fn largest_id(&self) -> Id {
        self.state.largest_id
    }

    /// Sends a message with the next [`Link::turn`] or [`Link::flush`]; its number is the answer.
    pub fn send(&mut self, to: UserId, text: &str) -> u32 {
        self.state.sends += 1;
        let number = self.state.sends;
        self.state.ask(&Request::Send(Send {
            to,
            number,
            since_welcome: clock::since(self.state.welcomed).as_millis() as u64,
            retry_of: None,
            shown: None,
            text: text.into(),
            reply_to: None,
        }));
        number
    }

    /// Asks anything else.
    pub fn ask(&mut self, request: &Request<'_>) {
        self.state.ask(request);
    }

    /// Confirms what has come, due or not: a session that falls silent leaves nothing open.
    pub fn confirm(&mut self) {
        let n = self.state.event;
        (self.state.confirmed, self.state.bytes) = (n, 0);
        self.state.ask(&Request::Received(Received { n }));
    }

    /// Writes what was asked, without waiting for anything.
    ///
    /// # Errors
    /// The connection is gone, or the server does not read.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.state.write(&mut self.socket)
    }

    /// Writes what was asked, waits until something comes, and shows all of it.
    ///
    /// # Errors
    /// The connection is gone, or the server said `error`.
    pub async fn turn(&mut self, see: &mut dyn FnMut(&Reply<'_>)) -> Result<(), Failure> {
        let Self { socket, state } = self;
        poll_fn(|cx| {
            if let Err(failure) = state.write(socket) {
                return Poll::Ready(Err(failure));
            }
            let mut heard_any = false;
            let read = socket.poll_read(cx, &mut |heard, _| {
                if let Heard::Message(message) = heard {
                    heard_any = true;
                    state.hear(&message.data, see);
                }
                ControlFlow::Continue(())
            });
            if let Some(failed) = state.failed.take() {
                return Poll::Ready(Err(Failure(failed)));
            }
            if let Poll::Ready(Err(gone)) = read {
                return Poll::Ready(Err(gone.into()));
            }
            if heard_any {
                return Poll::Ready(Ok(()));
            }
            match socket.poll_flush(cx) {
                Poll::Ready(Err(gone)) => Poll::Ready(Err(gone.into())),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

impl State {
    fn ask(&mut self, request: &Request<'_>) {
        self.requests += 1;
        self.out.push(encode_request(ENCODING, self.requests, request));
    }

    fn write(&mut self, socket: &mut Socket) -> Result<(), Failure> {
        if self.out.is_empty() {
            return Ok(());
        }
        socket.cork();
        for frame in self.out.drain(..) {
            if socket.write(Kind::Binary, &[&frame])? == Written::Full {
                return Err(Failure("the server does not read".to_owned()));
            }
        }
        socket.uncork()?;
        Ok(())
    }

    fn hear(&mut self, frame: &[u8], see: &mut dyn FnMut(&Reply<'_>)) {
        let (number, reply) = match decode_reply(ENCODING, frame) {
            Ok(Some(read)) => read,
            Ok(None) => return,
            Err(malformed) => return self.failed = Some(malformed.to_string()),
        };
        match &reply {
            Reply::Welcome(welcome) => (self.session, self.welcomed) = (Some(welcome.session), clock::nanos()),
            Reply::Reset(At { position: Some(position) }) => {
                self.ask(&Request::Resume(Resume { position: position.clone() }));
            }
            Reply::Synced(at) => {
                self.synced = true;
                self.at(at.position.as_ref(), Id::ZERO);
            }
            Reply::Gap => self.synced = false,
            Reply::Error(error) => self.failed = Some(format!("{}: {}", error.code, error.message)),
            Reply::Ack(ack) => self.largest_id = self.largest_id.max(ack.id),
            Reply::Message(message) => self.at(message.position.as_ref(), message.id),
            Reply::Changed(changed) => self.at(changed.position.as_ref(), changed.change),
            Reply::Marked(marked) => self.at(marked.position.as_ref(), marked.id),
            _ => {}
        }
        if matches!(reply, Reply::Message(_) | Reply::Changed(_) | Reply::Marked(_) | Reply::Answer(_)) {
            self.confirm(number, frame.len());
        }
        see(&reply);
    }

    fn at(&mut self, position: Option<&Blob>, id: Id) {
        self.largest_id = self.largest_id.max(id);
        if position.is_some() {
            self.position = position.cloned();
        }
    }

    fn confirm(&mut self, number: u64, bytes: usize) {
        if self.event == self.confirmed {
            self.since = clock::nanos();
        }
        self.event = number;
        self.bytes += bytes;
        let due = number - self.confirmed >= CONFIRM_FRAMES
            || self.bytes >= CONFIRM_BYTES
            || clock::nanos() - self.since >= CONFIRM_NANOS;
        if due {
            (self.confirmed, self.bytes) = (number, 0);
            self.ask(&Request::Received(Received { n: number }));
        }
    }
}

/// A socket to the node at `ws://host:port/…`, or `wss://…` where `trust` believes it, from `source` if that is on
/// this machine; `receive_buffer` in bytes if not the kernel's default.
///
/// # Errors
/// A sentence: no connection, or no handshake within 10 s.
pub async fn connect_from(
    source: IpAddr,
    node: &str,
    trust: &Trust,
    receive_buffer: Option<u32>,
) -> Result<Socket, Failure> {
    let address: Address = node.parse()?;
    let deadline = Instant::now() + OPEN_WITHIN;
    let reached = async {
        let tcp = reach(source, &address, receive_buffer).await?;
        match address.secured {
            true => Ok(Stream::connected(tcp, address.name()?, trust.config()?).await?),
            false => Ok::<_, Failure>(tcp.into()),
        }
    };
    let stream = tokio::time::timeout_at(deadline, reached).await;
    let stream = stream.map_err(|_| Failure(format!("no connection to {} in time", address.authority)))??;
    let mut random: StdRng = rand::make_rng();
    let mut nonce = [0; 16];
    random.fill_bytes(&mut nonce);
    // A key per frame from four bytes of state: masking hides nothing here, it only has to be done.
    let mut key = random.next_u32();
    let keys = Box::new(move || {
        key = key.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        key.to_be_bytes()
    });
    Ok(connect(stream, &address.authority, &Offer::new(ENCODING, nonce), keys, LIMITS, deadline).await?)
}

/// The first address of the name at which somebody answers.
async fn reach(source: IpAddr, to: &Address, receive_buffer: Option<u32>) -> Result<TcpStream, Failure> {
    let mut reached = Err(Failure(format!("{} has no address", to.host)));
    for at in lookup_host((to.host.as_str(), to.port)).await? {
        reached = socket(source, at, receive_buffer)?.connect(at).await.map_err(Failure::from);
        if reached.is_ok() {
            break;
        }
    }
    reached
}

fn socket(source: IpAddr, to: SocketAddr, receive_buffer: Option<u32>) -> Result<TcpSocket, Failure> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if to.is_ipv4() && to.ip().is_loopback() {
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(source, 0))?;
    }
    Ok(socket)
}
