//! `volery admin log-generation`: whether the log is the one that was archived, and, if it is not, a new one.
//!
//! A new generation is an empty log under the next number. The newest log counts, so nothing else has to be
//! told: roles that start afterwards take it up, devices start anew from pages, and what stood in the old one
//! and was archived stays. Trap avoided: the number is above all that anybody has seen, not only above those of
//! logs that are still there, because positions and marks of a number that was used before would seem later.

use std::sync::Arc;

use volery_kernel::position::Position;
use volery_kernel::slot::Partitions;
use volery_kernel::time::Clock;
use volery_node::clock::SystemClock;
use volery_node::config::{Config, TimelineEngine};
use volery_node::health::Health;
use volery_node::metrics::Metrics;
use volery_ports::log::Log;
use volery_ports::timeline::{Commit, Timeline};

use crate::engines::{self, OpenLog, OpenStore, OpenTimeline};
use crate::{Failure, compose};

/// Says how log and timeline stand to each other; with `begin`, begins a new log if they contradict each other.
pub(crate) fn run(config: &Config, begin: bool) -> Result<(), Failure> {
    if config.history_nodes.is_some() && config.timeline_engine == TimelineEngine::Embedded {
        return Err(Failure(
            "history.nodes is set: the timeline is elsewhere. Run this with the configuration of those nodes"
                .to_owned(),
        ));
    }
    let _lock = compose::lock(&config.data_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(look(config, begin))
}

async fn look(config: &Config, begin: bool) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (health, metrics) = (Health::new(), Metrics::new()?);
    // To look makes no log where there is none.
    let log = match engines::newest_generation(config).await? {
        Some(_) => Some(OpenLog::open(config, &clock, &health, &metrics).await?),
        None => None,
    };
    let timeline = OpenTimeline::open(config, &health, &metrics).await?;
    let stored = timeline.timeline.as_ref();
    let found = match &log {
        Some(open) => compare(open.log.as_ref(), stored).await,
        None => without_a_log(engines::partitions(config)?, stored).await,
    };
    timeline.close()?;
    let name = log.as_ref().map(|log| log.name.clone());
    log.into_iter().for_each(OpenLog::close);
    let Found { bad, newest } = found?;
    match (bad, begin) {
        (0, true) => match name {
            Some(name) if use_log(config, &name).await? => {
                println!("It fits what was archived: the cluster uses {name:?} from now on. Start all roles.");
                Ok(())
            }
            _ => Err(Failure("the log fits what was archived: there is nothing to replace".to_owned())),
        },
        (0, false) => {
            println!("It fits what was archived.");
            Ok(())
        }
        (bad, false) => Err(Failure(format!("{bad} partitions do not fit what was archived; see docs/operations.md"))),
        (_, true) => {
            let next = newest.checked_add(1).ok_or(Failure("there are no more generations".to_owned()))?;
            let name = engines::begin_generation(config, next, &clock).await?;
            use_log(config, &name).await?;
            println!(
                "Log generation {next} begins. The log before it is kept, and not read any more. Start all roles."
            );
            Ok(())
        }
    }
}

/// Tells the cluster which log it uses, where this configuration says who keeps that. Whether it was another.
async fn use_log(config: &Config, name: &str) -> Result<bool, Failure> {
    let Some(store) = OpenStore::there(config).await? else { return Ok(false) };
    let changes = store.cluster.log(name).await? != name;
    if changes {
        store.cluster.put_log(name).await?;
    }
    Ok(changes)
}

struct Found {
    /// Partitions that contradict the timeline.
    bad: usize,
    /// The largest generation that log or timeline know.
    newest: u16,
}

impl Found {
    fn note(&mut self, commit: Option<Commit>, contradiction: Option<String>) {
        self.newest = self.newest.max(commit.map_or(0, |commit| commit.source.generation()));
        if let Some(line) = contradiction {
            self.bad += 1;
            println!("{line}");
        }
    }
}

async fn compare(log: &dyn Log, timeline: &dyn Timeline) -> Result<Found, Failure> {
    let mut found = Found { bad: 0, newest: log.generation() };
    println!("Log generation {}, {} partitions.", log.generation(), log.partitions().count());
    for partition in log.partitions().iter() {
        let commit = timeline.committed(partition).await?;
        let (source, id) = commit.map(|commit| (commit.source, commit.id)).unwrap_or_default();
        let contradiction = volery_reader::disagreement(log, Position { partition, source, id }).await?;
        found.note(commit, contradiction.map(|found| format!("partition {partition}: {found}")));
    }
    Ok(found)
}

async fn without_a_log(partitions: Partitions, timeline: &dyn Timeline) -> Result<Found, Failure> {
    let mut found = Found { bad: 0, newest: 0 };
    println!("There is no log.");
    for partition in partitions.iter() {
        let commit = timeline.committed(partition).await?;
        let archived =
            commit.map(|commit| format!("partition {partition}: offset {} was archived", commit.source.offset()));
        found.note(commit, archived);
    }
    Ok(found)
}
