//! Which leases have ended, as one config-node sees it. No I/O; readings of its clock are passed in.
//!
//! A lease has ended when it was looked at for [`LEASE_MS`] and was not renewed meanwhile. Only what this
//! config-node saw with its own clock counts, so no two clocks have to agree.
//!
//! Trap avoided: while nobody could look, nobody could renew either. After such a gap all leases start
//! anew: else whoever can reach the store again first would declare everybody dead. A clock that
//! leaps or steps back counts as a gap, too.
//!
//! [`LEASE_MS`]: limits::LEASE_MS

use std::collections::BTreeMap;
use std::mem::take;

use volery_kernel::limits;
use volery_kernel::time::Timestamp;
use volery_ports::cluster_store::Lease;

/// A longer time without a look is a gap: a renewal may have failed in it.
const GAP_MS: u64 = limits::LEASE_EVERY_MS.value;

/// What was seen of the leases so far.
#[derive(Debug, Default)]
pub struct Watched {
    looked: Option<Timestamp>,
    by_name: BTreeMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    lease: Lease,
    /// When it was first seen as it is.
    since: Timestamp,
}

impl Watched {
    /// Takes what the store answered, all leases, to a question that was asked and answered at these
    /// times. Says which of them have ended.
    pub fn look(&mut self, leases: Vec<Lease>, asked: Timestamp, answered: Timestamp) -> Vec<Lease> {
        if self.has_gap(asked, answered) {
            self.start_anew();
        }
        self.looked = Some(answered);
        let mut before = take(&mut self.by_name);
        for lease in leases {
            let same = before.remove(&lease.member.name).filter(|seen| seen.lease == lease);
            let since = same.map_or(answered, |seen| seen.since);
            self.by_name.insert(lease.member.name.clone(), Seen { lease, since });
        }
        let ended = self.by_name.values().filter(|seen| asked.since(seen.since) >= limits::LEASE_MS.value);
        ended.map(|seen| seen.lease.clone()).collect()
    }

    /// The store could not be asked, or did not take what was decided: nothing that was seen counts.
    pub fn start_anew(&mut self) {
        self.by_name.clear();
    }

    fn has_gap(&self, asked: Timestamp, answered: Timestamp) -> bool {
        let too_far = |from: Timestamp, to: Timestamp| to < from || to.since(from) > GAP_MS;
        self.looked.is_none_or(|looked| too_far(looked, asked)) || too_far(asked, answered)
    }
}

#[cfg(test)]
mod tests {
    use volery_kernel::map::Member;

    use super::*;

    const LOOK_MS: u64 = 250;
    const LEASE_MS: u64 = limits::LEASE_MS.value;
    const START: u64 = 1_000_000;

    fn lease(name: &str, renewed: u64) -> Lease {
        let member = Member::new(name.into(), String::new());
        Lease { member, process: "p".into(), renewed: Timestamp(renewed) }
    }

    /// Looks from `from` to before `to`; says when a lease of which name had ended first.
    fn watch(watched: &mut Watched, from: u64, to: u64, leases: impl Fn(u64) -> Vec<Lease>) -> Option<(u64, String)> {
        let mut times = (from..to).step_by(LOOK_MS as usize);
        times.find_map(|at| {
            let ended = watched.look(leases(at), Timestamp(at), Timestamp(at));
            Some((at, ended.first()?.member.name.clone()))
        })
    }

    /// Renewed each second by a clock that is an hour late.
    fn alive(at: u64) -> Lease {
        lease("alive", at / 1_000)
    }

    #[test]
    fn who_does_not_renew_loses_its_lease_and_others_keep_theirs() {
        let leases = |at| vec![alive(at), lease("dead", 7)];
        let ended = watch(&mut Watched::default(), START, START + 60_000, leases);
        assert_eq!(ended, Some((START + LEASE_MS, "dead".to_owned())), "counted from the first look");
    }

    #[test]
    fn a_renewal_in_the_last_moment_is_one() {
        let mut watched = Watched::default();
        let last = START + LEASE_MS - LOOK_MS;
        assert_eq!(watch(&mut watched, START, START + LEASE_MS, |at| vec![lease("a", at / last)]), None);
        let ended = watch(&mut watched, START + LEASE_MS, START + 60_000, |_| vec![lease("a", 1)]);
        assert_eq!(ended, Some((last + LEASE_MS, "a".to_owned())));
    }

    #[test]
    fn another_process_under_the_name_is_another_lease() {
        let other = |at| Lease { process: format!("p{}", at / (START + 2_000)), ..lease("a", 7) };
        let ended = watch(&mut Watched::default(), START, START + 60_000, |at| vec![other(at)]);
        assert_eq!(ended, Some((START + 2_000 + LEASE_MS, "a".to_owned())));
    }

    #[test]
    fn after_a_gap_leases_start_anew() {
        for gap in [GAP_MS + 1, LEASE_MS, 60_000, 86_400_000] {
            let mut watched = Watched::default();
            assert_eq!(watch(&mut watched, START, START + LEASE_MS, |_| vec![lease("a", 7)]), None);
            let back = START + LEASE_MS - LOOK_MS + gap;
            let ended = watch(&mut watched, back, back + 60_000, |_| vec![lease("a", 7)]);
            assert_eq!(ended, Some((back + LEASE_MS, "a".to_owned())), "a gap of {gap} ms");
        }
    }

    #[test]
    fn a_look_that_took_long_and_a_clock_that_stepped_back_are_gaps() {
        let mut watched = Watched::default();
        let at = |asked: u64, answered: u64, watched: &mut Watched| {
            watched.look(vec![lease("a", 7)], Timestamp(asked), Timestamp(answered)).len()
        };
        assert_eq!(at(START, START + 5_000, &mut watched), 0);
        assert_eq!(watch(&mut watched, START + 5_250, START + 8_000, |_| vec![lease("a", 7)]), None);
        assert_eq!(at(START + 8_000, START + 9_001, &mut watched), 0, "the store stood still");
        assert_eq!(at(START, START, &mut watched), 0, "stepped back");
        let ended = watch(&mut watched, START + LOOK_MS, START + 60_000, |_| vec![lease("a", 7)]);
        assert_eq!(ended, Some((START + LEASE_MS, "a".to_owned())));
    }

    #[test]
    fn a_look_that_failed_makes_leases_start_anew() {
        let mut watched = Watched::default();
        assert_eq!(watch(&mut watched, START, START + LEASE_MS, |_| vec![lease("a", 7)]), None);
        watched.start_anew();
        let ended = watch(&mut watched, START + LEASE_MS, START + 60_000, |_| vec![lease("a", 7)]);
        assert_eq!(ended, Some((START + 2 * LEASE_MS, "a".to_owned())));
    }
}
