//! Log-ins over HTTP, from tens of addresses at once.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{RequestBuilder, Response};
use serde::Deserialize;
use serde_json::json;
use volery_client::core::Token;
use volery_client::shell::{Api, http_client};
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_tls::Trust;
use volery_wire::field;

use crate::clock;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::server::Person;

/// Source addresses: 127.0.0.2 and on, so that ports never run out.
const ADDRESSES: usize = 40;
/// A clock that is ahead must not make a new token void, in ms.
const TOKEN_LEAST_MS: u64 = 5_000;
/// Log-ins under way at once; the server's queue of password checks holds 64.
const AT_ONCE: usize = 32;
/// So often a log-in that no answer came to is made, and a node asked for, with so much time in between.
const TRIES: usize = 5;
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A device that may open sessions.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    /// Whose.
    #[serde(with = "field::user")]
    pub user: UserId,
    /// Its id.
    #[serde(with = "field::device")]
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
    #[serde(skip)]
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
    pub async fn refreshed(&self, gateway: &str) -> Result<Self, Failure> {
        let body = json!({ "refresh_token": self.refresh_token });
        let http = http_client(gateway, &self.trust)?.build()?;
        let answer = http.post(format!("{gateway}/v1/refresh")).json(&body).send().await?;
        let account: Self = answer.error_for_status()?.json().await?;
        Self { trust: self.trust.clone(), ..account }.placed(gateway).await
    }

    /// With the address of a node: a cluster that was just started may have none to name yet.
    async fn placed(mut self, gateway: &str) -> Result<Self, Failure> {
        if !self.node.is_empty() {
            return Ok(self);
        }
        let api = Api::new(gateway, self.trust.clone())?;
        for _ in 1..TRIES {
            tokio::time::sleep(AGAIN_AFTER).await;
            if let Ok(node) = api.node(&self.access_token).await {
                self.node = node;
                return Ok(self);
            }
        }
        self.node = api.node(&self.access_token).await?;
        Ok(self)
    }
}

/// The address from which a user comes: 40 of them, in turn.
#[must_use]
pub fn source_of(number: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + (number % ADDRESSES) as u8))
}

/// Logs people in at `http://…`, each on a new device; answers in their order.
///
/// # Errors
/// The first log-in that was refused or not answered.
pub async fn log_in(gateway: &str, people: &[Person]) -> Result<Vec<Account>, Failure> {
    log_in_trusting(&Trust::machine(), gateway, people).await
}

/// The same at `https://…`, on devices that believe others than the machine's authorities.
///
/// # Errors
/// As [`log_in`].
pub async fn log_in_trusting(trust: &Trust, gateway: &str, people: &[Person]) -> Result<Vec<Account>, Failure> {
    let client = |address| Ok::<_, Failure>(http_client(gateway, trust)?.local_address(source_of(address)).build()?);
    let clients = (0..ADDRESSES).map(client).collect::<Result<Vec<_>, _>>()?;
    let bar = Progress::new("log-ins", people.len() as u64);
    let done = Cell::new(0);
    let url = format!("{gateway}/v1/login");
    let each = stream::iter(people.iter().enumerate()).map(|(number, person)| {
        let request = clients[number % ADDRESSES].post(&url);
        let (bar, done) = (&bar, &done);
        async move {
            let answer = patiently(request.json(person)).await?.error_for_status()?;
            done.set(done.get() + 1);
            bar.at(done.get(), "");
            let account: Account = answer.json().await?;
            Account { trust: trust.clone(), ..account }.placed(gateway).await
        }
    });
    each.buffered(AT_ONCE).try_collect().await
}

/// A server that was just started on a busy machine may not take a connection at once: it is no failure of the run.
async fn patiently(request: RequestBuilder) -> Result<Response, Failure> {
    for _ in 1..TRIES {
        let Some(again) = request.try_clone() else { break };
        match again.send().await {
            Ok(answer) => return Ok(answer),
            Err(error) => eprintln!("a log-in is tried again: {error}"),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    Ok(request.send().await?)
}
