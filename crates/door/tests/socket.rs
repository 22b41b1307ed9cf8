//! The socket as its owner uses it: what it holds, what it does with slow peers, how it moves
//! between threads and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use std::future::poll_fn;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use support::{BINARY, CLOSE, CONTINUATION, Echo, FIN, NEVER, PONG, TEXT, masked, pair, unmasked_frames};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use volery_door::frame::{Kind, Opcode};
use volery_door::handshake::client::Offer;
use volery_door::listener::connect;
use volery_door::outbound::{Writer, Written};
use volery_door::socket::{Gone, Heard, Limits, Paused, Socket};
use volery_kernel::code::Close;
use volery_wire::codec::Encoding;

/// Reads until `enough` messages are there, or the connection is gone.
async fn hear(socket: &mut Socket, enough: usize) -> Result<Vec<Vec<u8>>, Gone> {
    let mut messages = Vec::new();
    let mut heard = |heard: Heard<'_>, _: &mut Writer<'_>| {
        if let Heard::Message(message) = heard {
            messages.push(message.data.into_owned());
        }
        if messages.len() == enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let read = poll_fn(|cx| {
        let read = socket.poll_read(cx, &mut heard);
        let flushed = socket.poll_flush(cx);
        assert!(!matches!(flushed, Poll::Ready(Err(_))), "{flushed:?}");
        read
    });
    timeout(NEVER, read).await.expect("something is heard").map(|Paused| messages)
}

/// Polls once: what is there is heard, nothing is waited for.
async fn poll_once(socket: &mut Socket) -> Option<Gone> {
    poll_fn(|cx| {
        let read = socket.poll_read(cx, &mut |_, _| ControlFlow::Continue(()));
        Poll::Ready(match read {
            Poll::Ready(Err(gone)) => Some(gone),
            _ => None,
        })
    })
    .await
}

async fn flushed(socket: &mut Socket) {
    timeout(NEVER, poll_fn(|cx| socket.poll_flush(cx))).await.expect("flushed").unwrap();
}

/// Fills the way to the peer until the kernel takes no more.
fn stuff(socket: &mut Socket) -> usize {
    let mut frames = 1;
    while socket.write(Kind::Binary, &[&[7; 8_192]]).unwrap() == Written::Sent {
        frames += 1;
    }
    frames
}

#[tokio::test]
async fn an_idle_session_is_small_and_holds_nothing() {
    let bytes = size_of::<Socket>();
    println!("a socket takes {bytes} bytes");
    assert!(bytes <= 200, "{bytes}");
    let (mut socket, mut peer) = pair(Limits::default()).await;
    assert_eq!(socket.held(), 0);
    peer.write_all(&masked(TEXT, &[b'x'; 40_000])).await.unwrap();
    peer.write_all(&[masked(FIN | CONTINUATION, b"y"), masked(FIN | BINARY, b"z")].concat()).await.unwrap();
    assert_eq!(hear(&mut socket, 2).await.unwrap().len(), 2);
    assert_eq!(socket.write(Kind::Binary, &[b"a", b"b"]), Ok(Written::Sent));
    assert_eq!(poll_once(&mut socket).await, None);
    assert_eq!((socket.held(), socket.queued(), socket.unfinished()), (0, 0, None));
}

#[tokio::test]
async fn a_peer_that_never_reads_costs_no_more_than_the_queue() {
    let limits = Limits { queue: 100_000, ..Limits::default() };
    let (mut socket, mut peer) = pair(limits).await;
    flushed(&mut socket).await;
    let mut taken = stuff(&mut socket);
    while socket.write(Kind::Binary, &[&[7; 8_192]]).unwrap() == Written::Queued {
        taken += 1;
    }
    assert_eq!(socket.write(Kind::Binary, &[&[7; 8_192]]), Ok(Written::Full));
    assert!(socket.queued() <= 100_000 && socket.held() <= 200_000, "{} {}", socket.queued(), socket.held());
    let mut answer = vec![0; taken * (8_192 + 4)];
    let read = async { timeout(NEVER, peer.read_exact(&mut answer)).await.expect("all of it").map(|_| ()) };
    let (read, ()) = tokio::join!(read, flushed(&mut socket));
    read.unwrap();
    assert_eq!(unmasked_frames(&answer), vec![(FIN | BINARY, vec![7; 8_192]); taken], "whole frames, in order");
    assert_eq!(socket.held(), 0, "the queue is gone when it is empty");
    assert_eq!(socket.write(Kind::Binary, &[b"again"]), Ok(Written::Sent));
}

#[tokio::test]
async fn a_peer_that_reads_in_gulps_gets_every_frame_in_order() {
    let (mut socket, mut peer) = pair(Limits::default()).await;
    flushed(&mut socket).await;
    let (mut frames, mut bytes) = (Vec::new(), Vec::new());
    while frames.len() < 800 || socket.queued() > 0 {
        while socket.queued() < 700_000 && frames.len() < 800 {
            frames.push((FIN | BINARY, vec![frames.len() as u8; 5_000]));
            assert_ne!(socket.write(Kind::Binary, &[&frames[frames.len() - 1].1]), Ok(Written::Full));
        }
        let mut gulp = vec![0; 100_000];
        let mut into = ReadBuf::new(&mut gulp);
        let read = poll_fn(|cx| {
            assert!(!matches!(socket.poll_flush(cx), Poll::Ready(Err(_))));
            Pin::new(&mut peer).poll_read(cx, &mut into)
        });
        timeout(NEVER, read).await.expect("a gulp").unwrap();
        bytes.extend_from_slice(into.filled());
    }
    let read = bytes.len();
    bytes.resize(frames.len() * 5_004, 0);
    timeout(NEVER, peer.read_exact(&mut bytes[read..])).await.expect("the rest").unwrap();
    assert!(unmasked_frames(&bytes) == frames, "every frame, whole and in order");
}

#[tokio::test]
async fn pings_of_a_peer_that_never_reads_are_dropped_and_it_stays_connected() {
    let (mut socket, mut peer) = pair(Limits { queue: 20_000, ..Limits::default() }).await;
    flushed(&mut socket).await;
    stuff(&mut socket);
    let pings = masked(FIN | support::PING, &[1; 100]).repeat(400);
    let heard = async {
        peer.write_all(&pings).await.unwrap();
        peer.write_all(&masked(FIN | TEXT, b"still here")).await.unwrap();
    };
    let (messages, ()) = tokio::join!(hear(&mut socket, 1), heard);
    assert_eq!(messages.unwrap(), [b"still here"]);
    assert!(socket.queued() <= 20_000);
}

#[tokio::test]
async fn corked_frames_leave_together_and_not_before() {
    let (mut socket, mut peer) = pair(Limits::default()).await;
    flushed(&mut socket).await;
    socket.cork();
    for number in 0..100u8 {
        assert_eq!(socket.write(Kind::Binary, &[&[number]]), Ok(Written::Queued));
    }
    assert_eq!(peer.try_read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(socket.uncork(), Ok(Written::Sent));
    let mut bytes = vec![0; 1_000];
    peer.readable().await.unwrap();
    let read = peer.read(&mut bytes).await.unwrap();
    let expected: Vec<_> = (0..100).map(|number| (FIN | BINARY, vec![number])).collect();
    assert_eq!(unmasked_frames(&bytes[..read]), expected);
    assert_eq!(socket.held(), 0);
}

#[tokio::test]
async fn an_owner_that_pauses_misses_nothing_and_hears_the_rest_later() {
    let (mut socket, mut peer) = pair(Limits::default()).await;
    let all: Vec<Vec<u8>> = (0..50u8).map(|number| vec![number; 20]).collect();
    let frames: Vec<u8> = all.iter().flat_map(|payload| masked(FIN | BINARY, payload)).collect();
    peer.write_all(&frames).await.unwrap();
    let mut heard = Vec::new();
    for _ in 0..10 {
        let some = hear(&mut socket, 5).await.unwrap();
        assert_eq!(some.len(), 5);
        heard.extend(some);
    }
    assert_eq!(heard, all);
    assert_eq!(socket.held(), 0);
}

#[tokio::test]
async fn the_owner_sees_a_frame_that_is_not_finished() {
    let (mut socket, mut peer) = pair(Limits::default()).await;
    let frame = masked(FIN | TEXT, b"drip");
    let mut seen = std::collections::HashSet::new();
    for byte in &frame[..frame.len() - 1] {
        peer.write_all(&[*byte]).await.unwrap();
        poll_fn(|cx| match socket.poll_read(cx, &mut |_, _| ControlFlow::Continue(())) {
            Poll::Pending if socket.unfinished().is_some() => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
            Poll::Ready(gone) => panic!("{gone:?}"),
        })
        .await;
        seen.extend(socket.unfinished());
    }
    assert_eq!(seen.len(), 1, "one message");
    assert!(socket.held() < 512, "{}", socket.held());
    peer.write_all(&frame[frame.len() - 1..]).await.unwrap();
    assert_eq!(hear(&mut socket, 1).await.unwrap(), [b"drip"]);
    assert_eq!(socket.unfinished(), None);
}

#[tokio::test]
async fn a_socket_moves_to_another_thread_with_everything_in_it() {
    let (mut socket, mut peer) = pair(Limits::default()).await;
    flushed(&mut socket).await;
    let frames = [masked(FIN | TEXT, b"one"), masked(FIN | TEXT, b"two"), masked(FIN | TEXT, b"three")].concat();
    let (sent, later) = frames.split_at(frames.len() - 3);
    peer.write_all(sent).await.unwrap();
    assert_eq!(hear(&mut socket, 1).await.unwrap(), [b"one"]);
    let taken = stuff(&mut socket);
    let parts = socket.into_parts().unwrap();
    let there = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let mut socket = Socket::from_parts(parts).unwrap();
            let heard = hear(&mut socket, 2).await.unwrap();
            flushed(&mut socket).await;
            socket.close(Close::Moved);
            socket.finish(NEVER).await;
            heard
        })
    });
    peer.write_all(later).await.unwrap();
    let mut answer = Vec::new();
    timeout(NEVER, peer.read_to_end(&mut answer)).await.expect("an end").unwrap();
    drop(peer);
    let frames = unmasked_frames(&answer);
    assert_eq!(frames.len(), taken + 1);
    assert_eq!(frames.last().map(|(first, payload)| (*first, &payload[2..])), Some((FIN | CLOSE, &b"moved"[..])));
    assert_eq!(there.join().unwrap(), [&b"two"[..], b"three"]);
}

