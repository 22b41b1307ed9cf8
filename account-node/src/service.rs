//! What people do with their accounts, and what others ask of them.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest as _, Sha256};
use volery_kernel::code::Code;
use volery_kernel::event::Event;
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_kernel::limits;
use volery_kernel::time::Timestamp;
use volery_ports::account_service::{AccountError, AccountService, Grant, LogIn, Registration, Told};
use volery_ports::accounts::{AccountFacts, Accounts, Claims, Standing, TokenError, Unavailable};
use volery_ports::sql::{Created, Credentials, Device, NewEntry, NewToken, Rotation, TokenHash, User};

use crate::names;
use crate::node::AccountNode;

/// Most devices listed.
const DEVICES_MOST: usize = 100;
/// Most users asked for at once.
const USERS_MOST: usize = 100;
/// Most log-outs told at once.
const REVOCATIONS_MOST: usize = 1_000;
/// What a device is called that was not named.
const UNNAMED: &str = "unnamed";

/// A refresh token: 32 random bytes, of which only the hash is kept.
struct RefreshToken {
    text: String,
    stored: NewToken,
}

impl AccountNode {
    fn new_refresh_token(&self, now: Timestamp) -> RefreshToken {
        let text = BASE64.encode(self.random::<32>());
        let stored = NewToken { hash: hash_of(&text), expires: now.plus(self.options.refresh_ms) };
        RefreshToken { text, stored }
    }

    fn grant(
        &self,
        user: UserId,
        device: DeviceId,
        refresh: RefreshToken,
        now: Timestamp,
    ) -> Result<Grant, AccountError> {
        let seconds = now.plus(self.options.token_ms).0 / 1_000;
        let claims = Claims { user, device, expires: Timestamp(seconds * 1_000) };
        Ok(Grant {
            user,
            device,
            access_token: self.signer.sign(claims, now).map_err(AccountError::Fault)?,
            access_expires: claims.expires,
            refresh_token: refresh.text,
            refresh_expires: refresh.stored.expires,
        })
    }

    /// The user of this name if the password is theirs. Where there is no such user, a password is
    /// checked all the same, so that the time tells nothing.
    async fn check_password(&self, user_name: &str, password: String) -> Result<User, AccountError> {
        let wrong = AccountError::refused(Code::WrongCredentials);
        if !names::is_user_name(user_name) || !names::may_be_password(&password) {
            return Err(wrong);
        }
        let found = self.store.credentials(user_name).await?;
        let hash = found.as_ref().map_or(&self.nobody, |found| &found.password_hash);
        let right = self.passwords.check(password, hash.clone()).await?;
        found.filter(|_| right).map(|found| found.user).ok_or(wrong)
    }

    /// A device that was just made is known without asking.
    fn learn_device(&self, device: DeviceId, user: UserId, now: Timestamp) {
        // Nobody can have logged it out who does not know it.
        let _ = self.verifier.known().learn(device, user, now);
    }

    /// The device's tokens are void here and now, and everywhere when the log has the event.
    async fn tell(&self, device: DeviceId, entry: Option<u64>) -> Told {
        self.verifier.known().revoke(device);
        match entry {
            Some(number) if !self.relay.tell(number, self.options.tell_within).await => Told::Later,
            Some(_) | None => Told::OnTheLog,
        }
    }
}

#[async_trait]
impl Accounts for AccountNode {
    async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        self.verifier.authenticate(self, token, now).await
    }

    async fn user_exists(&self, user: UserId) -> Result<bool, Unavailable> {
        self.verifier.user_exists(self, user).await
    }
}

#[async_trait]
impl AccountFacts for AccountNode {
    async fn keys(&self) -> Result<String, Unavailable> {
        Ok(self.signer.jwks().into())
    }

    async fn standing(&self, device: DeviceId) -> Result<Option<Standing>, Unavailable> {
        let standing = |device: Device| Standing { user: device.user, revoked: device.revoked.is_some() };
        Ok(self.store.device(device).await?.map(standing))
    }

    async fn revoked_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, DeviceId)>, Unavailable> {
        self.store.revoked_after(after, limit.min(REVOCATIONS_MOST)).await
    }

    async fn newest_revocation(&self) -> Result<u64, Unavailable> {
        self.store.newest_revocation().await
    }

    async fn is_user(&self, user: UserId) -> Result<bool, Unavailable> {
        Ok(!self.store.users(&[user]).await?.is_empty())
    }
}

