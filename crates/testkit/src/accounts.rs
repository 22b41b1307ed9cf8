//! What people can do with their accounts, a sentence at a time: the same whether the role is called
//! directly or asked on another machine. Over any account store.

#![expect(clippy::panic, reason = "a suite fails by panicking")]

use std::sync::Arc;

use volery_kernel::code::Code;
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_kernel::limits;
use volery_kernel::time::{Clock as _, Timestamp};
use volery_ports::account_service::{AccountError, AccountService, Grant, LogIn, Registration, Told};
use volery_ports::accounts::{Accounts, Claims, TokenError, Unavailable};
use volery_ports::sql::User;

use crate::sql::{ManualClock, Model};

/// Within this time a log-out is known wherever tokens are judged (G8).
const TOLD_WITHIN_MS: u64 = 5_000;

/// A role under test, without anybody in it, and its clock.
pub struct Subject {
    /// The role, or who stands for it.
    pub accounts: Arc<dyn AccountService>,
    /// Who judges its tokens: the role, or whoever asks it.
    pub tokens: Arc<dyn Accounts>,
    /// What it goes by.
    pub clock: Arc<ManualClock>,
}

/// Runs the whole suite. `fresh` makes an empty role for each part.
///
/// # Panics
/// Where an answer is not what it must be.
pub async fn conformance(fresh: impl AsyncFn() -> Subject) {
    people_come_and_are_known(&fresh().await).await;
    registrations_are_judged_field_by_field(&fresh().await).await;
    wrong_credentials_say_nothing_more(&fresh().await).await;
    tokens_run_out_at_their_last_moment(&fresh().await).await;
    reuse_logs_the_device_out(&fresh().await).await;
    devices_are_logged_out_by_their_user(&fresh().await).await;
    people_are_found(&fresh().await).await;
}

/// What a role says while its store is away.
///
/// # Panics
/// Where an answer is not what it must be.
pub async fn outage(subject: &Subject, store: &Model) {
    let grant = subject.person("ada").await;
    assert_eq!(subject.authenticate(&grant.access_token).await, Ok(claims(&grant)));
    store.set_away(true);
    subject.clock.advance(60_000);
    let reason = || Unavailable("switched off".into());
    assert_eq!(subject.tokens.user_exists(user(99)).await, Err(reason()));
    assert_eq!(subject.log_in("ada", "ada password").await.err(), Some(AccountError::Unavailable(reason())));
    assert_eq!(subject.authenticate(&grant.access_token).await, Ok(claims(&grant)), "a known device goes on");
    store.set_away(false);
    assert_eq!(subject.tokens.user_exists(user(99)).await, Ok(false));
}

fn user(raw: u64) -> UserId {
    UserId(Id::new(raw).unwrap_or(Id::MAX))
}

fn claims(grant: &Grant) -> Claims {
    Claims { user: grant.user, device: grant.device, expires: grant.access_expires }
}

fn refused<T>(code: Code, field: Option<&'static str>) -> Result<T, AccountError> {
    Err(AccountError::Refused { code, field })
}

/// Grants have no `Debug`: they are secrets.
fn error(outcome: Result<Grant, AccountError>) -> Result<(), AccountError> {
    outcome.map(|_| ())
}

impl Subject {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn authenticate(&self, token: &str) -> Result<Claims, TokenError> {
        self.tokens.authenticate(token, self.now()).await
    }

    async fn register(&self, user_name: &str, display_name: &str, password: &str) -> Result<User, AccountError> {
        let [user_name, display_name, password] = [user_name, display_name, password].map(str::to_owned);
        self.accounts.register(Registration { user_name, display_name, password }).await
    }

    async fn log_in(&self, user_name: &str, password: &str) -> Result<Grant, AccountError> {
        let (user_name, password, device_name) = (user_name.into(), password.into(), "a phone".into());
        self.accounts.log_in(LogIn { user_name, password, device_name }).await
    }

    /// Somebody who is registered and logged in.
    async fn person(&self, name: &str) -> Grant {
        let password = format!("{name} password");
        if let Err(error) = self.register(name, "", &password).await {
            panic!("{name} registers: {error}");
        }
        self.again(name).await
    }

    /// Logs somebody in on one more device.
    async fn again(&self, name: &str) -> Grant {
        match self.log_in(name, &format!("{name} password")).await {
            Ok(grant) => grant,
            Err(error) => panic!("{name} logs in: {error}"),
        }
    }
}

async fn people_come_and_are_known(subject: &Subject) {
    let registered = subject.register("ada", "Ada Lovelace", "ada password").await;
    let Ok(ada) = registered else { panic!("{registered:?}") };
    assert_eq!((ada.user_name.as_str(), ada.display_name.as_str()), ("ada", "Ada Lovelace"));
    assert_eq!(ada.created, subject.now());
    let grant = subject.again("ada").await;
    assert_eq!((grant.user, grant.refresh_expires), (ada.id, subject.now().plus(limits::REFRESH_MS.value)));
    assert_eq!(subject.authenticate(&grant.access_token).await, Ok(claims(&grant)));
    assert_eq!(subject.tokens.user_exists(ada.id).await, Ok(true));
    assert_eq!(subject.tokens.user_exists(UserId(Id::MAX)).await, Ok(false));
    let keys = subject.accounts.keys().await;
    assert!(keys.as_ref().is_ok_and(|keys| keys.contains("Ed25519")), "{keys:?}");
}

