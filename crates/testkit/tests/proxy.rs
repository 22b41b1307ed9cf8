//! A link that is cut, silenced, slowed and whole again, with somebody at its end who repeats what is said.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use volery_testkit::proxy::{Link, Proxy};

const ANYWHERE: &str = "127.0.0.1:0";
/// What comes, comes within this.
const SOON: Duration = Duration::from_secs(60);
/// What is held does not come within this.
const A_WHILE: Duration = Duration::from_millis(100);

async fn link_to(to: SocketAddr) -> Proxy {
    Proxy::start(ANYWHERE.parse().unwrap(), to).await.unwrap()
}

/// A link to one who repeats what is said until it ends.
async fn link() -> Proxy {
    let listener = TcpListener::bind(ANYWHERE).await.unwrap();
    let proxy = link_to(listener.local_addr().unwrap()).await;
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut hears, mut says) = socket.split();
                tokio::io::copy(&mut hears, &mut says).await
            });
        }
    });
    proxy
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn hears(socket: &mut TcpStream, text: &str) {
    let mut heard = vec![0; text.len()];
    timeout(SOON, socket.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, text.as_bytes());
}

async fn says_and_hears(socket: &mut TcpStream, text: &str) {
    socket.write_all(text.as_bytes()).await.unwrap();
    hears(socket, text).await;
}

async fn hears_nothing(socket: &mut TcpStream) {
    assert!(timeout(A_WHILE, socket.read(&mut [0])).await.is_err());
}

async fn is_reset(socket: &mut TcpStream) {
    let read = timeout(SOON, socket.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_whole_link_carries_what_is_said_and_its_end() {
    let proxy = link().await;
    let mut socket = connect(&proxy).await;
    says_and_hears(&mut socket, &"a long text ".repeat(4_000)).await;
    socket.shutdown().await.unwrap();
    assert_eq!(timeout(SOON, socket.read(&mut [0])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_silent_link_loses_nothing_and_answers_nobody() {
    let proxy = link().await;
    let mut socket = connect(&proxy).await;
    says_and_hears(&mut socket, "before").await;
    proxy.set(Link::Silent);
    socket.write_all(b"during").await.unwrap();
    socket.shutdown().await.unwrap();
    let mut newcomer = connect(&proxy).await;
    newcomer.write_all(b"is anybody there?").await.unwrap();
    hears_nothing(&mut socket).await;
    hears_nothing(&mut newcomer).await;
    proxy.set(Link::Whole);
    hears(&mut socket, "during").await;
    assert_eq!(timeout(SOON, socket.read(&mut [0])).await.unwrap().unwrap(), 0, "and then its end");
    hears(&mut newcomer, "is anybody there?").await;
}

#[tokio::test]
async fn a_cut_link_resets_everybody_until_it_is_whole() {
    let proxy = link().await;
    let mut socket = connect(&proxy).await;
    says_and_hears(&mut socket, "before").await;
    proxy.set(Link::Reset);
    is_reset(&mut socket).await;
    is_reset(&mut connect(&proxy).await).await;
    proxy.set(Link::Whole);
    says_and_hears(&mut connect(&proxy).await, "after").await;
}

#[tokio::test]
async fn a_slow_link_is_late_both_ways() {
    let proxy = link().await;
    let mut socket = connect(&proxy).await;
    says_and_hears(&mut socket, "before").await;
    proxy.set(Link::Slow(A_WHILE));
    let begun = Instant::now();
    says_and_hears(&mut socket, "during").await;
    assert!(begun.elapsed() >= 2 * A_WHILE);
}

#[tokio::test]
async fn who_is_not_there_is_reset_and_who_leaves_takes_the_connection_along() {
    let listener = TcpListener::bind(ANYWHERE).await.unwrap();
    let proxy = link_to(listener.local_addr().unwrap()).await;
    let mut socket = connect(&proxy).await;
    let (far, _) = listener.accept().await.unwrap();
    far.set_zero_linger().unwrap();
    drop((far, listener));
    is_reset(&mut socket).await;
    is_reset(&mut connect(&proxy).await).await;
    drop(proxy);
}
