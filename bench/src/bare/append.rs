//! The bare arm of `ack_p99_over_bare`: appends what it is sent to a file, makes it durable in groups,
//! answers. Nothing else: no ids that last, no order of its own, nobody to deliver to.
//!
//! `bare-append FILE BYTES`: each send takes that many bytes, as many as a record of Volery's log.
//!
//! As fast as it can be: one thread, so nothing is handed over; whatever has arrived when a sync ends
//! is the next group; the file is written ahead with zeros, so a sync changes no length. At the file's
//! end it begins anew.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::future::poll_fn;
use std::io;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;
use volery_door::frame::Kind;
use volery_door::listener::accept;
use volery_door::socket::{Heard, Limits, Socket};
use volery_kernel::id::{Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_wire::client::{Hello, Request};
use volery_wire::codec::{Encoding, decode_request, encode_reply, join_reply};
use volery_wire::server::{Ack, Reply, Synced, Welcome};

const ENCODING: Encoding = Encoding::MessagePack;
const FILE_BYTES: u64 = 64 << 20;

type Peer = Rc<RefCell<Socket>>;

/// What has arrived and is not durable yet.
#[derive(Default)]
struct Group {
    bytes: RefCell<Vec<u8>>,
    senders: RefCell<Vec<(Peer, u64, u32)>>,
    came: Notify,
    record: usize,
    accepted: Cell<u64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, record] = arguments.as_slice() else { return Err("bare-append FILE BYTES".into()) };
    let (file, record) = (zeros(Path::new(path))?, record.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(file, Rc::new(Group { record, ..Group::default() })))?;
    Ok(())
}

fn zeros(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let piece = vec![0; 1 << 20];
    (0..FILE_BYTES >> 20).try_for_each(|at| file.write_all_at(&piece, at << 20))?;
    file.sync_all()?;
    Ok(file)
}

async fn serve(file: File, group: Rc<Group>) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("ready ws://{}/v1/ws", listener.local_addr()?);
    spawn_local(commit(file, Rc::clone(&group)));
    loop {
        let (stream, _) = listener.accept().await?;
        spawn_local(converse(stream, Rc::clone(&group)));
    }
}

/// Group after group. Everything waits for the sync, and nothing could be done meanwhile.
async fn commit(file: File, group: Rc<Group>) -> io::Result<()> {
    let mut at = 0;
    loop {
        group.came.notified().await;
        let (bytes, senders) = (group.bytes.take(), group.senders.take());
        if at + bytes.len() as u64 > FILE_BYTES {
            at = 0;
        }
        file.write_all_at(&bytes, at)?;
        file.sync_data()?;
        at += bytes.len() as u64;
        for (peer, request, number) in senders {
            let id = Id::new(group.accepted.replace(group.accepted.get() + 1)).unwrap_or(Id::MAX);
            reply(&peer, request, &Reply::Ack(Ack { number, id, source: Source(id.get()) }));
        }
    }
}

async fn converse(stream: TcpStream, group: Rc<Group>) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let Ok((socket, _)) = accept(stream, Limits::default(), deadline).await else { return };
    let peer = Rc::new(RefCell::new(socket));
    // Ends when the peer goes.
    let _ = poll_fn(|cx| {
        let mut heard = Vec::new();
        let read = peer.borrow_mut().poll_read(cx, &mut |said, _| {
            if let Heard::Message(message) = said {
                heard.push(message.data.into_owned());
            }
            ControlFlow::Continue(())
        });
        heard.iter().for_each(|frame| hear(&peer, frame, &group));
        read
    })
    .await;
}

fn hear(peer: &Peer, frame: &[u8], group: &Group) {
    match decode_request(ENCODING, frame) {
        Ok((request, Request::Send(send))) => {
            let mut bytes = group.bytes.borrow_mut();
            let end = bytes.len() + group.record;
            bytes.extend_from_slice(&frame[..frame.len().min(group.record)]);
            bytes.resize(end, 0);
            group.senders.borrow_mut().push((Rc::clone(peer), request, send.number));
            group.came.notify_one();
        }
        Ok((request, Request::Hello(Hello { device, .. }))) => {
            let (user, session) = (UserId(device.0), SessionNumber(device.0));
            reply(peer, request, &Reply::Welcome(Welcome { user, device, session, now: 0, window: 0 }));
            reply(peer, 0, &Reply::Synced(Synced::default()));
        }
        _ => {}
    }
}

/// A peer that is gone needs no answer.
fn reply(peer: &Peer, number: u64, reply: &Reply<'_>) {
    let (op, body) = encode_reply(ENCODING, reply);
    let _ = peer.borrow_mut().write(Kind::Binary, &[&join_reply(ENCODING, op, number, &body)]);
}