async fn registrations_are_judged_field_by_field(subject: &Subject) {
    let good = "long enough";
    assert!(subject.register("ada", "", good).await.is_ok());
    let judged = async |name, display, password| subject.register(name, display, password).await;
    assert_eq!(judged("ada", "", good).await, refused(Code::UserNameTaken, Some("user_name")));
    assert_eq!(judged("Ada", "", good).await, refused(Code::InvalidUserName, Some("user_name")));
    assert_eq!(judged("root", "", good).await, refused(Code::UserNameReserved, Some("user_name")));
    assert_eq!(judged("bob", "\u{202e}", good).await, refused(Code::InvalidDisplayName, Some("display_name")));
    assert_eq!(judged("bob", "", "short").await, refused(Code::InvalidPassword, Some("password")));
}

async fn wrong_credentials_say_nothing_more(subject: &Subject) {
    subject.person("ada").await;
    for (name, password) in [("ada", "wrong"), ("ada", ""), ("nobody1", "ada password"), ("!", "x")] {
        assert_eq!(error(subject.log_in(name, password).await), refused(Code::WrongCredentials, None), "{name}");
    }
    let [user_name, password, device_name] = ["ada", "ada password", "\u{202e}"].map(str::to_owned);
    let odd = subject.accounts.log_in(LogIn { user_name, password, device_name }).await;
    assert_eq!(error(odd), refused(Code::BadRequest, Some("device_name")));
}

async fn tokens_run_out_at_their_last_moment(subject: &Subject) {
    let grant = subject.person("ada").await;
    let at = async |now| subject.tokens.authenticate(&grant.access_token, now).await;
    assert_eq!(at(grant.access_expires.minus(1)).await, Ok(claims(&grant)));
    assert_eq!(at(grant.access_expires).await, Err(TokenError::Invalid));
    for made_up in ["", "a.b.c", &grant.refresh_token] {
        assert_eq!(subject.authenticate(made_up).await, Err(TokenError::Invalid), "{made_up}");
    }
}

async fn reuse_logs_the_device_out(subject: &Subject) {
    let first = subject.person("ada").await;
    subject.clock.advance(1_000);
    let second = match subject.accounts.refresh(&first.refresh_token).await {
        Ok(second) => second,
        Err(error) => panic!("a fresh token is good: {error}"),
    };
    assert_eq!((second.user, second.device), (first.user, first.device));
    assert_eq!(subject.authenticate(&second.access_token).await, Ok(claims(&second)));
    let reused = subject.accounts.refresh(&first.refresh_token).await;
    assert_eq!(error(reused), refused(Code::InvalidRefreshToken, None));
    subject.clock.advance(TOLD_WITHIN_MS);
    assert_eq!(subject.authenticate(&second.access_token).await, Err(TokenError::Revoked));
}

async fn devices_are_logged_out_by_their_user(subject: &Subject) {
    let (ada, ben) = (subject.person("ada").await, subject.person("ben").await);
    subject.clock.advance(1_000);
    let other = subject.again("ada").await;
    let Ok(devices) = subject.accounts.devices(claims(&ada)).await else { panic!("they are listed") };
    let listed: Vec<_> = devices.iter().map(|device| (device.id, device.user, device.name.as_str())).collect();
    assert_eq!(listed, [(other.device, ada.user, "a phone"), (ada.device, ada.user, "a phone")], "newest first");
    assert_eq!((devices[0].last_seen, devices[0].revoked), (subject.now(), None));

    let revoke = async |caller: &Grant, device| subject.accounts.revoke(claims(caller), device).await;
    assert_eq!(revoke(&ben, ada.device).await, refused(Code::NotFound, None), "not theirs");
    assert_eq!(subject.authenticate(&ada.access_token).await, Ok(claims(&ada)));
    assert_eq!(revoke(&other, ada.device).await, Ok(Told::OnTheLog));
    subject.clock.advance(TOLD_WITHIN_MS);
    assert_eq!(subject.authenticate(&ada.access_token).await, Err(TokenError::Revoked));
    assert_eq!(subject.authenticate(&other.access_token).await, Ok(claims(&other)));
    assert_eq!(revoke(&other, ada.device).await, refused(Code::NotFound, None), "again");
    assert_eq!(revoke(&other, DeviceId(Id::MAX)).await, refused(Code::NotFound, None));
}

async fn people_are_found(subject: &Subject) {
    for name in ["lovelace_ada", "ada", "adam", "bob"] {
        subject.person(name).await;
    }
    let found = async |part: &str, limit| {
        let users = subject.accounts.find_users(part, limit).await;
        users.map(|users| users.into_iter().map(|user| user.user_name).collect::<Vec<_>>())
    };
    let names = |names: &[&str]| Ok(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(found("ADA", usize::MAX).await, names(&["ada", "lovelace_ada", "adam"]), "the exact name first");
    assert_eq!(found(" ada ", 2).await, names(&["ada", "lovelace_ada"]));
    assert_eq!(found("ad", 20).await, refused(Code::BadRequest, Some("q")));
    let bob = subject.accounts.user_by_name("bob").await;
    let Ok(Some(bob)) = bob else { panic!("{bob:?}") };
    assert_eq!(subject.accounts.user_by_name("nobody1").await, Ok(None));
    assert_eq!(subject.accounts.users(&[bob.id, UserId(Id::MAX)]).await, Ok(vec![bob]));
    assert_eq!(subject.accounts.users(&vec![UserId(Id::MAX); 5_000]).await, Ok(Vec::new()), "the rest is ignored");
}
