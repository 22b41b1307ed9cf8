//! `durable3_over_bare`: sends a second that three brokers and three nodes of Cassandra sustain for a minute,
//! against a program that produces as many records of as many bytes and issues the same writes. Both arms in
//! turn, on the same engines and the same tables.
//!
//! Trap avoided: sends that pile up before archive are not sustained. Nobody is slowed down by an archive that is behind, so
//! a round after which it is by more than 5 s gives no ratio, only the pace at which it went on: from then on no more is sent.

use std::ffi::OsStr;
use std::time::Duration;

use loadtest::failure::Failure;
use loadtest::load::{self, Drive, Flow, Span};
use loadtest::server::Server;

use crate::bench::{Bench, Taken, progress};
use crate::engines::{BOTH, Engines, Place};
use crate::figure::Share;
use crate::flow::WINDOW;
use crate::program::Program;
use crate::records::Records;
use crate::stages::shares;
use crate::statements::{CHAT_ROWS, WRITTEN};

/// The figure.
pub(crate) const NAME: &str = "durable3_over_bare";
/// Seconds that archive may be behind at the end.
const LAG_MOST: f64 = 5.0;
/// Both sides' chat rows; one statement of ours may stand for those of several messages. What else we write beside a
/// message's own four rows (marks, commits, rows written twice) is ours alone.
const CHAT_ROWS_MOST: f64 = 2.0;
/// What is sent as long as archive keeps up with it.
pub(crate) const FLOOD: Drive = Drive::Window(WINDOW);
/// As many as the log has.
const PARTITIONS: i32 = 16;
const SETTLE: Duration = Duration::from_secs(2);
/// Of the pace of an archive that fell behind, what is sent from then on.
const OF_PACE: f64 = 0.9;
/// Rounds that may find out that more was sent than is sustained.
const TOO_MUCH_MOST: usize = 3;

/// A round of our arm, and what its messages caused.
pub(crate) struct Ours {
    pub(crate) flow: Flow,
    statements: f64,
    chat_rows: f64,
    records: Records,
}

/// The program that does as much a message as ours does, and nothing else.
pub(crate) struct Theirs(Program);

/// A round of it.
pub(crate) struct Bare {
    /// Messages.
    pub(crate) per_second: f64,
    /// µs of its own processor a message.
    pub(crate) cpu: f64,
}

pub(crate) async fn run(bench: &Bench) -> Result<Taken, Failure> {
    let engines = Engines::start(bench, BOTH, 3)?;
    let place = engines.place();
    let server = engines.server(bench, 2 * bench.sizes.pairs, &place)?;
    let first = Ours::take(bench, &server, FLOOD, bench.sizes.flood).await?;
    let mut bare = Theirs::start(bench, &engines, &place, &first, &[]).await?;
    let rounds = bench.rounds.min(bench.sizes.sustained_rounds);
    let (mut ratios, mut behind, mut drive, mut too_much) = (Vec::new(), Vec::new(), FLOOD, 0);
    while ratios.len() < rounds && too_much < TOO_MUCH_MOST {
        let ours = Ours::take(bench, &server, drive, bench.sizes.sustained).await?;
        let (round, rate, lag) = (ratios.len(), ours.flow.per_second, ours.lag());
        if lag > LAG_MOST {
            let pace = ours.pace(bench.sizes.sustained);
            (drive, too_much) = (Drive::Rate((OF_PACE * pace) as u64), too_much + 1);
            let seen = format!("{rate:.0}/s are too much: archive {lag:.1} s behind, at {pace:.0}/s");
            progress(NAME, round, rounds, &seen);
            continue;
        }
        let theirs = bare.take(bench.sizes.sustained)?.per_second;
        progress(NAME, round, rounds, &format!("{rate:.0}/s, bare {theirs:.0}/s; archive {lag:.1} s behind"));
        ratios.push(rate / theirs);
        behind.push(ours.shares(theirs));
    }
    Ok(Taken { figures: vec![(NAME, ratios)], shares: shares("durable3", &behind) })
}

impl Theirs {
    /// What it does is what ours was seen to cause; `words` say what else.
    ///
    /// # Errors
    /// Kafka's, or the program's.
    pub(crate) async fn start(
        bench: &Bench,
        engines: &Engines,
        place: &Place,
        ours: &Ours,
        words: &[&str],
    ) -> Result<Self, Failure> {
        let open = (bench.sizes.pairs * WINDOW).to_string();
        let bytes = ours.records.bytes_each().to_string();
        let chat_rows = (1_000.0 * ours.chat_rows.min(CHAT_ROWS_MOST)).round().to_string();
        let topic = engines.topic(PARTITIONS).await?;
        let arguments = [engines.brokers(), &topic, engines.nodes(), &place.keyspace, &open, &bytes, &chat_rows];
        let arguments: Vec<_> = arguments.into_iter().chain(words.iter().copied()).map(OsStr::new).collect();
        Program::start(&bench.programs.bare_durable, &arguments).map(Self)
    }

    /// # Errors
    /// It has ended.
    pub(crate) fn take(&mut self, Span { warm_up, measured }: Span) -> Result<Bare, Failure> {
        self.0.tell(&format!("{} {}", warm_up.as_millis(), measured.as_millis()))?;
        let told = self.0.hear()?;
        let (per_second, cpu) = told.split_once(' ').ok_or_else(|| Failure(format!("no rate and cost: {told}")))?;
        Ok(Bare { per_second: per_second.parse()?, cpu: cpu.parse()? })
    }
}

impl Ours {
    /// # Errors
    /// The load test's.
    pub(crate) async fn take(bench: &Bench, server: &Server, drive: Drive, span: Span) -> Result<Self, Failure> {
        let (written, records) = (server.metric(WRITTEN).await?, Records::of(server).await?);
        let chat_rows = server.metric(CHAT_ROWS).await?;
        let flow = load::run(server, 0..2 * bench.sizes.pairs, drive, span).await?;
        // The counters are brought up once a second.
        tokio::time::sleep(SETTLE).await;
        let each = |count: u64| count as f64 / flow.messages.max(1) as f64;
        let statements = each(server.metric(WRITTEN).await? - written);
        let chat_rows = each(server.metric(CHAT_ROWS).await? - chat_rows);
        Ok(Self { flow, statements, chat_rows, records: Records::of(server).await?.since(records) })
    }

    /// Seconds from the last send until the last message was archived, as the server counts them.
    fn lag(&self) -> f64 {
        self.flow.archived_after.as_secs_f64()
    }

    /// Messages a second that archive was done with.
    fn pace(&self, Span { warm_up, measured }: Span) -> f64 {
        self.flow.messages as f64 / (warm_up + measured + self.flow.archived_after).as_secs_f64()
    }

    fn shares(&self, bare: f64) -> Vec<Share> {
        let share = |name: &str, value, unit| Share { name: name.to_owned(), value, unit };
        let messages = self.flow.messages.max(1) as f64;
        vec![
            share("rate", self.flow.per_second, "1/s"),
            share("rate_bare", bare, "1/s"),
            share("archive_lag", self.lag(), "s"),
            share("statements", self.statements, "count"),
            share("chat_rows", self.chat_rows, "count"),
            share("records", self.records.count as f64 / messages, "count"),
            share("record_bytes", self.records.bytes_each() as f64, "bytes"),
            share("server", self.flow.server.total as f64 / messages, "us"),
            share("load_test", self.flow.client.total as f64 / messages, "us"),
        ]
    }
}
