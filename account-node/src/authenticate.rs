//! Tokens on the live path: every reconnect and every request comes through here.
//!
//! A token's signature is checked once and remembered. Log-outs made elsewhere are learnt every few
//! seconds (G8) by one question for all devices that are known, not by one for each: else a reconnect
//! would cost a query. They are known at once where they were made. While SQL is away, a device that is
//! known goes on with what is held (G10); one that is not must wait.
//!
//! Trap avoided: an answer of SQL that was under way during a log-out must not bring the device back,
//! so what is revoked stays revoked.

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_ports::accounts::{Accounts, Claims, TokenError, Unavailable};

use crate::held::Held;
use crate::node::AccountNode;

/// Log-outs asked for at once.
const REVOCATIONS_AT_ONCE: usize = 1_000;

/// What is held of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeviceState {
    /// Logged in, as SQL said then; log-outs since are learnt for all devices together.
    Live { user: UserId, asked: Timestamp },
    /// Logged out, for ever.
    Revoked,
}

/// What was looked up, bounded. Tokens are held by their hash: fixed size, and no secret lies about.
pub(crate) struct Known {
    tokens: Held<[u8; 32], Claims>,
    devices: Held<DeviceId, DeviceState>,
    users: Held<UserId, ()>,
    /// Every log-out up to this number was learnt, and when it was asked.
    revocation: u64,
    asked: Timestamp,
}

impl Known {
    /// Nothing is known of any device; log-outs after this one are going to be learnt.
    pub(crate) fn new(most: usize, revocation: u64, asked: Timestamp) -> Self {
        Self { tokens: Held::new(most), devices: Held::new(most), users: Held::new(most), revocation, asked }
    }

    /// The device was logged out.
    pub(crate) fn revoke(&mut self, device: DeviceId) {
        self.devices.put(device, DeviceState::Revoked);
    }

    fn learn(&mut self, device: DeviceId, user: UserId, asked: Timestamp) {
        if self.devices.get(&device) != Some(DeviceState::Revoked) {
            self.devices.put(device, DeviceState::Live { user, asked });
        }
    }
}

impl AccountNode {
    /// What the token says, if it is ours, by the signature.
    fn claims(&self, token: &str) -> Option<Claims> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some(claims) = self.known.lock().tokens.get(&hash) {
            return Some(claims);
        }
        let claims = self.tokens.verify(token)?;
        self.known.lock().tokens.put(hash, claims);
        Some(claims)
    }

    /// Whether the device is the user's and logged in.
    async fn check_device(&self, claims: Claims, now: Timestamp) -> Result<(), TokenError> {
        let (held, all) = {
            let mut known = self.known.lock();
            (known.devices.get(&claims.device), known.asked)
        };
        match held {
            Some(DeviceState::Revoked) => return Err(TokenError::Revoked),
            Some(DeviceState::Live { user, asked }) if self.is_fresh(asked, now) || self.is_fresh(all, now) => {
                return same(user, claims);
            }
            Some(DeviceState::Live { user, .. }) => match self.learn_revocations(now).await {
                Some(Ok(())) => return self.unless_revoked(claims.device).and_then(|()| same(user, claims)),
                Some(Err(Unavailable(_))) => return same(user, claims),
                None => {}
            },
            None => {}
        }
        self.ask_device(claims, held, now).await
    }

    /// Asks for all log-outs since the last time. `None` if somebody does so already: the caller need not
    /// wait for an answer that may take as long as SQL's patience.
    async fn learn_revocations(&self, now: Timestamp) -> Option<Result<(), Unavailable>> {
        let _alone = self.learning.try_lock().ok()?;
        loop {
            let after = self.known.lock().revocation;
            let revoked = match self.store.revoked_after(after, REVOCATIONS_AT_ONCE).await {
                Ok(revoked) => revoked,
                Err(away) => return Some(Err(away)),
            };
            let mut known = self.known.lock();
            for &(number, device) in &revoked {
                known.revoke(device);
                known.revocation = number;
            }
            if revoked.len() < REVOCATIONS_AT_ONCE {
                known.asked = now;
                return Some(Ok(()));
            }
        }
    }

    async fn ask_device(&self, claims: Claims, held: Option<DeviceState>, now: Timestamp) -> Result<(), TokenError> {
        match (self.store.device(claims.device).await, held) {
            (Ok(Some(device)), _) if device.revoked.is_some() => {
                self.known.lock().revoke(claims.device);
                Err(TokenError::Revoked)
            }
            (Ok(Some(device)), _) => {
                self.known.lock().learn(device.id, device.user, now);
                self.unless_revoked(claims.device).and_then(|()| same(device.user, claims))
            }
            (Ok(None), _) => Err(TokenError::Invalid),
            (Err(_), Some(DeviceState::Live { user, .. })) => same(user, claims),
            (Err(Unavailable(reason)), _) => Err(TokenError::Unavailable(reason)),
        }
    }

    /// A clock that stepped back makes nothing fresh.
    fn is_fresh(&self, asked: Timestamp, now: Timestamp) -> bool {
        asked <= now && now.since(asked) < self.options.device_fresh_ms
    }

    /// A log-out may have come while SQL was asked.
    fn unless_revoked(&self, device: DeviceId) -> Result<(), TokenError> {
        let revoked = self.known.lock().devices.get(&device) == Some(DeviceState::Revoked);
        if revoked { Err(TokenError::Revoked) } else { Ok(()) }
    }

    /// A device that was just made is known without asking.
    pub(crate) fn learn_device(&self, device: DeviceId, user: UserId, now: Timestamp) {
        self.known.lock().learn(device, user, now);
    }
}

fn same(user: UserId, claims: Claims) -> Result<(), TokenError> {
    if user == claims.user { Ok(()) } else { Err(TokenError::Invalid) }
}

#[async_trait]
impl Accounts for AccountNode {
    async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let claims = self.claims(token).filter(|claims| now < claims.expires).ok_or(TokenError::Invalid)?;
        self.check_device(claims, now).await?;
        Ok(claims)
    }

    async fn user_exists(&self, user: UserId) -> Result<bool, Unavailable> {
        if self.known.lock().users.get(&user).is_some() {
            return Ok(true);
        }
        let exists = !self.store.users(&[user]).await?.is_empty();
        if exists {
            self.known.lock().users.put(user, ());
        }
        Ok(exists)
    }
}
