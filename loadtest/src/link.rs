//! One session as a client sees it, made to be cheap: it confirms what it gets, resumes after a
//! `reset`, and hands everything else to its scenario. It keeps no messages.
//!
//! Frames written between two turns leave together, in one system call.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::task::Poll;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::net::TcpSocket;
use tokio::time::Instant;
use volery_door::frame::Kind;
use volery_door::handshake::client::Offer;
use volery_door::listener::connect;
use volery_door::outbound::Written;
use volery_door::socket::{Heard, Limits, Socket};
use volery_kernel::id::{Id, SessionNumber, UserId};
use volery_wire::client::{Hello, Received, Request, Resume, Send};
use volery_wire::codec::{Encoding, decode_reply, encode_request};
use volery_wire::server::{At, Reply};

use crate::account::{Account, source_of};
use crate::clock;
use crate::failure::Failure;

const ENCODING: Encoding = Encoding::MessagePack;
/// Events are confirmed after so many, or so many bytes, or this long.
const CONFIRM_FRAMES: u64 = 16;
const CONFIRM_BYTES: usize = 16 * 1_024;
const CONFIRM_NANOS: u64 = 1_000_000_000;
const LIMITS: Limits = Limits { message: 2 << 20, queue: 2 << 20 };
const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// An open session.
pub(crate) struct Link {
    socket: Socket,
    state: State,
}

#[derive(Default)]
struct State {
    requests: u64,
    sends: u32,
    /// Number of the last event, and what is not confirmed yet.
    event: u64,
    confirmed: u64,
    bytes: usize,
    since: u64,
    synced: bool,
    out: Vec<Vec<u8>>,
    failed: Option<String>,
}

impl Link {
    /// Connects from the address of user `number`, says hello and waits until it is synced.
    pub(crate) async fn open(account: &Account, number: usize) -> Result<Self, Failure> {
        let host = account.node.trim_start_matches("ws://").split('/').next().unwrap_or_default().to_owned();
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(source_of(number), 0))?;
        let stream = socket.connect(host.parse()?).await?;
        let mut random: StdRng = rand::make_rng();
        let mut nonce = [0; 16];
        random.fill_bytes(&mut nonce);
        // A key per frame from four bytes of state: masking hides nothing here, it only has to be done.
        let mut key = random.next_u32();
        let keys = Box::new(move || {
            key = key.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            key.to_be_bytes()
        });
        let offer = Offer::new(ENCODING, nonce);
        let deadline = Instant::now() + OPEN_WITHIN;
        let socket = connect(stream, &host, &offer, keys, LIMITS, deadline).await?;
        let mut link = Self { socket, state: State::default() };
        link.hello(account);
        while !link.state.synced {
            let turn = tokio::time::timeout(OPEN_WITHIN, link.turn(&mut |_| {})).await;
            turn.map_err(|_| Failure(format!("user {number} was not synced in time")))??;
        }
        Ok(link)
    }

    fn hello(&mut self, account: &Account) {
        self.state.ask(&Request::Hello(Hello {
            token: account.access_token.as_str().into(),
            device: account.device,
            previous_session: SessionNumber(Id::ZERO),
            largest_id: Id::ZERO,
            resume: None,
        }));
    }

    /// Sends a message; its number is the answer.
    pub(crate) fn send(&mut self, to: UserId, text: &str) -> u32 {
        self.state.sends += 1;
        let number = self.state.sends;
        self.state.ask(&Request::Send(Send {
            to,
            number,
            retry_of: None,
            shown: None,
            text: text.into(),
            reply_to: None,
        }));
        number
    }

    /// Asks anything else.
    pub(crate) fn ask(&mut self, request: &Request<'_>) {
        self.state.ask(request);
    }

    /// Confirms what has come, due or not: a session that falls silent leaves nothing open.
    pub(crate) fn confirm(&mut self) {
        let n = self.state.event;
        (self.state.confirmed, self.state.bytes) = (n, 0);
        self.state.ask(&Request::Received(Received { n }));
    }

    /// Writes what was asked, without waiting for anything.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.state.write(&mut self.socket)
    }

    /// Writes what was asked, waits until something comes, and shows it.
    pub(crate) async fn turn(&mut self, see: &mut dyn FnMut(&Reply<'_>)) -> Result<(), Failure> {
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
            Reply::Reset(At { position: Some(position) }) => {
                self.ask(&Request::Resume(Resume { position: position.clone() }));
            }
            Reply::Synced(_) => self.synced = true,
            Reply::Error(error) => self.failed = Some(format!("{}: {}", error.code, error.message)),
            Reply::Message(_) | Reply::Changed(_) | Reply::Marked(_) | Reply::Answer(_) => {
                self.confirm(number, frame.len());
            }
            _ => {}
        }
        see(&reply);
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
