//! A socket that asks one thing at a time and times the answer, up to the moment when its last byte is
//! here: what a client makes of it afterwards is not the server's.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::task::Poll;
use std::time::Duration;

use loadtest::account::Account;
use loadtest::clock;
use loadtest::failure::Failure;
use loadtest::gateways::source_of;
use loadtest::link::connect_from;
use volery_door::frame::Kind;
use volery_door::socket::{Heard, Socket};
use volery_kernel::id::{Id, SessionNumber};
use volery_tls::Trust;
use volery_wire::client::{Hello, Request};
use volery_wire::codec::{Encoding, encode_request};
use volery_wire::op::ServerOp;

/// What all of them speak.
pub const ENCODING: Encoding = Encoding::MessagePack;
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct Asker {
    socket: Socket,
    requests: u64,
}

impl Asker {
    /// Connects to `ws://…` from the address of user `number`.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn connect(node: &str, number: usize) -> Result<Self, Failure> {
        Ok(Self { socket: connect_from(source_of(number), node, &Trust::machine(), None).await?, requests: 0 })
    }

    /// Connects to a server and opens a session, which is not synced: pages are had without.
    ///
    /// # Errors
    /// No connection, or no welcome.
    pub async fn greet(account: &Account, number: usize) -> Result<Self, Failure> {
        let mut asker = Self::connect(&account.node, number).await?;
        let hello = Request::Hello(Hello {
            token: account.access_token.as_str().into(),
            device: account.device,
            previous_session: SessionNumber(Id::ZERO),
            largest_id: Id::ZERO,
            resume: None,
        });
        asker.request(&hello, ServerOp::Welcome).await?;
        Ok(asker)
    }

    /// Asks and waits for the answer of this kind; whatever else comes is passed over.
    ///
    /// # Errors
    /// The connection is gone, or no such answer came within 10 s.
    pub async fn request(&mut self, request: &Request<'_>, answer: ServerOp) -> Result<(Duration, Vec<u8>), Failure> {
        self.requests += 1;
        let frame = encode_request(ENCODING, self.requests, request);
        // An array of three, then the operation.
        self.exchange(&frame, |said| said.get(1) == Some(&answer.number())).await
    }

    /// Writes a frame and waits for one that `is_answer`.
    ///
    /// # Errors
    /// As [`Asker::request`].
    pub async fn exchange(
        &mut self,
        frame: &[u8],
        is_answer: impl Fn(&[u8]) -> bool,
    ) -> Result<(Duration, Vec<u8>), Failure> {
        let asked = clock::nanos();
        self.socket.write(Kind::Binary, &[frame])?;
        let heard = tokio::time::timeout(PATIENCE, self.hear(asked, &is_answer)).await;
        heard.map_err(|_| Failure("a question was not answered in time".to_owned()))?
    }

    async fn hear(&mut self, asked: u64, is_answer: &impl Fn(&[u8]) -> bool) -> Result<(Duration, Vec<u8>), Failure> {
        poll_fn(|cx| {
            let mut answer = None;
            let read = self.socket.poll_read(cx, &mut |heard, _| match heard {
                Heard::Message(message) if is_answer(&message.data) => {
                    answer = Some((clock::since(asked), message.data.into_owned()));
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            });
            match (answer, read) {
                (Some(answer), _) => Poll::Ready(Ok(answer)),
                (None, Poll::Ready(Err(gone))) => Poll::Ready(Err(gone.into())),
                (None, _) => Poll::Pending,
            }
        })
        .await
    }
}