#[tokio::test]
async fn a_client_of_the_crate_masks_and_hears() {
    let echo = Echo::start(Limits::default()).await;
    let stream = TcpStream::connect(echo.address).await.unwrap();
    let mut key = 0u8;
    let keys = Box::new(move || {
        key += 1;
        [key, 0xff, key, 0x80]
    });
    let (offer, deadline) = (Offer::new(Encoding::MessagePack, [3; 16]), Instant::now() + NEVER);
    let mut client = connect(stream, "volery.test", &offer, keys, Limits::default(), deadline).await.unwrap();
    for length in [0, 5, 126, 65_536] {
        let payload = vec![0x5a; length];
        client.write(Kind::Binary, &[&payload[..length / 3], &payload[length / 3..]]).unwrap();
        assert_eq!(hear(&mut client, 1).await.unwrap(), [payload]);
    }
    client.ping().unwrap();
    let mut pong = None;
    let mut heard = |heard: Heard<'_>, _: &mut Writer<'_>| {
        pong = Some(heard == Heard::Pong);
        ControlFlow::Break(())
    };
    timeout(NEVER, poll_fn(|cx| client.poll_read(cx, &mut heard))).await.expect("a pong").unwrap();
    assert_eq!(pong, Some(true));
    client.close(Close::Normal);
    assert_eq!(client.write(Kind::Text, &[b"late"]), Ok(Written::Full));
    assert_eq!(poll_once(&mut client).await, Some(Gone::ByUs(Close::Normal)));
    client.finish(NEVER).await;
    assert_eq!(echo.gone().await, Gone::ByPeer(Some(1000)));
}

