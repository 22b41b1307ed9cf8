//! Several messaging nodes in one process on the embedded log: the program `many-nodes`, which is told who owns
//! what, as config-node would say it.

use std::ffi::OsString;

use loadtest::failure::Failure;

use super::cluster::{Cluster, PARTITIONS};
use crate::bench::Bench;
use crate::program::Program;

/// See the module. Dropping it ends it.
pub(crate) struct Embedded {
    program: Program,
    owners: Vec<usize>,
    nodes: usize,
    _folder: tempfile::TempDir,
}

impl Embedded {
    /// So many nodes with equal parts, and so many people.
    ///
    /// # Errors
    /// Why it did not start.
    pub(crate) fn start(bench: &Bench, nodes: usize, people: usize) -> Result<Self, Failure> {
        let folder = bench.folder()?;
        let arguments: [OsString; 3] = [folder.path().into(), nodes.to_string().into(), people.to_string().into()];
        let arguments: Vec<_> = arguments.iter().map(OsString::as_os_str).collect();
        let program = Program::start(&bench.programs.many_nodes, &arguments)?;
        let owners = (0..usize::from(PARTITIONS)).map(|partition| partition % nodes).collect();
        let mut embedded = Self { program, owners, nodes, _folder: folder };
        embedded.tell()?;
        Ok(embedded)
    }

    fn tell(&mut self) -> Result<(), Failure> {
        let owners: Vec<_> = self.owners.iter().map(usize::to_string).collect();
        self.program.tell(&owners.join(" "))?;
        self.program.hear().map(drop)
    }
}

impl Cluster for Embedded {
    fn gateway(&self) -> &str {
        self.program.address().split(' ').next().unwrap_or_default()
    }

    fn address(&self, node: usize) -> &str {
        self.program.address().split(' ').nth(node + 1).unwrap_or_default()
    }

    fn give(&mut self, partition: u16, node: usize) -> Result<(), Failure> {
        self.owners[usize::from(partition)] = node;
        self.tell()
    }

    fn drain(&mut self, node: usize) -> Result<(), Failure> {
        let others: Vec<_> = (0..self.nodes).filter(|other| *other != node).collect();
        let of_node = self.owners.iter_mut().filter(|owner| **owner == node);
        of_node.zip(others.iter().cycle()).for_each(|(owner, other)| *owner = *other);
        self.tell()
    }

    fn undrain(&mut self, _: usize) -> Result<(), Failure> {
        let nodes = self.nodes;
        self.owners.iter_mut().enumerate().for_each(|(partition, owner)| *owner = partition % nodes);
        self.tell()
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.program.pid()]
    }
}
