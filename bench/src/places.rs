//! Pages of 50 that can be read: rows are written until there are enough of them, and a walk through all
//! chats finds where each page begins.

use futures::future::try_join_all;
use loadtest::account::{Account, log_in};
use loadtest::failure::Failure;
use loadtest::load::{self, Drive};
use loadtest::server::Server;
use volery_kernel::chat::ChatId;
use volery_kernel::id::Id;
use volery_wire::client::{History, Request};
use volery_wire::codec::decode_reply;
use volery_wire::op::ServerOp;
use volery_wire::server::{Page, Reply};

use crate::asker::{Asker, ENCODING};
use crate::bench::{Bench, Pages};

/// Messages of a page.
pub(crate) const ROWS: usize = 50;
const FILLINGS_MOST: usize = 30;

/// A page: which of the chats, and the messages before which id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its number among the readers.
    pub(crate) chat: usize,
    /// What the page is asked for by.
    pub(crate) before: Id,
    /// The newest message of the page.
    pub(crate) newest: Id,
}

/// Who reads which chat.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    /// One of its two people.
    pub(crate) account: Account,
    /// The chat.
    pub(crate) chat: ChatId,
}

/// Has pairs write until there are pages for all windows and for the one before them; says where they are.
///
/// # Errors
/// Nobody writes, or there are too few pages in the end.
pub(crate) async fn fill(bench: &Bench, server: &Server, pages: Pages, drive: Drive) -> Result<Vec<Place>, Failure> {
    let users = 2 * bench.sizes.pairs;
    let needed = pages.each_window / 2 * (bench.sizes.windows * bench.rounds + 1);
    // Each chat's oldest page is seldom full.
    let rows = (needed + users / 2) * ROWS;
    let mut written = 0;
    for _ in 0..FILLINGS_MOST {
        if written >= rows {
            break;
        }
        written += usize::try_from(load::run(server, 0..users, drive, bench.sizes.flood).await?.messages)?;
        eprintln!("  {written} of {rows} rows are written");
    }
    let readers = readers(server, users).await?;
    let walks = readers.iter().enumerate().map(|(chat, reader)| walk(reader, chat));
    let places = try_join_all(walks).await?.concat();
    if places.len() < needed {
        return Err(Failure(format!("{needed} pages are needed, and {} were written", places.len())));
    }
    Ok(places)
}

/// One side of each pair.
///
/// # Errors
/// A log-in that was refused.
pub(crate) async fn readers(server: &Server, users: usize) -> Result<Vec<Reader>, Failure> {
    let accounts = log_in(server.gateway(), &Server::people(0..users)).await?;
    let pairs = accounts.chunks_exact(2);
    Ok(pairs
        .map(|pair| Reader { account: pair[0].clone(), chat: ChatId::direct(pair[0].user, pair[1].user) })
        .collect())
}

/// From the newest message to the oldest full page.
async fn walk(reader: &Reader, chat: usize) -> Result<Vec<Place>, Failure> {
    let mut asker = Asker::greet(&reader.account, chat).await?;
    let (mut places, mut before) = (Vec::new(), Id::MAX);
    loop {
        let (_, frame) = asker.request(&history(reader.chat, before), ServerOp::Page).await?;
        let page = page(&frame)?;
        if page.messages.len() < ROWS {
            return Ok(places);
        }
        let ids = || page.messages.iter().map(|message| message.id);
        places.push(Place { chat, before, newest: ids().max().unwrap_or(before) });
        before = ids().min().unwrap_or(Id::ZERO);
    }
}

/// Asks for the page before an id.
pub(crate) fn history(chat: ChatId, before: Id) -> Request<'static> {
    Request::History(History {
        chat,
        before: Some(before),
        after: None,
        around: None,
        around_time: None,
        cursor: None,
        limit: Some(ROWS as u32),
    })
}

/// The page in a frame.
///
/// # Errors
/// There is something else in it.
pub(crate) fn page(frame: &[u8]) -> Result<Page<'_>, Failure> {
    match decode_reply(ENCODING, frame)? {
        Some((_, Reply::Page(page))) => Ok(page),
        _ => Err(Failure("no page".to_owned())),
    }
}