#[async_trait]
impl AccountService for AccountNode {
    async fn register(&self, registration: Registration) -> Result<User, AccountError> {
        let Registration { user_name, display_name, password } = registration;
        let in_field = |field| move |code| AccountError::field(code, field);
        names::user_name(&user_name).map_err(in_field("user_name"))?;
        let display_name = if display_name.is_empty() { &user_name } else { &display_name };
        let display_name = names::display_name(display_name).map_err(in_field("display_name"))?;
        names::password(&password).map_err(in_field("password"))?;
        let taken = AccountError::field(Code::UserNameTaken, "user_name");
        if self.store.credentials(&user_name).await?.is_some() {
            return Err(taken);
        }
        let password_hash = self.passwords.hash(password, self.random()).await?;
        let user = User { id: UserId(self.ids.take()?), user_name, display_name, created: self.clock.now() };
        let created = self.store.create_users(vec![Credentials { user: user.clone(), password_hash }]).await?;
        match created.first() {
            Some(Created::Done) => Ok(user),
            Some(Created::NameTaken) => Err(taken),
            Some(Created::IdTaken) | None => Err(AccountError::Fault(format!("the id {} was given twice", user.id))),
        }
    }

    async fn log_in(&self, log_in: LogIn) -> Result<Grant, AccountError> {
        let LogIn { user_name, password, device_name } = log_in;
        let name = if device_name.is_empty() { UNNAMED } else { &device_name };
        let name = names::display_name(name).map_err(|_| AccountError::field(Code::BadRequest, "device_name"))?;
        let user = self.check_password(&user_name, password).await?.id;
        let (id, now) = (DeviceId(self.ids.take()?), self.clock.now());
        let refresh = self.new_refresh_token(now);
        let device = Device { id, user, name, created: now, last_seen: now, revoked: None };
        self.store.log_in(device, refresh.stored).await?;
        self.learn_device(id, user, now);
        self.grant(user, id, refresh, now)
    }

    async fn refresh(&self, refresh_token: &str) -> Result<Grant, AccountError> {
        let now = self.clock.now();
        let next = self.new_refresh_token(now);
        let event = self.ids.take()?;
        let told = |user, device| revoked(event, user, device);
        match self.store.rotate(hash_of(refresh_token), next.stored, now, &told).await? {
            Rotation::Done(device) => self.grant(device.user, device.id, next, now),
            Rotation::Reused { user, device, entry } => {
                tracing::warn!(%user, %device, "a refresh token was used twice: the device is logged out");
                self.tell(device, entry).await;
                Err(AccountError::refused(Code::InvalidRefreshToken))
            }
            Rotation::Void | Rotation::Unknown => Err(AccountError::refused(Code::InvalidRefreshToken)),
        }
    }

    async fn revoke(&self, caller: Claims, device: DeviceId) -> Result<Told, AccountError> {
        let told = revoked(self.ids.take()?, caller.user, device);
        let entry = self.store.revoke(caller.user, device, self.clock.now(), told).await?;
        match entry {
            Some(_) => Ok(self.tell(device, entry).await),
            None => Err(AccountError::refused(Code::NotFound)),
        }
    }

    async fn devices(&self, caller: Claims) -> Result<Vec<Device>, AccountError> {
        Ok(self.store.devices(caller.user, DEVICES_MOST).await?)
    }

    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, AccountError> {
        let part = part.trim();
        let length = part.chars().count();
        let may_occur = (limits::USER_SEARCH_CHARS_LEAST.value..=limits::DISPLAY_NAME_CHARS.value).contains(&length);
        if !may_occur || part.chars().any(names::is_unfit) {
            return Err(AccountError::field(Code::BadRequest, "q"));
        }
        let limit = limit.min(limits::USER_SEARCH_MOST.value);
        let exact = self.user_by_name(&part.to_lowercase()).await?;
        let found = self.store.find_users(part, limit).await?;
        let others = found.into_iter().filter(|user| Some(user) != exact.as_ref());
        Ok(exact.iter().cloned().chain(others).take(limit).collect())
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, AccountError> {
        Ok(self.store.users(&ids[..ids.len().min(USERS_MOST)]).await?)
    }

    async fn user_by_name(&self, user_name: &str) -> Result<Option<User>, AccountError> {
        if !names::is_user_name(user_name) {
            return Ok(None);
        }
        Ok(self.store.credentials(user_name).await?.map(|found| found.user))
    }
}

fn hash_of(refresh_token: &str) -> TokenHash {
    TokenHash(Sha256::digest(refresh_token).into())
}

/// What the log is told of a revoked device.
fn revoked(id: Id, user: UserId, device: DeviceId) -> NewEntry {
    let event = Event::DeviceRevoked { id, user, device };
    NewEntry { stream: event.stream(), event: volery_proto::encode(&event).into() }
}
