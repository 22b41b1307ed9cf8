//! The bare arm of `page_p99_over_bare`: the same rows out of the same store, over a socket.
//!
//! `bare-page FOLDER CACHE_BYTES`: opens a copy of the timeline's folder. A request is the key where
//! a page begins; the answer is its 50 rows as they are stored, in one frame. No rights, no decoding,
//! no second row: what a page costs at least.
//!
//! As fast as it can be: a thread for each connection that reads, looks up and writes.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use volery_door::assembler::{Assembler, Event};
use volery_door::frame::{HEADER_MOST, Head, Kind, Opcode, Role};
use volery_door::handshake::server::Upgrade;

const ROWS: usize = 50;
/// Bytes of a key that name the chat: the table, then the chat.
const CHAT: usize = 18;
const READ_BYTES: usize = 1 << 16;
/// As many as the engine holds open.
const OPEN_FILES: usize = 256;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, cache] = arguments.as_slice() else { return Err("bare-page FOLDER CACHE_BYTES".into()) };
    let builder = Database::builder(folder).cache_size(cache.parse()?).max_cached_files(Some(OPEN_FILES));
    let db = builder.worker_threads(1).open()?;
    let rows = db.keyspace("timeline", KeyspaceCreateOptions::default)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("ready ws://{}/v1/ws", listener.local_addr()?);
    for stream in listener.incoming() {
        let (stream, rows) = (stream?, rows.clone());
        // A peer that is gone ends its thread.
        std::thread::spawn(move || converse(stream, &rows).map_err(|error| error.to_string()));
    }
    Ok(())
}

fn converse(mut stream: TcpStream, rows: &Keyspace) -> Outcome {
    stream.set_nodelay(true)?;
    let mut input = vec![0; READ_BYTES];
    shake_hands(&mut stream, &mut input)?;
    let mut assembler = Assembler::new(Role::Server, READ_BYTES as u32);
    let mut output = Vec::new();
    loop {
        let read = stream.read(&mut input)?;
        if read == 0 {
            return Ok(());
        }
        let mut rest = &mut input[..read];
        while let Some(event) = assembler.next(&mut rest) {
            let Event::Message(message) = event else { return Ok(()) };
            let begin = page(rows, &message.data, &mut output)?;
            stream.write_all(&output[begin..])?;
        }
    }
}

/// Nothing follows a request before it is answered.
fn shake_hands(stream: &mut TcpStream, input: &mut [u8]) -> Outcome {
    let mut filled = 0;
    loop {
        filled += stream.read(&mut input[filled..])?;
        if let Some(upgrade) = Upgrade::parse(&input[..filled]).map_err(|refusal| refusal.to_string())? {
            return Ok(stream.write_all(&upgrade.response())?);
        }
    }
}

/// Fills `output` with a frame; it begins at the number that is returned.
fn page(rows: &Keyspace, from: &[u8], output: &mut Vec<u8>) -> Outcome<usize> {
    let chat = from.get(..CHAT).ok_or("a key is longer")?;
    output.clear();
    output.resize(HEADER_MOST, 0);
    for row in rows.range(from..).take(ROWS) {
        let (key, value) = row.into_inner()?;
        if !key.starts_with(chat) {
            break;
        }
        output.extend_from_slice(&(key.len() as u32).to_be_bytes());
        output.extend_from_slice(&key);
        output.extend_from_slice(&(value.len() as u32).to_be_bytes());
        output.extend_from_slice(&value);
    }
    let head = Head::new(Opcode::Data(Kind::Binary), output.len() - HEADER_MOST, None);
    let begin = HEADER_MOST - head.as_bytes().len();
    output[begin..HEADER_MOST].copy_from_slice(head.as_bytes());
    Ok(begin)
}
