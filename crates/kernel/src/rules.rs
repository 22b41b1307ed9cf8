//! Which records count. Owner, fan-out and archive apply the same rules to the same records of a
//! partition, in log order, and so decide alike without asking each other.
//!
//! - *fence*: a send whose session number is below the highest read from its device is dropped;
//! - *late*: a send stamped more than N after its id is dropped, and so is what follows from that
//!   session in that partition; its session learns the stamp with the append and never acknowledges it;
//! - *flagged*: a retry is shown by nobody until archive has looked its key up.
//!
//! A reader that starts anywhere first reads back N plus the clocks' bound ([`read_back_from`]).
//! What it would have learned before that is forgotten here too, so memory is bounded by the
//! devices that sent within twice that time.

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

/// How far, in milliseconds of the log's stamps, a reader must read back before it may judge.
pub const READ_BACK_MS: u64 = limits::LATE_AFTER_MS.value + limits::CLOCK_BOUND_MS.value;

/// The stamp from which a reader reads back, if `newest` is the largest stamp before its start.
#[must_use]
pub fn read_back_from(newest: Timestamp) -> Timestamp {
    newest.minus(READ_BACK_MS)
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

    /// Why a session must take no id once its device has left it: nobody remembers the fence for ever.
    #[test]
    fn a_session_that_goes_on_for_long_is_fenced_no_more() {
        let mut rules = Rules::default();
        assert_eq!(rules.judge(&record(1, 2, 0, 10, true)), Verdict::Flagged);
        assert_eq!(rules.judge(&record(1, 1, 9_000, 9_010, false)), Verdict::Fenced);
        for stamp in [11_000, 22_000] {
            assert_eq!(rules.judge(&record(2, 1, stamp, stamp, false)), Verdict::Accept);
        }
        assert_eq!(rules.judge(&record(1, 1, 22_000, 22_010, false)), Verdict::Accept);
    }

    /// One append of a device: how long after the append before it was accepted, by which clock
    /// (ahead of the log's by so much), how long the log took, and whether the device left its
    /// session before and retries in the next.
    type Append = (u64, u64, u64, bool);

    fn append() -> impl Strategy<Value = Append> {
        let took = prop_oneof![6 => 0u64..3_000, 2 => 9_000u64..10_600, 1 => 10_000u64..40_000];
        let step = prop_oneof![4 => 0u64..2_000, 1 => 5_000u64..25_000];
        (step, 0u64..2 * limits::CLOCK_BOUND_MS.value, took, any::<bool>())
    }

    /// Records in log order of devices that keep the protocol: a session has one append under way
    /// and ends when that is not answered in time; it takes no id once its device has left it. How
    /// long the log holds back what was accepted is not bounded by anything.
    fn history(devices: &[Vec<Append>]) -> Vec<Record> {
        let mut records = Vec::new();
        for (device, appends) in devices.iter().enumerate() {
            let (mut now, mut session, mut answered) = (1_000, 1, 1_000);
            for &(step, ahead, took, leaves) in appends {
                let ended = answered > now + limits::APPEND_DEADLINE_MS.value;
                now = step + if ended { now } else { answered };
                session += u64::from(leaves || ended);
                answered = now + took;
                let at = (now + ahead).saturating_sub(limits::CLOCK_BOUND_MS.value);
                records.push(record(device as u64 + 1, session, at, answered, leaves || ended));
            }
        }
        records.sort_by_key(|record| record.stamp);
        records
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        /// A reader that starts anywhere, after reading back, shows what one that read everything shows,
        /// whatever the log holds back for how long, as long as sessions take no ids after their devices left.
        #[test]
        fn reading_back_suffices(devices in prop::collection::vec(prop::collection::vec(append(), 1..12), 1..4), start in 0usize..40) {
            let records = history(&devices);
            let (late_starter, whole) = both(&records, start.min(records.len()));
            prop_assert_eq!(late_starter, whole);
        }
    }
}
