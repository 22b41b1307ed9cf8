//! Tokens on the live path: every reconnect and every request comes through here, on the account node as
//! on every node that asks one elsewhere. The two differ in who tells the facts, and in nothing else.
//!
//! A token's signature is checked here, once, and remembered. Log-outs made elsewhere are learnt every few
//! seconds (G8) by one question for all devices that are known, which all who need the answer share: else
//! a reconnect would cost a call. While nobody can be asked, a device that is known goes on with what is
//! held (G10); one that is not must wait.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest as _, Sha256};
use volery_kernel::id::UserId;
use volery_kernel::time::Timestamp;
use volery_ports::accounts::{AccountFacts, Accounts, Claims, Standing, TokenError, Unavailable};

use crate::known::{Judgement, Known, same};
use crate::token::{self, Keys};

/// Log-outs asked for at once.
const LOG_OUTS_AT_ONCE: usize = 1_000;

/// Which tokens count, and for how long what was asked does.
#[derive(Clone, Debug)]
pub struct VerifierOptions {
    /// `iss` of the tokens: the same on every node of a cluster.
    pub issuer: String,
    /// `aud` of the tokens.
    pub audience: String,
    /// Verified tokens, devices and users held, each (about 100 bytes an entry).
    pub held: usize,
    /// How old what is known of a device may be before it is asked for again, in milliseconds; at most 5 s (G8).
    pub device_fresh_ms: u64,
}

impl Default for VerifierOptions {
    fn default() -> Self {
        Self { issuer: "volery".into(), audience: "volery".into(), held: 50_000, device_fresh_ms: 4_000 }
    }
}

/// Judges tokens by facts that its caller passes in.
pub(crate) struct Verifier {
    options: VerifierOptions,
    known: Mutex<Known>,
    /// Held by whoever asks on behalf of all.
    asking: tokio::sync::Mutex<()>,
}

impl Verifier {
    pub(crate) fn new(options: VerifierOptions) -> Self {
        let known = Mutex::new(Known::new(options.held, options.device_fresh_ms));
        Self { options, known, asking: tokio::sync::Mutex::default() }
    }

