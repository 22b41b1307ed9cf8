//! Suites: which figures there are, the runs that measure them, and what becomes of a run that fails: its
//! figures have no value, and the others are measured all the same.

use loadtest::clock;
use loadtest::failure::Failure;

use crate::bench::{Bench, Taken};
use crate::figure::{Row, Share, Spec};
use crate::{ack, cpu, durable, flow, idle, kafka, moves, page, page_cql, resume, stalled, statements};

mod engines;
mod moving;
mod spine;

/// Figures that are taken in one go.
#[derive(Debug)]
pub struct Suite {
    /// As one types it; its files are called so.
    pub name: &'static str,
    /// Its figures, in the order of the table.
    pub figures: &'static [Spec],
    /// What measures them, in this order: some come from one run.
    runs: &'static [(Run, &'static [&'static str])],
}

/// All there are.
pub const SUITES: [&Suite; 3] = [&spine::SUITE, &engines::SUITE, &moving::SUITE];

/// What measures figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Flood,
    Rate,
    Ack,
    Page,
    Resume,
    Stalled,
    Idle,
    Kafka200,
    Kafka1000,
    Cpu,
    Durable,
    Statements,
    PageCql,
    Map,
    Storm,
    Moves,
    Many,
    KafkaMoves,
    KafkaMany,
}

impl Run {
    async fn take(self, bench: &Bench) -> Result<Taken, Failure> {
        match self {
            Self::Flood => flow::flood(bench).await,
            Self::Rate => flow::rate(bench).await,
            Self::Ack => ack::run(bench).await,
            Self::Page => page::run(bench).await,
            Self::Resume => resume::run(bench).await,
            Self::Stalled => stalled::run(bench).await,
            Self::Idle => idle::run(bench).await,
            Self::Kafka200 => kafka::at_200(bench).await,
            Self::Kafka1000 => kafka::at_1000(bench).await,
            Self::Cpu => cpu::run(bench).await,
            Self::Durable => durable::run(bench).await,
            Self::Statements => statements::run(bench).await,
            Self::PageCql => page_cql::run(bench).await,
            Self::Map => moves::map::run(bench),
            Self::Storm => moves::storm::run(bench).await,
            Self::Moves => moves::embedded(bench).await,
            Self::Many => moves::many_embedded(bench).await,
            Self::KafkaMoves => moves::on_kafka(bench).await,
            Self::KafkaMany => moves::many_on_kafka(bench).await,
        }
    }
}

impl Suite {
    /// The suite of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        SUITES.into_iter().find(|suite| suite.name == name)
    }

    /// Takes these figures; all if none is named.
    pub async fn take(&self, bench: &Bench, only: &[String]) -> (Vec<Row>, Vec<Share>) {
        let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
        let runs: Vec<_> = self.runs.iter().filter(|(_, figures)| figures.iter().any(|name| wanted(name))).collect();
        let mut taken = Taken::default();
        for (at, (run, figures)) in runs.iter().enumerate() {
            eprintln!("[{} of {}] {}", at + 1, runs.len(), figures.join(", "));
            let begun = clock::nanos();
            match run.take(bench).await {
                Ok(more) => {
                    taken.figures.extend(more.figures);
                    taken.shares.extend(more.shares);
                }
                Err(Failure(what)) => eprintln!("  not measured: {what}"),
            }
            eprintln!("  {:.0} s", clock::since(begun).as_secs_f64());
        }
        let rounds =
            |name| taken.figures.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, rounds)| rounds);
        let rows = self.figures.iter().filter(|spec| wanted(spec.name)).map(|spec| spec.judge(rounds(spec.name)));
        (rows.collect(), taken.shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Better;

    #[test]
    fn every_figure_has_one_run() {
        for suite in SUITES {
            let mut measured: Vec<_> = suite.runs.iter().flat_map(|(_, figures)| *figures).collect();
            let mut promised: Vec<_> = suite.figures.iter().map(|spec| &spec.name).collect();
            measured.sort();
            promised.sort();
            assert_eq!(measured, promised, "{}", suite.name);
        }
    }

    #[test]
    fn no_two_figures_have_one_name() {
        let mut names: Vec<_> = SUITES.iter().flat_map(|suite| suite.figures).map(|spec| spec.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn no_goal_is_short_of_its_target() {
        for spec in SUITES.iter().flat_map(|suite| suite.figures) {
            let lower = spec.better == Better::Lower;
            let beyond = if lower { spec.goal <= spec.target } else { spec.goal >= spec.target };
            assert!(beyond, "{}", spec.name);
        }
    }
}
