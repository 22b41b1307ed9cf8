//! The whole client against a modelled node behind real sockets, which are cut in mid-conversation.

#![allow(clippy::unwrap_used, clippy::panic, clippy::unreachable, reason = "a test's own failures")]
#![allow(dead_code, reason = "the model serves other tests as well")]

mod model;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use volery_client::intent::Act;
use volery_client::shell::{AccountError, Client};
use volery_door::frame::Kind;
use volery_door::listener::accept;
use volery_door::socket::{Heard, Limits, Socket};
use volery_kernel::code::Close;
use volery_kernel::id::UserId;
use volery_tls::Trust;
use volery_wire::codec::{Encoding, decode_request, encode_reply, join_reply};
use volery_wire::server::Reply;

use model::node::{Node, chat_with};
use model::{DEVICE, ME, id};

#[derive(Default)]
struct Service {
    node: Node,
    /// Each socket lives for so many frames.
    frames_a_socket: usize,
    /// What the next socket is closed with at once.
    close_next: Option<Close>,
    refreshed: u32,
}

type Shared = Arc<Mutex<Service>>;

async fn gateway(shared: Shared) -> String {
    let (web, sockets) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let base = format!("http://{}", web.local_addr().unwrap());
    let node = format!("ws://{}/v1/ws", sockets.local_addr().unwrap());
    let ours = Arc::clone(&shared);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = web.accept().await {
            let (node, shared) = (node.clone(), Arc::clone(&ours));
            tokio::spawn(async move {
                let mut request = vec![0; 8_192];
                let read = stream.read(&mut request).await.unwrap();
                let line = String::from_utf8_lossy(&request[..read]).lines().next().unwrap().to_owned();
                let body = answer(&line, &node, &shared);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            });
        }
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = sockets.accept().await {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let deadline = Instant::now() + Duration::from_secs(30);
                let (socket, encoding) = accept(stream, Limits::default(), deadline).await.unwrap();
                assert_eq!(encoding, Encoding::MessagePack);
                serve(socket, &shared).await;
            });
        }
    });
    base
}

