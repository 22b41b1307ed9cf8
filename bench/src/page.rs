//! `page_p99_over_bare`: a page of 50 over the socket against a bare read of the same rows from a copy of
//! the same store and a bare round trip. Rows are written and the store is started anew; then both arms
//! read the same pages in turn, in windows of seconds: half of them never read before in that
//! arm, half of them read already.

use std::path::Path;
use std::time::Duration;

use futures::future::try_join_all;
use hdrhistogram::Histogram;
use loadtest::failure::Failure;
use loadtest::load::Drive;
use loadtest::server::Server;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{MissedTickBehavior, interval};
use volery_kernel::chat::ChatId;
use volery_wire::op::ServerOp;

use crate::asker::Asker;
use crate::bench::{Bench, Pages, Taken};
use crate::flow::WINDOW;
use crate::places::{Place, ROWS, fill, history, page, readers};
use crate::program::Program;
use crate::stats::histogram;
use crate::versus::Versus;

/// The figure.
pub(crate) const NAME: &str = "page_p99_over_bare";
/// The server's default, `timeline.cache_bytes`.
const CACHE_BYTES: &str = "134217728";
/// The first byte of a message's key in the store.
const MESSAGES: u8 = 1;
const SETTLE: Duration = Duration::from_secs(2);

/// Both arms: a connection a chat in each.
struct Arms {
    ours: Vec<Asker>,
    bare: Vec<Asker>,
    chats: Vec<ChatId>,
    question: fn(ChatId, Place) -> Vec<u8>,
}

/// A server with pages, and a program that reads the same rows.
pub(crate) struct Compared<'a> {
    /// The figure, and the run under which its shares stand.
    pub(crate) names: [&'static str; 2],
    /// How many are read.
    pub(crate) pages: Pages,
    /// The server.
    pub(crate) server: &'a Server,
    /// The program.
    pub(crate) bare: &'a Program,
    /// What the program is sent for a page.
    pub(crate) question: fn(ChatId, Place) -> Vec<u8>,
}

pub(crate) async fn run(bench: &Bench) -> Result<Taken, Failure> {
    let mut server = bench.server(2 * bench.sizes.pairs)?;
    let places = fill(bench, &server, bench.sizes.pages, Drive::Window(WINDOW)).await?;
    let copy = bench.folder()?;
    let to = copy.path().join("timeline");
    server.restart_after(|folder| copy_folder(&folder.join("timeline"), &to))?;
    let bare = Program::start(&bench.programs.bare_page, &[to.as_os_str(), CACHE_BYTES.as_ref()])?;
    let (names, pages) = ([NAME, "page"], bench.sizes.pages);
    Compared { names, pages, server: &server, bare: &bare, question: key }.take(bench, places).await
}

impl Compared<'_> {
    /// Reads these places by both.
    ///
    /// # Errors
    /// An arm that does not answer, or that reads other rows.
    pub(crate) async fn take(self, bench: &Bench, mut places: Vec<Place>) -> Result<Taken, Failure> {
        let mut arms = Arms::open(bench, &self).await?;
        arms.compare(places[0]).await?;
        tokio::time::sleep(SETTLE).await;
        let mut rng = StdRng::seed_from_u64(1);
        places.shuffle(&mut rng);
        let (new, per_second) = (self.pages.each_window / 2, self.pages.per_second);
        let (mut versus, mut fresh) = (Versus::new(self.names[0]), new);
        arms.both(&places[..fresh], per_second, true).await?;
        for _ in 0..bench.rounds {
            let (mut a, mut b) = (histogram()?, histogram()?);
            for window in 0..bench.sizes.windows {
                let (read, next) = places.split_at(fresh);
                let mixed = next[..new].iter().flat_map(|new| [*new, read[rng.random_range(0..read.len())]]);
                let (first, second) = arms.both(&mixed.collect::<Vec<_>>(), per_second, window % 2 == 0).await?;
                a.add(first)?;
                b.add(second)?;
                fresh += new;
            }
            versus.add(bench, &a, &b)?;
        }
        Ok(versus.taken(self.names[1]))
    }
}

/// Where the rows before an id begin in the store: its ids are inverted, so older ones come later.
fn key(chat: ChatId, Place { before, .. }: Place) -> Vec<u8> {
    let mut key = vec![MESSAGES];
    key.extend_from_slice(&chat.to_key());
    key.extend_from_slice(&(!before.get() + 1).to_be_bytes());
    key
}

impl Arms {
    async fn open(bench: &Bench, compared: &Compared<'_>) -> Result<Self, Failure> {
        let readers = readers(compared.server, 2 * bench.sizes.pairs).await?;
        let ours = readers.iter().enumerate().map(|(number, reader)| Asker::greet(&reader.account, number));
        let bare = (0..readers.len()).map(|number| Asker::connect(compared.bare.address(), number));
        let chats = readers.iter().map(|reader| reader.chat).collect();
        Ok(Self {
            ours: try_join_all(ours).await?,
            bare: try_join_all(bare).await?,
            chats,
            question: compared.question,
        })
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

    async fn ours(&mut self, Place { chat, before, .. }: Place) -> Result<(Duration, Vec<u8>), Failure> {
        self.ours[chat].request(&history(self.chats[chat], before), ServerOp::Page).await
    }

    async fn bare(&mut self, place: Place) -> Result<(Duration, Vec<u8>), Failure> {
        let question = (self.question)(self.chats[place.chat], place);
        self.bare[place.chat].exchange(&question, |_| true).await
    }

    /// The same pages by both, one window after the other.
    async fn both(
        &mut self,
        pages: &[Place],
        per_second: u64,
        ours_first: bool,
    ) -> Result<(Histogram<u64>, Histogram<u64>), Failure> {
        let (mut ours, mut bare) = (histogram()?, histogram()?);
        for turn in [ours_first, !ours_first] {
            let times = if turn { &mut ours } else { &mut bare };
            self.window(pages, per_second, turn, times).await?;
        }
        Ok((ours, bare))
    }

    async fn window(
        &mut self,
        pages: &[Place],
        per_second: u64,
        ours: bool,
        times: &mut Histogram<u64>,
    ) -> Result<(), Failure> {
        let mut next = interval(Duration::from_secs(1) / u32::try_from(per_second)?);
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
    use volery_kernel::id::{Id, UserId};

    #[test]
    fn older_messages_come_later_in_the_store() {
        let id = |raw| Id::new(raw).unwrap();
        let chat = ChatId::direct(UserId(id(7)), UserId(id(8)));
        let row = |raw: u64| [&[MESSAGES][..], &chat.to_key(), &(!raw).to_be_bytes(), &[0; 9]].concat();
        let from = key(chat, Place { chat: 0, before: id(1_000), newest: id(999) });
        assert!(row(1_000) < from && row(1_001) < from);
        assert!(row(999) > from && row(998) > row(999));
    }
}
