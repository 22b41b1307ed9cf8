//! People who write to each other while partitions move, on the load test's devices.

use std::time::Duration;

use loadtest::account::{Account, log_in};
use loadtest::failure::Failure;
use loadtest::fleet::Fleet;
use loadtest::load::{Drive, set_going};
use loadtest::server::Server;
use volery_kernel::chat::Recipient;
use volery_kernel::slot::Partitions;

use super::cluster::{Cluster, PARTITIONS};

/// Bytes of a text.
const TEXT: usize = 256;
const OPENED_WITHIN: Duration = Duration::from_secs(120);
/// Everybody is where they should be within this, or the run has failed.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(60);
/// Acknowledged between two moves, so that each meets messages.
const TALK: u64 = 20;

/// See the module.
pub(crate) struct Pairs {
    pub(crate) fleet: Fleet,
    pub(crate) accounts: Vec<Account>,
}

impl Pairs {
    /// So many pairs, all connected; with `history`, what they do and see is recorded under that name.
    ///
    /// # Errors
    /// A log-in that was refused, or how many are not connected.
    pub(crate) async fn connect(cluster: &dyn Cluster, pairs: usize, history: Option<String>) -> Result<Self, Failure> {
        let accounts = log_in(cluster.gateway(), &Server::people(0..2 * pairs)).await?;
        let mut fleet = Fleet::new(cluster.gateway(), TEXT, history)?;
        for account in &accounts {
            fleet.add(account.clone());
        }
        fleet.start_all(OPENED_WITHIN, |_| {}).await?;
        Ok(Self { fleet, accounts })
    }

    /// They write so much a second, all together.
    pub(crate) fn write(&self, rate: u64) {
        set_going(&self.fleet, &self.accounts, Drive::Rate(rate));
    }

    /// Waits until some messages more are acknowledged.
    ///
    /// # Errors
    /// None come.
    pub(crate) async fn talk(&self) -> Result<(), Failure> {
        let least = self.fleet.tally().acked + TALK;
        let missing = || least.saturating_sub(self.fleet.tally().acked) as usize;
        self.fleet.until("messages to come", FOLLOWED_WITHIN, missing).await
    }

    /// Those whose users are in a partition.
    pub(crate) fn of(&self, partition: u16) -> Vec<usize> {
        let is_of = |account: &Account| {
            Partitions::new(PARTITIONS)
                .is_some_and(|partitions| partitions.of(Recipient::User(account.user)).0 == partition)
        };
        (0..self.accounts.len()).filter(|device| is_of(&self.accounts[*device])).collect()
    }

    /// Whether a device is caught up, and at which node.
    pub(crate) fn at(&self, device: usize) -> Option<String> {
        let node = self.fleet.node_of(device).filter(|_| self.fleet.is_synced(device))?;
        Some(self.fleet.tally().nodes[node].address.clone())
    }

    /// Waits until all of these devices are caught up at a place of this kind.
    ///
    /// # Errors
    /// How many are not in time.
    pub(crate) async fn are(&self, devices: &[usize], there: impl Fn(&str) -> bool) -> Result<(), Failure> {
        let is_there = |device: &&usize| self.at(**device).is_some_and(|node| there(&node));
        let missing = || devices.len() - devices.iter().filter(is_there).count();
        self.fleet.until("devices have not followed", FOLLOWED_WITHIN, missing).await
    }

    /// Waits until a node has sessions again, and everybody is caught up.
    ///
    /// # Errors
    /// It has none in time, or how many are not.
    pub(crate) async fn come_back_to(&self, node: &str) -> Result<(), Failure> {
        let is_there = |device: &usize| self.at(*device).is_some_and(|at| at == node);
        let missing = || usize::from(!self.all().iter().any(is_there));
        self.fleet.until("nodes have no session again", FOLLOWED_WITHIN, missing).await?;
        self.are(&self.all(), |_| true).await
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<usize> {
        (0..self.fleet.len()).collect()
    }
}
