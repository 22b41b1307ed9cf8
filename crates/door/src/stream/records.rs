//! TLS as a function of bytes: sealed ones in, plain ones out, and the other way. No I/O.
//!
//! Bytes that are not used up stay with whoever brought them: a connection at rest holds its keys alone. Trap
//! avoided: rustls remembers where in them an unfinished word of the other side lies, and panics if it is asked
//! anything, sealing included, without them. So every question takes them along.

use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};
use rustls::{ClientConfig, Error, ServerConfig};

/// What sealing adds to a record of at most [`RECORD_BYTES`], and a little more.
const AROUND_RECORD: usize = 64;
/// Plain bytes of a full record.
const RECORD_BYTES: usize = 16_384;

/// One side of a connection.
pub(super) enum Records {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What became of sealed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    /// How many of them are done with; the rest is the beginning of a record.
    pub(super) used: usize,
    /// The peer will say nothing more.
    pub(super) ended: bool,
}

/// Where plain bytes go.
pub(super) type Plain<'a> = &'a mut dyn FnMut(&[u8]);

/// What is to be done once there are keys.
#[derive(Clone, Copy)]
pub(super) enum Task<'a> {
    /// Nothing beyond opening what came.
    Open,
    /// Append these bytes, sealed, to what is sent.
    Seal(&'a [u8]),
    /// Append the last word of this side.
    End,
}

/// What follows from one step.
enum Next {
    /// Another step, perhaps there is more.
    Again,
    /// The same, and the peer will say nothing more.
    Ended,
    /// Nothing before more bytes come.
    Wait,
    /// The task is done.
    Done,
}

impl Records {
    pub(super) fn server(config: Arc<ServerConfig>) -> Result<Self, Error> {
        UnbufferedServerConnection::new(config).map(Self::Server)
    }

    pub(super) fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, Error> {
        UnbufferedClientConnection::new(config, name).map(Self::Client)
    }

    /// Whether nothing can be said yet.
    pub(super) fn is_handshaking(&self) -> bool {
        match self {
            Self::Server(server) => server.is_handshaking(),
            Self::Client(client) => client.is_handshaking(),
        }
    }

    fn wants_write(&self) -> bool {
        match self {
            Self::Server(server) => server.wants_write(),
            Self::Client(client) => client.wants_write(),
        }
    }

    /// Opens what has come and was not used up, then does the task. What is to be sent is appended to `out`, in
    /// case of an error too: the peer is told why. An error is the end: nothing may be run after it.
    pub(super) fn run(
        &mut self,
        input: &mut [u8],
        task: Task<'_>,
        plain: Plain<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Opened, Error> {
        let mut opened = Opened { used: 0, ended: false };
        loop {
            let (used, next) = self.step(&mut input[opened.used..], task, plain, out);
            opened.used += used;
            match next {
                Ok(Next::Again) => {}
                Ok(Next::Ended) => opened.ended = true,
                Ok(Next::Wait) if !matches!(task, Task::Open) => return Err(Error::HandshakeNotComplete),
                Ok(Next::Wait | Next::Done) => return Ok(opened),
                Err(error) => {
                    // Why, for the peer, waits to be sent. Nothing but that may be asked any more.
                    while self.wants_write() && self.step(&mut input[opened.used..], Task::Open, plain, out).1.is_ok() {
                    }
                    return Err(error);
                }
            }
        }
    }

    fn step(
        &mut self,
        input: &mut [u8],
        task: Task<'_>,
        plain: Plain<'_>,
        out: &mut Vec<u8>,
    ) -> (usize, Result<Next, Error>) {
        match self {
            Self::Server(server) => step(server.process_tls_records(input), task, plain, out),
            Self::Client(client) => step(client.process_tls_records(input), task, plain, out),
        }
    }
}

/// How many bytes are used up, and what follows.
fn step<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    task: Task<'_>,
    plain: Plain<'_>,
    out: &mut Vec<u8>,
) -> (usize, Result<Next, Error>) {
    let UnbufferedStatus { discard: mut used, state } = status;
    let next = state.and_then(|state| match state {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                let record = record?;
                used += record.discard;
                plain(record.payload);
            }
            Ok(Next::Again)
        }
        ConnectionState::EncodeTlsData(mut data) => {
            append(out, RECORD_BYTES, |room| data.encode(room).map_err(too_small_to_encode)).map(|()| Next::Again)
        }
        // `out` is sent before anything that is sealed later.
        ConnectionState::TransmitTlsData(sent) => {
            sent.done();
            Ok(Next::Again)
        }
        ConnectionState::WriteTraffic(traffic) => carry_out(task, traffic, out).map(|()| Next::Done),
        ConnectionState::PeerClosed => Ok(Next::Ended),
        ConnectionState::BlockedHandshake | ConnectionState::Closed => Ok(Next::Wait),
        _ => Err(Error::General("a state that was not asked for".to_owned())),
    });
    (used, next)
}

