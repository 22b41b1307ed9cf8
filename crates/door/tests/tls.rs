//! TLS under a socket, over real connections: what passes, what is held, who is not let in, and a certificate
//! that is replaced meanwhile. The other side is rustls' own buffered connection wherever that says more than
//! agreeing with oneself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use std::fs;
use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::task::Poll;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use support::{BINARY, CLOSE, FIN, NEVER, REQUEST, echo, masked, unmasked_frames};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use volery_door::frame::Kind;
use volery_door::handshake::client::Offer;
use volery_door::handshake::refusal::Refusal;
use volery_door::listener::{Rejected, accept_secured, connect};
use volery_door::outbound::Written;
use volery_door::socket::{Heard, Limits, Socket};
use volery_door::stream::Stream;
use volery_tls::{DoorFiles, DoorTls, Look, Trust};
use volery_wire::codec::Encoding;

/// Signs certificates, and who believes it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    trust: Trust,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), trust: Trust::file(file.path()).unwrap() }
    }

    /// Puts a certificate for this machine where a door reads it.
    fn signs(&self, files: &DoorFiles) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        fs::write(&files.cert, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
    }
}

/// A door that speaks TLS.
struct Door {
    listener: TcpListener,
    files: DoorFiles,
    tls: DoorTls,
    _folder: TempDir,
}

impl Door {
    async fn open(authority: &Authority) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = DoorFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        authority.signs(&files);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { listener, tls: DoorTls::open(files.clone()).unwrap(), files, _folder: folder }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    async fn accept(&self, within: Duration) -> Result<Socket, Rejected> {
        let (stream, _) = self.listener.accept().await.unwrap();
        let deadline = Instant::now() + within;
        accept_secured(stream, self.tls.config(), Limits::default(), deadline).await.map(|(socket, _)| socket)
    }
}

/// Comes to a door as our clients do.
async fn come(door: &Door, trust: &Trust, name: &str) -> Result<Socket, Rejected> {
    let tcp = TcpStream::connect(door.address()).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = Stream::connected(tcp, name, trust.config().unwrap()).await?;
    let offer = Offer::new(Encoding::MessagePack, [3; 16]);
    let limits = Limits { message: 1 << 20, queue: 1 << 20 };
    connect(stream, "volery.test", &offer, Box::new(|| [5; 4]), limits, Instant::now() + NEVER).await
}

async fn both(door: &Door, trust: &Trust) -> (Result<Socket, Rejected>, Result<Socket, Rejected>) {
    tokio::join!(door.accept(NEVER), come(door, trust, "127.0.0.1"))
}

/// Says it and hears it again.
async fn says(socket: &mut Socket, text: &[u8]) -> Vec<u8> {
    assert!(matches!(socket.write(Kind::Binary, &[text]), Ok(Written::Sent | Written::Queued)));
    let mut heard = Vec::new();
    let answered = poll_fn(|cx| {
        let flushed = socket.poll_flush(cx);
        assert!(!matches!(flushed, Poll::Ready(Err(_))), "{flushed:?}");
        let polled = socket.poll_read(cx, &mut |said, _| {
            if let Heard::Message(message) = said {
                heard = message.data.into_owned();
            }
            ControlFlow::Break(())
        });
        polled.map(|polled| polled.map(drop))
    });
    timeout(NEVER, answered).await.expect("an answer").expect("an open socket");
    heard
}

#[tokio::test]
async fn messages_of_every_size_pass_and_nothing_is_held_afterwards() {
    let authority = Authority::new();
    let door = Door::open(&authority).await;
    let (server, client) = both(&door, &authority.trust).await;
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    let ended = tokio::spawn(async move { (echo(&mut server).await, server.held()) });
    for size in [0, 1, 125, 126, 16_000, 16_384, 16_385, 40_000, 65_536] {
        let text: Vec<u8> = (0..size).map(|at: u32| at as u8).collect();
        assert!(says(&mut client, &text).await == text, "{size} bytes");
        assert_eq!(client.held(), 0, "after {size} bytes");
    }
    client.close(volery_kernel::code::Close::Normal);
    client.finish(NEVER).await;
    let (gone, held) = timeout(NEVER, ended).await.unwrap().unwrap();
    assert_eq!(gone, volery_door::socket::Gone::ByPeer(Some(1000)));
    assert_eq!(held, 0);
}