    /// What was learnt by other ways: a log-out or a log-in that was made here.
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }

    pub(crate) async fn authenticate(
        &self,
        facts: &dyn AccountFacts,
        token: &str,
        now: Timestamp,
    ) -> Result<Claims, TokenError> {
        let claims = self.claims(facts, token, now).await?;
        if now >= claims.expires {
            return Err(TokenError::Invalid);
        }
        self.check_device(facts, claims, now).await.map(|()| claims)
    }

    pub(crate) async fn user_exists(&self, facts: &dyn AccountFacts, user: UserId) -> Result<bool, Unavailable> {
        if self.known.lock().has_user(user) {
            return Ok(true);
        }
        let exists = facts.is_user(user).await?;
        if exists {
            self.known.lock().learn_user(user);
        }
        Ok(exists)
    }

    /// What the token says, if it is ours, by the signature.
    async fn claims(&self, facts: &dyn AccountFacts, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some(claims) = self.known.lock().claims(&hash) {
            return Ok(claims);
        }
        let kid = token::key_of(token).ok_or(TokenError::Invalid)?;
        let keys = self.keys_for(facts, &kid, now).await.map_err(|Unavailable(why)| TokenError::Unavailable(why))?;
        let claims = keys.verify(token).ok_or(TokenError::Invalid)?;
        self.known.lock().verified(hash, claims);
        Ok(claims)
    }

    async fn keys_for(&self, facts: &dyn AccountFacts, kid: &str, now: Timestamp) -> Result<Arc<Keys>, Unavailable> {
        if let Some(keys) = self.known.lock().keys_for(kid, now) {
            return Ok(keys);
        }
        let _alone = self.asking.lock().await;
        let learnt = self.known.lock().keys_for(kid, now);
        match learnt {
            Some(keys) => Ok(keys),
            None => self.ask_keys(facts, now).await,
        }
    }

    async fn ask_keys(&self, facts: &dyn AccountFacts, now: Timestamp) -> Result<Arc<Keys>, Unavailable> {
        let published = facts.keys().await?;
        let keys = Keys::read(published, &self.options.issuer, &self.options.audience);
        let keys = keys.map_err(|why| Unavailable(format!("the published keys cannot be read: {why}")))?;
        Ok(self.known.lock().learn_keys(keys, now))
    }

    /// Whether the device is the user's and logged in.
    async fn check_device(&self, facts: &dyn AccountFacts, claims: Claims, now: Timestamp) -> Result<(), TokenError> {
        let judgement = self.known.lock().judge(claims, now);
        match judgement {
            Judgement::Known(outcome) => outcome,
            Judgement::Unknown => self.ask_device(facts, claims, now).await,
            Judgement::Stale(outcome) => {
                self.learn(facts, now).await;
                self.known.lock().unless_revoked(claims.device).and(outcome)
            }
        }
    }

    /// Asks for what has happened since the last time, or waits for whoever does so already.
    async fn learn(&self, facts: &dyn AccountFacts, now: Timestamp) {
        let _alone = self.asking.lock().await;
        if !self.known.lock().wants_log_outs(now) {
            return;
        }
        if let Err(error) = self.ask_log_outs(facts, now).await {
            tracing::debug!(%error, "log-outs could not be learnt; devices that are known go on");
            self.known.lock().nobody_there(now);
        }
    }

    async fn ask_log_outs(&self, facts: &dyn AccountFacts, now: Timestamp) -> Result<(), Unavailable> {
        let mut after = self.begin(facts, now).await?;
        loop {
            let numbered = facts.revoked_after(after, LOG_OUTS_AT_ONCE).await?;
            self.known.lock().logged_out(&numbered);
            match numbered.last() {
                Some(&(last, _)) if numbered.len() >= LOG_OUTS_AT_ONCE => after = last,
                _ => break,
            }
        }
        self.known.lock().log_outs_asked(now);
        if self.known.lock().keys_are_old(now) {
            self.ask_keys(facts, now).await?;
        }
        Ok(())
    }

    /// The number from which log-outs are asked for. Whoever learns of devices by other ways asks first.
    pub(crate) async fn begin(&self, facts: &dyn AccountFacts, now: Timestamp) -> Result<u64, Unavailable> {
        if let Some(number) = self.known.lock().log_outs() {
            return Ok(number);
        }
        let newest = facts.newest_revocation().await?;
        Ok(self.known.lock().count_log_outs(newest, now))
    }

    async fn ask_device(&self, facts: &dyn AccountFacts, claims: Claims, now: Timestamp) -> Result<(), TokenError> {
        let asked = async {
            self.begin(facts, now).await?;
            facts.standing(claims.device).await
        };
        match asked.await {
            Ok(Some(Standing { revoked: true, .. })) => {
                self.known.lock().revoke(claims.device);
                Err(TokenError::Revoked)
            }
            Ok(Some(Standing { user, .. })) => {
                self.known.lock().learn(claims.device, user, now)?;
                same(user, claims)
            }
            Ok(None) => Err(TokenError::Invalid),
            Err(Unavailable(why)) => Err(TokenError::Unavailable(why)),
        }
    }
}

/// Accounts that are elsewhere: tokens are judged here, and only what is not known is asked for.
pub struct RemoteAccounts {
    verifier: Verifier,
    facts: Arc<dyn AccountFacts>,
}

impl RemoteAccounts {
    /// Judges by what `facts` tells. Nobody has to be there yet.
    #[must_use]
    pub fn new(options: VerifierOptions, facts: Arc<dyn AccountFacts>) -> Self {
        Self { verifier: Verifier::new(options), facts }
    }
}

#[async_trait]
impl Accounts for RemoteAccounts {
    async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        self.verifier.authenticate(&*self.facts, token, now).await
    }

    async fn user_exists(&self, user: UserId) -> Result<bool, Unavailable> {
        self.verifier.user_exists(&*self.facts, user).await
    }
}
