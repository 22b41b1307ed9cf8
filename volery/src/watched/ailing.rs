//! Which partitions of a log do not work, as far as is known. Pure.
//!
//! Traps avoided: one partition may take nothing (too few of its copies are in sync) while all others do, so what
//! one of them takes says nothing of another. And a partition that nobody tries again would ail for ever:
//! a failure is believed for a while only.

use std::collections::BTreeMap;

use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;

/// Whoever waits for a partition tries it more often than that: readers each second, clients within half a minute.
const BELIEVED_MS: u64 = 60_000;

/// What does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    TakesNothing,
    CannotBeRead,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ailing(BTreeMap<(Partition, Trouble), (Timestamp, String)>);

impl Ailing {
    /// It did not work, for this reason.
    pub(crate) fn failed(&mut self, partition: Partition, trouble: Trouble, now: Timestamp, why: String) {
        self.0.insert((partition, trouble), (now, why));
    }

    /// It worked.
    pub(crate) fn worked(&mut self, partition: Partition, trouble: Trouble) {
        self.0.remove(&(partition, trouble));
    }

    /// What is wrong now, for people; `None` if nothing is known to be.
    pub(crate) fn word(&mut self, now: Timestamp) -> Option<String> {
        self.0.retain(|_, (failed, _)| now.since(*failed) < BELIEVED_MS);
        let ((partition, trouble), (_, why)) = self.0.iter().max_by_key(|(_, (failed, _))| *failed)?;
        let what = match trouble {
            Trouble::TakesNothing => "takes nothing",
            Trouble::CannotBeRead => "cannot be read",
        };
        let others = match self.0.keys().filter(|(other, _)| other != partition).count() {
            0 => String::new(),
            count => format!(" (troubles of others: {count})"),
        };
        Some(format!("partition {partition} {what}: {why}{others}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn ails(ailing: &mut Ailing, partition: u16, trouble: Trouble) {
        ailing.failed(Partition(partition), trouble, NOW, "no broker".to_owned());
    }

    #[test]
    fn what_one_partition_takes_heals_no_other() {
        let mut ailing = Ailing::default();
        assert_eq!(ailing.word(NOW), None);
        ails(&mut ailing, 3, Trouble::TakesNothing);
        ailing.worked(Partition(4), Trouble::TakesNothing);
        ailing.worked(Partition(3), Trouble::CannotBeRead);
        assert_eq!(ailing.word(NOW), Some("partition 3 takes nothing: no broker".to_owned()));
        ailing.worked(Partition(3), Trouble::TakesNothing);
        assert_eq!(ailing.word(NOW), None);
    }

    #[test]
    fn of_several_the_newest_is_told_and_the_others_are_counted() {
        let mut ailing = Ailing::default();
        ails(&mut ailing, 3, Trouble::TakesNothing);
        ails(&mut ailing, 5, Trouble::TakesNothing);
        ailing.failed(Partition(4), Trouble::CannotBeRead, NOW.plus(1), "gone".to_owned());
        let word = ailing.word(NOW.plus(1));
        assert_eq!(word, Some("partition 4 cannot be read: gone (troubles of others: 2)".to_owned()));
    }

    #[test]
    fn what_nobody_tries_again_is_forgotten() {
        let mut ailing = Ailing::default();
        ails(&mut ailing, 3, Trouble::TakesNothing);
        assert!(ailing.word(NOW.plus(BELIEVED_MS - 1)).is_some());
        assert_eq!(ailing.word(NOW.plus(BELIEVED_MS)), None);
    }
}
