//! Registrations and log-ins over HTTP, some at once.

use std::cell::Cell;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use volery_client::core::Token;
use volery_client::shell::{Api, ApiError, Grant};
use volery_kernel::code::Code;
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_tls::Trust;

use crate::clock;
use crate::failure::Failure;
use crate::gateways::Gateways;
use crate::progress::Progress;
use crate::server::Person;

/// A clock that is ahead must not make a new token void, in ms.
const TOKEN_LEAST_MS: u64 = 5_000;
/// Requests under way at once; the server's queue of password checks holds 64.
const AT_ONCE: usize = 32;
/// So often a request that no answer came to is made, and a node asked for, with so much time in between.
const TRIES: usize = 5;
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const DEVICE_NAME: &str = "load test";

/// A device that may open sessions.
#[derive(Clone, Debug)]
pub struct Account {
    /// Whose.
    pub user: UserId,
    /// Its id.
    pub device: DeviceId,
    /// For `hello`.
    pub access_token: String,
    /// First moment at which that is void, by the server's clock.
    pub access_expires: Timestamp,
    /// For new tokens, once.
    pub refresh_token: String,
    /// The node's address, `ws://…` or `wss://…`.
    pub node: String,
    /// Whom its device believes.
    pub trust: Trust,
}

impl Account {
    /// The access token as the client's core takes it.
    #[must_use]
    pub fn token(&self) -> Token {
        let left = self.access_expires.since(clock::wall()).max(TOKEN_LEAST_MS);
        Token { text: self.access_token.clone(), until: clock::stamp(clock::nanos()).plus(left) }
    }

    /// The same device with new tokens; the old ones are void.
    ///
    /// # Errors
    /// The request's.
    pub async fn refreshed(&self, gateways: &Gateways, device: usize) -> Result<Self, ApiError> {
        let grant = gateways.ask(device, async |api| api.refresh(&self.refresh_token).await).await?;
        Self::granted(grant, self.trust.clone()).placed(gateways, device).await
    }

    fn granted(grant: Grant, trust: Trust) -> Self {
        let Grant { user, device, access_token, access_expires, refresh_token, node, .. } = grant;
        Self { user, device, access_token, access_expires, refresh_token, node, trust }
    }

    /// With the address of a node: a cluster that was just started may have none to name yet.
    async fn placed(mut self, gateways: &Gateways, device: usize) -> Result<Self, ApiError> {
        if self.node.is_empty() {
            let token = &self.access_token;
            let node = patiently(async || gateways.ask(device, async |api| api.node(token, None).await).await);
            self.node = node.await?;
        }
        Ok(self)
    }
}

/// Logs people in at a gateway, or at several that are separated by commas, each on a new device; answers in
/// their order.
///
/// # Errors
/// The first log-in that was refused or not answered.
pub async fn log_in(gateway: &str, people: &[Person]) -> Result<Vec<Account>, Failure> {
    log_in_at(&Gateways::at(gateway, &Trust::machine())?, people).await
}

/// The same at gateways that are known.
///
/// # Errors
/// As [`log_in`].
pub async fn log_in_at(gateways: &Gateways, people: &[Person]) -> Result<Vec<Account>, Failure> {
    let log_in = async |number: usize, person: &Person| {
        let ask = async |api: &Api| api.log_in(&person.user_name, &person.password, DEVICE_NAME).await;
        let grant = patiently(async || gateways.ask(number, ask).await).await?;
        Account::granted(grant, gateways.trust().clone()).placed(gateways, number).await
    };
    all("log-ins", people, log_in).await
}

/// Registers people.
///
/// # Errors
/// The first one that was refused or not answered.
pub async fn register(gateways: &Gateways, people: &[Person]) -> Result<(), Failure> {
    let register = async |number: usize, person: &Person| {
        let ask = async |api: &Api| api.register(&person.user_name, &person.password).await;
        patiently(async || gateways.ask(number, ask).await).await.map(drop)
    };
    all("registrations", people, register).await.map(drop)
}

/// Does something for all people, some at once.
async fn all<T>(
    what: &'static str,
    people: &[Person],
    each: impl AsyncFn(usize, &Person) -> Result<T, ApiError>,
) -> Result<Vec<T>, Failure> {
    let (bar, done) = (Progress::new(what, people.len() as u64), Cell::new(0));
    let (each, bar, done) = (&each, &bar, &done);
    let one = |(number, person)| async move {
        let answer = each(number, person).await.map_err(|error| refused(what, &error));
        done.set(done.get() + 1);
        bar.at(done.get(), "");
        answer
    };
    stream::iter(people.iter().enumerate()).map(one).buffered(AT_ONCE).try_collect().await
}

/// What a gateway says in a moment of weakness is no failure of the run: a server that was just started on a
/// busy machine may not take a connection at once, and a cluster may have no node yet.
async fn patiently<T>(ask: impl AsyncFn() -> Result<T, ApiError>) -> Result<T, ApiError> {
    for _ in 1..TRIES {
        match ask().await {
            Err(error) if error.is_retryable() && !is_limit(&error) => eprintln!("it is tried again: {error}"),
            answer => return answer,
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    ask().await
}

fn is_limit(error: &ApiError) -> bool {
    matches!(error, ApiError::Refused { code, .. } if code == Code::TooManyRequests.text())
}

fn refused(what: &str, error: &ApiError) -> Failure {
    let advice = match (is_limit(error), what) {
        (false, _) => "",
        (true, "registrations") => {
            "; let more register (volery admin settings set accounts.registrations_per_hour_address 1000000), \
             or name users that are there by --users"
        }
        (true, _) => {
            "; let more log in (volery admin settings set accounts.logins_per_minute_address 1000000; \
             accounts.logins_per_minute for more devices a user), or use fewer devices"
        }
    };
    Failure(format!("{what}: {error}{advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_says_what_opens_it() {
        let limit = |code: Code| ApiError::Refused {
            code: code.text().to_owned(),
            title: "no".into(),
            retryable: true,
            after: None,
        };
        assert!(refused("registrations", &limit(Code::TooManyRequests)).0.contains("registrations_per_hour_address"));
        assert!(refused("log-ins", &limit(Code::TooManyRequests)).0.contains("logins_per_minute_address"));
        assert_eq!(refused("log-ins", &limit(Code::Busy)).0, "log-ins: no");
    }
}
