//! Orders to nodes: drain, undrain, move. How far one is, is shown until it is done.
//!
//! Trap avoided: config-nodes may restart meanwhile, and an order to which nobody answered may have been taken. To give
//! it again is no fault, so it is given until somebody answers; one that names a version is not, because it could be
//! refused for what it did itself.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::time::{Instant, sleep};
use volery_kernel::map::{Member, NodeKind, PartitionMap};
use volery_kernel::slot::Partition;
use volery_ports::cluster::{Action, Order, OrderError};

use super::desk::Desk;
use super::nodes::owned;
use super::show::Answer;
use crate::Failure;

/// Config-nodes that restart answer sooner.
const AWAY_MOST: Duration = Duration::from_secs(60);
/// The pause before somebody is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// How long one question waits for another map.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gives an order; waits until it is done, if that is wanted.
pub(super) async fn give(desk: &Desk, order: Order, wait: bool) -> Result<Answer, Failure> {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {elapsed}")?;
    let bar = ProgressBar::new(0).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut clerk = Clerk { desk, kind: order.kind, bar, heard: Instant::now() };
    let map = clerk.taken(&order, wait).await?;
    let map = match &order.action {
        Action::Drain(node) if wait => clerk.handed_over(node, map).await?,
        Action::Drain(_) | Action::Undrain(_) | Action::Move(..) => map,
    };
    clerk.bar.finish_and_clear();
    Ok(answer(&order, &map))
}

/// Sees an order through.
struct Clerk<'a> {
    desk: &'a Desk,
    kind: NodeKind,
    bar: ProgressBar,
    /// When somebody answered last.
    heard: Instant,
}

impl Clerk<'_> {
    /// Until somebody answers; a move waits until others have ended.
    async fn taken(&mut self, order: &Order, wait: bool) -> Result<PartitionMap, Failure> {
        loop {
            match self.desk.order(order.clone()).await {
                Ok(map) => return Ok(map),
                Err(OrderError::Busy(left)) if wait => {
                    self.heard = Instant::now();
                    self.show(left as usize, "partitions of others moved first");
                }
                Err(OrderError::Unavailable(away)) if order.seen.is_none() => self.unheard(self.desk.away(&away))?,
                Err(error) => return Err(self.refused(error)),
            }
            sleep(PAUSE).await;
        }
    }

    /// Until the node owns nothing any more.
    async fn handed_over(&mut self, node: &str, mut map: PartitionMap) -> Result<PartitionMap, Failure> {
        loop {
            let left = owned(&map, node);
            if left == 0 {
                return Ok(map);
            }
            goes_on(&map, node)?;
            self.show(left, "partitions handed over");
            match self.desk.map_after(self.kind, map.version(), PATIENCE).await {
                Ok(next) => {
                    self.heard = Instant::now();
                    map = next;
                }
                Err(away) => {
                    self.unheard(away)?;
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// So many are left; the most that there ever were is the whole.
    fn show(&self, left: usize, what: &'static str) {
        let left = left as u64;
        self.bar.set_length(self.bar.length().unwrap_or(0).max(left));
        self.bar.set_position(self.bar.length().unwrap_or(0) - left);
        self.bar.set_message(what);
    }

    fn unheard(&self, away: Failure) -> Result<(), Failure> {
        if self.heard.elapsed() < AWAY_MOST {
            return Ok(());
        }
        let Failure(why) = away;
        Err(Failure(format!(
            "{why}\nHow far the order is, is not known: look at `volery admin nodes`, or give it again"
        )))
    }

    fn refused(&self, error: OrderError) -> Failure {
        match error {
            OrderError::Unavailable(away) => {
                let Failure(why) = self.desk.away(&away);
                Failure(format!("{why}\nWhether the order was taken is not known: look at `volery admin nodes`"))
            }
            OrderError::Stale { version, .. } => {
                Failure(format!("{error}: look at `volery admin nodes`, then give --seen {version} or leave it out"))
            }
            _ => error.into(),
        }
    }
}

/// Whether a drain has an end.
fn goes_on(map: &PartitionMap, node: &str) -> Result<(), Failure> {
    if map.member(node).is_some_and(Member::serves) {
        return Err(Failure(format!("somebody has undrained {node} meanwhile: look at `volery admin nodes`")));
    }
    if !map.members().iter().any(Member::serves) {
        let left = owned(map, node);
        return Err(Failure(format!("{node} keeps {left} partitions: no other node serves. Start or undrain one")));
    }
    Ok(())
}

fn answer(order: &Order, map: &PartitionMap) -> Answer {
    let (kind, version) = (order.kind.name(), map.version());
    match &order.action {
        Action::Drain(node) => {
            let left = owned(map, node);
            let text = match left {
                0 => format!("{node} is drained: it owns nothing until `volery admin undrain` says otherwise\n"),
                left => format!("{node} drains: it has {left} partitions to hand over. See `volery admin nodes`\n"),
            };
            let json = json!({"kind": kind, "node": node, "map_version": version, "partitions_left": left});
            Answer::whole(text, json)
        }
        Action::Undrain(node) => {
            let json = json!({"kind": kind, "node": node, "map_version": version});
            Answer::whole(format!("{node} is given partitions again. See `volery admin nodes`\n"), json)
        }
        Action::Move(Partition(partition), node) => {
            let json = json!({"kind": kind, "partition": partition, "node": node, "map_version": version});
            Answer::whole(format!("partition {partition} is {node}'s, by map version {version}\n"), json)
        }
    }
}

#[cfg(test)]
mod tests {
    use volery_kernel::map::MemberState;

    use super::*;

    fn map(drained: &[&str]) -> PartitionMap {
        let state = |name: &str| if drained.contains(&name) { MemberState::Draining } else { MemberState::Serving };
        let member = |name: &str| Member { state: state(name), ..Member::new(name.to_owned(), String::new()) };
        PartitionMap::new(7, vec![member("a"), member("b")], &[Some(0), Some(0), None]).expect("a map")
    }

    #[test]
    fn a_drain_that_has_no_end_is_said() {
        assert!(goes_on(&map(&["a"]), "a").is_ok() && goes_on(&map(&[]), "gone").is_ok());
        let undrained = goes_on(&map(&[]), "a").expect_err("undrained").0;
        assert!(undrained.starts_with("somebody has undrained a meanwhile"), "{undrained}");
        let alone = goes_on(&map(&["a", "b"]), "a").expect_err("nobody takes it").0;
        assert_eq!(alone, "a keeps 2 partitions: no other node serves. Start or undrain one");
    }

    #[test]
    fn what_was_done_and_what_is_left_is_told() {
        let told = |action| {
            let order = Order { kind: NodeKind::Messaging, action, seen: None, by: "ada".to_owned() };
            answer(&order, &map(&["a"]))
        };
        let drains = told(Action::Drain("a".to_owned()));
        assert!(drains.text.starts_with("a drains: it has 2 partitions to hand over."), "{}", drains.text);
        let json = json!({"kind": "messaging", "node": "a", "map_version": 7, "partitions_left": 2});
        assert_eq!(drains.json, json);
        assert!(told(Action::Drain("b".to_owned())).text.starts_with("b is drained: "));
        let moved = told(Action::Move(Partition(1), "a".to_owned()));
        assert_eq!(moved.text, "partition 1 is a's, by map version 7\n");
        let json = json!({"kind": "messaging", "partition": 1, "node": "a", "map_version": 7});
        assert_eq!(moved.json, json);
    }
}
