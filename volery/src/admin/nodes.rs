//! Who is up and who owns what: the map, by node and by partition.

use serde_json::json;
use volery_kernel::map::PartitionMap;

use super::show::{Answer, table};

/// What stands where nobody owns a partition.
const NOBODY: &str = "(nobody)";

/// A line for each messaging node.
pub(super) fn nodes(map: &PartitionMap) -> Answer {
    let owned = |index: usize| map.owners().flatten().filter(|owner| usize::from(*owner) == index).count();
    let nodes: Vec<_> = map.members().iter().enumerate().map(|(index, member)| (member, owned(index))).collect();
    let alone = map.owners().filter(Option::is_none).count();
    let rows: Vec<_> =
        nodes.iter().map(|(member, owned)| [member.name.clone(), owned.to_string(), member.url.clone()]).collect();
    let mut text = table(["NODE", "PARTITIONS", "CLIENTS CONNECT TO"], &rows);
    if alone > 0 {
        text.push_str(&format!(
            "{alone} of {} partitions belong to nobody: start a messaging node\n",
            map.partitions()
        ));
    }
    let nodes =
        nodes.iter().map(|(member, owned)| json!({"name": member.name, "url": member.url, "partitions": owned}));
    let nodes: Vec<_> = nodes.collect();
    let (version, partitions) = (map.version(), map.partitions());
    let json = json!({"map_version": version, "partitions": partitions, "partitions_of_nobody": alone, "nodes": nodes});
    Answer::whole(text, json)
}

/// A line for each partition.
pub(super) fn partitions(map: &PartitionMap) -> Answer {
    let name = |owner: Option<u16>| Some(map.members().get(usize::from(owner?))?.name.as_str());
    let owners: Vec<_> = map.owners().map(name).enumerate().collect();
    let rows: Vec<_> = owners.iter().map(|(at, name)| [at.to_string(), name.unwrap_or(NOBODY).to_owned()]).collect();
    let partitions: Vec<_> = owners.iter().map(|(at, name)| json!({"partition": at, "node": name})).collect();
    let json = json!({"map_version": map.version(), "partitions": partitions});
    Answer::whole(table(["PARTITION", "NODE"], &rows), json)
}

#[cfg(test)]
mod tests {
    use volery_kernel::map::Member;

    use super::*;

    fn map(owners: &[Option<u16>]) -> PartitionMap {
        let member = |name: &str| Member::new(name.to_owned(), format!("ws://{name}"));
        PartitionMap::new(7, vec![member("a"), member("b")], owners).expect("a map")
    }

    #[test]
    fn shares_are_counted_and_what_nobody_owns_is_said() {
        let whole = nodes(&map(&[Some(0), Some(1), Some(0)]));
        assert_eq!(
            whole.text,
            "NODE  PARTITIONS  CLIENTS CONNECT TO\na     2           ws://a\nb     1           ws://b\n"
        );
        let part = nodes(&map(&[Some(1), None, None]));
        assert!(part.text.ends_with("2 of 3 partitions belong to nobody: start a messaging node\n"), "{}", part.text);
        assert_eq!(part.json["nodes"][0], json!({"name": "a", "url": "ws://a", "partitions": 0}));
        assert_eq!((&part.json["map_version"], &part.json["partitions_of_nobody"]), (&json!(7), &json!(2)));
    }

    #[test]
    fn each_partition_has_a_line() {
        let answer = partitions(&map(&[Some(1), None]));
        assert_eq!(answer.text, "PARTITION  NODE\n0          b\n1          (nobody)\n");
        let expected = json!([{"partition": 0, "node": "b"}, {"partition": 1, "node": null}]);
        assert_eq!(answer.json["partitions"], expected);
    }
}
