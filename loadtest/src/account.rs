//! Log-ins over HTTP, from tens of addresses at once.

use std::net::{IpAddr, Ipv4Addr};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use reqwest::Client;
use serde::Deserialize;
use serde_json::json;
use volery_kernel::id::{DeviceId, UserId};
use volery_wire::field;

use crate::failure::Failure;
use crate::server::{PASSWORD, Server, user_name};

/// Source addresses: 127.0.0.2 and on, so that ports never run out.
const ADDRESSES: usize = 40;
/// Log-ins under way at once; the server's queue of password checks holds 64.
const AT_ONCE: usize = 32;

/// A device that may open sessions.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Account {
    #[serde(with = "field::user")]
    pub(crate) user: UserId,
    #[serde(with = "field::device")]
    pub(crate) device: DeviceId,
    pub(crate) access_token: String,
    pub(crate) node: String,
}

/// The address from which a user comes.
pub(crate) fn source_of(number: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + (number % ADDRESSES) as u8))
}

/// Logs users in, in the order of their numbers.
pub(crate) async fn log_in(server: &Server, users: std::ops::Range<usize>) -> Result<Vec<Account>, Failure> {
    let clients = (0..ADDRESSES).map(|address| Client::builder().local_address(source_of(address)).build());
    let clients = clients.collect::<Result<Vec<_>, _>>()?;
    let bar = ProgressBar::new(users.len() as u64).with_message("log-ins");
    let url = format!("{}/v1/login", server.gateway());
    let each = stream::iter(users).map(|number| {
        let request = clients[number % ADDRESSES].post(&url);
        let body = json!({ "user_name": user_name(number), "password": PASSWORD });
        let bar = &bar;
        async move {
            let answer = request.json(&body).send().await?.error_for_status()?;
            bar.inc(1);
            Ok::<_, Failure>(answer.json().await?)
        }
    });
    let accounts = each.buffered(AT_ONCE).try_collect().await?;
    bar.finish_and_clear();
    Ok(accounts)
}