/// A client by rustls alone, whose every byte towards the server can be held back: `chunk` at a time. What it
/// says behind its handshake leaves together with the handshake's last word.
fn by_hand(address: SocketAddr, trust: &Trust, chunk: usize, says: &[u8]) -> Vec<u8> {
    let mut tcp = std::net::TcpStream::connect(address).unwrap();
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut tls = ClientConnection::new(trust.config().unwrap(), name).unwrap();
    let (mut said, mut plain) = (false, Vec::new());
    loop {
        if !tls.is_handshaking() && !said {
            tls.writer().write_all(says).unwrap();
            said = true;
        }
        let mut sealed = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut sealed).unwrap();
        }
        sealed.chunks(chunk).for_each(|piece| tcp.write_all(piece).unwrap());
        if tls.read_tls(&mut tcp).unwrap() == 0 {
            return plain;
        }
        let state = tls.process_new_packets().unwrap();
        let from = plain.len();
        plain.resize(from + state.plaintext_bytes_to_read(), 0);
        tls.reader().read_exact(&mut plain[from..]).unwrap();
        if state.peer_has_closed() {
            return plain;
        }
    }
}

#[tokio::test]
async fn bytes_may_come_one_by_one_or_all_at_once() {
    let authority = Authority::new();
    let door = Door::open(&authority).await;
    for chunk in [1, 1_000_000] {
        let (address, trust) = (door.address(), authority.trust.clone());
        let frames = [masked(FIN | BINARY, b"early"), masked(FIN | CLOSE, &1000_u16.to_be_bytes())].concat();
        let words = [REQUEST.as_bytes(), &frames].concat();
        let client = tokio::task::spawn_blocking(move || by_hand(address, &trust, chunk, &words));
        let mut server = door.accept(NEVER).await.unwrap();
        echo(&mut server).await;
        server.finish(NEVER).await;
        let heard = timeout(NEVER, client).await.unwrap().unwrap();
        let head = heard.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer") + 4;
        let frames = unmasked_frames(&heard[head..]);
        assert_eq!(frames[0], (FIN | BINARY, b"early".to_vec()), "{chunk} bytes at a time");
        assert_eq!(frames[1].0, FIN | CLOSE);
    }
}

#[tokio::test]
async fn a_slow_reader_gets_everything_in_order_and_costs_no_more_than_its_queue() {
    const FRAME: usize = 10_000;
    let authority = Authority::new();
    let door = Door::open(&authority).await;
    let (server, client) = both(&door, &authority.trust).await;
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    let mut written = 0_u64;
    while server.queued() < 400_000 {
        assert_ne!(server.write(Kind::Binary, &[&[written as u8; FRAME]]), Ok(Written::Full));
        written += 1;
        assert!(written < 10_000, "the kernel takes less than 100 MB");
    }
    let flush = async {
        poll_fn(|cx| server.poll_flush(cx)).await.unwrap();
        server
    };
    let mut next = 0;
    let read = poll_fn(|cx| {
        let polled = client.poll_read(cx, &mut |said, _| {
            if let Heard::Message(message) = said {
                assert!(*message.data == [next as u8; FRAME], "frame {next}");
                next += 1;
            }
            if next == written { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        polled.map(|polled| polled.map(drop))
    });
    let (server, read) = timeout(NEVER, async { tokio::join!(flush, read) }).await.expect("everything comes");
    read.unwrap();
    assert_eq!((server.queued(), server.held()), (0, 0));
}

#[tokio::test]
async fn a_socket_moves_to_another_thread_and_goes_on() {
    let authority = Authority::new();
    let door = Door::open(&authority).await;
    let (server, client) = both(&door, &authority.trust).await;
    let (mut client, parts) = (client.unwrap(), server.unwrap().into_parts().unwrap());
    let elsewhere = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { echo(&mut Socket::from_parts(parts).unwrap()).await })
    });
    assert_eq!(says(&mut client, b"are you there?").await, b"are you there?");
    drop(client);
    elsewhere.join().unwrap();
}

