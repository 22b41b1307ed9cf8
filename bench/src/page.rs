//! `page_p99_over_bare`: a page of 50 over the socket against a bare read of the same rows from a copy of
//! the same store and a bare round trip. Rows are written and the store is started anew; then both arms
//! read the same pages in turn, in windows of seconds: half of them never read before in that
//! arm, half of them read already.

use std::path::Path;
use std::time::Duration;

use futures::future::try_join_all;
use hdrhistogram::Histogram;
use loadtest::account::{Account, log_in};
use loadtest::failure::Failure;
use loadtest::load::{self, Drive, Span};
use loadtest::server::Server;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{MissedTickBehavior, interval};
use volery_kernel::chat::ChatId;
use volery_kernel::id::Id;
use volery_wire::client::{History, Request};
use volery_wire::codec::decode_reply;
use volery_wire::op::ServerOp;
use volery_wire::server::{Page, Reply};

use crate::asker::{Asker, ENCODING};
use crate::bench::{Bench, Taken, progress};
use crate::figure::Share;
use crate::program::Program;
use crate::stats::{histogram, median, p99};

/// The figure.
pub(crate) const NAME: &str = "page_p99_over_bare";
const ROWS: usize = 50;
/// The server's default, `timeline.cache_bytes`.
const CACHE_BYTES: &str = "134217728";
/// The first byte of a message's key in the store.
const MESSAGES: u8 = 1;
const FILLING: Span = Span { warm_up: Duration::ZERO, measured: Duration::from_secs(2) };
const SETTLE: Duration = Duration::from_secs(2);
const FILLINGS_MOST: usize = 30;

/// A page: which of the chats, and the messages before which id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    chat: usize,
    before: Id,
}

/// Who reads which chat.
struct Reader {
    account: Account,
    chat: ChatId,
}

/// Both arms: a connection a chat in each.
struct Arms {
    ours: Vec<Asker>,
    bare: Vec<Asker>,
    chats: Vec<ChatId>,
}

pub(crate) async fn run(bench: &Bench) -> Result<Taken, Failure> {
    let users = 2 * bench.sizes.pairs;
    let mut server = bench.server(users)?;
    let mut places = fill(bench, &server, users).await?;
    let copy = bench.folder()?;
    let to = copy.path().join("timeline");
    server.restart_after(|folder| copy_folder(&folder.join("timeline"), &to))?;
    let bare = Program::start(&bench.programs.bare_page, &[to.as_os_str(), CACHE_BYTES.as_ref()])?;
    let readers = readers(&server, users).await?;
    let mut arms = Arms::open(&readers, bare.address()).await?;
    arms.compare(places[0]).await?;
    tokio::time::sleep(SETTLE).await;

    let mut rng = StdRng::seed_from_u64(1);
    places.shuffle(&mut rng);
    let mut ratios = Vec::new();
    let mut rounds: [Vec<f64>; 4] = Default::default();
    let mut fresh = bench.sizes.pages / 2;
    arms.both(bench, &places[..fresh], true).await?;
    for round in 0..bench.rounds {
        let (mut a, mut b) = (histogram()?, histogram()?);
        for window in 0..bench.sizes.windows {
            let (read, next) = places.split_at(fresh);
            let new = &next[..bench.sizes.pages / 2];
            let pages: Vec<_> = new.iter().flat_map(|new| [*new, read[rng.random_range(0..read.len())]]).collect();
            let (first, second) = arms.both(bench, &pages, window % 2 == 0).await?;
            a.add(first)?;
            b.add(second)?;
            fresh += new.len();
        }
        let middle = [&a, &b].map(|times| times.value_at_quantile(0.5) as f64);
        let (a, b) = (p99(&a)?, p99(&b)?);
        let seen = format!("p99 {a:.0} µs, bare {b:.0} µs; p50 {:.0} µs, bare {:.0} µs", middle[0], middle[1]);
        progress(NAME, round, bench.rounds, &seen);
        ratios.push(a / b);
        rounds.iter_mut().zip([a, b, middle[0], middle[1]]).for_each(|(rounds, taken)| rounds.push(taken));
    }
    let share = |(name, rounds): (&&str, &Vec<f64>)| {
        Some(Share { name: format!("page/{name}"), value: median(rounds)?, unit: "us" })
    };
    let shares = ["p99", "p99_bare", "p50", "p50_bare"].iter().zip(&rounds).map(share);
    Ok(Taken { figures: vec![(NAME, ratios)], shares: shares.flatten().collect() })
}