#[tokio::test]
async fn a_callback_closes_and_hears_no_more() {
    let (mut socket, mut peer) = pair(Limits::default()).await;
    peer.write_all(&masked(FIN | TEXT, b"x").repeat(3)).await.unwrap();
    let mut heard = 0;
    let read = poll_fn(|cx| {
        socket.poll_read(cx, &mut |_, writer| {
            heard += 1;
            writer.write(Opcode::Pong, &[b"bye"]).unwrap();
            writer.close(Close::Revoked);
            ControlFlow::Continue(())
        })
    });
    assert_eq!(timeout(NEVER, read).await.expect("closed"), Err(Gone::ByUs(Close::Revoked)));
    assert_eq!(heard, 1);
    let mut answer = Vec::new();
    let end = async {
        timeout(NEVER, peer.read_to_end(&mut answer)).await.expect("an end").unwrap();
        peer.shutdown().await.unwrap();
    };
    tokio::join!(socket.finish(NEVER), end);
    let close = [&4002u16.to_be_bytes()[..], b"revoked"].concat();
    assert_eq!(unmasked_frames(&answer), [(FIN | PONG, b"bye".to_vec()), (FIN | CLOSE, close)]);
}

#[tokio::test]
async fn finishing_is_bounded_in_time_when_the_peer_neither_reads_nor_leaves() {
    let (mut socket, peer) = pair(Limits::default()).await;
    flushed(&mut socket).await;
    stuff(&mut socket);
    socket.close(Close::GoingAway);
    let within = Duration::from_millis(50);
    timeout(NEVER, socket.finish(within)).await.expect("it ends by itself");
    drop(peer);
}

#[tokio::test]
async fn a_reset_is_told_apart() {
    let (mut socket, peer) = pair(Limits::default()).await;
    peer.set_zero_linger().unwrap();
    drop(peer);
    assert_eq!(hear(&mut socket, 1).await, Err(Gone::Io(io::ErrorKind::ConnectionReset)));
}
