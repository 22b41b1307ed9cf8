//! Which records count. Owner, fan-out and archive apply the same rules to the same records of a
//! partition, in log order, and so decide alike without asking each other.
//!
//! - *stale*: a send that was more than S on its way is taken by no session, and is no record ([`is_fresh`]);
//! - *fence*: a send whose session number is below the highest read from its device is dropped;
//! - *late*: a send stamped more than N after its id is dropped, and so is what follows from that
//!   session in that partition; its session learns the stamp with the append and never acknowledges it;
//! - *flagged*: a retry is shown by nobody until archive has looked its key up.
//!
//! A reader that starts anywhere first reads back [`READ_BACK_MS`] ([`read_back_from`]). What it would
//! have learned before that is forgotten here too, so memory is bounded by the devices that sent
//! within twice that time.
//!
//! # Why that much is enough
//!
//! Let R be a send of a session that its device has left, and F, before it on the log, one of a later
//! session. Whoever reads R must know F, or find R late. Times are those of the clock that stamps F;
//! b is the clocks' bound.
//!
//! 1. The device says R before it leaves the session, and F after that; F is stamped after it was said.
//!    So R is said before F's stamp.
//! 2. R is fresh: when its id is taken, the node's clock shows at most S more than it showed at
//!    `welcome` and the device has counted since. It was within b at `welcome`, which was said before it
//!    arrived, and what a device's clock may count too much is taken off S. So it shows at most S + b
//!    more than when R was said, wherever it has leapt meanwhile.
//! 3. The id lies at most 2b ahead of that: the floor that a generator accepts.
//! 4. R's stamp is at most N after its id, or R is late, and everyone drops it.
//! 5. The newest stamp before R is above R's own by b at most, as brokers take turns.
//!
//! Together the newest stamp is at most N + S + 4b after F's; a fifth b is for milliseconds that were
//! rounded. What follows a late send of its own session needs no memory: the session ends with the
//! answer to that append, so only the rest of the same batch can follow.

use std::collections::HashMap;

use crate::event::{Event, Record, Send};
use crate::id::{DeviceId, Id, SessionNumber};
use crate::limits;
use crate::time::Timestamp;

/// What a reader does with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Apply it.
    Accept,
    /// A retry: only archive acts on it.
    Flagged,
    /// Drop it: its device has a newer session here.
    Fenced,
    /// Drop it: it, or something before it from its session, came too late.
    Late,
}

/// A send is late if its own stamp is more than N after its id.
#[must_use]
pub fn is_late(id: Id, stamp: Timestamp) -> bool {
    stamp.since(id.time()) > limits::LATE_AFTER_MS.value
}

/// Whether a session may take a send. `said`: milliseconds from `welcome` until the device said it, by
/// the device's steady clock; `heard`: the same until the id is taken, by the node's clock. A count
/// that is ahead of the node's is no better than one behind: one of the two clocks is wrong.
#[must_use]
pub fn is_fresh(said: u64, heard: u64) -> bool {
    let drift = heard.saturating_mul(limits::STEADY_CLOCK_PPM.value) / 1_000_000;
    let ahead = said.saturating_sub(heard);
    heard.saturating_sub(said).saturating_add(drift) <= limits::STALE_AFTER_MS.value
        && ahead <= drift + 2 * limits::CLOCK_BOUND_MS.value
}

/// How far, in milliseconds of the log's stamps, a reader must read back before it may judge: N, S and
/// five times the clocks' bound, as derived above.
pub const READ_BACK_MS: u64 =
    limits::LATE_AFTER_MS.value + limits::STALE_AFTER_MS.value + 5 * limits::CLOCK_BOUND_MS.value;

/// The stamp from which a reader reads back, if `newest` is the largest stamp before its start.
#[must_use]
pub fn read_back_from(newest: Timestamp) -> Timestamp {
    newest.minus(READ_BACK_MS)
}