fn answer(line: &str, node: &str, shared: &Shared) -> String {
    if line.contains("/v1/node") {
        return format!(r#"{{"address":"{node}"}}"#);
    }
    if line.contains("/v1/users") {
        return r#"{"id":"1","user_name":"bea","display_name":"Bea"}"#.to_owned();
    }
    let mut shared = shared.lock().unwrap();
    shared.refreshed += u32::from(line.contains("/v1/refresh"));
    let far = 4_000_000_000_000u64;
    format!(
        r#"{{"user":"{ME}","device":"{DEVICE}","access_token":"a{}","access_expires":{far},"refresh_token":"r","refresh_expires":{far},"node":"{node}"}}"#,
        shared.refreshed
    )
}

async fn serve(mut socket: Socket, shared: &Shared) {
    let close = shared.lock().unwrap().close_next.take();
    if let Some(close) = close {
        socket.close(close);
        return socket.finish(Duration::from_secs(1)).await;
    }
    let mut left = shared.lock().unwrap().frames_a_socket;
    let mut down: VecDeque<(u64, Reply<'static>)> = VecDeque::new();
    while left > 0 {
        let mut frames: Vec<Vec<u8>> = Vec::new();
        let read = poll_fn(|cx| {
            let read = socket.poll_read(cx, &mut |heard, _| {
                if let Heard::Message(message) = heard {
                    frames.push(message.data.into_owned());
                }
                ControlFlow::Continue(())
            });
            let _ = socket.poll_flush(cx);
            match read {
                Poll::Ready(gone) => Poll::Ready(gone.is_ok()),
                Poll::Pending if frames.is_empty() => Poll::Pending,
                Poll::Pending => Poll::Ready(true),
            }
        });
        if !read.await {
            break;
        }
        for frame in frames.iter().take(left) {
            let (request, message) = decode_request(Encoding::MessagePack, frame).unwrap();
            shared.lock().unwrap().node.hear(request, message, &mut down);
            left -= 1;
        }
        shared.lock().unwrap().node.collect(&mut down);
        for (n, reply) in down.drain(..) {
            let (op, body) = encode_reply(Encoding::MessagePack, &reply);
            let _ = socket.write(Kind::Binary, &[&join_reply(Encoding::MessagePack, op, n, &body)]);
        }
    }
    shared.lock().unwrap().node.left();
}

/// Drives the client until something is so.
async fn until(client: &mut Client, what: &str, so: impl Fn(&Client) -> bool) {
    let wait = async {
        while !so(client) {
            client.turn().await.unwrap();
        }
    };
    timeout(Duration::from_secs(30), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn say(client: &mut Client, text: &str) {
    let act = Act::Say { text: text.to_owned(), reply_to: None };
    client.intend(UserId(id(1)), act).unwrap().unwrap();
}

fn shown(client: &Client) -> Vec<String> {
    let chat = client.device().view().chat(chat_with(1));
    chat.map(|chat| chat.timeline.lines().map(|line| line.text.clone()).collect()).unwrap_or_default()
}

#[tokio::test]
async fn a_conversation_over_sockets_that_are_cut_is_shown_once_and_in_order() {
    let shared = Shared::new(Mutex::new(Service { frames_a_socket: 6, ..Service::default() }));
    let base = gateway(Arc::clone(&shared)).await;
    let home = tempfile::tempdir().unwrap();
    let mut client =
        Client::open(home.path().to_owned(), &base, Trust::machine(), "ada", Some("secret")).await.unwrap();
    // Before there is any socket.
    say(&mut client, "0");
    client.start().unwrap();
    client.open_chat(Some(chat_with(1))).unwrap();
    for n in 1..12 {
        say(&mut client, &n.to_string());
        until(&mut client, "a turn", |_| true).await;
        if n == 6 {
            // The process dies and comes back: no password is needed.
            drop(client);
            client = Client::open(home.path().to_owned(), &base, Trust::machine(), "ada", None).await.unwrap();
            client.start().unwrap();
            client.open_chat(Some(chat_with(1))).unwrap();
        }
    }
    until(&mut client, "everything is sent", |client| client.device().core().outbox().is_idle()).await;
    let numbers: Vec<String> = (0..12).map(|n| n.to_string()).collect();
    until(&mut client, "everything is shown", |client| shown(client) == numbers).await;
    let held: Vec<String> = shared.lock().unwrap().node.chat(1).into_iter().map(str::to_owned).collect();
    assert_eq!(held, numbers);
    until(&mut client, "names", |client| client.person(UserId(id(1))).is_some()).await;
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_refused_token_is_exchanged_and_a_new_machine_needs_a_password() {
    let shared = Shared::new(Mutex::new(Service {
        frames_a_socket: 1_000,
        close_next: Some(Close::InvalidToken),
        ..Service::default()
    }));
    let base = gateway(Arc::clone(&shared)).await;
    let home = tempfile::tempdir().unwrap();
    let none = Client::open(home.path().to_owned(), &base, Trust::machine(), "ada", None).await;
    assert!(matches!(none, Err(AccountError::PasswordNeeded)));
    let mut client =
        Client::open(home.path().to_owned(), &base, Trust::machine(), "ada", Some("secret")).await.unwrap();
    client.start().unwrap();
    say(&mut client, "hello");
    until(&mut client, "it is sent", |client| client.device().core().outbox().is_idle()).await;
    assert_eq!(shared.lock().unwrap().refreshed, 1);
    drop(client);
    let kept = std::fs::read_to_string(
        home.path().join(base.trim_start_matches("http://").replace(':', "_")).join("ada/account.json"),
    )
    .unwrap();
    assert!(kept.contains("\"a1\""), "the new tokens are kept");
}

#[tokio::test]
async fn a_replaced_session_stays_away() {
    let shared = Shared::new(Mutex::new(Service {
        frames_a_socket: 1_000,
        close_next: Some(Close::Replaced),
        ..Service::default()
    }));
    let base = gateway(shared).await;
    let home = tempfile::tempdir().unwrap();
    let mut client =
        Client::open(home.path().to_owned(), &base, Trust::machine(), "ada", Some("secret")).await.unwrap();
    client.start().unwrap();
    use volery_client::core::{Down, Link};
    until(&mut client, "down", |client| client.device().core().link() == Link::Down(Down::Replaced)).await;
    client.reconnect().unwrap();
    until(&mut client, "synced", |client| client.device().core().link() == Link::Synced).await;
}
