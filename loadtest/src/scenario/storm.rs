//! `storm`: everybody's connection breaks at one moment, and everybody reconnects as a good client
//! does: after a random part of 250 ms, then of more. How long until the last one is synced?

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Stage;
use crate::clock;
use crate::failure::Failure;

/// Everybody is back within this, or the run has failed.
const BACK_WITHIN: Duration = Duration::from_secs(120);

/// How it goes.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Messages a second, of all pairs together, all the while.
    pub rate: u64,
    /// How often everything breaks.
    pub rounds: usize,
    /// From one return to the next breaking.
    pub calm: Duration,
}

/// One breaking, in milliseconds from it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Round {
    /// Connections that broke.
    pub broken: usize,
    /// Half of them were synced again.
    pub p50: f64,
    /// Ninety-nine in a hundred were.
    pub p99: f64,
    /// The last one was.
    pub last: f64,
}

impl Storm {
    /// Plays all rounds.
    ///
    /// # Errors
    /// How many devices are not back in time.
    pub async fn rage(&self, stage: &Stage<'_>) -> Result<Vec<Round>, Failure> {
        let mut rounds = Vec::with_capacity(self.rounds);
        for _ in 0..self.rounds {
            tokio::time::sleep(self.calm).await;
            rounds.push(self.round(stage).await?);
        }
        tokio::time::sleep(self.calm).await;
        Ok(rounds)
    }

    async fn round(&self, stage: &Stage<'_>) -> Result<Round, Failure> {
        let fleet = &stage.fleet;
        let begun = clock::nanos();
        (0..fleet.len()).for_each(|device| fleet.cut(device));
        let mut back = vec![None; fleet.len()];
        while back.contains(&None) {
            let now = clock::since(begun);
            for (device, back) in back.iter_mut().enumerate().filter(|(_, back)| back.is_none()) {
                *back = fleet.is_synced(device).then_some(now);
            }
            let away = back.iter().filter(|back| back.is_none()).count();
            if now > BACK_WITHIN {
                return Err(Failure(format!(
                    "{away} devices are not back {BACK_WITHIN:?} after their connections broke"
                )));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        round(back.into_iter().flatten())
    }
}

fn round(back: impl Iterator<Item = Duration>) -> Result<Round, Failure> {
    let mut times = Histogram::<u64>::new(3)?;
    for time in back {
        times.record(time.as_micros() as u64)?;
    }
    let at = |quantile| times.value_at_quantile(quantile) as f64 / 1_000.0;
    Ok(Round { broken: times.len() as usize, p50: at(0.5), p99: at(0.99), last: at(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_ends_with_the_last_one() {
        let round = round((1..=100).map(Duration::from_millis)).map_err(|failure| failure.0).unwrap();
        assert_eq!((round.broken, round.p50.round(), round.last.round()), (100, 50.0, 100.0));
    }
}
