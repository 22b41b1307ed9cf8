//! Who is up and who owns what: the maps, by node and by partition.

use serde_json::{Map, Value, json};
use volery_config::assign;
use volery_kernel::map::{Member, NodeKind, PartitionMap};
use volery_kernel::slot::Partition;
use volery_ports::cluster::Drain;

use super::show::{Answer, moment, table};

/// What stands where nobody owns a partition.
const NOBODY: &str = "(nobody)";
const HEADS: [&str; 7] = ["NODE", "KIND", "STATE", "WEIGHT", "PARTITIONS", "ADDRESS", "DRAINED BY"];

/// The nodes of a kind: the map of those that are up, and who is drained, up or not.
pub(super) struct Fleet {
    pub(super) kind: NodeKind,
    pub(super) map: PartitionMap,
    pub(super) drains: Vec<Drain>,
}

impl Fleet {
    /// One that is up has no drain in most cases; one that is down is known by its drain alone.
    fn lines(&self) -> impl Iterator<Item = (&str, Option<&Member>, Option<&Drain>)> {
        let drain = move |name: &str| self.drains.iter().find(|drain| drain.node == name);
        let up = self.map.members().iter().map(move |up| (up.name.as_str(), Some(up), drain(&up.name)));
        let down = self.drains.iter().filter(move |drain| self.map.member(&drain.node).is_none());
        up.chain(down.map(|drain| (drain.node.as_str(), None, Some(drain))))
    }

    fn row(&self, (name, member, drain): (&str, Option<&Member>, Option<&Drain>)) -> [String; 7] {
        [
            name.to_owned(),
            self.kind.name().to_owned(),
            state(member).to_owned(),
            member.map(|member| member.weight.get().to_string()).unwrap_or_default(),
            member.map(|_| owned(&self.map, name).to_string()).unwrap_or_default(),
            member.map(|member| member.url.clone()).unwrap_or_default(),
            drain.map(|drain| format!("{}, {}", drain.by, moment(drain.at))).unwrap_or_default(),
        ]
    }

    fn line_json(&self, (name, member, drain): (&str, Option<&Member>, Option<&Drain>)) -> Value {
        json!({
            "name": name,
            "kind": self.kind.name(),
            "state": state(member),
            "weight": member.map(|member| member.weight.get()),
            "partitions": owned(&self.map, name),
            "url": member.map(|member| &member.url),
            "drained_by": drain.map(|drain| &drain.by),
            "drained_at": drain.map(|drain| moment(drain.at)),
        })
    }

    /// What stands below the table: the version, and what is not as it should be.
    fn summary(&self) -> String {
        let (kind, map) = (self.kind.name(), &self.map);
        let (alone, left) = (of_nobody(map), assign::left(map));
        let mut text = format!("{kind}: {} partitions, map version {}", map.partitions(), map.version());
        if left > 0 {
            text.push_str(&format!("; {left} still to move"));
        }
        if alone > 0 {
            text.push_str(&format!("; {alone} without an owner: start a {kind} node"));
        }
        text.push('\n');
        text
    }

    fn map_json(&self) -> Value {
        let map = &self.map;
        json!({
            "kind": self.kind.name(),
            "version": map.version(),
            "partitions": map.partitions(),
            "partitions_of_nobody": of_nobody(map),
            "moves_left": assign::left(map),
        })
    }
}

/// A line for each node, a summary for each kind.
pub(super) fn nodes(all: &[Fleet]) -> Answer {
    let rows: Vec<_> = all.iter().flat_map(|of| of.lines().map(move |line| of.row(line))).collect();
    let lines: Vec<_> = all.iter().flat_map(|of| of.lines().map(move |line| of.line_json(line))).collect();
    let summaries: String = all.iter().map(Fleet::summary).collect();
    let maps: Vec<_> = all.iter().map(Fleet::map_json).collect();
    Answer::whole(table(HEADS, &rows) + &summaries, json!({"maps": maps, "nodes": lines}))
}

