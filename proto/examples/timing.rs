//! Nanoseconds for encoding and decoding a text of 256 bytes, the log's most frequent event.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use volery_kernel::chat::Recipient;
use volery_kernel::event::{Body, Content, Event, Send, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_proto::{decode, encode};

const ROUNDS: u32 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let event = Event::Send(text()?);
    let bytes = encode(&event);
    println!("a text of 256 bytes takes {} bytes", bytes.len());
    per_round("encode", || drop(black_box(encode(black_box(&event)))));
    per_round("decode", || drop(black_box(decode(black_box(bytes.clone())))));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn per_round(what: &str, work: impl Fn()) {
    let start = Instant::now();
    (0..ROUNDS).for_each(|_| work());
    println!("{what}: {} ns", start.elapsed().as_nanos() / u128::from(ROUNDS));
}

fn text() -> Result<Send, Box<dyn Error>> {
    let session = SessionNumber::new(3 << 40)?;
    Ok(Send {
        id: Id::new(1 << 60)?,
        sender: UserId::new(1 << 50)?,
        recipient: Recipient::User(UserId::new(2 << 50)?),
        key: SendKey { device: DeviceId::new(3 << 50)?, session, number: 77 },
        session,
        flagged: false,
        resolve_only: false,
        shown: None,
        content: Content::Message { body: Body::text(vec![b'x'; 256]), reply_to: None },
    })
}