/// Writes until there are pages for all windows and for the one before them; says where they are.
async fn fill(bench: &Bench, server: &Server, users: usize) -> Result<Vec<Place>, Failure> {
    let needed = bench.sizes.pages / 2 * (bench.sizes.windows * bench.rounds + 1);
    // Each chat's oldest page is seldom full.
    let rows = (needed + users / 2) * ROWS;
    let mut written = 0;
    for _ in 0..FILLINGS_MOST {
        if written >= rows {
            break;
        }
        written += usize::try_from(load::run(server, 0..users, Drive::Window(8), FILLING).await?.messages)?;
        eprintln!("  {NAME}: {written} of {rows} rows");
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
async fn readers(server: &Server, users: usize) -> Result<Vec<Reader>, Failure> {
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
        places.push(Place { chat, before });
        before = page.messages.iter().map(|message| message.id).min().unwrap_or(Id::ZERO);
    }
}

fn history(chat: ChatId, before: Id) -> Request<'static> {
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

fn page(frame: &[u8]) -> Result<Page<'_>, Failure> {
    match decode_reply(ENCODING, frame)? {
        Some((_, Reply::Page(page))) => Ok(page),
        _ => Err(Failure("no page".to_owned())),
    }
}

/// Where the rows before an id begin in the store: its ids are inverted, so older ones come later.
fn key(chat: ChatId, before: Id) -> Vec<u8> {
    let mut key = vec![MESSAGES];
    key.extend_from_slice(&chat.to_key());
    key.extend_from_slice(&(!before.get() + 1).to_be_bytes());
    key
}

impl Arms {
    async fn open(readers: &[Reader], bare: &str) -> Result<Self, Failure> {
        let ours = readers.iter().enumerate().map(|(number, reader)| Asker::greet(&reader.account, number));
        let bare = (0..readers.len()).map(|number| Asker::connect(bare, number));
        let chats = readers.iter().map(|reader| reader.chat).collect();
        Ok(Self { ours: try_join_all(ours).await?, bare: try_join_all(bare).await?, chats })
    }

    /// Both give the same rows, or there is nothing to compare.
    async fn compare(&mut self, place: Place) -> Result<(), Failure> {
        let (_, ours) = self.ours(place).await?;
        let (_, bare) = self.bare(place).await?;
        let ours = page(&ours)?;
        let held = |text: &str| bare.windows(text.len()).any(|stored| stored == text.as_bytes());
        if ours.messages.len() == ROWS && ours.messages.iter().all(|message| held(&message.text)) {
            return Ok(());
        }
        Err(Failure("the bare arm reads other rows: has the store another layout?".to_owned()))
    }

    async fn ours(&mut self, Place { chat, before }: Place) -> Result<(Duration, Vec<u8>), Failure> {
        self.ours[chat].request(&history(self.chats[chat], before), ServerOp::Page).await
    }

    async fn bare(&mut self, Place { chat, before }: Place) -> Result<(Duration, Vec<u8>), Failure> {
        self.bare[chat].exchange(&key(self.chats[chat], before), |_| true).await
    }

    /// The same pages by both, one window after the other.
    async fn both(
        &mut self,
        bench: &Bench,
        pages: &[Place],
        ours_first: bool,
    ) -> Result<(Histogram<u64>, Histogram<u64>), Failure> {
        let (mut ours, mut bare) = (histogram()?, histogram()?);
        for turn in [ours_first, !ours_first] {
            let times = if turn { &mut ours } else { &mut bare };
            self.window(bench, pages, turn, times).await?;
        }
        Ok((ours, bare))
    }

    async fn window(
        &mut self,
        bench: &Bench,
        pages: &[Place],
        ours: bool,
        times: &mut Histogram<u64>,
    ) -> Result<(), Failure> {
        let mut next = interval(Duration::from_secs(1) / u32::try_from(bench.sizes.pages_per_second)?);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for place in pages {
            next.tick().await;
            let (took, answer) = if ours { self.ours(*place).await? } else { self.bare(*place).await? };
            // A page of fewer rows would be a shorter question.
            if answer.len() < ROWS * crate::sender::TEXT {
                return Err(Failure(format!("a page of {} bytes is not whole", answer.len())));
            }
            times.saturating_record(took.as_micros() as u64);
        }
        Ok(())
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use volery_kernel::id::UserId;

    #[test]
    fn older_messages_come_later_in_the_store() {
        let id = |raw| Id::new(raw).unwrap();
        let chat = ChatId::direct(UserId(id(7)), UserId(id(8)));
        let row = |raw: u64| [&[MESSAGES][..], &chat.to_key(), &(!raw).to_be_bytes(), &[0; 9]].concat();
        let from = key(chat, id(1_000));
        assert!(row(1_000) < from && row(1_001) < from);
        assert!(row(999) > from && row(998) > row(999));
    }
}