/// A line for each partition: its owner of each kind.
pub(super) fn partitions(all: &[Fleet]) -> Answer {
    let count = all.iter().map(|of| of.map.partitions()).max().unwrap_or(0);
    let owner = |of: &Fleet, at: usize| Some(of.map.owner(Partition(u16::try_from(at).ok()?))?.name.clone());
    let row = |at: usize| {
        let mut owners = all.iter().map(|of| owner(of, at).unwrap_or_else(|| NOBODY.to_owned()));
        [at.to_string(), owners.next().unwrap_or_default(), owners.next().unwrap_or_default()]
    };
    let line = |at: usize| {
        let owners = all.iter().map(|of| (of.kind.name().to_owned(), json!(owner(of, at))));
        Value::Object(std::iter::once(("partition".to_owned(), json!(at))).chain(owners).collect::<Map<_, _>>())
    };
    let text = table(["PARTITION", "MESSAGING", "HISTORY"], &(0..count).map(row).collect::<Vec<_>>());
    let summaries: String = all.iter().map(Fleet::summary).collect();
    let maps: Vec<_> = all.iter().map(Fleet::map_json).collect();
    Answer::whole(text + &summaries, json!({"maps": maps, "partitions": (0..count).map(line).collect::<Vec<_>>()}))
}

/// How many partitions a node owns.
pub(super) fn owned(map: &PartitionMap, name: &str) -> usize {
    let index = map.members().iter().position(|member| member.name == name);
    map.owners().flatten().filter(|owner| Some(usize::from(*owner)) == index).count()
}

fn of_nobody(map: &PartitionMap) -> usize {
    map.owners().filter(Option::is_none).count()
}

fn state(member: Option<&Member>) -> &'static str {
    member.map_or("down", |member| member.state.name())
}

#[cfg(test)]
mod tests {
    use volery_kernel::map::MemberState;
    use volery_kernel::time::Timestamp;

    use super::*;

    fn all() -> [Fleet; 2] {
        let member = |name: &str| Member::new(name.to_owned(), format!("ws://{name}"));
        let drain =
            |node: &str| Drain { node: node.to_owned(), by: "ada".to_owned(), at: Timestamp(1_795_339_800_000) };
        let drained = Member { state: MemberState::Draining, ..member("b") };
        let map = PartitionMap::new(7, vec![member("a"), drained], &[Some(0), Some(1), Some(0)]).expect("a map");
        let messaging = Fleet { kind: NodeKind::Messaging, map, drains: vec![drain("b"), drain("c")] };
        let map = PartitionMap::new(3, vec![member("h")], &[Some(0), None, None]).expect("a map");
        [messaging, Fleet { kind: NodeKind::History, map, drains: Vec::new() }]
    }

    #[test]
    fn each_node_has_a_line_and_what_is_not_right_is_said() {
        let answer = nodes(&all());
        let said = "NODE  KIND       STATE     WEIGHT  PARTITIONS  ADDRESS  DRAINED BY\n\
            a     messaging  serving   1       2           ws://a\n\
            b     messaging  draining  1       1           ws://b   ada, 2026-11-22T09:30:00Z\n\
            c     messaging  down                                   ada, 2026-11-22T09:30:00Z\n\
            h     history    serving   1       1           ws://h\n\
            messaging: 3 partitions, map version 7; 1 still to move\n\
            history: 3 partitions, map version 3; 2 without an owner: start a history node\n";
        assert_eq!(answer.text, said);
        let down = json!({
            "name": "c", "kind": "messaging", "state": "down", "weight": null, "partitions": 0, "url": null,
            "drained_by": "ada", "drained_at": "2026-11-22T09:30:00Z",
        });
        assert_eq!(answer.json["nodes"][2], down);
        let map = json!({
            "kind": "history", "version": 3, "partitions": 3, "partitions_of_nobody": 2, "moves_left": 0,
        });
        assert_eq!((&answer.json["maps"][1], &answer.json["maps"][0]["moves_left"]), (&map, &json!(1)));
    }

    #[test]
    fn each_partition_has_a_line() {
        let answer = partitions(&all());
        let said = "PARTITION  MESSAGING  HISTORY\n0          a          h\n1          b          (nobody)\n";
        assert!(answer.text.starts_with(said), "{}", answer.text);
        assert!(answer.text.contains("messaging: 3 partitions, map version 7"), "{}", answer.text);
        assert_eq!(answer.json["partitions"][1], json!({"partition": 1, "messaging": "b", "history": null}));
        assert_eq!(answer.json["maps"][1]["version"], json!(3));
    }
}
