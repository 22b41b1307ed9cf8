//! Writes the history of an honest flood, to measure the checker with:
//! `flood [MESSAGES] > FILE`, 150,000 by default, among 100 pairs of devices who reconnect now and then.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, BufWriter};

use volery_checker::history::{Act, History, Line, Marks, Row, Via, What};
use volery_checker::text::{Label, Text};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_wire::server::MarkKind;

const PAIRS: u32 = 100;
/// Messages of a device between two connections, and between two marks of its peer.
const RECONNECT_EVERY: u32 = 50;
const MARK_EVERY: u32 = 4;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// One direction of a pair: who sends, who shows.
struct Lane {
    from: u32,
    to: u32,
    said: u32,
    newest: Source,
    marked: Source,
}

struct Flood {
    history: History,
    sessions: Vec<SessionNumber>,
    rows: BTreeMap<ChatId, Vec<Row>>,
    next: u64,
}

fn user(device: u32) -> Outcome<UserId> {
    Ok(UserId::new(u64::from(device) + 1)?)
}

impl Flood {
    fn tell(&mut self, device: u32, what: What) {
        let at = self.history.steps.len() as u64 * 10;
        self.history.push(at, device, what);
    }

    fn take(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn connect(&mut self, device: u32, resume: bool) -> Outcome<()> {
        let session = SessionNumber::new(self.take())?;
        self.tell(device, What::Hello { resume });
        self.tell(device, What::Welcome(session));
        self.tell(device, What::Synced);
        self.sessions[device as usize] = session;
        Ok(())
    }

    fn say(&mut self, lane: &mut Lane) -> Outcome<()> {
        lane.said += 1;
        let (device, number) = (lane.from, lane.said);
        let (label, session) = (Label { device, number }, self.sessions[device as usize]);
        let (chat, text) = (ChatId::direct(user(device)?, user(lane.to)?), Text::of(&format!("{label} flood"))?);
        let (id, source) = (Id::new(self.take())?, Source(self.next));
        self.tell(device, What::Wanted { label, chat, act: Act::Say(text), after: None });
        self.tell(device, What::Sent { label, session, number, retry: false, shown: None });
        self.tell(device, What::Acked { session, number, id, source });
        self.tell(device, What::Ended { label, id: Some(id) });
        let row = Row { chat, id, from: user(device)?, source, text: Some(text), reactions: Vec::new() };
        self.rows.entry(chat).or_default().push(row.clone());
        self.tell(lane.to, What::Showed { via: Via::Stream, row });
        lane.newest = source;
        self.follow(lane, chat)
    }

    fn follow(&mut self, lane: &mut Lane, chat: ChatId) -> Outcome<()> {
        let (reader, kind, source) = (user(lane.to)?, MarkKind::Read, lane.newest);
        if lane.said.is_multiple_of(MARK_EVERY) {
            self.tell(lane.to, What::SaidMark { chat, kind, source });
            self.tell(lane.to, What::Marked { chat, reader, kind, source });
            self.tell(lane.from, What::Marked { chat, reader, kind, source });
            lane.marked = source;
        }
        if lane.said.is_multiple_of(RECONNECT_EVERY) {
            self.tell(lane.to, What::Closed);
            self.connect(lane.to, true)?;
        }
        Ok(())
    }

    fn rest(&mut self, lanes: &[Lane]) -> Outcome<()> {
        for (chat, rows) in self.rows.clone() {
            self.tell(0, What::Timeline { chat, rows });
        }
        // Lanes come in twos: the second is the first one's way back.
        for (n, lane) in lanes.iter().enumerate() {
            let back = &lanes[n ^ 1];
            let chat = ChatId::direct(user(lane.from)?, user(lane.to)?);
            let rows = self.rows.get(&chat).cloned().unwrap_or_default();
            let unread =
                rows.iter().filter(|row| row.source > back.marked && Ok(row.from) != user(lane.from).map_err(drop));
            let unread = unread.count().min(100) as u32;
            let marks = Marks { chat, read: back.marked, peer_delivered: lane.newest, peer_read: lane.marked };
            self.tell(lane.from, What::Lines(vec![Line { unread, newest_incoming: back.newest, marks }]));
            self.tell(lane.from, What::View { rows, marks: Vec::new() });
        }
        Ok(())
    }
}

fn main() -> Outcome<()> {
    let messages: u32 = std::env::args().nth(1).map_or(Ok(150_000), |text| text.parse())?;
    let sessions = vec![SessionNumber::default(); 2 * PAIRS as usize];
    let mut flood = Flood { history: History::new("flood"), sessions, rows: BTreeMap::new(), next: 1_000 };
    for device in 0..2 * PAIRS {
        flood.tell(device, What::Device { user: user(device)?, device: DeviceId::new(u64::from(device) + 1)? });
    }
    for device in 0..2 * PAIRS {
        flood.tell(device, What::Started);
        flood.connect(device, true)?;
    }
    let lane = |from, to| Lane { from, to, said: 0, newest: Source::ZERO, marked: Source::ZERO };
    let mut lanes: Vec<Lane> = (0..PAIRS).flat_map(|n| [lane(2 * n, 2 * n + 1), lane(2 * n + 1, 2 * n)]).collect();
    for n in 0..messages as usize {
        let lane = n % lanes.len();
        flood.say(&mut lanes[lane])?;
    }
    flood.rest(&lanes)?;
    Ok(flood.history.write(BufWriter::new(io::stdout().lock()))?)
}