/// What is stamped before this may be deleted, of the records that all readers are done with. If there are others,
/// `unread_after` is the stamp of the last before them: who starts there reads back, however long ago that was.
#[must_use]
pub fn release_before(unread_after: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let old = now.minus(limits::RETAIN_LOG_MS.value);
    unread_after.map_or(old, |done| old.min(read_back_from(done)))
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    session: SessionNumber,
    late: bool,
}

/// What one reader of one partition remembers.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    young: HashMap<DeviceId, Newest>,
    old: HashMap<DeviceId, Newest>,
    newest_stamp: Timestamp,
    turned_at: Timestamp,
}

impl Rules {
    /// Judges the next record of the partition. Records that are no sends always count.
    pub fn judge(&mut self, record: &Record) -> Verdict {
        self.advance(record.stamp);
        match &record.event {
            Event::Send(send) => self.judge_send(send, record.stamp),
            _ => Verdict::Accept,
        }
    }

    fn judge_send(&mut self, send: &Send, stamp: Timestamp) -> Verdict {
        let device = send.key.device;
        let known = self.young.get(&device).or_else(|| self.old.get(&device)).copied();
        let mut newest = known.unwrap_or(Newest { session: send.session, late: false });
        if send.session < newest.session {
            return Verdict::Fenced;
        }
        if send.session > newest.session {
            newest = Newest { session: send.session, late: false };
        }
        newest.late |= is_late(send.id, stamp);
        self.young.insert(device, newest);
        match (newest.late, send.flagged) {
            (true, _) => Verdict::Late,
            (false, true) => Verdict::Flagged,
            (false, false) => Verdict::Accept,
        }
    }