#[tokio::test]
async fn who_is_not_believed_hears_nothing_and_the_door_goes_on() {
    let (ours, others) = (Authority::new(), Authority::new());
    let door = Door::open(&ours).await;
    let (server, client) = both(&door, &others.trust).await;
    let why = client.unwrap_err().to_string();
    assert!(why.contains("invalid peer certificate"), "{why}");
    let told = server.unwrap_err().to_string();
    assert!(told.contains("received fatal alert"), "and the door was told: {told}");
    let (_, client) = tokio::join!(door.accept(NEVER), come(&door, &ours.trust, "chat.example.org"));
    let why = client.unwrap_err().to_string();
    assert!(why.contains("not valid for name"), "{why}");
    let (server, client) = both(&door, &ours.trust).await;
    assert!(server.is_ok() && client.is_ok());
}

#[tokio::test]
async fn who_comes_unencrypted_is_told() {
    let door = Door::open(&Authority::new()).await;
    let mut tcp = TcpStream::connect(door.address()).await.unwrap();
    tcp.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let (served, read) = tokio::join!(door.accept(NEVER), async {
        tcp.shutdown().await.unwrap();
        tcp.read_to_string(&mut answer).await
    });
    read.unwrap();
    assert!(matches!(served, Err(Rejected::Refused(Refusal::Unencrypted))));
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("wss://"), "{answer}");
}

#[tokio::test]
async fn a_handshake_that_stalls_ends_at_the_deadline() {
    let door = Door::open(&Authority::new()).await;
    // Nothing; the beginning of a record; a record that is no handshake; one that is too long.
    let words: [&[u8]; 4] = [b"", &[22, 3, 1, 2, 0, 1], &[22, 3, 1, 0, 4, 0, 0, 0, 0], &[22, 3, 3, 0xff, 0xff]];
    for (at, said) in words.into_iter().enumerate() {
        let mut tcp = TcpStream::connect(door.address()).await.unwrap();
        tcp.write_all(said).await.unwrap();
        let begun = Instant::now();
        let rejected = door.accept(Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(matches!(rejected, Rejected::Late), at < 2, "{at}: {rejected}");
        assert!(begun.elapsed() < NEVER);
        let mut rest = Vec::new();
        let _ = timeout(NEVER, tcp.read_to_end(&mut rest)).await.expect("closed");
        assert_eq!(rest.first().copied(), (at > 1).then_some(21), "an alert says why");
    }
}

#[tokio::test]
async fn a_certificate_is_replaced_while_sockets_stand() {
    let (old, new) = (Authority::new(), Authority::new());
    let door = Door::open(&old).await;
    let (server, client) = both(&door, &old.trust).await;
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    tokio::spawn(async move { echo(&mut server).await });
    assert!(matches!(door.tls.look(), Look::Same));
    let ended = door.tls.ends();
    assert!(ended.is_some_and(|at| at.0 > 1_700_000_000_000), "{ended:?}");

    fs::write(&door.files.cert, "nothing").unwrap();
    fs::remove_file(&door.files.key).unwrap();
    let Look::Refused(errors) = door.tls.look() else { panic!("of no use") };
    assert_eq!(errors.0.len(), 2, "both are named: {errors}");
    assert!(both(&door, &old.trust).await.1.is_ok(), "the old one goes on");

    new.signs(&door.files);
    assert!(both(&door, &old.trust).await.1.is_ok(), "until it is looked at again");
    assert!(matches!(door.tls.look(), Look::Taken));
    assert!(both(&door, &new.trust).await.1.is_ok());
    assert!(both(&door, &old.trust).await.1.is_err());
    assert_eq!(says(&mut client, b"still here").await, b"still here");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = DoorFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let authority = Authority::new();
    authority.signs(&files);
    fs::write(&files.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let why = DoorTls::open(files).map(drop).unwrap_err().to_string();
    assert!(why.contains("cannot be used"), "{why}");
}
