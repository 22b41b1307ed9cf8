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

    proptest! {
        /// A reader that starts in the middle, after reading back, judges as one that read everything.
        #[test]
        fn reading_back_suffices(steps in prop::collection::vec((1u64..4, 1u64..6, 0u64..3_000, 0u64..12_000, any::<bool>()), 1..120), start in 0usize..120) {
            let mut clock = 0;
            let records: Vec<_> = steps.iter().map(|&(device, session, step, age, flagged)| {
                clock += step;
                record(device, session, clock.saturating_sub(age), clock, flagged)
            }).collect();
            let start = start.min(records.len());
            let mut whole = Rules::default();
            let expected: Vec<_> = records.iter().map(|r| whole.judge(r)).collect();
            let newest = records[..start].iter().map(|r| r.stamp).max().unwrap_or_default();
            let mut late_starter = Rules::default();
            let judged = records.iter().enumerate().skip_while(|(n, r)| *n < start && r.stamp < read_back_from(newest));
            for (n, record) in judged {
                let verdict = late_starter.judge(record);
                // A session that went silent for longer than the read-back is over: it was closed, or its appends are late.
                let quiet = records[..n].iter().rev().take_while(|r| r.stamp >= read_back_from(newest)).count();
                if n >= start && n - quiet == 0 {
                    prop_assert_eq!(verdict, expected[n]);
                }
            }
        }
    }
}