    /// Forgets by the running maximum of the stamps; single stamps may stand back.
    fn advance(&mut self, stamp: Timestamp) {
        self.newest_stamp = self.newest_stamp.max(stamp);
        if self.newest_stamp.since(self.turned_at) > READ_BACK_MS {
            self.turned_at = self.newest_stamp;
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Recipient;
    use crate::event::{Body, Content, SendKey};
    use crate::id::{EPOCH_MS, UserId};
    use proptest::prelude::*;

    fn record(device: u64, session: u64, at: u64, stamp: u64, flagged: bool) -> Record {
        let id = |raw| Id::new(raw).unwrap_or(Id::ZERO);
        let session = SessionNumber(id(session));
        let event = Event::Send(Send {
            id: Id::first_at(Timestamp(EPOCH_MS + at)),
            sender: UserId(id(1)),
            recipient: Recipient::User(UserId(id(2))),
            key: SendKey { device: DeviceId(id(device)), session, number: 1 },
            session,
            flagged,
            resolve_only: false,
            shown: None,
            content: Content::Message { body: Body::text("x"), reply_to: None },
        });
        Record { offset: 0, stamp: Timestamp(EPOCH_MS + stamp), event }
    }

    #[test]
    fn an_older_session_is_fenced_and_a_late_one_ends() {
        let mut rules = Rules::default();
        assert_eq!(rules.judge(&record(1, 5, 0, 10, false)), Verdict::Accept);
        assert_eq!(rules.judge(&record(1, 4, 0, 10, true)), Verdict::Fenced);
        assert_eq!(rules.judge(&record(1, 5, 0, 10_000, true)), Verdict::Flagged);
        assert_eq!(rules.judge(&record(1, 5, 0, 10_001, false)), Verdict::Late);
        assert_eq!(rules.judge(&record(1, 5, 10_001, 10_001, false)), Verdict::Late);
        assert_eq!(rules.judge(&record(1, 6, 10_001, 10_001, true)), Verdict::Flagged);
    }

    #[test]
    fn without_reading_back_a_reader_shows_what_is_fenced() {
        let records = [record(1, 2, 0, 100, true), record(2, 1, 200, 200, false), record(1, 1, 50, 9_000, false)];
        let (late_starter, whole) = both(&records, 2);
        assert_eq!((late_starter, whole), (vec![None], vec![None]));
        assert_eq!(Rules::default().judge(&records[2]), Verdict::Accept);
    }

    /// Why a session must take nothing stale: nobody remembers the fence for ever.
    #[test]
    fn a_fence_is_forgotten_after_the_read_back() {
        let mut rules = Rules::default();
        let mut judge = |device, session, stamp, flagged| rules.judge(&record(device, session, stamp, stamp, flagged));
        assert_eq!(judge(1, 2, 0, true), Verdict::Flagged);
        assert_eq!(judge(1, 1, READ_BACK_MS, false), Verdict::Fenced);
        assert_eq!(judge(2, 1, READ_BACK_MS + 1, false), Verdict::Accept);
        assert_eq!(judge(2, 1, 2 * READ_BACK_MS + 2, false), Verdict::Accept);
        assert_eq!(judge(1, 1, 2 * READ_BACK_MS + 2, false), Verdict::Accept);
    }

    #[test]
    fn a_send_is_fresh_for_s_less_what_a_steady_clock_may_run_ahead() {
        let hour = 3_600_000;
        for (said, heard, fresh) in [
            (0, 0, true),
            (0, 5_000, true),
            (0, 5_001, false),
            (hour, hour + 4_640, true),
            (hour, hour + 4_641, false),
            (14 * hour, 14 * hour, false),
            (500, 0, true),
            (501, 0, false),
            (u64::MAX, hour, false),
            (u64::MAX, u64::MAX, false),
        ] {
            assert_eq!(is_fresh(said, heard), fresh, "said at {said}, heard at {heard}");
        }
    }

    const B: u64 = limits::CLOCK_BOUND_MS.value;
    /// How far a node's clock may leap, either way.
    const LEAP: u64 = 30_000;

    /// A send of a device, as everything around it delays it.
    #[derive(Clone, Debug)]
    struct Said {
        /// So long after the one before.
        after: u64,
        /// Its device leaves its session first, and gets `welcome` in the next one so late.
        anew: Option<u64>,
        /// How long it is on its way: network, pace, pauses.
        way: u64,
        /// What the node's clock shows too much then, with a leap; what it, and the log's, show too much at
        /// `welcome` and at the append.
        clocks: (u64, u64, u64),
        /// How far the id is ahead of the node's clock.
        ahead: u64,
        /// How long the log holds it back.
        held: u64,
    }

    fn said() -> impl Strategy<Value = Said> {
        let after = prop_oneof![2 => 0u64..100, 2 => 0u64..2_000, 1 => 5_000u64..25_000];
        let anew = prop::option::weighted(0.3, prop_oneof![2 => 0u64..300, 1 => 0u64..6_000]);
        let way = prop_oneof![4 => 0u64..1_000, 3 => 4_000u64..5_400, 1 => 5_000u64..60_000];
        let held = prop_oneof![4 => 0u64..1_000, 3 => 9_500u64..10_600, 1 => 1_000u64..40_000];
        let leapt = prop_oneof![6 => LEAP..=LEAP + B, 1 => 0..=2 * LEAP];
        let numbers = (after, anew, way, (leapt, 0..=B, 0..=B), 0..=2 * B + 1, held);
        numbers.prop_map(|(after, anew, way, clocks, ahead, held)| Said { after, anew, way, clocks, ahead, held })
    }

    /// A session that keeps the rules of sends, and its device's clock, which may run fast.
    struct Session {
        number: u64,
        /// When it said `welcome`, by the node's clock, and when that arrived.
        welcome: (u64, u64),
        read: u64,
        answered: u64,
        ended: bool,
    }

    impl Session {
        fn new(number: u64, now: u64, clock: u64, way: u64) -> Self {
            Self { number, welcome: (now + clock, now + way), read: 0, answered: 0, ended: false }
        }

        /// What it appends, and when that is on the log.
        fn hear(&mut self, device: u64, now: u64, said: &Said) -> Option<(u64, Record)> {
            self.read = self.read.max(now + said.way);
            let clock = self.read + said.clocks.0 - LEAP;
            let age = (now - self.welcome.1) * 10_001 / 10_000;
            self.ended |= !is_fresh(age, clock.saturating_sub(self.welcome.0));
            if self.ended {
                return None;
            }
            self.answered = self.read.max(self.answered) + said.held;
            let (id, stamp) = (clock + said.ahead, self.answered + said.clocks.2);
            let record = record(device, self.number, id, stamp, said.anew.is_some());
            self.ended = stamp > id + limits::LATE_AFTER_MS.value;
            Some((self.answered, record))
        }
    }

    /// Records in log order. A session has one append under way, ends when that was late, and takes nothing
    /// stale; everything else, pauses and holding back, is not bounded by anything.
    fn history(devices: &[Vec<Said>]) -> Vec<Record> {
        let mut records = Vec::new();
        for (device, sends) in (1u64..).zip(devices) {
            let (mut now, mut session) = (LEAP, Session::new(1, LEAP, 0, 0));
            for said in sends {
                now += said.after;
                if let Some(way) = said.anew {
                    session = Session::new(session.number + 1, now, said.clocks.1, way);
                    now += way;
                }
                records.extend(session.hear(device, now, said));
            }
        }
        records.sort_by_key(|(at, _)| *at);
        records.into_iter().map(|(_, record)| record).collect()
    }

    /// Whether a reader shows the record, hands it to archive, or drops it; why it drops it is no difference.
    fn shows(verdict: Verdict) -> Option<bool> {
        match verdict {
            Verdict::Accept => Some(true),
            Verdict::Flagged => Some(false),
            Verdict::Fenced | Verdict::Late => None,
        }
    }

    /// Verdicts of a reader that starts at `start`, and of one that read everything.
    fn both(records: &[Record], start: usize) -> (Vec<Option<bool>>, Vec<Option<bool>>) {
        let newest = records[..start].iter().map(|record| record.stamp).max().unwrap_or_default();
        let first = records[..start].iter().position(|record| record.stamp >= read_back_from(newest)).unwrap_or(start);
        let judge = |from: usize| {
            let mut rules = Rules::default();
            let verdicts: Vec<_> = records[from..].iter().map(|record| shows(rules.judge(record))).collect();
            verdicts[start - from..].to_vec()
        };
        (judge(first), judge(0))
    }

    /// Everything at its bound: R is on its way for S, its id is ahead, the log holds it for N, and what
    /// stands just before it is stamped ahead.
    #[test]
    fn the_last_send_that_is_not_late_is_fenced_by_whoever_starts_before_it() {
        let at_once = Said { after: 0, anew: Some(0), way: 0, clocks: (LEAP, 0, 0), ahead: 0, held: 0 };
        let (s, n, ahead) = (limits::STALE_AFTER_MS.value, limits::LATE_AFTER_MS.value, 2 * B + 1);
        let slow = Said { way: s + B, clocks: (LEAP, B, 0), ahead, held: n + ahead, ..at_once };
        let before = Said { after: slow.way + slow.held - 1, clocks: (LEAP, 0, B), ..at_once };
        let records = history(&[vec![slow, at_once], vec![before]]);
        assert_eq!(records[1].stamp.since(records[0].stamp), n + s + 4 * B);
        assert_eq!(Rules::default().judge(&records[2]), Verdict::Flagged, "it is not late");
        assert_eq!(both(&records, 2), (vec![None], vec![None]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        /// A reader that starts anywhere, after reading back, shows what one that read everything shows,
        /// whatever is on its way or held back for how long.
        #[test]
        fn reading_back_suffices(devices in prop::collection::vec(prop::collection::vec(said(), 1..12), 1..4)) {
            let records = history(&devices);
            for start in 0..records.len() {
                let (late_starter, whole) = both(&records, start);
                prop_assert_eq!(late_starter, whole, "started at {}", start);
            }
        }
    }
}
