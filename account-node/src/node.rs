//! The node put together: options, the parts it is given, what it holds.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::CryptoRng;
use volery_kernel::limits;
use volery_kernel::time::Clock;
use volery_ports::ids::Ids;
use volery_ports::sql::AccountStore;

use crate::password::{HashCost, Passwords};
use crate::relay::{EventSink, Relay};
use crate::token::{self, Signer};
use crate::verifier::{Verifier, VerifierOptions};

/// What may differ between clusters, and between tests.
#[derive(Clone, Debug)]
pub struct AccountOptions {
    /// Which tokens are made and taken.
    pub tokens: VerifierOptions,
    /// How long an access token lives, in milliseconds.
    pub token_ms: u64,
    /// How long a refresh token lives, in milliseconds.
    pub refresh_ms: u64,
    /// What a password's hash costs.
    pub hash_cost: HashCost,
    /// Password checks that may wait.
    pub password_queue: usize,
    /// How long the caller of a log-out waits for its event to stand on the log.
    pub tell_within: Duration,
    /// How often the outbox is looked through without being asked.
    pub relay_every: Duration,
}

impl Default for AccountOptions {
    fn default() -> Self {
        Self {
            tokens: VerifierOptions::default(),
            token_ms: limits::TOKEN_MS.value,
            refresh_ms: limits::REFRESH_MS.value,
            hash_cost: HashCost::default(),
            password_queue: limits::PASSWORD_QUEUE.value,
            tell_within: Duration::from_secs(5),
            relay_every: Duration::from_secs(1),
        }
    }
}

/// What the node works with.
pub struct AccountParts {
    /// Where everything is kept.
    pub store: Arc<dyn AccountStore>,
    /// Where revoked devices are told.
    pub sink: Arc<dyn EventSink>,
    /// Ids of users, devices and events.
    pub ids: Arc<dyn Ids>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Tokens, salts and keys come from it.
    pub rng: Box<dyn CryptoRng + Send>,
}

/// Why the node could not start. Worth another try while SQL is away.
#[derive(Debug, thiserror::Error)]
#[error("the account node cannot start: {0}")]
pub struct StartError(String);

/// See the crate. Shared behind an [`Arc`]; when the last is dropped, its thread and its task end.
pub struct AccountNode {
    pub(crate) options: AccountOptions,
    pub(crate) store: Arc<dyn AccountStore>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Mutex<Box<dyn CryptoRng + Send>>,
    pub(crate) passwords: Passwords,
    pub(crate) signer: Signer,
    pub(crate) verifier: Verifier,
    pub(crate) relay: Relay,
    /// Checked where there is no such user, so that it takes as long as a wrong password.
    pub(crate) nobody: String,
}

impl AccountNode {
    /// Reads the signing keys (or makes the first), starts the hashing thread and the outbox's relay.
    /// Wants a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] if SQL is away, ids cannot be taken, or the hash's cost is impossible.
    pub async fn start(options: AccountOptions, parts: AccountParts) -> Result<Arc<Self>, StartError> {
        let AccountParts { store, sink, ids, clock, mut rng } = parts;
        let named = ids.take().map_err(|e| StartError(e.to_string()))?;
        let first = token::first_key(bytes(&mut *rng), named, clock.now());
        let keys = store.signing_keys(first).await.map_err(|e| StartError(e.to_string()))?;
        let VerifierOptions { issuer, audience, .. } = &options.tokens;
        let signer = Signer::new(&keys, issuer, audience).map_err(StartError)?;
        let verifier = Verifier::new(options.tokens.clone());
        let passwords = Passwords::start(options.hash_cost, options.password_queue).map_err(StartError)?;
        let unguessable: [u8; 16] = bytes(&mut *rng);
        let nobody = passwords.hash(format!("{unguessable:?}"), bytes(&mut *rng)).await;
        let nobody = nobody.map_err(|e| StartError(e.to_string()))?;
        let relay = Relay::start(store.clone(), sink, options.relay_every);
        let rng = Mutex::new(rng);
        let node = Self { options, store, ids, clock, rng, passwords, signer, verifier, relay, nobody };
        node.verifier.begin(&node, node.clock.now()).await.map_err(|e| StartError(e.to_string()))?;
        Ok(Arc::new(node))
    }

    /// Random bytes.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        bytes(&mut **self.rng.lock())
    }
}

fn bytes<const N: usize>(rng: &mut dyn CryptoRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}
