//! What is known of a partition of the log, and whether it is believed. Pure.

use volery_kernel::position::Offset;
use volery_kernel::time::Timestamp;
use volery_ports::log::StoredRecord;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    end: Offset,
    newest: Option<(Offset, Timestamp)>,
    doubted: bool,
    given_up: Option<String>,
}

/// What reading the newest known record again tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is as it was.
    Same,
    /// Another record has its place.
    Other,
    /// Nothing has its place: the log ends here.
    Ends(Offset),
}

impl Verdict {
    /// The record was read at its place, or nothing, with the log's end.
    pub(crate) fn of(read: Option<&StoredRecord>, stamp: Timestamp, end: Offset) -> Self {
        match read {
            Some(record) if record.stamp == stamp => Self::Same,
            Some(_) => Self::Other,
            None => Self::Ends(end),
        }
    }
}

impl Trust {
    /// How far the log was known to go.
    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    /// The log goes that far, and this is a record of it.
    pub(crate) fn note(&mut self, end: Offset, newest: Option<(Offset, Timestamp)>) {
        self.end = self.end.max(end);
        if newest.map(|(offset, _)| offset) > self.newest.map(|(offset, _)| offset) {
            self.newest = newest;
        }
    }

    /// There was trouble: what comes after it may be another log.
    pub(crate) fn doubt(&mut self) {
        self.doubted = true;
    }

    /// The record that must still be in its place, while there is a doubt.
    pub(crate) fn to_check(&self) -> Option<(Offset, Timestamp)> {
        self.newest.filter(|_| self.doubted)
    }

    /// It was.
    pub(crate) fn believe(&mut self) {
        self.doubted = false;
    }

    /// Never believes it again; whether it was believed until now.
    pub(crate) fn give_up(&mut self, what: String) -> bool {
        let believed = self.given_up.is_none();
        self.given_up.get_or_insert(what);
        believed
    }

    /// Why it is not believed.
    pub(crate) fn given_up(&self) -> Option<&str> {
        self.given_up.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_record_is_kept_and_only_checked_after_trouble() {
        let mut trust = Trust::default();
        trust.note(5, Some((4, Timestamp(40))));
        trust.note(9, None);
        trust.note(3, Some((2, Timestamp(20))));
        assert_eq!((trust.end(), trust.to_check()), (9, None));
        trust.doubt();
        assert_eq!(trust.to_check(), Some((4, Timestamp(40))));
        trust.believe();
        assert_eq!(trust.to_check(), None);
    }

    #[test]
    fn the_first_reason_stays() {
        let mut trust = Trust::default();
        assert!(trust.give_up("one".to_owned()) && !trust.give_up("two".to_owned()));
        assert_eq!(trust.given_up(), Some("one"));
    }
}
