//! `many-nodes FOLDER NODES PEOPLE`: messaging nodes in one process on one embedded log, behind one gateway, with so
//! many of the load test's people. It says `ready`, where the gateway is and where the nodes are, then obeys: a line
//! of numbers gives the partitions, one after the other, to the nodes of these numbers; what is missing in it goes on
//! from its beginning.

#![expect(clippy::expect_used, reason = "the cluster is one of tests, and says by a panic what is wrong with it")]

use std::io::BufRead as _;
use std::path::Path;

#[expect(dead_code, reason = "made for tests, which use all of it")]
#[path = "../../../volery/tests/two_nodes/cluster.rs"]
mod cluster;

use cluster::Cluster;
use loadtest::failure::Failure;

fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let mut word =
        |what: &str| words.next().ok_or_else(|| Failure(format!("many-nodes FOLDER NODES PEOPLE: no {what}")));
    let (folder, nodes, people) = (word("folder")?, word("nodes")?.parse()?, word("people")?.parse()?);
    let cluster = Cluster::start(Path::new(&folder), nodes, people);
    println!("ready {} {}", cluster.gateway(), cluster.addresses().join(" "));
    for line in std::io::stdin().lock().lines() {
        let owners = line?.split_whitespace().map(str::parse).collect::<Result<Vec<u16>, _>>()?;
        cluster.give(|partition| owners.get(usize::from(partition) % owners.len().max(1)).copied());
        println!("given");
    }
    Ok(())
}