fn carry_out<Data>(task: Task<'_>, mut traffic: WriteTraffic<'_, Data>, out: &mut Vec<u8>) -> Result<(), Error> {
    match task {
        Task::Open => Ok(()),
        Task::Seal(bytes) => {
            let around = AROUND_RECORD * (bytes.len() / RECORD_BYTES + 1);
            append(out, bytes.len() + around, |room| traffic.encrypt(bytes, room).map_err(too_small_to_seal))
        }
        Task::End => append(out, AROUND_RECORD, |room| traffic.queue_close_notify(room).map_err(too_small_to_seal)),
    }
}

/// Appends what `write` puts into a room of about `guess` bytes; it says how many it needs if they are too few.
fn append(
    out: &mut Vec<u8>,
    guess: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> Result<(), Error> {
    let (begin, mut room) = (out.len(), guess);
    loop {
        out.resize(begin + room, 0);
        match write(&mut out[begin..]) {
            Ok(written) => {
                out.truncate(begin + written);
                return Ok(());
            }
            Err(Some(InsufficientSizeError { required_size })) if required_size > room => room = required_size,
            Err(_) => {
                out.truncate(begin);
                return Err(Error::EncryptError);
            }
        }
    }
}

fn too_small_to_encode(error: EncodeError) -> Option<InsufficientSizeError> {
    match error {
        EncodeError::InsufficientSize(size) => Some(size),
        EncodeError::AlreadyEncoded => None,
    }
}

fn too_small_to_seal(error: EncryptError) -> Option<InsufficientSizeError> {
    match error {
        EncryptError::InsufficientSize(size) => Some(size),
        EncryptError::EncryptExhausted => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rcgen::{CertificateParams, KeyPair};
    use rustls::crypto::ring;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::server::ServerSessionMemoryCache;
    use rustls::{RootCertStore, ServerConnection};

    use super::*;

    /// A client that believes a server whose words come in many small records, tickets at the end of its handshake.
    fn pair() -> (Records, ServerConnection) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["volery.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let client = client.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let server = server.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], secret);
        let mut server = server.unwrap();
        server.max_fragment_size = Some(40);
        server.session_storage = ServerSessionMemoryCache::new(8);
        let name = ServerName::try_from("volery.test").unwrap();
        let client = Records::client(Arc::new(client.with_no_client_auth()), name).unwrap();
        (client, ServerConnection::new(Arc::new(server)).unwrap())
    }

    fn hear(server: &mut ServerConnection, mut sealed: &[u8]) {
        while !sealed.is_empty() {
            server.read_tls(&mut sealed).unwrap();
            server.process_new_packets().unwrap();
        }
    }

    fn say(server: &mut ServerConnection) -> Vec<u8> {
        let mut sealed = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut sealed).unwrap();
        }
        sealed
    }

    #[test]
    fn what_the_other_side_has_not_said_to_its_end_stops_nothing() {
        // The first of its words that is cut off, and where, decides what rustls remembers.
        for cut in [1, 5, 30, 44, 62, 63, 80, 100, 150, 200, 300] {
            let (mut client, mut server) = pair();
            let (mut held, mut plain) = (Vec::new(), Vec::new());
            let mut work = |held: &mut Vec<u8>, task: Task<'_>| {
                let mut out = Vec::new();
                let opened = client.run(held, task, &mut |some| plain.extend_from_slice(some), &mut out).unwrap();
                held.drain(..opened.used);
                out
            };
            let hello = work(&mut held, Task::Open);
            hear(&mut server, &hello);
            for byte in say(&mut server) {
                held.push(byte);
                let out = work(&mut held, Task::Open);
                hear(&mut server, &out);
            }
            server.writer().write_all(b"hello").unwrap();
            let tickets = say(&mut server);
            let (now, later) = tickets.split_at(cut.min(tickets.len()));
            for byte in now {
                held.push(*byte);
                work(&mut held, Task::Open);
                let sealed = work(&mut held, Task::Seal(b"x"));
                hear(&mut server, &sealed);
            }
            held.extend_from_slice(later);
            work(&mut held, Task::Open);
            let last = work(&mut held, Task::End);
            hear(&mut server, &last);
            assert_eq!((plain.as_slice(), held.len()), (b"hello".as_slice(), 0), "cut off after {cut}");
        }
    }
}
