//! A server that sends every message back: what conformance suites and comparisons run against.
//!
//! `cargo run -p volery-door --example echo -- --port 9003 --most 16777216`

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::task::Poll;
use std::time::Duration;

use clap::Parser;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use volery_door::frame::Opcode;
use volery_door::listener::accept;
use volery_door::outbound::{Writer, Written};
use volery_door::socket::{Gone, Heard, Limits, Paused, Socket};
use volery_kernel::limits;

#[derive(Parser)]
struct Args {
    /// Port on loopback; 0 takes a free one, which is printed.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Largest message, in bytes.
    #[arg(long, default_value_t = limits::FRAME_BYTES.value as u32)]
    most: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await?;
    println!("echo on {}", listener.local_addr()?);
    let bounds = Limits { message: args.most, queue: args.most.saturating_mul(2).max(1 << 20) };
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(greet(stream, bounds));
    }
}

/// Two tasks, one after the other: what a handshake needs is not held while a session is idle.
async fn greet(stream: TcpStream, bounds: Limits) {
    let deadline = Instant::now() + Duration::from_millis(limits::HELLO_WITHIN_MS.value);
    if let Ok((socket, _)) = accept(stream, bounds, deadline).await {
        tokio::spawn(session(socket));
    }
}

async fn session(mut socket: Socket) {
    echo(&mut socket).await;
    tokio::spawn(socket.finish(Duration::from_secs(2)));
}

async fn echo(socket: &mut Socket) -> Gone {
    poll_fn(|cx| {
        loop {
            let read = socket.poll_read(cx, &mut reply);
            match (read, socket.poll_flush(cx)) {
                (Poll::Ready(Err(gone)), _) | (_, Poll::Ready(Err(gone))) => return Poll::Ready(gone),
                (Poll::Ready(Ok(Paused)), Poll::Ready(Ok(()))) => {}
                (Poll::Pending, _) | (_, Poll::Pending) => return Poll::Pending,
            }
        }
    })
    .await
}

/// Pauses reading while the peer does not read.
fn reply(heard: Heard<'_>, writer: &mut Writer<'_>) -> ControlFlow<()> {
    let Heard::Message(message) = heard else { return ControlFlow::Continue(()) };
    match writer.write(Opcode::Data(message.kind), &[&message.data]) {
        Ok(Written::Sent | Written::Queued) if writer.queued() < 65_536 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}
