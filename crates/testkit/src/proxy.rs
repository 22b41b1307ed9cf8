//! A link that can be cut: a TCP proxy between one who asks and one who is asked.
//!
//! Silence is a network that loses every packet for a while: nothing arrives, new connections get no answer, and whoever
//! writes fills the kernel's buffers. What was under way comes late, all of it, as it does from a real network.
//!
//! Traps avoided: the end of one side is something to be told, too, and is not told while the link is silent; and what is
//! reset is reset at once, with what was still in buffers, or it would look like an orderly end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Bytes that are under way at once in each direction.
const CHUNK: usize = 16 * 1024;

/// How a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Everything arrives.
    Whole,
    /// Everything arrives so much later.
    Slow(Duration),
    /// Nothing arrives until it is whole again.
    Silent,
    /// Connections end with a reset, and new ones too.
    Reset,
}

/// See the module. Dropping it ends what it carries.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    link: watch::Sender<Link>,
    carrying: JoinHandle<()>,
}

impl Proxy {
    /// Carries whatever comes to `listen` on to `to`. Whether anybody listens there shows with each connection.
    ///
    /// # Errors
    /// It cannot listen.
    pub async fn start(listen: SocketAddr, to: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (link, seen) = watch::channel(Link::Whole);
        Ok(Self { address, link, carrying: tokio::spawn(carry_all(listener, to, seen)) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the link is so.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

/// Ends when nobody can say any more how the link is.
async fn carry_all(listener: TcpListener, to: SocketAddr, mut link: watch::Receiver<Link>) {
    let mut connections = JoinSet::new();
    while link.wait_for(|link| *link != Link::Silent).await.is_ok() {
        tokio::select! {
            Ok((near, _)) = listener.accept() => drop(connections.spawn(carry(near, to, link.clone()))),
            Some(_) = connections.join_next() => {}
            _ = link.changed() => {}
        }
    }
}

async fn carry(mut near: TcpStream, to: SocketAddr, link: watch::Receiver<Link>) -> io::Result<()> {
    if *link.borrow() == Link::Reset {
        return near.set_zero_linger();
    }
    let Ok(mut far) = TcpStream::connect(to).await else { return near.set_zero_linger() };
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let in_order = tokio::select! {
        carried = both_ways(&mut near, &mut far, &link) => carried.is_ok(),
        () = is_reset(link.clone()) => false,
    };
    if !in_order {
        near.set_zero_linger()?;
        far.set_zero_linger()?;
    }
    Ok(())
}

async fn both_ways(near: &mut TcpStream, far: &mut TcpStream, link: &watch::Receiver<Link>) -> io::Result<()> {
    let ((hears, says), (far_hears, far_says)) = (near.split(), far.split());
    tokio::try_join!(pass(hears, far_says, link.clone()), pass(far_hears, says, link.clone())).map(drop)
}

/// One direction, to its orderly end.
async fn pass(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut link: watch::Receiver<Link>) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).await;
        arrives(&mut link).await?;
        match read? {
            0 => return to.shutdown().await,
            length => to.write_all(&chunk[..length]).await?,
        }
    }
}

/// Waits for as long as what is under way is held.
async fn arrives(link: &mut watch::Receiver<Link>) -> io::Result<()> {
    let now = link.wait_for(|link| *link != Link::Silent).await.map(|link| *link);
    match now.map_err(io::Error::other)? {
        Link::Slow(by) => tokio::time::sleep(by).await,
        Link::Whole | Link::Silent | Link::Reset => {}
    }
    Ok(())
}

async fn is_reset(mut link: watch::Receiver<Link>) {
    // Whoever could say so is gone with the proxy, and that ends all of its connections.
    let _ = link.wait_for(|link| *link == Link::Reset).await;
}
