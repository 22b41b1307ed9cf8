//! `cql_statements_per_message`: statements that the timeline sends to Cassandra a message that is delivered
//! and read, while pairs talk in turns: four messages half a second apart, read at a look two seconds later at most,
//! then answered. What sessions read when they open is among them.

use std::time::Duration;

use loadtest::failure::Failure;
use loadtest::load::{self, Drive};
use loadtest::server::Server;

use crate::bench::{Bench, Taken, progress};
use crate::engines::{BOTH, Engines};
use crate::figure::Share;
use crate::records::Records;
use crate::stages::shares;

/// The figure.
pub(crate) const NAME: &str = "cql_statements_per_message";
/// Statements that write.
pub(crate) const WRITTEN: &str = "volery_timeline_statements_total{kind=\"written\"}";
/// Those of them that write a chat row.
pub(crate) const CHAT_ROWS: &str = "volery_timeline_chat_rows_total";
const READ: &str = "volery_timeline_statements_total{kind=\"read\"}";
/// What follows from the last messages is archived by then, and counted: counters are brought up once a second.
const SETTLE: Duration = Duration::from_secs(4);

/// What the server has done so far.
struct Done {
    written: u64,
    read: u64,
    records: Records,
}

pub(crate) async fn run(bench: &Bench) -> Result<Taken, Failure> {
    let engines = Engines::start(bench, BOTH, 1)?;
    let users = 2 * bench.sizes.talkers;
    let server = engines.server(bench, users, &engines.place())?;
    // Windows of new chats are noted once: they are no part of a conversation that goes on.
    load::run(&server, 0..users, Drive::Talk, bench.sizes.talk).await?;
    let (mut figures, mut behind) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        tokio::time::sleep(SETTLE).await;
        let before = Done::of(&server).await?;
        let flow = load::run(&server, 0..users, Drive::Talk, bench.sizes.talk).await?;
        tokio::time::sleep(SETTLE).await;
        let now = Done::of(&server).await?;
        if now.written == before.written {
            return Err(Failure("the server counts no statement that writes".to_owned()));
        }
        let each = |count: u64| count as f64 / flow.messages.max(1) as f64;
        let (written, read) = (each(now.written - before.written), each(now.read - before.read));
        progress(NAME, round, bench.rounds, &format!("{written:.2} written, {read:.2} read, {:.0}/s", flow.per_second));
        figures.push(written + read);
        let share = |name: &str, value, unit| Share { name: name.to_owned(), value, unit };
        behind.push(vec![
            share("written", written, "count"),
            share("read", read, "count"),
            share("records", each(now.records.since(before.records).count), "count"),
            share("read_marks", each(flow.marks), "count"),
            share("rate", flow.per_second, "1/s"),
        ]);
    }
    Ok(Taken { figures: vec![(NAME, figures)], shares: shares("talk", &behind) })
}

impl Done {
    async fn of(server: &Server) -> Result<Self, Failure> {
        let (written, read) = (server.metric(WRITTEN).await?, server.metric(READ).await?);
        Ok(Self { written, read, records: Records::of(server).await? })
    }
}
