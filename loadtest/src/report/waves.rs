//! Waves: what an operator would tell of moves, such as a node that was drained or killed. Moves away from one
//! node for one reason, close upon each other, are one wave, wherever the devices went.

use std::collections::BTreeSet;

use super::nodes::BurstRow;

/// So many seconds after the last one begins another wave.
const APART: f64 = 1.0;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wave {
    /// When its first session was lost, in seconds since the measured time began.
    pub(super) at: f64,
    last: f64,
    pub(super) from: String,
    pub(super) to: BTreeSet<String>,
    pub(super) why: String,
    pub(super) devices: u64,
    /// The longest move, in ms.
    pub(super) slowest: f64,
}

/// Of bursts in their order.
pub(super) fn waves(bursts: &[BurstRow]) -> Vec<Wave> {
    let mut waves: Vec<Wave> = Vec::new();
    for burst in bursts {
        let same = |wave: &&mut Wave| wave.from == burst.from && wave.why == burst.why && burst.at - wave.last <= APART;
        match waves.iter_mut().rev().find(same) {
            Some(wave) => wave.take(burst),
            None => waves.push(Wave::of(burst)),
        }
    }
    waves
}

impl Wave {
    fn of(burst: &BurstRow) -> Self {
        Self {
            at: burst.at,
            last: burst.at,
            from: burst.from.clone(),
            to: BTreeSet::from([burst.to.clone()]),
            why: burst.why.clone(),
            devices: burst.devices,
            slowest: burst.slowest,
        }
    }

    fn take(&mut self, burst: &BurstRow) {
        self.last = burst.at;
        self.to.insert(burst.to.clone());
        self.devices += burst.devices;
        self.slowest = self.slowest.max(burst.slowest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_one_wave_and_the_next_one_another() {
        let burst = |at, from: &str, to: &str| BurstRow {
            at,
            from: from.to_owned(),
            to: to.to_owned(),
            why: "moved".to_owned(),
            devices: 3,
            slowest: at,
        };
        let bursts = [
            burst(1.0, "a", "b"),
            burst(1.1, "a", "c"),
            burst(1.1, "b", "c"),
            burst(1.9, "a", "b"),
            burst(9.0, "a", "b"),
        ];
        let told: Vec<_> =
            waves(&bursts).into_iter().map(|wave| (wave.at, wave.from, wave.devices, wave.slowest)).collect();
        assert_eq!(told, [(1.0, "a".into(), 9, 1.9), (1.1, "b".into(), 3, 1.1), (9.0, "a".into(), 3, 9.0)]);
    }
}
