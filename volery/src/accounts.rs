//! Whom this process asks about people and tokens: the role account in it, or one elsewhere. Tokens are
//! judged here in either case.

use std::sync::Arc;

use rand::SeedableRng as _;
use volery_account::{AccountNode, AccountOptions, AccountParts, RemoteAccounts, VerifierOptions};
use volery_ports::account_service::AccountService;
use volery_ports::accounts::Accounts;
use volery_ports::ids::Ids;
use volery_ports::log::Log;
use volery_ports::sql::AccountStore;
use volery_rpc::AccountClient;

use crate::Failure;
use crate::common::Common;
use crate::numbers::seed;
use crate::roles::Role;
use crate::sink::LogSink;

/// Whom to ask.
pub(crate) struct OpenAccounts {
    pub(crate) tokens: Arc<dyn Accounts>,
    pub(crate) service: Arc<dyn AccountService>,
}

impl OpenAccounts {
    /// Those of `accounts.nodes`.
    pub(crate) fn elsewhere(common: &Common<'_>) -> Result<Self, Failure> {
        let service = Arc::new(AccountClient::new(common.remote(Role::Account)?));
        Ok(Self { tokens: Arc::new(RemoteAccounts::new(VerifierOptions::default(), service.clone())), service })
    }

    /// In this process.
    pub(crate) async fn start(
        common: &Common<'_>,
        store: Arc<dyn AccountStore>,
        log: Arc<dyn Log>,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, Failure> {
        let parts = AccountParts {
            store,
            sink: Arc::new(LogSink(log)),
            ids,
            clock: Arc::clone(&common.clock),
            rng: Box::new(rand::rngs::StdRng::from_seed(seed()?)),
        };
        let node = AccountNode::start(AccountOptions::default(), parts).await?;
        Ok(Self { tokens: node.clone(), service: node })
    }
}
