//! What a run asks of a cluster: who is where, and that somebody else be.

use loadtest::failure::Failure;
use loadtest::process::Cpu;

/// How many partitions there are: some for each of eight nodes, and few enough to move them all.
pub(crate) const PARTITIONS: u16 = 16;

/// Messaging nodes are numbers, from 0.
pub(crate) trait Cluster {
    /// Where people log in.
    fn gateway(&self) -> &str;

    /// Where a node's sessions are.
    fn address(&self, node: usize) -> &str;

    /// Gives a partition to a node.
    ///
    /// # Errors
    /// It was refused, or the cluster has ended.
    fn give(&mut self, partition: u16, node: usize) -> Result<(), Failure>;

    /// Takes everything from a node.
    ///
    /// # Errors
    /// As [`Cluster::give`].
    fn drain(&mut self, node: usize) -> Result<(), Failure>;

    /// Lets it have its part again.
    ///
    /// # Errors
    /// As [`Cluster::give`].
    fn undrain(&mut self, node: usize) -> Result<(), Failure>;

    /// Its processes.
    fn pids(&self) -> Vec<u32>;

    /// Processor time of all of them so far, in µs.
    ///
    /// # Errors
    /// One has ended.
    fn cpu(&self) -> Result<u64, Failure> {
        self.pids().into_iter().map(|pid| Ok(Cpu::of(pid)?.total)).sum()
    }
}
